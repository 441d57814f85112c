/* The simulator's half of SDES: what it offers, and the answers that it takes and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/src/secure.h"

#define SSRC 0x0a0b0c0du

struct fixture {
	struct secure_plan plan;
	struct secure secure;
	struct answer answer;
	struct sdes_line line;	/* what the peer answers */
	char why[256];
};

static void
write_line(struct fixture *f)
{
	char room[512];
	struct text t = { .bytes = room, .room = sizeof(room) };

	sdes_write(&f->line, NULL, &t);
	room[strcspn(room, "\r")] = '\0';
	snprintf(f->answer.media[0].crypto[0], ANSWER_VALUE_MAX, "%.255s", room + strlen("a=crypto:"));
	f->answer.media[0].n_crypto = 1;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->plan.kind = SECURE_SDES;
	f->plan.engine = PROTECT_IPSEC_MB;
	f->plan.n_keys = 1;
	f->plan.suites[f->plan.n_suites++] = PROTECT_AEAD_AES_256_GCM;
	f->plan.suites[f->plan.n_suites++] = PROTECT_AES_CM_128_HMAC_SHA1_80;
	strcpy(f->answer.media[0].profile, "RTP/SAVP");
	if (!secure_open(&f->secure, &f->plan, 0) || !sdes_make(&f->line, 2, PROTECT_AES_CM_128_HMAC_SHA1_80, 1, 0))
		return -1;
	write_line(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	secure_close(&f->secure);
	free(f);
	return 0;
}

static bool
take(struct fixture *f)
{
	return secure_take_answer(&f->secure, &f->answer.media[0], -1, SSRC, 0, f->why, sizeof(f->why));
}

static void
every_offered_line_is_read_back_as_it_was_made(void **state)
{
	for (int suite = 0; suite < PROTECT_SUITES; suite++) {
		for (uint8_t mki_len = 0; mki_len <= 8; mki_len += 4) {
			char room[512], why[256] = "";
			struct text t = { .bytes = room, .room = sizeof(room) };
			struct sdes_line line, back;

			assert_true(sdes_make(&line, 7, (enum protect_suite)suite, 1, mki_len));
			sdes_write(&line, mki_len == 4 ? "2^31" : NULL, &t);
			assert_false(t.cut);
			room[strcspn(room, "\r")] = '\0';
			assert_true(sdes_read(&back, room + strlen("a=crypto:"), why, sizeof(why)));
			assert_memory_equal(&back, &line, sizeof(line));
		}
	}
}

static void
lines_that_say_something_else_are_refused(void **state)
{
	static const char *const values[] = {
		"", "1 AES_CM_128_HMAC_SHA1_80", "x AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"1 AES_CM_128_HMAC_SHA1_81 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|1:99",
		"1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA UNENCRYPTED_SRTP",
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct sdes_line line;
		char why[256] = "";

		assert_false(sdes_read(&line, values[i], why, sizeof(why)));
		assert_string_not_equal(why, "");
	}
}

static void
the_chosen_line_and_the_peers_own_key_are_used(void **state)
{
	struct fixture *f = *state;
	uint8_t packet[64 + PROTECT_TRAILER_MAX] = { 0x80, 200, 0, 1, 9, 9, 9, 9 };
	struct protect *peer = protect_create(PROTECT_IPSEC_MB, &f->line.keys[0]);
	uint16_t len = 8;

	assert_true(take(f));
	assert_true(secure_ready(&f->secure));
	assert_memory_equal(&f->secure.keys, &f->secure.lines[1].keys[0], sizeof(struct protect_keys));
	assert_true(protect_rtcp(peer, packet, &len));
	assert_true(secure_open_rtcp(&f->secure, packet, &len));
	assert_int_equal(len, 8);
	protect_destroy(peer);
}

static void
answers_that_break_the_rules_are_refused(void **state)
{
	struct fixture *f = *state;
	struct answer_media *m = &f->answer.media[0];
	struct sdes_line good = f->line;

	strcpy(m->profile, "RTP/AVP");
	assert_false(take(f));
	strcpy(m->profile, "RTP/SAVP");
	m->n_crypto = 0;
	assert_false(take(f));
	m->n_crypto = 2;
	assert_false(take(f));
	f->line.tag = 1; /* that one was another suite */
	write_line(f);
	assert_false(take(f));
	f->line.tag = 3;
	write_line(f);
	assert_false(take(f));
	f->line = f->secure.lines[1]; /* our own key */
	write_line(f);
	assert_false(take(f));
	assert_false(secure_ready(&f->secure));
	f->line = good;
	write_line(f);
	assert_true(take(f));
}

static void
same_keys_go_on_and_others_begin_anew(void **state)
{
	struct fixture *f = *state;
	const struct protect *out, *in;

	assert_true(take(f));
	out = f->secure.out;
	in = f->secure.in;
	assert_true(take(f)); /* the same offer and answer again */
	assert_ptr_equal(f->secure.out, out);
	assert_ptr_equal(f->secure.in, in);
	assert_true(secure_renew(&f->secure));
	assert_ptr_equal(f->secure.out, out); /* an offer changes nothing */
	assert_true(take(f));
	assert_ptr_not_equal(f->secure.out, out);
	assert_ptr_equal(f->secure.in, in); /* the peer kept its own key */
	assert_true(sdes_make(&f->line, 2, PROTECT_AES_CM_128_HMAC_SHA1_80, 1, 0));
	write_line(f);
	assert_true(take(f));
	assert_ptr_equal(f->secure.in_before, in);
	assert_ptr_not_equal(f->secure.in, in);
}

static void
inline_keys_are_used_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	struct sdes_line *line = &f->secure.lines[1];
	uint8_t packet[64 + PROTECT_TRAILER_MAX] = { 0x80, 0 };
	uint16_t len = 32;
	char room[1024];
	struct text t = { .bytes = room, .room = sizeof(room) };

	f->plan.n_keys = 3;
	f->plan.mki_len = 2;
	assert_true(secure_renew(&f->secure));
	sdes_write(line, "2^20", &t);
	for (const char *at = room, *end = NULL; at != NULL; at = end) { /* three keys, three MKIs */
		at = strstr(at, "inline:");
		assert_non_null(at);
		assert_non_null(strstr(at, "|2^20|"));
		end = strchr(at, ';');
	}
	assert_true(take(f));
	for (unsigned int i = 0; i < 3; i++) {
		assert_memory_equal(&f->secure.keys, &line->keys[i], sizeof(struct protect_keys));
		assert_true(protect_rtp(f->secure.out, packet, &len));
		assert_memory_equal(packet + len - 12, line->keys[i].mki, 2); /* before the tag of 10 bytes */
		len = 32;
		assert_int_equal(secure_next_key(&f->secure, SSRC, 0), i < 2);
		assert_true(take(f)); /* the same offer and answer change nothing */
	}
}

static void
profiles_alternate_when_they_are_mixed(void **state)
{
	struct secure_plan plan = { .kind = SECURE_SDES, .mixed_profiles = true, .feedback = true, .n_suites = 1, .n_keys = 1 };
	char room[4096];
	struct text t = { .bytes = room, .room = sizeof(room) };
	struct secure s;

	assert_true(secure_open(&s, &plan, 0));
	assert_string_equal(secure_profile(&s), "RTP/AVP");
	secure_offer(&s, &t);
	assert_int_equal(t.len, 0);
	secure_close(&s);
	assert_true(secure_open(&s, &plan, 1));
	assert_string_equal(secure_profile(&s), "RTP/SAVPF");
	secure_offer(&s, &t);
	assert_non_null(strstr(room, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"));
	secure_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_offered_line_is_read_back_as_it_was_made),
		cmocka_unit_test(lines_that_say_something_else_are_refused),
		cmocka_unit_test_setup_teardown(the_chosen_line_and_the_peers_own_key_are_used, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_that_break_the_rules_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(same_keys_go_on_and_others_begin_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(inline_keys_are_used_one_after_the_other, setup, teardown),
		cmocka_unit_test(profiles_alternate_when_they_are_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
