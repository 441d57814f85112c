/* SRTCP: the published packets, every suite both ways, what must not pass and what must stay as it came, and the same
 * packets through libsrtp2. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "crypto/secret.h"
#include "crypto/srtcp.h"
#include "libsrtp2_peer.h"
#include "memory_search.h"
#include "srtp_sender.h"
#include "vector_file.h"

#define PACKET_MAX 512
#define LEN        52	/* receiver report with one block, SDES */
#define SSRC       0x4d617273u

struct fixture {
	struct srtcp *srtcp;
	struct srtcp_keys keys;
	struct srtcp_window window;
	uint8_t plain[PACKET_MAX], packet[PACKET_MAX];
	uint16_t len;
};

static unsigned int allocations;	/* libcrypto's, in this whole program */

static void *
counted_malloc(size_t len, const char *file, int line)
{
	allocations++;
	return malloc(len);
}

static void *
counted_realloc(void *p, size_t len, const char *file, int line)
{
	allocations++;
	return realloc(p, len);
}

static void
counted_free(void *p, const char *file, int line)
{
	free(p);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->srtcp = srtcp_create();
	*state = f;
	return f->srtcp == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	srtcp_destroy(f->srtcp);
	free(f);
	return 0;
}

static struct srtp_master
master_of(enum srtp_suite suite, uint8_t mki_len)
{
	struct srtp_master m = sender_master(suite, 1);

	m.mki_len = mki_len;
	for (unsigned int i = 0; i < mki_len; i++)
		m.mki[i] = (uint8_t)(0xa1 + i);
	return m;
}

static void
begin(struct fixture *f, enum srtp_suite suite, uint8_t mki_len)
{
	struct srtp_master m = master_of(suite, mki_len);

	memset(&f->window, 0, sizeof(f->window));
	assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_OK);
}

static void
fill(struct fixture *f, uint32_t ssrc, uint16_t len)
{
	for (unsigned int i = 0; i < len; i++)
		f->plain[i] = (uint8_t)(i * 5 + 9);
	f->plain[0] = 0x81;
	f->plain[1] = 201;
	f->plain[2] = 0;
	f->plain[3] = (uint8_t)(len / 4 - 1);
	f->plain[4] = (uint8_t)(ssrc >> 24);
	f->plain[5] = (uint8_t)(ssrc >> 16);
	f->plain[6] = (uint8_t)(ssrc >> 8);
	f->plain[7] = (uint8_t)ssrc;
	memcpy(f->packet, f->plain, len);
	f->len = len;
}

/* A protected packet of this sender stands in f->packet. */
static void
protect_from(struct fixture *f, uint32_t ssrc, uint32_t index)
{
	fill(f, ssrc, LEN);
	assert_int_equal(srtcp_protect(f->srtcp, &f->keys, index, f->packet, &f->len), SRS_OK);
}

static void
protect(struct fixture *f, uint32_t index)
{
	protect_from(f, SSRC, index);
}

static enum unprotect_result
unprotect(struct fixture *f)
{
	return srtcp_unprotect(f->srtcp, &f->keys, &f->window, f->packet, &f->len);
}

/* This result, and neither a byte nor the length nor the window has moved. */
static void
refused(struct fixture *f, enum unprotect_result expected)
{
	struct srtcp_window window = f->window;
	uint8_t before[PACKET_MAX];
	uint16_t len = f->len;

	memcpy(before, f->packet, sizeof(before));
	assert_int_equal(unprotect(f), expected);
	assert_int_equal(f->len, len);
	assert_memory_equal(f->packet, before, sizeof(before));
	assert_memory_equal(&f->window, &window, sizeof(window));
}

static void
accepted(struct fixture *f)
{
	assert_int_equal(unprotect(f), UNPROTECT_OK);
	assert_int_equal(f->len, LEN);
	assert_memory_equal(f->packet, f->plain, LEN);
}

/* ---- published packets ---- */

