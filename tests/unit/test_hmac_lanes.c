/* Lanes against OpenSSL's HMAC: every length around block ends, mixed in one run, fewer lanes than a vector has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "crypto/hmac_lanes.h"
#include "srtp_sender.h"

#define MESSAGE_MAX 2000

struct fixture {
	struct hmac_lanes *lanes;
	struct unprotect_engine *engine;
	struct unprotect_ctx *ctx;	/* HMAC_LANES_MAX */
	uint8_t key[HMAC_LANES_MAX][SRTP_AUTH_KEY_SIZE];
	uint8_t message[HMAC_LANES_MAX][MESSAGE_MAX];
	struct hmac_lane lane[HMAC_LANES_MAX];
	struct hmac_tags tags;
};

static struct fixture *
fixture_make(bool portable)
{
	struct fixture *f = aligned_alloc(64, (sizeof(*f) + 63) & ~(size_t)63);

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	f->lanes = hmac_lanes_create();
	f->engine = unprotect_engine_create(UNPROTECT_IPSEC_MB);
	if (f->lanes == NULL || f->engine == NULL) {
		print_message("this processor has no AES-NI\n");
		skip();
	}
	if (portable)
		hmac_lanes_portable(f->lanes);
	f->ctx = aligned_alloc(64, HMAC_LANES_MAX * sizeof(*f->ctx));
	assert_non_null(f->ctx);
	for (unsigned int i = 0; i < HMAC_LANES_MAX; i++) {
		struct srtp_master m = sender_master(SRTP_AES_CM_128_HMAC_SHA1_80, i);
		struct srtp_kdf_master kdf = { .key_len = 16, .salt_len = 14 };

		memcpy(kdf.key, m.key, 16);
		memcpy(kdf.salt, m.salt, 14);
		assert_int_equal(srtp_kdf_derive(&kdf, SRTP_KDF_RTP_AUTH, f->key[i], SRTP_AUTH_KEY_SIZE), SRS_OK);
		assert_int_equal(unprotect_ctx_init(&f->ctx[i], f->engine, &m), SRS_OK);
		for (unsigned int k = 0; k < MESSAGE_MAX; k++)
			f->message[i][k] = (uint8_t)(k * 7 + i * 13 + k / 251);
	}
	return f;
}

static void
fixture_drop(struct fixture *f)
{
	hmac_lanes_destroy(f->lanes);
	unprotect_engine_destroy(f->engine);
	free(f->ctx);
	free(f);
}

static void
check(struct fixture *f, const uint32_t len[], unsigned int n)
{
	memset(&f->tags, 0xee, sizeof(f->tags));
	for (unsigned int i = 0; i < n; i++)
		f->lane[i] = (struct hmac_lane){ &f->ctx[i], f->message[i], len[i] };
	hmac_lanes_run(f->lanes, f->lane, n, &f->tags);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t want[EVP_MAX_MD_SIZE], got[4 * HMAC_TAG_WORDS];

		for (unsigned int w = 0; w < HMAC_TAG_WORDS; w++)
			memcpy(got + 4 * w, &f->tags.words[w][i], 4);
		assert_non_null(HMAC(EVP_sha1(), f->key[i], SRTP_AUTH_KEY_SIZE, f->message[i], len[i], want, NULL));
		assert_memory_equal(got, want, sizeof(got));
	}
}

static void
all_lengths(bool portable)
{
	struct fixture *f = fixture_make(portable);
	uint32_t len[HMAC_LANES_MAX];

	for (uint32_t first = 1; first <= 330; first += 3) {
		for (unsigned int i = 0; i < HMAC_LANES_MAX; i++)
			len[i] = first + i / 16;
		check(f, len, HMAC_LANES_MAX);
	}
	fixture_drop(f);
}

static void
mixed(bool portable)
{
	struct fixture *f = fixture_make(portable);
	uint32_t len[HMAC_LANES_MAX], seed = 1;

	for (unsigned int round = 0; round < 400; round++) {
		unsigned int n = round % HMAC_LANES_MAX + 1;

		for (unsigned int i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			len[i] = seed >> 8 & 1 ? 1 + (seed >> 16) % 200 : 1 + (seed >> 16) % (MESSAGE_MAX - 1);
		}
		check(f, len, n);
	}
	fixture_drop(f);
}

static void
every_length_gives_the_tag_of_openssl(void **state)
{
	(void)state;
	all_lengths(false);
}

static void
mixed_lengths_and_few_lanes_give_the_tag_of_openssl(void **state)
{
	(void)state;
	mixed(false);
}

static void
every_length_without_avx_512(void **state)
{
	(void)state;
	all_lengths(true);
}

static void
mixed_lengths_without_avx_512(void **state)
{
	(void)state;
	mixed(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_gives_the_tag_of_openssl),
		cmocka_unit_test(mixed_lengths_and_few_lanes_give_the_tag_of_openssl),
		cmocka_unit_test(every_length_without_avx_512),
		cmocka_unit_test(mixed_lengths_without_avx_512),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
