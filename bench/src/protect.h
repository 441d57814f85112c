/* SRTP as a sender needs it: one master key, what it protects on the way out, and what it opens of the peer's RTCP.
 * Two engines behind one interface: libsrtp2, an implementation that is not ours, for small runs; intel-ipsec-mb for
 * load. Shares no code with the recorder. @rfc 3711, 6188, 7714 */
#ifndef SRC_PROTECT_H
#define SRC_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTECT_KEY_MAX     32
#define PROTECT_SALT_MAX    14
#define PROTECT_MKI_MAX     16
#define PROTECT_TRAILER_MAX (16 + PROTECT_MKI_MAX + 4)	/* tag, MKI, SRTCP's index */
#define PROTECT_SOURCES_MAX 16				/* SSRCs under one master key */

enum protect_suite {
	PROTECT_AES_CM_128_HMAC_SHA1_80,
	PROTECT_AES_CM_128_HMAC_SHA1_32,
	PROTECT_AES_192_CM_HMAC_SHA1_80,
	PROTECT_AES_192_CM_HMAC_SHA1_32,
	PROTECT_AES_256_CM_HMAC_SHA1_80,
	PROTECT_AES_256_CM_HMAC_SHA1_32,
	PROTECT_AEAD_AES_128_GCM,
	PROTECT_AEAD_AES_256_GCM,
	PROTECT_SUITES,
};

struct protect_shape {
	const char *name;	/* as in a=crypto */
	const char *profile;	/* as OpenSSL calls it in use_srtp; NULL: DTLS has none */
	uint8_t key_len, salt_len;
	uint8_t tag_len, rtcp_tag_len;
	bool aead;
};

const struct protect_shape *protect_shape(enum protect_suite suite);
/** Suite of an a=crypto name. @return false: none of the eight */
bool protect_suite_by_name(const char *name, enum protect_suite *out);

/* A master key as it was agreed. */
struct protect_keys {
	enum protect_suite suite;
	uint8_t key[PROTECT_KEY_MAX];
	uint8_t salt[PROTECT_SALT_MAX];
	uint8_t mki[PROTECT_MKI_MAX];
	uint8_t mki_len;	/* 0: none */
};

enum protect_engine { PROTECT_LIBSRTP2, PROTECT_IPSEC_MB };

/** Can the engine be trusted with these keys? Not libsrtp2 as Debian has it with AES-192, whose session keys it
 * derives in a way of its own (not by RFC 6188 §3), nor with an MKI in the _32 suites, whose place in SRTCP it misses. */
bool protect_engine_has(enum protect_engine engine, const struct protect_keys *keys);

struct protect;
/** @return NULL: no memory, or the engine does not have the suite */
struct protect *protect_create(enum protect_engine engine, const struct protect_keys *keys);
void protect_destroy(struct protect *p);	/* wipes; accepts NULL */

/** Sequence numbers of this SSRC start with this rollover counter. For an SSRC never named it starts at 0.
 * @return false: PROTECT_SOURCES_MAX of them already */
bool protect_start(struct protect *p, uint32_t ssrc, uint32_t roc);
/** Protect an RTP packet in place; PROTECT_TRAILER_MAX bytes of room are needed behind it. A jump back by less than
 * 32768 is a packet of before, as RFC 3711 §3.3.1 estimates. @return false: no RTP, or too many SSRCs */
bool protect_rtp(struct protect *p, uint8_t *packet, uint16_t *len);
/** The same for a compound RTCP packet; always encrypted. @return false: no RTCP, or the index is used up */
bool protect_rtcp(struct protect *p, uint8_t *packet, uint16_t *len);
/** Authenticate and decrypt what the peer sent under this key; in place. @return false: it does not authenticate, or
 * its index was there before */
bool protect_open_rtcp(struct protect *p, uint8_t *packet, uint16_t *len);

/** Bytes of an RTP header with its CSRCs and extension. @return 0: no RTP packet */
size_t protect_header_len(const uint8_t *packet, size_t len);
uint32_t protect_ssrc(const uint8_t *bytes);	/* four bytes in network order */

#endif