/* One key size of RFC 7714 section 17, under the names that a file gives them. */
struct published {
	enum srtp_suite suite;
	const char *key, *salt, *plain, *sealed, *clear;
};

static void
published_packets(struct fixture *f, FILE *file, const struct published *p)
{
	uint8_t sealed[PACKET_MAX], clear[PACKET_MAX], plain[PACKET_MAX];
	uint16_t sealed_len = vector_read(file, p->sealed, sealed, sizeof(sealed));
	uint16_t clear_len = vector_read(file, p->clear, clear, sizeof(clear));
	uint16_t plain_len = vector_read(file, p->plain, plain, sizeof(plain));

	print_message("%s\n", srtp_suite_shape(p->suite)->name);
	assert_int_equal(sealed_len, plain_len + 20);
	assert_int_equal(clear_len, plain_len + 20);
	memset(&f->keys, 0, sizeof(f->keys));
	f->keys.suite = (uint8_t)p->suite;
	assert_int_equal(vector_read(file, p->key, f->keys.cipher, 32), srtp_suite_shape(p->suite)->key_len);
	assert_int_equal(vector_read(file, p->salt, f->keys.salt, 14), 12);

	memcpy(f->packet, plain, plain_len);
	f->len = plain_len;
	assert_int_equal(srtcp_protect(f->srtcp, &f->keys, 0x5d4, f->packet, &f->len), SRS_OK);
	assert_int_equal(f->len, sealed_len);
	assert_memory_equal(f->packet, sealed, sealed_len);

	memset(&f->window, 0, sizeof(f->window));
	assert_int_equal(unprotect(f), UNPROTECT_OK);
	assert_int_equal(f->len, plain_len);
	assert_memory_equal(f->packet, plain, plain_len);

	memset(&f->window, 0, sizeof(f->window));
	memcpy(f->packet, clear, clear_len);
	f->len = clear_len;
	assert_int_equal(unprotect(f), UNPROTECT_OK);
	assert_int_equal(f->len, plain_len);
	assert_memory_equal(f->packet, plain, plain_len);
	memcpy(f->packet, clear, clear_len);
	f->len = clear_len;
	refused(f, UNPROTECT_REPLAYED);
	for (uint16_t i = 0; i < clear_len; i++) {	/* E=0: every byte is AAD, tag or word */
		memset(&f->window, 0, sizeof(f->window));
		f->packet[i] ^= 0x04;
		refused(f, UNPROTECT_BAD_TAG);
		f->packet[i] ^= 0x04;
	}
}

static void
rfc_7714_packets_come_out_both_ways(void **state)
{
	static const struct published both[] = {
		{ SRTP_AEAD_AES_128_GCM, "aes128_key", "salt", "rtcp", "aes128_rtcp", "aes128_rtcp_clear" },
		{ SRTP_AEAD_AES_256_GCM, "aes256_key", "salt", "rtcp", "aes256_rtcp", "aes256_rtcp_clear" },
	};
	FILE *file = vector_open("tests/vectors/srtp/rfc7714.txt");

	assert_non_null(file);
	for (unsigned int i = 0; i < 2; i++)
		published_packets(*state, file, &both[i]);
	fclose(file);
}

static void
rfc_7714_packets_of_the_shared_corpus_come_out(void **state)
{
	static const struct published aes_128 = {
		SRTP_AEAD_AES_128_GCM, "srtpSessionKey", "srtpSessionSalt", "decryptedRTCPPacket", "encryptedRTCPPacket",
		"authenticatedRTCPPacket",
	};
	FILE *file = vector_open("../shared/corpus/srtp-vectors/rfc7714-aes128gcm.txt");

	if (file == NULL)
		skip();
	published_packets(*state, file, &aes_128);
	fclose(file);
}

