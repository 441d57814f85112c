/* a=crypto lines: what RFC 4568 allows, what it forbids, what we do not take, and which one is chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp/sdes.h"

/* 30 bytes, 00 01 .. 1d; the shorter and longer ones go on in the same way */
#define KEY30 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
#define KEY28 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="
#define KEY38 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCU="
#define KEY44 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="
#define KEY46 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ=="
#define OTHER30 "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi"	/* ff fe fd .. */
#define CM80 "AES_CM_128_HMAC_SHA1_80"

static struct sdes_line line, chosen[2];
static const char *why;

static enum srs_err
read_line(const char *text)
{
	return sdes_line_read(&line, span_of_text(text), &why);
}

static void
assert_refused(const char *text, enum srs_err err, const char *part)
{
	enum srs_err got = read_line(text);

	if (got != err)
		fail_msg("'%s': %s", text, srs_err_name(got));
	if (strstr(why, part) == NULL)
		fail_msg("'%s': \"%s\" does not say \"%s\"", text, why, part);
	assert_true(span_is_zero(span_of(&line, sizeof(line))));
}

/* Key and salt are the bytes 0, 1, 2, .. one behind the other. */
static void
assert_counts_up(const struct srtp_master *m)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)m->suite);

	for (unsigned int i = 0; i < SRTP_MASTER_KEY_MAX; i++)
		assert_int_equal(m->key[i], i < shape->key_len ? i : 0);
	for (unsigned int i = 0; i < SRTP_MASTER_SALT_MAX; i++)
		assert_int_equal(m->salt[i], i < shape->salt_len ? shape->key_len + i : 0);
}

static void
every_suite_is_read_and_written_with_its_own_lengths(void **state)
{
	static const struct { const char *name, *key; enum srtp_suite suite; } rows[] = {
		{ CM80, KEY30, SRTP_AES_CM_128_HMAC_SHA1_80 },
		{ "AES_CM_128_HMAC_SHA1_32", KEY30, SRTP_AES_CM_128_HMAC_SHA1_32 },
		{ "AES_192_CM_HMAC_SHA1_80", KEY38, SRTP_AES_192_CM_HMAC_SHA1_80 },
		{ "AES_192_CM_HMAC_SHA1_32", KEY38, SRTP_AES_192_CM_HMAC_SHA1_32 },
		{ "AES_256_CM_HMAC_SHA1_80", KEY46, SRTP_AES_256_CM_HMAC_SHA1_80 },
		{ "AES_256_CM_HMAC_SHA1_32", KEY46, SRTP_AES_256_CM_HMAC_SHA1_32 },
		{ "AEAD_AES_128_GCM", KEY28, SRTP_AEAD_AES_128_GCM },
		{ "AEAD_AES_256_GCM", KEY44, SRTP_AEAD_AES_256_GCM },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[200], out[200];
		size_t len;

		(void)snprintf(text, sizeof(text), "%zu %s inline:%s", i + 1, rows[i].name, rows[i].key);
		assert_int_equal(read_line(text), SRS_OK);
		assert_int_equal(line.suite, rows[i].suite);
		assert_int_equal(line.n_masters, 1);
		assert_int_equal(line.masters[0].mki_len, 0);
		assert_counts_up(&line.masters[0]);
		len = sdes_line_write(out, sizeof(out), line.tag, &line.masters[0]);
		assert_int_equal(len, strlen(text));
		assert_string_equal(out, text);
		for (size_t max = 0; max <= len; max++)
			assert_int_equal(sdes_line_write(out, max, line.tag, &line.masters[0]), 0);
		text[strcspn(text, "=")] = '\0';	/* some leave the padding out */
		assert_int_equal(read_line(text), SRS_OK);
		assert_counts_up(&line.masters[0]);
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {	/* a key of another suite's length is none */
			if (strlen(rows[k].key) == strlen(rows[i].key))
				continue;
			(void)snprintf(text, sizeof(text), "1 %s inline:%s", rows[i].name, rows[k].key);
			assert_refused(text, SRS_ERR_INVALID, "length");
		}
	}
	/* 28 and 30 bytes both fill 40 letters; which of them padding says */
	assert_refused("1 AEAD_AES_128_GCM inline:" KEY30, SRS_ERR_INVALID, "length");
	assert_refused("1 " CM80 " inline:" KEY28, SRS_ERR_INVALID, "length");
}

