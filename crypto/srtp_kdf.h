/* SRTP key derivation: session keys and salts of one master key, for AES-CM suites (RFC 3711, 6188) and AEAD suites
 * (RFC 7714). The key derivation rate is zero: each key is derived once. Pure. @thread any */
#ifndef SRTP_KDF_H
#define SRTP_KDF_H

#include <stdint.h>

#include "lib/srs_err.h"

#define SRTP_KDF_KEY_MAX   32
#define SRTP_KDF_SALT_SIZE 14	/* AES-CM; AEAD suites have 12 and pad with zeros */
#define SRTP_KDF_AEAD_SALT_SIZE 12

/* @rfc 3711 §4.3.1, 4.3.2 */
enum srtp_kdf_label {
	SRTP_KDF_RTP_CIPHER = 0,
	SRTP_KDF_RTP_AUTH = 1,
	SRTP_KDF_RTP_SALT = 2,
	SRTP_KDF_RTCP_CIPHER = 3,
	SRTP_KDF_RTCP_AUTH = 4,
	SRTP_KDF_RTCP_SALT = 5,
};

/* As signalled; belongs in secret memory. */
struct srtp_kdf_master {
	uint8_t key[SRTP_KDF_KEY_MAX];
	uint8_t key_len;	/* 16, 24, 32: also the AES that derives */
	uint8_t salt[SRTP_KDF_SALT_SIZE];
	uint8_t salt_len;	/* 14, or 12 with AEAD */
};

/**
 * Derive one session key or salt.
 *
 * @param out  `len` bytes, up to 65,536; the caller wipes them. Zeroed on failure
 * @return     UNSUPPORTED (a length that no suite has), NOMEM
 * @rfc 3711 §4.3.1, 4.3.3; 6188 §3; 7714 §11
 */
SRS_MUST_CHECK enum srs_err srtp_kdf_derive(const struct srtp_kdf_master *master, enum srtp_kdf_label label,
                                            uint8_t *out, uint32_t len);

#endif