/* libsrtp's own reference packet: its trailer has E=0, so that AES-CM's tag is what is shown. */
static void
reference_packet_in_clear_authenticates(void **state)
{
	struct fixture *f = *state;
	FILE *file = vector_open("../shared/corpus/srtp-vectors/libsrtp-validate-null-sha1-80.txt");
	struct srtp_master m = { .suite = SRTP_AES_CM_128_HMAC_SHA1_80 };
	uint8_t bytes[30], plain[PACKET_MAX];
	uint16_t plain_len;

	if (file == NULL)
		skip();
	assert_int_equal(vector_read(file, "master_key_salt", bytes, sizeof(bytes)), 30);
	memcpy(m.key, bytes, 16);
	memcpy(m.salt, bytes + 16, 14);
	plain_len = vector_read(file, "rtcp_plaintext_ref", plain, sizeof(plain));
	f->len = vector_read(file, "srtcp_ciphertext", f->packet, sizeof(f->packet));
	fclose(file);
	assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_OK);
	assert_int_equal(f->len, plain_len + 14);
	assert_int_equal(unprotect(f), UNPROTECT_OK);
	assert_int_equal(f->len, plain_len);
	assert_memory_equal(f->packet, plain, plain_len);
}

/* ---- every suite ---- */

static void
every_suite_and_mki_goes_there_and_back(void **state)
{
	struct fixture *f = *state;
	static const uint8_t mki_lens[] = { 0, 1, 4, SRTP_MKI_MAX };

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++)
		for (unsigned int i = 0; i < sizeof(mki_lens); i++) {
			const struct srtp_suite_shape *shape = srtp_suite_shape(suite);

			begin(f, suite, mki_lens[i]);
			for (uint16_t len = 8; len <= 120; len += 4) {
				uint8_t plain[PACKET_MAX];

				fill(f, SSRC, len);
				memcpy(plain, f->packet, len);
				assert_int_equal(srtcp_protect(f->srtcp, &f->keys, len, f->packet, &f->len), SRS_OK);
				assert_int_equal(f->len, len + 4 + mki_lens[i] + shape->rtcp_tag_len);
				assert_memory_equal(f->packet, plain, 8);
				if (len >= 24)
					assert_memory_not_equal(f->packet + 8, plain + 8, len - 8u);
				assert_int_equal(unprotect(f), UNPROTECT_OK);
				assert_int_equal(f->len, len);
				assert_memory_equal(f->packet, plain, len);
			}
		}
}

static void
changed_bit_anywhere_is_refused_and_moves_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		begin(f, suite, 4);
		protect(f, 1);
		for (unsigned int bit = 0; bit < 8u * f->len; bit++) {
			f->packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
			refused(f, UNPROTECT_BAD_TAG);
			f->packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		accepted(f);
	}
}

static void
another_key_or_suite_opens_nothing(void **state)
{
	struct fixture *f = *state;
	struct srtp_master other;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		begin(f, suite, 0);
		protect(f, 1);
		other = sender_master(suite, 2);
		assert_int_equal(srtcp_keys_derive(&f->keys, &other), SRS_OK);
		refused(f, UNPROTECT_BAD_TAG);
		memset(&f->keys, 0, sizeof(f->keys));	/* SRTP_SUITE_NONE */
		refused(f, UNPROTECT_BAD_TAG);
	}
}

static void
short_packets_are_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		uint16_t whole;

		begin(f, suite, 4);
		protect(f, 1);
		whole = f->len;
		for (uint16_t len = 0; len < whole; len++) {
			f->len = len;
			refused(f, UNPROTECT_BAD_TAG);
		}
		f->len = whole;
		accepted(f);
	}
}

