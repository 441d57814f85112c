/* Packets of other makers under master keys, through every engine that runs here: libsrtp's reference packets, and both
 * directions of a recorded call. All of them are third parties' files of ../shared/corpus; without it the tests are
 * skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "crypto/unprotect.h"
#include "vector_file.h"

#define PACKET_MAX 2048
#define ENGINES    2

static const char *const engine_names[ENGINES] = { [UNPROTECT_IPSEC_MB] = "ipsec-mb", [UNPROTECT_LIBSRTP2] = "libsrtp2" };

struct side {
	struct unprotect_engine *engine;	/* NULL: does not run here, or has not the suite */
	struct unprotect_ctx ctx;
	struct packet_index index;
};

/* Both engines under one key. @return how many have it */
static unsigned int
sides_open(struct side side[ENGINES], const struct srtp_master *m)
{
	unsigned int n = 0;

	memset(side, 0, ENGINES * sizeof(side[0]));
	for (unsigned int k = 0; k < ENGINES; k++) {
		enum srs_err err;

		if (!unprotect_engine_runs((enum unprotect_engine_kind)k)) {
			print_message("the engine %s does not run here\n", engine_names[k]);
			continue;
		}
		side[k].engine = unprotect_engine_create((enum unprotect_engine_kind)k);
		assert_non_null(side[k].engine);
		err = unprotect_ctx_init(&side[k].ctx, side[k].engine, m);
		if (k == UNPROTECT_LIBSRTP2 && err == SRS_ERR_UNSUPPORTED) {
			print_message("libsrtp2 here has no %s\n", srtp_suite_shape(m->suite)->name);
			unprotect_engine_destroy(side[k].engine);
			side[k].engine = NULL;
			continue;
		}
		assert_int_equal(err, SRS_OK);
		n++;
	}
	return n;
}

static void
sides_close(struct side side[ENGINES])
{
	for (unsigned int k = 0; k < ENGINES; k++) {
		unprotect_ctx_wipe(&side[k].ctx);
		unprotect_engine_destroy(side[k].engine);
	}
}

static enum unprotect_result
side_run(struct side *s, uint8_t *packet, uint16_t *len)
{
	struct unprotect_op op = { .packet = packet, .len = *len, .index = &s->index, .keys = &s->ctx }, *burst[1] = { &op };

	unprotect_burst(s->engine, burst, 1);
	*len = op.len;
	return op.result;
}

/* ---- libsrtp's reference packets ---- */

struct reference {
	const char *file, *key;
	enum srtp_suite suite;
	uint16_t as_it_came;	/* bytes behind the fixed header that we do not decrypt: an RFC 6904 extension */
};

static void
reference_packet(const struct reference *r)
{
	uint8_t sealed[PACKET_MAX], plain[PACKET_MAX], packet[PACKET_MAX], key_salt[64];
	FILE *file = vector_open(r->file);
	struct srtp_master m = { .suite = (uint8_t)r->suite };
	struct side side[ENGINES];
	uint16_t sealed_len, plain_len, n;

	if (file == NULL)
		skip();
	n = vector_read(file, r->key, key_salt, sizeof(key_salt));
	assert_int_equal(n, srtp_suite_shape(r->suite)->key_len + 14);
	memcpy(m.key, key_salt, n - 14u);
	memcpy(m.salt, key_salt + n - 14, 14);
	sealed_len = vector_read(file, "srtp_ciphertext", sealed, sizeof(sealed));
	plain_len = vector_read(file, "srtp_plaintext_ref", plain, sizeof(plain));
	fclose(file);
	assert_int_equal(sealed_len, plain_len + 10);
	memcpy(plain + 12, sealed + 12, r->as_it_came);
	assert_true(sides_open(side, &m) > 0);
	for (unsigned int k = 0; k < ENGINES; k++) {
		uint16_t len = sealed_len;

		if (side[k].engine == NULL)
			continue;
		memcpy(packet, sealed, sealed_len);
		assert_int_equal(side_run(&side[k], packet, &len), UNPROTECT_OK);
		assert_int_equal(len, plain_len);
		assert_memory_equal(packet, plain, plain_len);
	}
	sides_close(side);
}

static void
reference_packet_of_aes_192_comes_out(void **state)
{
	static const struct reference r = { "../shared/corpus/srtp-vectors/libsrtp-validate-aes-192.txt", "aes_192_test_key",
		                            SRTP_AES_192_CM_HMAC_SHA1_80, 0 };

	reference_packet(&r);
}

static void
reference_packet_of_aes_256_comes_out(void **state)
{
	static const struct reference r = { "../shared/corpus/srtp-vectors/libsrtp-validate-aes-256.txt", "aes_256_test_key",
		                            SRTP_AES_256_CM_HMAC_SHA1_80, 0 };

	reference_packet(&r);
}