static void
lifetime_is_a_number_of_packets_that_the_suite_allows(void **state)
{
	static const char *const good[] = { "|2^20", "|2^48", "|1", "|1048576", "|281474976710656", "|2^31|1:4", "|2^0" };
	static const char *const bad[] = { "|2^49", "|281474976710657", "|99999999999999999999999", "|0", "|2^", "|2^-1", "|",
		                           "|x", "|020", "|2^048", "||1:4", "|2^20|", "|2^20|1:4|1" };
	char text[200];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), "1 " CM80 " inline:" KEY30 "%s", good[i]);
		if (read_line(text))
			fail_msg("%s: %s", good[i], why);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "1 " CM80 " inline:" KEY30 "%s", bad[i]);
		assert_refused(text, SRS_ERR_INVALID, "§6.1");
	}
}

static void
mki_is_a_big_endian_number_of_its_length(void **state)
{
	static const uint8_t one[SRTP_MKI_MAX] = { 0, 0, 0, 1 }, wide[SRTP_MKI_MAX] = { [7] = 1 },
		largest[SRTP_MKI_MAX] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };

	assert_int_equal(read_line("1 " CM80 " inline:" KEY30 "|2^20|1:4"), SRS_OK);
	assert_int_equal(line.masters[0].mki_len, 4);
	assert_memory_equal(line.masters[0].mki, one, SRTP_MKI_MAX);
	assert_int_equal(read_line("1 " CM80 " inline:" KEY30 "|65534:2"), SRS_OK);
	assert_memory_equal(line.masters[0].mki, "\xff\xfe", 2);
	assert_int_equal(read_line("1 " CM80 " inline:" KEY30 "|18446744073709551616:16"), SRS_OK);
	assert_int_equal(line.masters[0].mki_len, 16);
	assert_memory_equal(line.masters[0].mki, wide, SRTP_MKI_MAX);
	assert_int_equal(read_line("1 " CM80 " inline:" KEY30 "|340282366920938463463374607431768211455:16"), SRS_OK);
	assert_memory_equal(line.masters[0].mki, largest, SRTP_MKI_MAX);
	assert_refused("1 " CM80 " inline:" KEY30 "|340282366920938463463374607431768211456:16", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|256:1", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:0", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|:4", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:129", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|-1:4", SRS_ERR_INVALID, "MKI");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:17", SRS_ERR_LIMIT, "16 bytes");
}

static void
several_keys_need_mkis_that_tell_them_apart(void **state)
{
	assert_int_equal(read_line("1 " CM80 " inline:" KEY30 "|2^20|1:2;inline:" OTHER30 "|2^20|2:2"), SRS_OK);
	assert_int_equal(line.n_masters, 2);
	assert_counts_up(&line.masters[0]);
	assert_int_equal(line.masters[1].key[0], 0xff);
	assert_int_equal(line.masters[1].salt[13], 0xe2);
	assert_int_equal(line.masters[1].mki[1], 2);
	assert_refused("1 " CM80 " inline:" KEY30 ";inline:" OTHER30, SRS_ERR_INVALID, "no MKI tells apart");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:1;inline:" OTHER30 "|2:2", SRS_ERR_INVALID, "tells apart");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:1;inline:" OTHER30 "|1:1", SRS_ERR_INVALID, "tells apart");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:1;", SRS_ERR_UNSUPPORTED, "key method");
	assert_refused("1 " CM80 " inline:" KEY30 "|1:1;inline:" KEY30 "|2:1;inline:" KEY30 "|3:1;inline:" KEY30
	               "|4:1;inline:" KEY30 "|5:1", SRS_ERR_LIMIT, "four keys");
}

static void
session_parameters_are_heeded_tolerated_or_refused(void **state)
{
	static const char *const good[] = { "KDR=0", "WSH=64", "wsh=128", "FEC_ORDER=FEC_SRTP", "FEC_ORDER=SRTP_FEC", "-FOO",
		                            "-FOO=bar WSH=1000", "KDR=0  WSH=64\t" };
	static const char *const bad[] = { "KDR=1", "KDR=24", "KDR=", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP",
		                           "unauthenticated_srtp", "FOO", "FOO=1", "FEC_ORDER=NONE", "FEC_KEY=inline:" KEY30,
		                           "WSH=64 UNENCRYPTED_SRTCP", "inline:" KEY30 };
	char text[400];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), "1 " CM80 " inline:" KEY30 " %s", good[i]);
		if (read_line(text))
			fail_msg("%s: %s", good[i], why);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "1 " CM80 " inline:" KEY30 " %s", bad[i]);
		assert_refused(text, SRS_ERR_UNSUPPORTED, "§6.3");
	}
	assert_refused("1 " CM80 " inline:" KEY30 " WSH=wide", SRS_ERR_INVALID, "WSH");
	assert_refused("1 " CM80 " inline:" KEY30 " -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1", SRS_ERR_LIMIT, "16");
}

