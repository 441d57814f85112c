/* SRTP profiles of DTLS and the suites that they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/dtls/dtls_profile.h"

static void
profiles_follow_the_order_of_the_suites(void **state)
{
	static const enum srtp_suite suites[] = {
		SRTP_AES_CM_128_HMAC_SHA1_32, SRTP_AES_256_CM_HMAC_SHA1_80, SRTP_AEAD_AES_256_GCM, SRTP_AEAD_AES_128_GCM,
		SRTP_AES_CM_128_HMAC_SHA1_80,
	};
	char text[DTLS_PROFILES_TEXT_MAX];

	assert_int_equal(dtls_profiles_text(suites, 5, text), 4);
	assert_string_equal(text, "SRTP_AES128_CM_SHA1_32:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:"
	                          "SRTP_AES128_CM_SHA1_80");
}

static void
suites_without_a_profile_and_repeats_are_left_out(void **state)
{
	static const enum srtp_suite suites[] = {
		SRTP_AES_192_CM_HMAC_SHA1_80, SRTP_AES_256_CM_HMAC_SHA1_32, SRTP_SUITE_NONE, SRTP_AEAD_AES_128_GCM,
		SRTP_AEAD_AES_128_GCM,
	};
	char text[DTLS_PROFILES_TEXT_MAX];

	assert_int_equal(dtls_profiles_text(suites, 3, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(dtls_profiles_text(suites, 5, text), 1);
	assert_string_equal(text, "SRTP_AEAD_AES_128_GCM");
}

/* RFC 5764 §4.1.2, RFC 7714 §14.2 */
static void
numbers_are_those_of_the_rfcs(void **state)
{
	assert_int_equal(dtls_profile_suite(1), SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(dtls_profile_suite(2), SRTP_AES_CM_128_HMAC_SHA1_32);
	assert_int_equal(dtls_profile_suite(7), SRTP_AEAD_AES_128_GCM);
	assert_int_equal(dtls_profile_suite(8), SRTP_AEAD_AES_256_GCM);
	assert_int_equal(dtls_profile_suite(5), SRTP_SUITE_NONE);	/* SRTP_NULL_HMAC_SHA1_80 */
	assert_int_equal(dtls_profile_suite(0), SRTP_SUITE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_follow_the_order_of_the_suites),
		cmocka_unit_test(suites_without_a_profile_and_repeats_are_left_out),
		cmocka_unit_test(numbers_are_those_of_the_rfcs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
