/* AES-GCM of one short packet in 512-bit registers, from a key of five cache lines. What it saves is memory: ipsec-mb's
 * key is sixteen lines, of which a packet of 172 bytes reads eight, and with tens of thousands of streams each of them
 * comes from far away. Pure but for the packet. @thread any */
#ifndef GCM_WIDE_H
#define GCM_WIDE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define GCM_WIDE_ROUND_KEYS 15	/* of AES-256; AES-128 has 11 */

struct gcm_wide_key {
	uint8_t round[GCM_WIDE_ROUND_KEYS][16];
	uint8_t power[4][16];	/* H^4 to H^1, as POLYVAL has them (RFC 8452 Appendix A) */
};
static_assert(sizeof(struct gcm_wide_key) == 5 * 64 - 16, "with 16 bytes before it, five lines");

/* The first 12 bytes of the counter block by value, in the order of memory: read back from memory, it would wait for
 * its own pieces. */
struct gcm_wide_iv {
	uint64_t first;
	uint32_t last;
};

/** VAES, VPCLMULQDQ and AVX-512 F, BW, VL? Ask before anything else here. */
bool gcm_wide_runs(void);
/** Fill the powers, after the round keys. @param rounds  10 or 14 */
void gcm_wide_powers(struct gcm_wide_key *key, unsigned int rounds);
/** Authenticate, then decrypt in place. The tag behind the text is compared in constant time.
 * @param aad  at least 1 byte  @param bytes  `len` of cipher text, then 16 of tag
 * @return false: the tag is another one; nothing was written
 * @see NIST SP 800-38D §7.2 */
bool gcm_wide_open(const struct gcm_wide_key *key, unsigned int rounds, struct gcm_wide_iv iv, const uint8_t *aad,
                   uint32_t aad_len, uint8_t *bytes, uint32_t len);

#endif
