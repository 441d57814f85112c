#include "tests/diff/reference.h"

#include <string.h>

#define SSRCS_MAX   8
#define WINDOW_SIZE 128

static bool
policy_of(srtp_crypto_policy_t *p, enum srtp_suite suite)
{
	switch (suite) {
	case SRTP_AES_CM_128_HMAC_SHA1_80:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(p);
		return true;
	case SRTP_AES_CM_128_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(p);
		return true;
	case SRTP_AES_192_CM_HMAC_SHA1_80:
		srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80(p);
		return true;
	case SRTP_AES_192_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32(p);
		return true;
	case SRTP_AES_256_CM_HMAC_SHA1_80:
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(p);
		return true;
	case SRTP_AES_256_CM_HMAC_SHA1_32:
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(p);
		return true;
	case SRTP_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(p);
		return true;
	case SRTP_AEAD_AES_256_GCM:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(p);
		return true;
	default:
		return false;
	}
}

/* SRTCP keeps the tag of 80 bits. @rfc 4568 §6.2.2, 6188 §4 */
static enum srtp_suite
rtcp_suite(enum srtp_suite suite)
{
	switch (suite) {
	case SRTP_AES_CM_128_HMAC_SHA1_32:
		return SRTP_AES_CM_128_HMAC_SHA1_80;
	case SRTP_AES_192_CM_HMAC_SHA1_32:
		return SRTP_AES_192_CM_HMAC_SHA1_80;
	case SRTP_AES_256_CM_HMAC_SHA1_32:
		return SRTP_AES_256_CM_HMAC_SHA1_80;
	default:
		return suite;
	}
}

bool
reference_create(struct reference *r, const struct srtp_master *master, const struct reference_ssrc ssrcs[],
                 unsigned int n_ssrcs, bool clear_rtcp)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)master->suite);
	uint8_t key[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX], mki[SRTP_MKI_MAX];
	srtp_master_key_t one = { .key = key, .mki_id = mki, .mki_size = master->mki_len }, *keys[] = { &one };
	srtp_policy_t policies[SSRCS_MAX];

	*r = (struct reference){ .mki = master->mki_len != 0 };
	if (n_ssrcs > SSRCS_MAX)
		return false;
	memcpy(key, master->key, shape->key_len);
	memcpy(key + shape->key_len, master->salt, shape->salt_len);
	memcpy(mki, master->mki, SRTP_MKI_MAX);
	memset(policies, 0, sizeof(policies));
	for (unsigned int i = 0; i < n_ssrcs; i++) {
		srtp_policy_t *p = &policies[i];

		if (!policy_of(&p->rtp, (enum srtp_suite)master->suite) ||
		    !policy_of(&p->rtcp, rtcp_suite((enum srtp_suite)master->suite)))
			return false;
		p->ssrc = (srtp_ssrc_t){ .type = ssrc_specific, .value = ssrcs[i].ssrc };
		p->window_size = WINDOW_SIZE;
		if (clear_rtcp)
			p->rtcp.sec_serv = sec_serv_auth;
		if (r->mki) {
			p->keys = keys;
			p->num_master_keys = 1;
		} else {
			p->key = key;
		}
		p->next = i + 1 < n_ssrcs ? &policies[i + 1] : NULL;
	}
	if (srtp_create(&r->session, policies) != srtp_err_status_ok)
		return false;
	for (unsigned int i = 0; i < n_ssrcs; i++)
		if (srtp_set_stream_roc(r->session, ssrcs[i].ssrc, ssrcs[i].roc) != srtp_err_status_ok) {
			reference_destroy(r);
			return false;
		}
	return true;
}

void
reference_destroy(struct reference *r)
{
	if (r->session != NULL)
		srtp_dealloc(r->session);
	r->session = NULL;
}

/* The tag of an RTP header alone: AES_192_CM_HMAC_SHA1_80, key 00..17, salt 80..8d, SEQ 1, SSRC 1, ROC 0. Made by
 * Python's cryptography from RFC 6188 §3 and RFC 3711 §4.2. */
static bool
derives_by_aes_192(void)
{
	static const uint8_t tag[10] = { 0x2d, 0x90, 0xa3, 0x14, 0x1d, 0x45, 0xba, 0xf0, 0xb1, 0xfd };
	uint8_t packet[12 + SRTP_MAX_TRAILER_LEN + 4] = { 0x80, [3] = 1, [11] = 1 };
	struct srtp_master master = { .suite = SRTP_AES_192_CM_HMAC_SHA1_80 };
	const struct reference_ssrc one = { .ssrc = 1 };
	struct reference r;
	uint16_t len = 12;
	bool good;

	for (unsigned int i = 0; i < 24; i++)
		master.key[i] = (uint8_t)i;
	for (unsigned int i = 0; i < SRTP_MASTER_SALT_MAX; i++)
		master.salt[i] = (uint8_t)(0x80 + i);
	if (!reference_create(&r, &master, &one, 1, false))
		return false;
	good = reference_protect(&r, packet, &len) == srtp_err_status_ok && len == 12 + sizeof(tag) &&
	       memcmp(packet + 12, tag, sizeof(tag)) == 0;
	reference_destroy(&r);
	return good;
}

bool
reference_speaks(enum srtp_suite suite)
{
	return srtp_suite_shape(suite)->key_len != 24 || derives_by_aes_192();
}

srtp_err_status_t
reference_protect(struct reference *r, uint8_t *packet, uint16_t *len)
{
	int n = *len;
	srtp_err_status_t status = srtp_protect_mki(r->session, packet, &n, r->mki, 0);

	*len = (uint16_t)n;
	return status;
}

srtp_err_status_t
reference_unprotect(struct reference *r, uint8_t *packet, uint16_t *len)
{
	int n = *len;
	srtp_err_status_t status = srtp_unprotect_mki(r->session, packet, &n, r->mki);

	*len = (uint16_t)n;
	return status;
}

srtp_err_status_t
reference_protect_rtcp(struct reference *r, uint8_t *packet, uint16_t *len)
{
	int n = *len;
	srtp_err_status_t status = srtp_protect_rtcp_mki(r->session, packet, &n, r->mki, 0);

	*len = (uint16_t)n;
	return status;
}

srtp_err_status_t
reference_unprotect_rtcp(struct reference *r, uint8_t *packet, uint16_t *len)
{
	int n = *len;
	srtp_err_status_t status = srtp_unprotect_rtcp_mki(r->session, packet, &n, r->mki);

	*len = (uint16_t)n;
	return status;
}