static void
other_mki_is_refused_and_ours_stands_between_index_and_tag(void **state)
{
	struct fixture *f = *state;

	begin(f, SRTP_AES_CM_128_HMAC_SHA1_80, 4);
	protect(f, 7);
	assert_memory_equal(f->packet + LEN, "\x80\x00\x00\x07\xa1\xa2\xa3\xa4", 8);
	f->keys.mki[3] ^= 1;
	refused(f, UNPROTECT_BAD_TAG);
	f->keys.mki[3] ^= 1;
	accepted(f);

	begin(f, SRTP_AEAD_AES_128_GCM, 4);	/* RFC 7714 section 9.2: the tag comes first */
	protect(f, 7);
	assert_memory_equal(f->packet + LEN + 16, "\x80\x00\x00\x07\xa1\xa2\xa3\xa4", 8);
	f->keys.mki[0] ^= 1;
	refused(f, UNPROTECT_BAD_TAG);
	f->keys.mki[0] ^= 1;
	accepted(f);
}

/* ---- replay ---- */

static void
each_packet_passes_once_within_the_window(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		begin(f, suite, 0);
		protect(f, 1000);
		accepted(f);
		protect(f, 1000);
		refused(f, UNPROTECT_REPLAYED);
		protect(f, 1000 - PACKET_INDEX_WINDOW);
		refused(f, UNPROTECT_TOO_OLD);
		protect(f, 1000 - PACKET_INDEX_WINDOW + 1);
		accepted(f);
		protect(f, 1000 - PACKET_INDEX_WINDOW + 1);
		refused(f, UNPROTECT_REPLAYED);
		protect(f, 1001);
		accepted(f);
		protect(f, 1000 - PACKET_INDEX_WINDOW + 1);
		refused(f, UNPROTECT_TOO_OLD);
	}
}

static void
senders_have_windows_of_their_own(void **state)
{
	struct fixture *f = *state;

	begin(f, SRTP_AEAD_AES_256_GCM, 0);
	for (unsigned int i = 0; i < SRTCP_SENDERS_MAX; i++) {
		protect_from(f, i, 5);		/* SSRC 0 is one as any other */
		accepted(f);
	}
	for (unsigned int i = 0; i < SRTCP_SENDERS_MAX; i++) {
		protect_from(f, i, 5);
		refused(f, UNPROTECT_REPLAYED);
	}
}

static void
sender_not_heard_for_longest_makes_room_and_a_forged_one_drives_out_nobody(void **state)
{
	struct fixture *f = *state;

	begin(f, SRTP_AES_CM_128_HMAC_SHA1_80, 0);
	for (unsigned int i = 0; i < SRTCP_SENDERS_MAX; i++) {
		protect_from(f, i, 5);
		accepted(f);
	}
	for (unsigned int i = 0; i < 100; i++) {
		protect_from(f, 1000 + i, 5);
		f->packet[f->len - 1] ^= 1;
		refused(f, UNPROTECT_BAD_TAG);
	}
	protect_from(f, 0, 6);		/* now 1 is the oldest */
	accepted(f);
	protect_from(f, 77, 5);
	accepted(f);
	for (unsigned int i = 0; i < SRTCP_SENDERS_MAX; i++) {
		protect_from(f, i, 5);
		if (i == 1)
			accepted(f);	/* its window is gone; 2, the next oldest, made room for it */
		else if (i != 2)
			refused(f, UNPROTECT_REPLAYED);
	}
}

static void
age_of_senders_survives_its_wrap(void **state)
{
	struct fixture *f = *state;

	begin(f, SRTP_AES_CM_128_HMAC_SHA1_80, 0);
	f->window.uses = UINT32_MAX;
	protect(f, 5);
	accepted(f);
	protect(f, 5);
	refused(f, UNPROTECT_REPLAYED);
}

/* ---- the index ---- */

static void
index_has_31_bits_and_an_end(void **state)
{
	struct fixture *f = *state;
	static const uint32_t refused_indexes[] = { 0, SRTCP_INDEX_MAX + 1u, UINT32_MAX };

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		begin(f, suite, 0);
		for (unsigned int i = 0; i < 3; i++) {
			fill(f, SSRC, LEN);
			assert_int_equal(srtcp_protect(f->srtcp, &f->keys, refused_indexes[i], f->packet, &f->len), SRS_ERR_LIMIT);
			assert_int_equal(f->len, LEN);
			assert_memory_equal(f->packet, f->plain, LEN);
		}
		protect(f, SRTCP_INDEX_MAX);
		assert_memory_equal(f->packet + (srtp_suite_shape(suite)->aead ? f->len - 4 : LEN), "\xff\xff\xff\xff", 4);
		accepted(f);
		protect(f, 1);	/* a sender that wraps is not followed: RFC 3711 section 9.2 */
		refused(f, UNPROTECT_TOO_OLD);
	}
}

