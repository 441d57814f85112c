/* A peer that is not ours: a libsrtp2 session with one master key. For tests. */
#ifndef LIBSRTP2_PEER_H
#define LIBSRTP2_PEER_H

#include <string.h>

#include <srtp2/srtp.h>

#include "crypto/srtp_suite.h"
#include "srtp_sender.h"

#define PEER_WINDOW 128

static inline void
peer_suite(srtp_crypto_policy_t *rtp, srtp_crypto_policy_t *rtcp, enum srtp_suite suite)
{
	/* SRTCP's tag has 80 bits with the _32 suites too (RFC 3711 section 5.2, RFC 6188 section 4) */
	switch (suite) {
	case SRTP_AES_CM_128_HMAC_SHA1_80:
	case SRTP_AES_CM_128_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtp);
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(rtcp);
		break;
	case SRTP_AES_192_CM_HMAC_SHA1_80:
	case SRTP_AES_192_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(rtp);
		srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(rtcp);
		break;
	case SRTP_AES_256_CM_HMAC_SHA1_80:
	case SRTP_AES_256_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtp);
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(rtcp);
		break;
	case SRTP_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(rtcp);
		break;
	default:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(rtp);
		srtp_crypto_policy_set_aes_gcm_256_16_auth(rtcp);
		break;
	}
	rtp->auth_tag_len = srtp_suite_shape(suite)->tag_len;
}

/** What the library needs to know of `m`, which must outlive the call; `key` and `keys` are the caller's room. */
static inline srtp_policy_t
peer_policy(const struct srtp_master *m, srtp_ssrc_type_t direction, srtp_master_key_t *key, srtp_master_key_t **keys,
            uint8_t bytes[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX])
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(m->suite);
	srtp_policy_t p;

	memset(&p, 0, sizeof(p));
	memset(bytes, 0, SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX);
	memcpy(bytes, m->key, shape->key_len);
	memcpy(bytes + shape->key_len, m->salt, shape->salt_len);
	peer_suite(&p.rtp, &p.rtcp, m->suite);
	p.ssrc.type = direction;
	p.window_size = PEER_WINDOW;
	if (m->mki_len == 0) {
		p.key = bytes;
		return p;
	}
	*key = (srtp_master_key_t){ .key = bytes, .mki_id = (unsigned char *)(uintptr_t)m->mki, .mki_size = m->mki_len };
	*keys = key;
	p.keys = keys;
	p.num_master_keys = 1;
	return p;
}

static inline srtp_t
peer_session(const struct srtp_master *m, srtp_ssrc_type_t direction)
{
	uint8_t bytes[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX];
	srtp_master_key_t key, *keys;
	srtp_policy_t p = peer_policy(m, direction, &key, &keys, bytes);
	srtp_t session;

	return srtp_create(&session, &p) == srtp_err_status_ok ? session : NULL;
}

/** Does the library agree with RFC 6188? Debian's 2.5.0 derives the keys of AES-192 by AES-256. Asked with a packet that
 * sender_protect() made. */
static inline bool
peer_has(enum srtp_suite suite)
{
	struct srtp_master m = sender_master(suite, 0);
	uint8_t packet[64] = { 0x80, 0, 0, 1 };
	srtp_t session = peer_session(&m, ssrc_any_inbound);
	int len = sender_protect(&m, 1, packet, 12);
	bool good = session != NULL && srtp_unprotect(session, packet, &len) == srtp_err_status_ok;

	if (session != NULL)
		srtp_dealloc(session);
	return good;
}

/** @return NULL: this build of libsrtp2 does not have the suite, or has it otherwise than the RFC */
static inline srtp_t
peer_create(const struct srtp_master *m, srtp_ssrc_type_t direction)
{
	return peer_has(m->suite) ? peer_session(m, direction) : NULL;
}

#endif