static void
encrypted_header_extension_stays_as_it_came(void **state)
{
	static const struct reference r = {
		"../shared/corpus/srtp-vectors/libsrtp-validate-encrypted-extensions-headers.txt", "test_key_ext_headers",
		SRTP_AES_CM_128_HMAC_SHA1_80, 4 + 4 * 6,
	};

	reference_packet(&r);
}

/* ---- a recorded call ---- */

#define FRAME_HEAD (14 + 20 + 8)	/* Ethernet, IPv4 without options, UDP */

/* The next packet's UDP payload. @return 0: no more */
static uint16_t
capture_next(FILE *file, uint8_t packet[PACKET_MAX])
{
	uint32_t head[4];
	uint8_t frame[FRAME_HEAD + PACKET_MAX];

	if (fread(head, sizeof(head), 1, file) != 1)
		return 0;
	assert_true(head[2] > FRAME_HEAD);
	assert_true(head[2] <= sizeof(frame));
	assert_int_equal(fread(frame, 1, head[2], file), head[2]);
	assert_int_equal(frame[14], 0x45);
	assert_int_equal(frame[23], 17);
	memcpy(packet, frame + FRAME_HEAD, head[2] - FRAME_HEAD);
	return (uint16_t)(head[2] - FRAME_HEAD);
}

/* The inline key of a line "NAME = SUITE inline:BASE64". */
static void
key_of(struct srtp_master *m, const char *name)
{
	FILE *file = vector_open("../shared/corpus/pcap/rtpproxy-g722-srtp-keys.txt");
	char line[256], word[64], suite[64], text[64];
	uint8_t key_salt[32];

	if (file == NULL)
		skip();
	memset(m, 0, sizeof(*m));
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%63s = %63s inline:%63s", word, suite, text) == 3 && strcmp(word, name) == 0) {
			m->suite = (uint8_t)srtp_suite_by_name(span_of_text(suite));
			assert_int_equal(strlen(text), 40);
			assert_int_equal(EVP_DecodeBlock(key_salt, (const unsigned char *)text, 40), 30);
			memcpy(m->key, key_salt, 16);
			memcpy(m->salt, key_salt + 16, 14);
		}
	fclose(file);
	assert_int_equal(m->suite, SRTP_AES_CM_128_HMAC_SHA1_80);
}

static void
every_packet_comes_out(const char *path, const char *key_name)
{
	FILE *file = vector_open(path);
	struct srtp_master m;
	struct side side[ENGINES];
	uint8_t packet[PACKET_MAX], again[PACKET_MAX], out[ENGINES][PACKET_MAX];
	uint32_t magic[6];
	unsigned int n = 0;
	uint16_t whole;

	if (file == NULL)
		skip();
	assert_int_equal(fread(magic, sizeof(magic), 1, file), 1);
	assert_int_equal(magic[0], 0xa1b2c3d4);	/* this machine's byte order */
	key_of(&m, key_name);
	assert_true(sides_open(side, &m) > 0);
	while ((whole = capture_next(file, packet)) != 0) {
		unsigned int first = ENGINES;

		for (unsigned int k = 0; k < ENGINES; k++) {
			uint16_t len = whole;

			if (side[k].engine == NULL)
				continue;
			memcpy(out[k], packet, whole);
			assert_int_equal(side_run(&side[k], out[k], &len), UNPROTECT_OK);
			assert_int_equal(len, whole - 10);
			assert_memory_not_equal(out[k] + 12, packet + 12, len - 12u);
			if (first == ENGINES)
				first = k;
			assert_memory_equal(out[k], out[first], len);
			len = whole;
			memcpy(again, packet, whole);
			assert_int_equal(side_run(&side[k], again, &len), UNPROTECT_REPLAYED);
		}
		n++;
	}
	fclose(file);
	sides_close(side);
	print_message("%u packets\n", n);
	assert_true(n > 1000);
}

static void
recorded_call_comes_out_one_way(void **state)
{
	every_packet_comes_out("../shared/corpus/pcap/rtpproxy-g722-srtp-alice.pcap", "alice-crypto");
}

static void
recorded_call_comes_out_the_other_way(void **state)
{
	every_packet_comes_out("../shared/corpus/pcap/rtpproxy-g722-srtp-bob.pcap", "bob-crypto");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_packet_of_aes_192_comes_out),
		cmocka_unit_test(reference_packet_of_aes_256_comes_out),
		cmocka_unit_test(encrypted_header_extension_stays_as_it_came),
		cmocka_unit_test(recorded_call_comes_out_one_way),
		cmocka_unit_test(recorded_call_comes_out_the_other_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
