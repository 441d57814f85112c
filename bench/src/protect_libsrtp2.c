/* libsrtp2 as an engine. As Debian builds it (on NSS) its cost a packet grows with the number of contexts: right for
 * ten calls, not for a thousand. */
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

#include "protect_engine.h"

struct state {
	srtp_t session;
	srtp_policy_t policy;
	srtp_master_key_t master, *masters[1];
	uint8_t key[PROTECT_KEY_MAX + PROTECT_SALT_MAX];
	uint8_t mki[PROTECT_MKI_MAX];
	uint32_t sources[PROTECT_SOURCES_MAX];
	unsigned int n_sources;
};

static void
set_suite(srtp_policy_t *policy, enum protect_suite suite)
{
	static void (*const rtp[PROTECT_SUITES])(srtp_crypto_policy_t *) = {
		[PROTECT_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[PROTECT_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
		[PROTECT_AES_192_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
		[PROTECT_AES_192_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32,
		[PROTECT_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[PROTECT_AES_256_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
		[PROTECT_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[PROTECT_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
	};
	/* SRTCP's tag stays at 80 bits in the _32 suites (RFC 4568 §6.2.2) */
	static const enum protect_suite rtcp[PROTECT_SUITES] = {
		PROTECT_AES_CM_128_HMAC_SHA1_80, PROTECT_AES_CM_128_HMAC_SHA1_80, PROTECT_AES_192_CM_HMAC_SHA1_80,
		PROTECT_AES_192_CM_HMAC_SHA1_80, PROTECT_AES_256_CM_HMAC_SHA1_80, PROTECT_AES_256_CM_HMAC_SHA1_80,
		PROTECT_AEAD_AES_128_GCM, PROTECT_AEAD_AES_256_GCM,
	};

	rtp[suite](&policy->rtp);
	rtp[rtcp[suite]](&policy->rtcp);
}

static void
destroy(void *state)
{
	struct state *s = state;

	if (s->session != NULL)
		srtp_dealloc(s->session);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static void *
create(const struct protect_keys *keys)
{
	static bool initialised;
	const struct protect_shape *shape = protect_shape(keys->suite);
	struct state *s = calloc(1, sizeof(*s));

	if (s == NULL || (!initialised && srtp_init() != srtp_err_status_ok)) {
		free(s);
		return NULL;
	}
	initialised = true;
	memcpy(s->key, keys->key, shape->key_len);
	memcpy(s->key + shape->key_len, keys->salt, shape->salt_len);
	memcpy(s->mki, keys->mki, sizeof(s->mki));
	set_suite(&s->policy, keys->suite);
	s->master.key = s->key;
	s->master.mki_id = s->mki;
	s->master.mki_size = keys->mki_len;
	s->masters[0] = &s->master;
	s->policy.keys = s->masters;
	s->policy.num_master_keys = 1;
	s->policy.window_size = 128;
	s->policy.allow_repeat_tx = 1; /* a capture may hold a packet twice */
	if (srtp_create(&s->session, NULL) != srtp_err_status_ok) {
		destroy(s);
		return NULL;
	}
	return s;
}

static bool
know(struct state *s, uint32_t ssrc)
{
	for (unsigned int i = 0; i < s->n_sources; i++)
		if (s->sources[i] == ssrc)
			return true;
	if (s->n_sources == PROTECT_SOURCES_MAX)
		return false;
	s->policy.ssrc.type = ssrc_specific;
	s->policy.ssrc.value = ssrc;
	if (srtp_add_stream(s->session, &s->policy) != srtp_err_status_ok)
		return false;
	s->sources[s->n_sources++] = ssrc;
	return true;
}

static bool
start(void *state, uint32_t ssrc, uint32_t roc)
{
	struct state *s = state;

	return know(s, ssrc) && (roc == 0 || srtp_set_stream_roc(s->session, ssrc, roc) == srtp_err_status_ok);
}

static bool
rtp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	int n = *len;

	if (!know(s, protect_ssrc(packet + 8)) ||
	    srtp_protect_mki(s->session, packet, &n, s->master.mki_size != 0, 0) != srtp_err_status_ok)
		return false;
	*len = (uint16_t)n;
	return true;
}

static bool
rtcp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	int n = *len;

	if (!know(s, protect_ssrc(packet + 4)) ||
	    srtp_protect_rtcp_mki(s->session, packet, &n, s->master.mki_size != 0, 0) != srtp_err_status_ok)
		return false;
	*len = (uint16_t)n;
	return true;
}

static bool
open_rtcp(void *state, uint8_t *packet, uint16_t *len)
{
	struct state *s = state;
	int n = *len;

	if (!know(s, protect_ssrc(packet + 4)) ||
	    srtp_unprotect_rtcp_mki(s->session, packet, &n, s->master.mki_size != 0) != srtp_err_status_ok)
		return false;
	*len = (uint16_t)n;
	return true;
}

const struct protect_engine_ops protect_libsrtp2 = { create, destroy, start, rtp, rtcp, open_rtcp };