static void
what_is_no_line_is_refused_and_leaves_nothing(void **state)
{
	static const char *const bad[] = { "", " ", "1", "1 " CM80, "x " CM80 " inline:" KEY30, "1234567890 " CM80 " inline:" KEY30,
		                           "-1 " CM80 " inline:" KEY30 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i], SRS_ERR_INVALID, "tag, suite and key");
	assert_int_equal(sdes_line_read(&line, (struct span){ 0 }, &why), SRS_ERR_INVALID);
	assert_refused("1 F8_128_HMAC_SHA1_80 inline:" KEY30, SRS_ERR_UNSUPPORTED, "suite");
	assert_refused("1 " CM80 " mikey:" KEY30, SRS_ERR_UNSUPPORTED, "key method");
	assert_refused("1 " CM80 " inline:!" KEY30, SRS_ERR_INVALID, "length");
	assert_refused("1 " CM80 " inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw=", SRS_ERR_INVALID, "length");
	assert_refused("1 " CM80 " inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx?d", SRS_ERR_INVALID, "length");
	assert_int_equal(read_line("  007\taes_cm_128_hmac_sha1_80   INLINE:" KEY30 "  "), SRS_OK);
	assert_string_equal(line.tag, "007");	/* as offered: a peer may compare texts */
}

/* ---- the choice ---- */

static unsigned int bad_lines[OFFER_CRYPTO_MAX], n_bad;

static void
on_bad(void *ctx, unsigned int line_no, const char *sentence)
{
	bad_lines[n_bad++] = line_no;
}

static bool
choose(const char *const texts[], unsigned int n, const enum srtp_suite *order, unsigned int n_order)
{
	struct offer_crypto lines[OFFER_CRYPTO_MAX];

	for (unsigned int i = 0; i < n; i++)
		lines[i] = (struct offer_crypto){ .line = 10 + i, .value = span_of_text(texts[i]) };
	n_bad = 0;
	return sdes_choose(chosen, lines, n, order, n_order, on_bad, NULL);
}

static void
our_order_decides_and_then_theirs(void **state)
{
	static const char *const texts[] = {
		"1 AES_CM_128_HMAC_SHA1_32 inline:" KEY30, "2 AES_CM_128_HMAC_SHA1_80 inline:" KEY30 " UNENCRYPTED_SRTP",
		"3 AES_CM_128_HMAC_SHA1_80 inline:" OTHER30, "4 AES_CM_128_HMAC_SHA1_80 inline:" KEY30,
		"5 AEAD_AES_256_GCM inline:" KEY44, "6 NULL_HMAC_SHA1_80 inline:" KEY30,
	};
	static const enum srtp_suite gcm_first[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_80 };
	static const enum srtp_suite cm_first[] = { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AEAD_AES_256_GCM };
	static const enum srtp_suite none_of_these[] = { SRTP_AEAD_AES_128_GCM };

	assert_true(choose(texts, 6, gcm_first, 2));
	assert_string_equal(chosen[0].tag, "5");
	assert_int_equal(n_bad, 2);
	assert_int_equal(bad_lines[0], 11);
	assert_int_equal(bad_lines[1], 15);
	assert_true(choose(texts, 6, cm_first, 2));
	assert_string_equal(chosen[0].tag, "3");
	assert_int_equal(chosen[0].masters[0].key[0], 0xff);
	assert_true(span_is_zero(span_of(&chosen[1], sizeof(chosen[1]))));
	assert_false(choose(texts, 6, none_of_these, 1));
	assert_true(span_is_zero(span_of(chosen, sizeof(chosen))));
	assert_false(choose(texts, 0, cm_first, 2));
	assert_false(choose(texts, 6, cm_first, 0));
}

static void
tag_that_two_lines_have_belongs_to_the_first(void **state)
{
	static const char *const texts[] = { "1 AES_CM_128_HMAC_SHA1_80 inline:" KEY30, "1 AEAD_AES_256_GCM inline:" KEY44 };
	static const enum srtp_suite order[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_80 };

	assert_true(choose(texts, 2, order, 2));
	assert_int_equal(chosen[0].suite, SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(n_bad, 1);
	assert_int_equal(bad_lines[0], 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_is_read_and_written_with_its_own_lengths),
		cmocka_unit_test(lifetime_is_a_number_of_packets_that_the_suite_allows),
		cmocka_unit_test(mki_is_a_big_endian_number_of_its_length),
		cmocka_unit_test(several_keys_need_mkis_that_tell_them_apart),
		cmocka_unit_test(session_parameters_are_heeded_tolerated_or_refused),
		cmocka_unit_test(what_is_no_line_is_refused_and_leaves_nothing),
		cmocka_unit_test(our_order_decides_and_then_theirs),
		cmocka_unit_test(tag_that_two_lines_have_belongs_to_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
