/* Our certificate, and how the peer's is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "dtls_peer.h"

static const enum srtp_suite all[] = {
	SRTP_AEAD_AES_256_GCM, SRTP_AEAD_AES_128_GCM, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32,
};

static struct dtls_identity *
identity_make(void)
{
	struct dtls_identity *id;
	char why[200];

	assert_int_equal(dtls_identity_create(&id, all, 4, why, sizeof(why)), SRS_OK);
	return id;
}

static void
fingerprint_is_that_of_the_certificate(void **state)
{
	struct dtls_identity *id = identity_make();
	const X509 *x = SSL_CTX_get0_certificate(dtls_identity_context(id));
	uint8_t digest[EVP_MAX_MD_SIZE];
	char text[DTLS_FINGERPRINT_TEXT_MAX] = "sha-256 ";
	unsigned int len;

	assert_int_equal(X509_digest(x, EVP_sha256(), digest, &len), 1);
	for (unsigned int i = 0; i < len; i++)
		(void)sprintf(text + 8 + 3 * i, "%02X%s", digest[i], i + 1 < len ? ":" : "");
	assert_string_equal(dtls_identity_fingerprint(id), text);
	dtls_identity_destroy(id);
}

static void
certificate_is_p256_and_signed_by_itself(void **state)
{
	struct dtls_identity *id = identity_make();
	X509 *x = SSL_CTX_get0_certificate(dtls_identity_context(id));
	char group[32];

	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	assert_int_equal(EVP_PKEY_get_group_name(X509_get0_pubkey(x), group, sizeof(group), NULL), 1);
	assert_string_equal(group, "prime256v1");
	assert_true(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
	assert_true(X509_cmp_current_time(X509_get0_notAfter(x)) > 0);
	dtls_identity_destroy(id);
}

static void
each_start_has_a_key_of_its_own(void **state)
{
	struct dtls_identity *a = identity_make(), *b = identity_make();

	assert_string_not_equal(dtls_identity_fingerprint(a), dtls_identity_fingerprint(b));
	dtls_identity_destroy(a);
	dtls_identity_destroy(b);
}

static void
suites_without_a_profile_are_refused_with_a_remedy(void **state)
{
	static const enum srtp_suite none[] = { SRTP_AES_256_CM_HMAC_SHA1_80 };
	struct dtls_identity *id;
	char why[200] = "";

	assert_int_equal(dtls_identity_create(&id, none, 1, why, sizeof(why)), SRS_ERR_INVALID);
	assert_null(id);
	assert_non_null(strstr(why, "srtp.suites"));
}

static void
each_hash_knows_its_certificate(void **state)
{
	struct peer_identity id = peer_identity_make(false), other = peer_identity_make(false);

	for (unsigned int h = 0; h < DTLS_HASHES; h++) {
		struct dtls_fingerprint print = peer_print(&id, (enum dtls_hash)h);

		assert_true(dtls_fingerprint_matches(&print, 1, id.certificate));
		assert_false(dtls_fingerprint_matches(&print, 1, other.certificate));
		print.digest[h == DTLS_SHA1 ? 19 : 27] ^= 1;
		assert_false(dtls_fingerprint_matches(&print, 1, id.certificate));
	}
	peer_identity_free(&id);
	peer_identity_free(&other);
}

/* RFC 8122 §5: a weak hash must not stand in for a strong one. */
static void
the_strongest_hash_decides(void **state)
{
	struct peer_identity id = peer_identity_make(false), other = peer_identity_make(false);
	struct dtls_fingerprint prints[] = { peer_print(&id, DTLS_SHA1), peer_print(&other, DTLS_SHA256) };

	assert_false(dtls_fingerprint_matches(prints, 2, id.certificate));
	assert_true(dtls_fingerprint_matches(prints, 2, other.certificate));
	peer_identity_free(&id);
	peer_identity_free(&other);
}

static void
one_of_several_with_that_hash_is_enough(void **state)
{
	struct peer_identity id = peer_identity_make(false), other = peer_identity_make(false);
	struct dtls_fingerprint prints[] = { peer_print(&other, DTLS_SHA384), peer_print(&id, DTLS_SHA384) };

	assert_true(dtls_fingerprint_matches(prints, 2, id.certificate));
	assert_false(dtls_fingerprint_matches(prints, 1, id.certificate));
	assert_false(dtls_fingerprint_matches(prints, 0, id.certificate));
	peer_identity_free(&id);
	peer_identity_free(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fingerprint_is_that_of_the_certificate),
		cmocka_unit_test(certificate_is_p256_and_signed_by_itself),
		cmocka_unit_test(each_start_has_a_key_of_its_own),
		cmocka_unit_test(suites_without_a_profile_are_refused_with_a_remedy),
		cmocka_unit_test(each_hash_knows_its_certificate),
		cmocka_unit_test(the_strongest_hash_decides),
		cmocka_unit_test(one_of_several_with_that_hash_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
