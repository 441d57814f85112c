/* Sealed chunks: against an independent implementation, between our two, and with every bit changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "crypto/seal.h"

struct fixture {
	struct seal_engine *engine;
	struct seal_key *key;
	struct dek dek;
	struct reel_chunk chunk;
	uint8_t body[REEL_BODY_MAX];
	uint8_t slot[REEL_SLOT_SIZE];
	uint8_t opened[REEL_BODY_MAX];
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->engine = seal_engine_create();
	f->key = secret_alloc(sizeof(*f->key));
	if (f->engine == NULL || f->key == NULL)
		return -1;
	for (unsigned int i = 0; i < sizeof(f->dek.bytes); i++)
		f->dek.bytes[i] = (uint8_t)i;
	for (unsigned int i = 0; i < REEL_BODY_MAX; i++)
		f->body[i] = (uint8_t)(i * 7 + 3);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	seal_engine_destroy(f->engine);
	secret_free(f->key, sizeof(*f->key));
	free(f);
	return 0;
}

static void
chunk_make(struct fixture *f, enum reel_suite suite, uint32_t part, uint16_t flags, uint32_t body_len)
{
	struct reel_chunk *c = &f->chunk;

	*c = (struct reel_chunk){
		.suite = suite,
		.flags = flags,
		.chunk_no = flags & REEL_CHUNK_COMMITMENT ? 0 : 0x0102030405,
		.part = part,
		.first_wall_ns = 1700000000123456789,
		.body_len = body_len,
		.n_frames = body_len / REEL_FRAME_HEADER_SIZE,
	};
	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		c->recording[i] = (uint8_t)(0x40 + i);
	if (flags & REEL_CHUNK_COMMITMENT)
		assert_int_equal(seal_commitment(&f->dek, c->recording, part, suite, c->commitment), SRS_OK);
	assert_int_equal(seal_key_init(f->engine, f->key, &f->dek, c->recording, part, suite), SRS_OK);
	memset(f->slot, 0xcc, sizeof(f->slot));
	seal_chunk(f->engine, f->key, c, f->body, f->slot);
}

/* HMAC-SHA-256 of Python's standard library, by the text of docs/format.md: DEK 00 to 1f, recording id 40 to 4f. */
static void
commitment_is_what_the_format_document_says(void **state)
{
	static const uint8_t gcm_part_0[] = {
		0x14, 0xbd, 0x66, 0xd6, 0x8f, 0x40, 0x0b, 0x0e, 0xe4, 0xa1, 0x07, 0x7c, 0x5f, 0xe4, 0x75, 0xba,
		0x85, 0x7b, 0x2f, 0x73, 0xb7, 0x5b, 0x14, 0x21, 0xbd, 0x7f, 0x6c, 0xd3, 0x94, 0xc9, 0xcb, 0x6b,
	};
	static const uint8_t chacha_part_1020304[] = {
		0x84, 0x90, 0x18, 0x5d, 0xd0, 0xe7, 0x42, 0x9f, 0x65, 0x11, 0xd5, 0x98, 0x5a, 0x22, 0xa7, 0xa3,
		0x97, 0xf4, 0x09, 0x01, 0x9f, 0x39, 0xf3, 0x8b, 0xac, 0x9e, 0xe0, 0x4d, 0xcd, 0xaf, 0x26, 0x4b,
	};
	struct fixture *f = *state;
	uint8_t recording[REEL_ID_SIZE], out[REEL_COMMITMENT_SIZE];

	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		recording[i] = (uint8_t)(0x40 + i);
	assert_int_equal(seal_commitment(&f->dek, recording, 0, REEL_SUITE_AES_256_GCM, out), SRS_OK);
	assert_memory_equal(out, gcm_part_0, sizeof(out));
	assert_int_equal(seal_commitment(&f->dek, recording, 0x01020304, REEL_SUITE_CHACHA20_POLY1305, out), SRS_OK);
	assert_memory_equal(out, chacha_part_1020304, sizeof(out));
}