/* RFC 3711 section 3.4 lets a sender start at 0, and leave a packet in clear. */
static void
index_0_and_clear_packets_are_taken_from_a_peer(void **state)
{
	struct fixture *f = *state;
	uint8_t tag[EVP_MAX_MD_SIZE];
	unsigned int tag_len;

	begin(f, SRTP_AES_256_CM_HMAC_SHA1_32, 2);
	fill(f, SSRC, LEN);
	memset(f->packet + LEN, 0, 4);
	assert_non_null(HMAC(EVP_sha1(), f->keys.auth, sizeof(f->keys.auth), f->packet, LEN + 4, tag, &tag_len));
	memcpy(f->packet + LEN + 4, f->keys.mki, 2);
	memcpy(f->packet + LEN + 6, tag, 10);
	f->len = LEN + 16;
	f->packet[LEN] ^= 0x80;		/* the flag is authenticated */
	refused(f, UNPROTECT_BAD_TAG);
	f->packet[LEN] ^= 0x80;
	accepted(f);
}

static void
suites_that_nobody_has_are_refused(void **state)
{
	struct fixture *f = *state;
	struct srtp_master m = sender_master(SRTP_AES_CM_128_HMAC_SHA1_80, 1);
	static const struct srtcp_keys none;

	m.mki_len = SRTP_MKI_MAX + 1;
	assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_ERR_UNSUPPORTED);
	assert_memory_equal(&f->keys, &none, sizeof(none));
	m.mki_len = 0;
	m.suite = SRTP_SUITE_NONE;
	assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_ERR_UNSUPPORTED);
	m.suite = SRTP_SUITES;
	assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_ERR_UNSUPPORTED);
}

/* ---- with libsrtp2 ---- */

static void
libsrtp2_reads_ours_and_we_read_its(void **state)
{
	struct fixture *f = *state;
	static const uint8_t mki_lens[] = { 0, 4 };
	unsigned int n_suites = 0;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++)
		for (unsigned int k = 0; k < 2; k++) {
			struct srtp_master m = master_of(suite, mki_lens[k]);
			srtp_t sender = peer_create(&m, ssrc_any_outbound);
			srtp_t receiver = peer_create(&m, ssrc_any_inbound);
			int len;

			if (sender == NULL || receiver == NULL) {
				print_message("libsrtp2 here has no %s\n", srtp_suite_shape(suite)->name);
				continue;
			}
			n_suites++;
			begin(f, suite, mki_lens[k]);
			for (uint32_t i = 1; i <= 20; i++) {
				protect(f, i);
				len = f->len;
				/* Its receiver looks for SRTCP's MKI in front of a tag as long as SRTP's: not with 32 bits. */
				if (k == 0 || srtp_suite_shape(suite)->tag_len == srtp_suite_shape(suite)->rtcp_tag_len) {
					assert_int_equal(srtp_unprotect_rtcp_mki(receiver, f->packet, &len, k),
					                 srtp_err_status_ok);
					assert_int_equal(len, LEN);
					assert_memory_equal(f->packet, f->plain, LEN);
				}

				fill(f, SSRC, LEN);
				len = LEN;
				assert_int_equal(srtp_protect_rtcp_mki(sender, f->packet, &len, k, 0), srtp_err_status_ok);
				f->len = (uint16_t)len;
				accepted(f);
			}
			srtp_dealloc(sender);
			srtp_dealloc(receiver);
		}
	assert_true(n_suites >= 8);	/* AES-128 and AES-256 in CM and GCM are everywhere */
}

