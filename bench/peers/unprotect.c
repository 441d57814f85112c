/* libsrtp2 as its users call it: one session a stream, one packet at a time. Built by bench/peers/build against Debian's
 * source of libsrtp2 on OpenSSL; no part of the product. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include "bench/micro/receiver.h"
#include "crypto/secret.h"

#define PREFETCH_LINE 64

struct peer {
	srtp_t *sessions;	/* by stream */
	uint32_t n_sessions;
	uint16_t packet_bytes, protected_len;
};

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

static bool
session_create(srtp_t *session, const struct srtp_master *master)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)master->suite);
	uint8_t key[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX];
	srtp_policy_t policy = { .ssrc = { .type = ssrc_any_inbound }, .key = key, .window_size = 128 };
	bool ok;

	if (!policy_of(&policy.rtp, (enum srtp_suite)master->suite) ||
	    !policy_of(&policy.rtcp, (enum srtp_suite)master->suite))
		return false;
	memcpy(key, master->key, shape->key_len);
	memcpy(key + shape->key_len, master->salt, shape->salt_len);
	ok = srtp_create(session, &policy) == srtp_err_status_ok;
	secret_wipe(key, sizeof(key));
	return ok;
}

static void
peer_destroy(void *state)
{
	struct peer *p = state;

	for (uint32_t i = 0; i < p->n_sessions; i++)
		srtp_dealloc(p->sessions[i]);
	free(p->sessions);
	free(p);
}

/* libsrtp2 up to 2.5 derives the session keys of the AES-192 suites by AES-256: it refuses what RFC 6188 §3 asks for. */
static bool
first_packet_opens(const struct traffic *t)
{
	uint8_t copy[TRAFFIC_BYTES_MAX + SRTP_MAX_TRAILER_LEN + 4];
	int len = t->protected_len;
	srtp_t probe;
	bool good;

	memcpy(copy, t->store.at, t->protected_len);
	if (!session_create(&probe, &t->masters[0]))
		return false;
	good = srtp_unprotect(probe, copy, &len) == srtp_err_status_ok;
	srtp_dealloc(probe);
	return good;
}

static void *
peer_create(const struct traffic *t, const char **why)
{
	struct peer *p = calloc(1, sizeof(*p));

	*why = "libsrtp2 made no session";
	if (p == NULL || srtp_init() != srtp_err_status_ok)
		return NULL;
	p->packet_bytes = t->spec.packet_bytes;
	p->protected_len = t->protected_len;
	p->sessions = calloc(t->spec.n_streams, sizeof(srtp_t));
	if (p->sessions == NULL)
		return NULL;
	while (p->n_sessions < t->spec.n_streams) {
		if (!session_create(&p->sessions[p->n_sessions], &t->masters[p->n_sessions])) {
			peer_destroy(p);
			return NULL;
		}
		p->n_sessions++;
	}
	if (!first_packet_opens(t)) {
		*why = "not measured: this libsrtp2 refuses the suite's packets (it derives other AES-192 keys than RFC 6188)";
		peer_destroy(p);
		return NULL;
	}
	return p;
}

/* Whoever reads bursts knows which packets come next and can prefetch those; what lies behind an srtp_t it cannot. */
static uint32_t
peer_burst(void *state, const struct arrival a[], uint16_t n)
{
	struct peer *p = state;
	uint32_t n_ok = 0;

	for (uint16_t i = 0; i < n; i++) {
		__builtin_prefetch(p->sessions[a[i].stream]);
		for (uint16_t at = 0; at < p->protected_len; at += PREFETCH_LINE)
			__builtin_prefetch(a[i].packet + at, 1);
	}
	for (uint16_t i = 0; i < n; i++) {
		int len = p->protected_len;

		n_ok += srtp_unprotect(p->sessions[a[i].stream], a[i].packet, &len) == srtp_err_status_ok &&
			len == p->packet_bytes;
	}
	return n_ok;
}

int
main(int argc, char **argv)
{
	char version[128];
	/* 44: behind Ethernet, IPv4 and UDP, and aligned as libsrtp2 asks */
	const struct receiver peer = { .engine = "peer", .version = version, .streams_max = TRAFFIC_STREAMS_MAX,
		.n_packets = 2000000, .header_at = 44, .create = peer_create, .burst = peer_burst, .destroy = peer_destroy };

	snprintf(version, sizeof(version), "%s, %s", srtp_get_version_string(), OpenSSL_version(OPENSSL_VERSION));
	return receiver_main(argc, argv, &peer, 1);
}