/* Whole slots made by pyca/cryptography from the text of docs/format.md; the digest is of bytes 0 to 4091. */
static void
slots_are_what_the_format_document_says(void **state)
{
	static const struct {
		enum reel_suite suite;
		uint32_t part;
		uint16_t flags;
		uint32_t body_len;
		uint8_t digest[DIGEST_SIZE];
	} rows[] = {
		{ REEL_SUITE_AES_256_GCM, 0, REEL_CHUNK_COMMITMENT, 3980,
		  { 0x93, 0xa7, 0x27, 0x40, 0x22, 0x00, 0x65, 0x39, 0x79, 0x54, 0x8a, 0x9f, 0x4e, 0x8a, 0x29, 0xd1,
		    0x95, 0x71, 0x73, 0xbc, 0x27, 0x7b, 0xb3, 0xdb, 0x8c, 0x90, 0xa5, 0xff, 0x3c, 0x61, 0x38, 0x34 } },
		{ REEL_SUITE_CHACHA20_POLY1305, 7, REEL_CHUNK_END | REEL_CHUNK_FINAL, 100,
		  { 0x0a, 0x82, 0xef, 0xbc, 0xbc, 0x0f, 0x23, 0x94, 0x23, 0x4d, 0x54, 0x87, 0xbf, 0xbb, 0x13, 0xec,
		    0x91, 0x6f, 0xeb, 0xf9, 0x19, 0x3c, 0x80, 0x75, 0xed, 0xbf, 0xe6, 0x37, 0xed, 0xe5, 0x64, 0xda } },
		{ REEL_SUITE_AES_256_GCM, 0, REEL_CHUNK_COMMITMENT | REEL_CHUNK_CLEAR, 100,
		  { 0xf5, 0xd7, 0xfb, 0x12, 0x49, 0xcf, 0x2d, 0xd4, 0xbe, 0xc3, 0xfd, 0x97, 0x32, 0x63, 0x79, 0x0b,
		    0x55, 0xfa, 0x23, 0x3d, 0x81, 0xbc, 0xb3, 0xb3, 0xb3, 0x96, 0x16, 0xee, 0x97, 0xf2, 0x3f, 0xf0 } },
		{ REEL_SUITE_CHACHA20_POLY1305, 7, REEL_CHUNK_END | REEL_CHUNK_FINAL | REEL_CHUNK_CLEAR, 100,
		  { 0x66, 0x20, 0xdb, 0x66, 0x8f, 0x77, 0xac, 0x31, 0xc7, 0x3f, 0x3e, 0xd9, 0xa1, 0xdd, 0x80, 0xfb,
		    0x47, 0x42, 0xf1, 0x8a, 0xb3, 0x4f, 0x4a, 0x57, 0xc7, 0x1a, 0x0b, 0x55, 0xbc, 0x30, 0xc8, 0xe1 } },
	};
	struct fixture *f = *state;
	uint8_t digest[DIGEST_SIZE];

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		chunk_make(f, rows[i].suite, rows[i].part, rows[i].flags, rows[i].body_len);
		digest_sha256(f->slot, REEL_SLOT_SIZE - REEL_CRC_SIZE, digest);
		assert_memory_equal(digest, rows[i].digest, DIGEST_SIZE);
	}
}

/* As a reader has it: head from the slot, then the body. */
static enum srs_err
chunk_open(struct fixture *f)
{
	struct reel_chunk c;
	enum srs_err err = reel_chunk_head_read(&c, f->slot);

	memset(f->opened, 0xdd, sizeof(f->opened));
	return err ? err : seal_open_portable(&f->dek, &c, f->slot, f->opened);
}

static void
openssl_opens_what_ipsec_mb_sealed(void **state)
{
	static const uint16_t flags[] = { 0, REEL_CHUNK_CLEAR, REEL_CHUNK_COMMITMENT, REEL_CHUNK_SALVAGE,
		                          REEL_CHUNK_COMMITMENT | REEL_CHUNK_CLEAR | REEL_CHUNK_DOCUMENTS };
	struct fixture *f = *state;

	for (unsigned int suite = REEL_SUITE_AES_256_GCM; suite <= REEL_SUITE_CHACHA20_POLY1305; suite++) {
		for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			uint32_t len_max = (uint32_t)reel_chunk_body_max(flags[i]);

			/* from one empty frame; a shorter body cannot be */
			for (uint32_t len = REEL_FRAME_HEADER_SIZE; len <= len_max; len += len < 300 ? 1 : 97) {
				chunk_make(f, suite, 3, flags[i], len);
				assert_int_equal(chunk_open(f), SRS_OK);
				assert_memory_equal(f->opened, f->body, len);
			}
			chunk_make(f, suite, 3, flags[i], len_max);
			assert_int_equal(chunk_open(f), SRS_OK);
			assert_memory_equal(f->opened, f->body, len_max);
			chunk_make(f, suite, 3, flags[i], 0);
			assert_int_equal(chunk_open(f), SRS_OK);
		}
	}
}

