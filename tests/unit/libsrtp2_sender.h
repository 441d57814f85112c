/* A sender of SRTP that is not ours: libsrtp2. */
#ifndef LIBSRTP2_SENDER_H
#define LIBSRTP2_SENDER_H

#include <string.h>

#include <srtp2/srtp.h>

#include "crypto/srtp_suite.h"
#include "crypto/unprotect.h"
#include "plane_fixture.h"

#define SENDER_PACKET_MAX 512

struct sender {
	struct srtp_master master;
	srtp_t session;
};

static inline void
sender_policy(srtp_crypto_policy_t *rtp, srtp_crypto_policy_t *rtcp, enum srtp_suite suite)
{
	switch (suite) {
	case SRTP_AES_CM_128_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(rtp);
		srtp_crypto_policy_set_rtp_default(rtcp);
		return;
	case SRTP_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(rtcp);
		return;
	case SRTP_AEAD_AES_256_GCM:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(rtp);
		srtp_crypto_policy_set_aes_gcm_256_16_auth(rtcp);
		return;
	default:
		assert_int_equal(suite, SRTP_AES_CM_128_HMAC_SHA1_80);
		srtp_crypto_policy_set_rtp_default(rtp);
		srtp_crypto_policy_set_rtp_default(rtcp);
		return;
	}
}

/* Keys from a number, so that each test has its own; `mki` empty: none. */
static inline void
sender_make(struct sender *s, enum srtp_suite suite, uint8_t number, const char *mki)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(suite);
	unsigned char joined[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX], id[SRTP_MKI_MAX];
	srtp_master_key_t key = { .key = joined, .mki_id = id, .mki_size = (unsigned int)strlen(mki) };
	srtp_master_key_t *keys[] = { &key };
	srtp_policy_t policy;

	assert_true(unprotect_engine_runs(UNPROTECT_LIBSRTP2));	/* libsrtp2 is begun once in a process: by our engine */
	memset(s, 0, sizeof(*s));
	s->master.suite = (uint8_t)suite;
	s->master.mki_len = (uint8_t)strlen(mki);
	memcpy(s->master.mki, mki, strlen(mki));
	for (unsigned int i = 0; i < shape->key_len; i++)
		s->master.key[i] = (uint8_t)(number * 37 + i * 11 + 1);
	for (unsigned int i = 0; i < shape->salt_len; i++)
		s->master.salt[i] = (uint8_t)(number * 53 + i * 7 + 2);
	memcpy(joined, s->master.key, shape->key_len);
	memcpy(joined + shape->key_len, s->master.salt, shape->salt_len);
	memcpy(id, mki, strlen(mki));
	memset(&policy, 0, sizeof(policy));
	sender_policy(&policy.rtp, &policy.rtcp, suite);
	policy.ssrc.type = ssrc_any_outbound;
	policy.window_size = 1024;
	policy.allow_repeat_tx = 1;
	if (key.mki_size != 0) {
		policy.keys = keys;
		policy.num_master_keys = 1;
	} else {
		policy.key = joined;
	}
	assert_int_equal(srtp_create(&s->session, &policy), srtp_err_status_ok);
}

static inline void
sender_free(struct sender *s)
{
	srtp_dealloc(s->session);
}

/* The next packet of this SSRC counts under this ROC; it must have sent one before. */
static inline void
sender_roc(struct sender *s, uint32_t ssrc, uint32_t roc)
{
	assert_int_equal(srtp_set_stream_roc(s->session, ssrc, roc), srtp_err_status_ok);
}

/* @return its length */
static inline size_t
sender_rtp(struct sender *s, uint32_t ssrc, uint16_t seq, uint8_t packet[SENDER_PACKET_MAX])
{
	int len = 172;

	px_rtp_packet(packet, ssrc, seq);
	if (s->master.mki_len != 0)
		assert_int_equal(srtp_protect_mki(s->session, packet, &len, 1, 0), srtp_err_status_ok);
	else
		assert_int_equal(srtp_protect(s->session, packet, &len), srtp_err_status_ok);
	return (size_t)len;
}

/* A sender report without report blocks. @return its length */
static inline size_t
sender_report(uint8_t packet[SENDER_PACKET_MAX], uint32_t ssrc, uint64_t ntp)
{
	memset(packet, 0, 28);
	packet[0] = 0x80;
	packet[1] = 200;
	px_put(packet + 2, 6, 2);
	px_put(packet + 4, ssrc, 4);
	px_put(packet + 8, ntp, 8);
	return 28;
}

/* @return its new length */
static inline size_t
sender_rtcp(struct sender *s, uint8_t packet[SENDER_PACKET_MAX], size_t plain_len)
{
	int len = (int)plain_len;

	if (s->master.mki_len != 0)
		assert_int_equal(srtp_protect_rtcp_mki(s->session, packet, &len, 1, 0), srtp_err_status_ok);
	else
		assert_int_equal(srtp_protect_rtcp(s->session, packet, &len), srtp_err_status_ok);
	return (size_t)len;
}

#endif
