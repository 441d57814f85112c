/* The SRTP suites that we speak, and one master key as it was signalled. @rfc 3711, 4568 §6.2, 6188, 7714 */
#ifndef SRTP_SUITE_H
#define SRTP_SUITE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

/* Numbers are ours; they stand in no file and on no wire. */
enum srtp_suite {
	SRTP_SUITE_NONE,
	SRTP_AES_CM_128_HMAC_SHA1_80,
	SRTP_AES_CM_128_HMAC_SHA1_32,
	SRTP_AES_192_CM_HMAC_SHA1_80,
	SRTP_AES_192_CM_HMAC_SHA1_32,
	SRTP_AES_256_CM_HMAC_SHA1_80,
	SRTP_AES_256_CM_HMAC_SHA1_32,
	SRTP_AEAD_AES_128_GCM,
	SRTP_AEAD_AES_256_GCM,
	SRTP_SUITES,
};

#define SRTP_MASTER_KEY_MAX  32
#define SRTP_MASTER_SALT_MAX 14
#define SRTP_MKI_MAX         16	/* bytes; RFC 4568 §6.1 allows 128, nobody is known to send more than 4 */
#define SRTP_MASTERS_MAX     4	/* inline keys of one a=crypto line */
#define SRTP_TAG_MAX         16
#define SRTP_AUTH_KEY_SIZE   20	/* HMAC-SHA1 session key */

/* Lengths in bytes. */
struct srtp_suite_shape {
	const char *name;	/* as in a=crypto */
	uint8_t key_len, salt_len;
	uint8_t tag_len;	/* SRTP: 10 or 4, AEAD 16 */
	uint8_t rtcp_tag_len;	/* SRTCP: 10, AEAD 16 */
	bool aead;
};

/** Never NULL; all zero and "" for what is no suite. @thread any */
const struct srtp_suite_shape *srtp_suite_shape(enum srtp_suite suite);
/** @return SRTP_SUITE_NONE: unknown. Names are compared without regard to case. @thread any */
enum srtp_suite srtp_suite_by_name(struct span name);

/* One master key and salt; belongs in secret memory, and whoever copied it wipes it. */
struct srtp_master {
	uint8_t suite;		/* enum srtp_suite */
	uint8_t mki_len;	/* 0: packets carry no MKI */
	uint8_t key[SRTP_MASTER_KEY_MAX];
	uint8_t salt[SRTP_MASTER_SALT_MAX];
	uint8_t mki[SRTP_MKI_MAX];	/* as on the wire */
};

#endif