static void
rest_of_the_slot_is_zero(void **state)
{
	static const uint8_t zeros[REEL_SLOT_SIZE];
	struct fixture *f = *state;
	size_t used = REEL_CHUNK_HEADER_SIZE + 10 + REEL_TAG_SIZE;

	chunk_make(f, REEL_SUITE_AES_256_GCM, 0, 0, 10);
	assert_memory_equal(f->slot + used, zeros, REEL_SLOT_SIZE - used);
}

static void
clear_chunk_shows_its_body_and_a_sealed_one_does_not(void **state)
{
	struct fixture *f = *state;

	chunk_make(f, REEL_SUITE_AES_256_GCM, 0, REEL_CHUNK_CLEAR, 200);
	assert_memory_equal(f->slot + REEL_CHUNK_HEADER_SIZE, f->body, 200);
	chunk_make(f, REEL_SUITE_AES_256_GCM, 0, 0, 200);
	assert_memory_not_equal(f->slot + REEL_CHUNK_HEADER_SIZE, f->body, 16);
}

static void
any_changed_bit_is_found_and_gives_no_plain_text(void **state)
{
	static const uint8_t zeros[40];
	static const uint16_t flags[] = { 0, REEL_CHUNK_CLEAR, REEL_CHUNK_COMMITMENT };
	struct fixture *f = *state;

	for (unsigned int suite = REEL_SUITE_AES_256_GCM; suite <= REEL_SUITE_CHACHA20_POLY1305; suite++) {
		for (unsigned int i = 0; i < 3; i++) {
			size_t used = reel_chunk_head_len(flags[i]) + 40 + REEL_TAG_SIZE;

			chunk_make(f, suite, 0, flags[i], 40);
			for (size_t bit = 0; bit < used * 8; bit++) {
				enum srs_err err;

				f->slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
				err = chunk_open(f);
				assert_int_not_equal(err, SRS_OK);
				if (err == SRS_ERR_AUTH && !(flags[i] & REEL_CHUNK_CLEAR) && f->opened[0] != 0xdd)
					assert_memory_equal(f->opened, zeros, sizeof(zeros));
				f->slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			assert_int_equal(chunk_open(f), SRS_OK);
		}
	}
}

static void
other_recording_part_suite_or_dek_gives_another_key(void **state)
{
	struct fixture *f = *state;
	struct reel_chunk c;
	struct dek other = f->dek;

	chunk_make(f, REEL_SUITE_AES_256_GCM, 4, 0, 100);
	assert_int_equal(reel_chunk_head_read(&c, f->slot), SRS_OK);
	c.part = 5;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_AUTH);
	c.part = 4;
	c.recording[0] ^= 1;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_AUTH);
	c.recording[0] ^= 1;
	c.suite = REEL_SUITE_CHACHA20_POLY1305;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_AUTH);
	c.suite = REEL_SUITE_AES_256_GCM;
	c.chunk_no++;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_AUTH);
	c.chunk_no--;
	other.bytes[31] ^= 1;
	assert_int_equal(seal_open_portable(&other, &c, f->slot, f->opened), SRS_ERR_AUTH);
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_OK);
}

static void
unknown_suite_and_impossible_length_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t out[REEL_COMMITMENT_SIZE];
	struct reel_chunk c;

	chunk_make(f, REEL_SUITE_AES_256_GCM, 0, 0, 100);
	c = f->chunk;
	assert_int_equal(seal_key_init(f->engine, f->key, &f->dek, c.recording, 0, (enum reel_suite)3),
	                 SRS_ERR_UNSUPPORTED);
	assert_int_equal(seal_commitment(&f->dek, c.recording, 0, (enum reel_suite)0, out), SRS_ERR_UNSUPPORTED);
	c.suite = (enum reel_suite)3;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_UNSUPPORTED);
	c.suite = REEL_SUITE_AES_256_GCM;
	c.body_len = (uint32_t)reel_chunk_body_max(0) + 1;
	assert_int_equal(seal_open_portable(&f->dek, &c, f->slot, f->opened), SRS_ERR_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commitment_is_what_the_format_document_says),
		cmocka_unit_test(slots_are_what_the_format_document_says),
		cmocka_unit_test(openssl_opens_what_ipsec_mb_sealed),
		cmocka_unit_test(rest_of_the_slot_is_zero),
		cmocka_unit_test(clear_chunk_shows_its_body_and_a_sealed_one_does_not),
		cmocka_unit_test(any_changed_bit_is_found_and_gives_no_plain_text),
		cmocka_unit_test(other_recording_part_suite_or_dek_gives_another_key),
		cmocka_unit_test(unknown_suite_and_impossible_length_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