static void
clear_packets_of_libsrtp2_are_read(void **state)
{
	struct fixture *f = *state;

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		struct srtp_master m = master_of(suite, 0);
		uint8_t bytes[SRTP_MASTER_KEY_MAX + SRTP_MASTER_SALT_MAX];
		srtp_policy_t p = peer_policy(&m, ssrc_any_outbound, NULL, NULL, bytes);
		srtp_t sender;
		int len = LEN;

		p.rtcp.sec_serv = sec_serv_auth;
		if (!peer_has(suite) || srtp_create(&sender, &p) != srtp_err_status_ok)
			continue;
		begin(f, suite, 0);
		fill(f, SSRC, LEN);
		assert_int_equal(srtp_protect_rtcp(sender, f->packet, &len), srtp_err_status_ok);
		assert_memory_equal(f->packet, f->plain, LEN);
		f->len = (uint16_t)len;
		accepted(f);
		srtp_dealloc(sender);
	}
}

/* ---- memory ---- */

static void
packets_take_no_memory(void **state)
{
	struct fixture *f = *state;
	unsigned int before;

	assert_true(allocations > 0);	/* libcrypto does come through here */
	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		begin(f, suite, 4);
		before = allocations;
		for (uint32_t i = 1; i < 10; i++) {
			protect(f, i);
			accepted(f);
			protect(f, i);
			refused(f, UNPROTECT_REPLAYED);
			f->packet[f->len - 1] ^= 1;
			refused(f, UNPROTECT_BAD_TAG);
		}
		assert_int_equal(allocations, before);
	}
}

static void
no_key_stays_behind_when_its_owner_wiped_it(void **state)
{
	struct fixture *f = *state;
	uint8_t cipher[16], auth[SRTP_AUTH_KEY_SIZE];

	for (unsigned int suite = 1; suite < SRTP_SUITES; suite++) {
		bool aead = srtp_suite_shape(suite)->aead;
		struct srtp_master m = sender_master(suite, 99);	/* no other test's: their keys are on the heap */

		begin(f, suite, 0);
		assert_int_equal(srtcp_keys_derive(&f->keys, &m), SRS_OK);
		memory_invert(cipher, f->keys.cipher, sizeof(cipher));
		memory_invert(auth, f->keys.auth, sizeof(auth));
		protect(f, 1);
		accepted(f);
		assert_true(memory_count(cipher, sizeof(cipher)) > 0);	/* the search finds what is there */
		if (!aead)
			assert_true(memory_count(auth, sizeof(auth)) > 0);
		secret_wipe(&f->keys, sizeof(f->keys));
		assert_int_equal(memory_count(cipher, sizeof(cipher)), 0);
		if (!aead)
			assert_int_equal(memory_count(auth, sizeof(auth)), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rfc_7714_packets_come_out_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(rfc_7714_packets_of_the_shared_corpus_come_out, setup, teardown),
		cmocka_unit_test_setup_teardown(reference_packet_in_clear_authenticates, setup, teardown),
		cmocka_unit_test_setup_teardown(every_suite_and_mki_goes_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_bit_anywhere_is_refused_and_moves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(another_key_or_suite_opens_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(short_packets_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(other_mki_is_refused_and_ours_stands_between_index_and_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(each_packet_passes_once_within_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(senders_have_windows_of_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sender_not_heard_for_longest_makes_room_and_a_forged_one_drives_out_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(age_of_senders_survives_its_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(index_has_31_bits_and_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(index_0_and_clear_packets_are_taken_from_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(suites_that_nobody_has_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(libsrtp2_reads_ours_and_we_read_its, setup, teardown),
		cmocka_unit_test_setup_teardown(clear_packets_of_libsrtp2_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_take_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(no_key_stays_behind_when_its_owner_wiped_it, setup, teardown),
	};

	if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1 ||
	    srtp_init() != srtp_err_status_ok)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
