/* What the simulator's sender protects, read by libsrtp2 and, for AES-192, by the recorder's own engine: three
 * implementations that share no code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

#include "bench/src/protect.h"
#include "crypto/unprotect.h"

#define SSRC  0x01020304u
#define ROOM  (400 + PROTECT_TRAILER_MAX)

struct packet {
	uint8_t bytes[ROOM];
	uint16_t len;
};

static struct protect_keys
keys_of(enum protect_suite suite, uint8_t mki_len)
{
	struct protect_keys k = { .suite = suite, .mki = { 0xa1, 0xb2, 0xc3, 0xd4 }, .mki_len = mki_len };

	for (unsigned int i = 0; i < sizeof(k.key); i++)
		k.key[i] = (uint8_t)(i * 37 + 11 + (unsigned int)suite);
	for (unsigned int i = 0; i < sizeof(k.salt); i++)
		k.salt[i] = (uint8_t)(i * 91 + 5);
	return k;
}

/* libsrtp2's receiver for one master key. */
static srtp_t
peer_of(const struct protect_keys *keys)
{
	static void (*const set[PROTECT_SUITES])(srtp_crypto_policy_t *) = {
		[PROTECT_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[PROTECT_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
		[PROTECT_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[PROTECT_AES_256_CM_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
		[PROTECT_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[PROTECT_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
	};
	const struct protect_shape *shape = protect_shape(keys->suite);
	uint8_t key[64], mki[PROTECT_MKI_MAX];
	srtp_master_key_t master = { .key = key, .mki_id = mki, .mki_size = keys->mki_len }, *masters[1] = { &master };
	srtp_policy_t policy;
	srtp_t session = NULL;

	memset(&policy, 0, sizeof(policy));
	memcpy(key, keys->key, shape->key_len);
	memcpy(key + shape->key_len, keys->salt, shape->salt_len);
	memcpy(mki, keys->mki, sizeof(mki));
	set[keys->suite](&policy.rtp);
	if (keys->suite == PROTECT_AES_CM_128_HMAC_SHA1_32)
		srtp_crypto_policy_set_rtp_default(&policy.rtcp);
	else if (keys->suite == PROTECT_AES_256_CM_HMAC_SHA1_32)
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtcp);
	else
		set[keys->suite](&policy.rtcp);
	policy.keys = masters;
	policy.num_master_keys = 1;
	policy.window_size = 128;
	policy.ssrc.type = ssrc_specific;
	policy.ssrc.value = SSRC;
	assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
	return session;
}

static bool
peer_reads(srtp_t peer, const struct protect_keys *keys, struct packet *p)
{
	int len = p->len;
	bool ok = srtp_unprotect_mki(peer, p->bytes, &len, keys->mki_len != 0) == srtp_err_status_ok;

	p->len = (uint16_t)len;
	return ok;
}

/* An RTP packet with `n_csrc` sources, an extension of `ext` words (-1: none) and a payload of `payload` bytes. */
static struct packet
rtp_packet(uint16_t seq, unsigned int n_csrc, int ext, unsigned int payload)
{
	struct packet p;
	unsigned int at = 12 + 4 * n_csrc;

	for (unsigned int i = 0; i < sizeof(p.bytes); i++)
		p.bytes[i] = (uint8_t)(i * 7 + seq);
	p.bytes[0] = (uint8_t)(0x80 | n_csrc | (ext >= 0 ? 0x10u : 0));
	p.bytes[1] = 0;
	p.bytes[2] = (uint8_t)(seq >> 8);
	p.bytes[3] = (uint8_t)seq;
	memcpy(p.bytes + 8, "\1\2\3\4", 4);
	if (ext >= 0) {
		p.bytes[at + 2] = 0;
		p.bytes[at + 3] = (uint8_t)ext;
		at += 4 + 4 * (unsigned int)ext;
	}
	p.len = (uint16_t)(at + payload);
	return p;
}

static struct packet
rtcp_packet(void)
{
	struct packet p = { .len = 28 };

	for (unsigned int i = 0; i < sizeof(p.bytes); i++)
		p.bytes[i] = (uint8_t)(i * 13);
	memcpy(p.bytes, "\x80\xc8\0\6\1\2\3\4", 8);
	return p;
}

static bool
same(const struct packet *a, const struct packet *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void
libsrtp2_reads_every_suite_across_wraps(void **state)
{
	/* steps of the 48-bit index: a gap over the wrap, a straggler from before it, and on for another */
	static const uint32_t sent[] = { 65530, 65531, 65535, 65536, 65533, 65537, 65540, 65536 + 30000, 65536 + 62000,
		2 * 65536 + 3 };

	for (int suite = 0; suite < PROTECT_SUITES; suite++) {
		for (uint8_t mki_len = 0; mki_len <= 4; mki_len += 4) {
			struct protect_keys keys = keys_of((enum protect_suite)suite, mki_len);
			struct protect *p = protect_create(PROTECT_IPSEC_MB, &keys);
			srtp_t peer;

			assert_non_null(p);
			if (protect_shape(keys.suite)->key_len == 24) {
				protect_destroy(p);
				continue; /* libsrtp2 cannot read it either: the recorder's engine does, below */
			}
			peer = peer_of(&keys);
			for (unsigned int i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
				struct packet plain = rtp_packet((uint16_t)sent[i], i % 3, (int)(i % 4) - 1, i == 2 ? 0 : 160);
				struct packet wire = plain;

				assert_true(protect_rtp(p, wire.bytes, &wire.len));
				assert_int_equal(wire.len, plain.len + protect_shape(keys.suite)->tag_len + mki_len);
				assert_true(peer_reads(peer, &keys, &wire));
				assert_true(same(&wire, &plain));
			}
			srtp_dealloc(peer);
			protect_destroy(p);
		}
	}
}

static void
aes_192_is_read_by_an_engine_that_is_neither(void **state)
{
	static const struct { enum protect_suite ours; enum srtp_suite theirs; } suites[] = {
		{ PROTECT_AES_192_CM_HMAC_SHA1_80, SRTP_AES_192_CM_HMAC_SHA1_80 },
		{ PROTECT_AES_192_CM_HMAC_SHA1_32, SRTP_AES_192_CM_HMAC_SHA1_32 },
	};
	struct unprotect_engine *engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);

	assert_non_null(engine);
	for (unsigned int i = 0; i < 2; i++) {
		struct protect_keys keys = keys_of(suites[i].ours, 4);
		struct protect *p = protect_create(PROTECT_IPSEC_MB, &keys);
		struct unprotect_ctx *ctx = aligned_alloc(64, sizeof(*ctx));
		struct srtp_master master = { .suite = (uint8_t)suites[i].theirs, .mki_len = 4 };
		struct packet_index index = { 0 };

		assert_non_null(ctx);
		memset(ctx, 0, sizeof(*ctx));
		memcpy(master.key, keys.key, 24);
		memcpy(master.salt, keys.salt, 14);
		memcpy(master.mki, keys.mki, 4);
		assert_int_equal(unprotect_ctx_init(ctx, engine, &master), SRS_OK);
		for (uint32_t seq = 65534; seq < 65538; seq++) {
			struct packet plain = rtp_packet((uint16_t)seq, 0, -1, 160), wire = plain;
			struct unprotect_op op = { .packet = wire.bytes, .index = &index, .keys = ctx }, *ops[1] = { &op };

			assert_true(protect_rtp(p, wire.bytes, &wire.len));
			op.len = wire.len;
			unprotect_burst(engine, ops, 1);
			assert_int_equal(op.result, UNPROTECT_OK);
			assert_int_equal(op.packet_index, seq);
			wire.len = op.len;
			assert_true(same(&wire, &plain));
		}
		unprotect_ctx_wipe(ctx);
		free(ctx);
		protect_destroy(p);
	}
	unprotect_engine_destroy(engine);
}

static void
engines_write_the_same_bytes(void **state)
{
	for (int suite = 0; suite < PROTECT_SUITES; suite++) {
		struct protect_keys keys = keys_of((enum protect_suite)suite, suite % 2 ? 4 : 0);
		struct protect *a = protect_create(PROTECT_LIBSRTP2, &keys), *b = protect_create(PROTECT_IPSEC_MB, &keys);

		if (!protect_engine_has(PROTECT_LIBSRTP2, &keys)) {
			assert_null(a);
			protect_destroy(b);
			continue;
		}
		assert_true(protect_start(a, SSRC, 77));
		assert_true(protect_start(b, SSRC, 77));
		for (uint32_t seq = 65500; seq < 65600; seq++) {
			struct packet one = rtp_packet((uint16_t)seq, 0, -1, 160), two = one;
			struct packet report = rtcp_packet(), again = report;

			assert_true(protect_rtp(a, one.bytes, &one.len));
			assert_true(protect_rtp(b, two.bytes, &two.len));
			assert_true(same(&one, &two));
			assert_true(protect_rtcp(a, report.bytes, &report.len));
			assert_true(protect_rtcp(b, again.bytes, &again.len));
			assert_true(same(&report, &again));
		}
		protect_destroy(a);
		protect_destroy(b);
	}
}

static void
a_late_joiner_needs_the_rollover_counter_we_started_with(void **state)
{
	for (int engine = PROTECT_LIBSRTP2; engine <= PROTECT_IPSEC_MB; engine++) {
		struct protect_keys keys = keys_of(PROTECT_AES_CM_128_HMAC_SHA1_80, 0);
		struct protect *p = protect_create((enum protect_engine)engine, &keys);
		struct packet plain = rtp_packet(9, 0, -1, 160), wire = plain, copy;
		srtp_t peer = peer_of(&keys);

		assert_true(protect_start(p, SSRC, 3));
		assert_true(protect_rtp(p, wire.bytes, &wire.len));
		copy = wire;
		assert_false(peer_reads(peer, &keys, &copy));
		assert_int_equal(srtp_set_stream_roc(peer, SSRC, 3), srtp_err_status_ok);
		assert_true(peer_reads(peer, &keys, &wire));
		assert_true(same(&wire, &plain));
		srtp_dealloc(peer);
		protect_destroy(p);
	}
}

static void
libsrtp2_reads_our_reports_and_we_its(void **state)
{
	for (int suite = 0; suite < PROTECT_SUITES; suite++) {
		for (uint8_t mki_len = 0; mki_len <= 4; mki_len += 4) {
			struct protect_keys keys = keys_of((enum protect_suite)suite, mki_len);
			struct packet plain = rtcp_packet(), wire = plain;
			struct protect *p;
			srtp_t peer;
			int len;

			if (!protect_engine_has(PROTECT_LIBSRTP2, &keys))
				continue;
			p = protect_create(PROTECT_IPSEC_MB, &keys);
			peer = peer_of(&keys);
			assert_true(protect_rtcp(p, wire.bytes, &wire.len));
			len = wire.len;
			assert_int_equal(srtp_unprotect_rtcp_mki(peer, wire.bytes, &len, mki_len != 0), srtp_err_status_ok);
			wire.len = (uint16_t)len;
			assert_true(same(&wire, &plain));
			srtp_dealloc(peer);

			peer = peer_of(&keys);
			len = wire.len;
			assert_int_equal(srtp_protect_rtcp_mki(peer, wire.bytes, &len, mki_len != 0, 0), srtp_err_status_ok);
			wire.len = (uint16_t)len;
			assert_true(protect_open_rtcp(p, wire.bytes, &wire.len));
			assert_true(same(&wire, &plain));
			srtp_dealloc(peer);
			protect_destroy(p);
		}
	}
}

static void
a_report_is_opened_once_and_never_with_a_broken_bit(void **state)
{
	for (int suite = 0; suite < PROTECT_SUITES; suite++) {
		for (int engine = PROTECT_LIBSRTP2; engine <= PROTECT_IPSEC_MB; engine++) {
			struct protect_keys keys = keys_of((enum protect_suite)suite, 2);
			struct protect *sender, *receiver;
			struct packet plain = rtcp_packet(), wire = plain, copy;

			if (!protect_engine_has((enum protect_engine)engine, &keys))
				continue;
			sender = protect_create((enum protect_engine)engine, &keys);
			receiver = protect_create((enum protect_engine)engine, &keys);
			assert_true(protect_rtcp(sender, wire.bytes, &wire.len));
			for (unsigned int bit = 0; bit < wire.len * 8u; bit += 5) {
				copy = wire;
				copy.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
				assert_false(protect_open_rtcp(receiver, copy.bytes, &copy.len));
			}
			copy = wire;
			assert_true(protect_open_rtcp(receiver, copy.bytes, &copy.len));
			assert_true(same(&copy, &plain));
			assert_false(protect_open_rtcp(receiver, wire.bytes, &wire.len));
			protect_destroy(sender);
			protect_destroy(receiver);
		}
	}
}

static void
what_cannot_be_protected_is_refused(void **state)
{
	struct protect_keys keys = keys_of(PROTECT_AEAD_AES_128_GCM, 0);
	struct protect *p = protect_create(PROTECT_IPSEC_MB, &keys);
	struct packet packet = rtp_packet(1, 0, 90, 0);

	packet.len = 100; /* the extension reaches past the end */
	assert_false(protect_rtp(p, packet.bytes, &packet.len));
	packet = rtp_packet(1, 0, -1, 10);
	packet.bytes[0] = 0x40;
	assert_false(protect_rtp(p, packet.bytes, &packet.len));
	packet.len = 7;
	assert_false(protect_rtcp(p, packet.bytes, &packet.len));
	for (unsigned int i = 0; i <= PROTECT_SOURCES_MAX; i++) {
		packet = rtp_packet(1, 0, -1, 10);
		packet.bytes[11] = (uint8_t)i;
		assert_int_equal(protect_rtp(p, packet.bytes, &packet.len), i < PROTECT_SOURCES_MAX);
	}
	protect_destroy(p);
	protect_destroy(NULL);
}

/* libsrtp2 is initialised once a process, and the engine does that. */
static int
initialise(void **state)
{
	struct protect_keys keys = keys_of(PROTECT_AES_CM_128_HMAC_SHA1_80, 0);
	struct protect *p = protect_create(PROTECT_LIBSRTP2, &keys);

	protect_destroy(p);
	return p == NULL ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libsrtp2_reads_every_suite_across_wraps),
		cmocka_unit_test(aes_192_is_read_by_an_engine_that_is_neither),
		cmocka_unit_test(engines_write_the_same_bytes),
		cmocka_unit_test(a_late_joiner_needs_the_rollover_counter_we_started_with),
		cmocka_unit_test(libsrtp2_reads_our_reports_and_we_its),
		cmocka_unit_test(a_report_is_opened_once_and_never_with_a_broken_bit),
		cmocka_unit_test(what_cannot_be_protected_is_refused),
	};

	return cmocka_run_group_tests(tests, initialise, NULL);
}
