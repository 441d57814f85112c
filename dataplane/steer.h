/* Which media address is whose: an address is a core. Addresses are split into contiguous shares, one per lcore, and
 * found by their bytes through a small hash. Filled at start, then only read. @thread any */
#ifndef STEER_H
#define STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "lib/config.h"

#define STEER_HASH_SIZE 256	/* four times CONFIG_ADDRESS_MAX */
#define STEER_NONE UINT16_MAX

struct steer {
	uint16_t n_addresses;
	uint16_t n_lcores;
	struct media_address address[CONFIG_ADDRESS_MAX];
	uint16_t lcore_of[CONFIG_ADDRESS_MAX];
	uint16_t hash[STEER_HASH_SIZE];	/* address index, STEER_NONE: empty */
};

/** Parse and share out. `texts` are numeric addresses. @return INVALID: not an address, or twice the same */
SRS_MUST_CHECK enum srs_err steer_init(struct steer *s, char *const *texts, unsigned int n, uint16_t n_lcores,
                                       char *why, size_t why_len);

static inline uint32_t
steer_bucket(const uint8_t *ip, unsigned int len)
{
	uint32_t h = 0;

	for (unsigned int i = 0; i < len; i += 4) {
		uint32_t word;

		__builtin_memcpy(&word, ip + i, 4);
		h = (h ^ word) * 0x9e3779b1u;
	}
	return h >> 24;
}

/** Compare two addresses of the same version. */
static inline bool
steer_ip_equal(uint8_t version, const uint8_t *a, const uint8_t *b)
{
	return version == 4 ? __builtin_memcmp(a, b, 4) == 0 : __builtin_memcmp(a, b, 16) == 0;
}

/** The index of one of our addresses, or STEER_NONE. @param version 4 or 6 */
static inline uint16_t
steer_find(const struct steer *s, uint8_t version, const uint8_t *ip)
{
	unsigned int len = version == 4 ? 4 : 16;

	for (uint32_t b = steer_bucket(ip, len);; b = (b + 1) % STEER_HASH_SIZE) {
		uint16_t i = s->hash[b];

		if (i == STEER_NONE)
			return STEER_NONE;
		if (s->address[i].ip_version == version && steer_ip_equal(version, s->address[i].ip, ip))
			return i;
	}
}

#endif
