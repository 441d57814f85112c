/* Names in certificates, and the files that hold them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controlplane/sip/certificate.h"
#include "crypto/secret.h"
#include "memory_search.h"
#include "tls_peer.h"

static void
assert_names(const char *san, const char *const *expected)
{
	struct pair p = pair_make(&(struct pair_spec){ .cn = "cn.example.com", .san = san });
	char *names[CERTIFICATE_NAMES_MAX];
	unsigned int n = certificate_names(p.x, names), i;

	for (i = 0; expected[i] != NULL; i++) {
		if (i >= n)
			fail_msg("%s: %s is missing", san, expected[i]);
		assert_string_equal(names[i], expected[i]);
	}
	assert_int_equal(n, i);
	for (i = 0; i < n; i++)
		free(names[i]);
	pair_free(&p);
}
#define ASSERT_NAMES(san, ...) assert_names(san, (const char *const[]){ __VA_ARGS__ NULL })

static void
sip_uris_are_the_identity_then_dns_names_and_the_cn_never(void **state)
{
	ASSERT_NAMES(NULL, );
	ASSERT_NAMES("DNS:sbc.example.com,DNS:sbc2.example.com", "sbc.example.com", "sbc2.example.com",);
	ASSERT_NAMES("URI:sip:example.com,DNS:sbc.example.com", "example.com",);
	ASSERT_NAMES("DNS:sbc.example.com,URI:SIP:Example.com;transport=tls", "Example.com",);
	ASSERT_NAMES("URI:sips:example.com,DNS:sbc.example.com", "sbc.example.com",);	/* §7.1: the scheme is sip */
	ASSERT_NAMES("URI:https://example.com,DNS:sbc.example.com", "sbc.example.com",);
	ASSERT_NAMES("email:a@example.com,IP:192.0.2.1", );
}

static void
persons_and_wildcards_are_nobody(void **state)
{
	ASSERT_NAMES("URI:sip:ann@example.com", );
	ASSERT_NAMES("URI:sip:ann@example.com,DNS:example.com", );	/* a sip URI is there: DNS names do not count */
	ASSERT_NAMES("DNS:*.example.com,DNS:sbc.example.com", "sbc.example.com",);
	ASSERT_NAMES("URI:sip:*.example.com", );
	ASSERT_NAMES("DNS:sbc example com,DNS:sbc\"x", );
}

/* Public authorities sign a hundred names; the one that a profile has may be the last. */
static void
hundred_names_all_count(void **state)
{
	char san[4096] = "", text[16];
	const char *expected[CERTIFICATE_NAMES_MAX + 1] = { NULL };
	char names[CERTIFICATE_NAMES_MAX][16];

	for (unsigned int i = 0; i < CERTIFICATE_NAMES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "sbc%u", i);
		snprintf(text, sizeof(text), "%sDNS:sbc%u", i == 0 ? "" : ",", i);
		strcat(san, text);
		expected[i] = names[i];
	}
	assert_names(san, expected);
	strcat(san, ",DNS:sbc-more");
	assert_names(san, expected);
}

/* A zero byte in the middle: "good.example\0.evil.example" must not be read as good.example. */
static void
zero_byte_in_a_name_hides_nothing(void **state)
{
	static const char text[] = "sbc.example.com\0.evil.example";
	struct pair p = pair_make(&(struct pair_spec){ .cn = "x" });
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();
	char *names[CERTIFICATE_NAMES_MAX];

	assert_int_equal(ASN1_STRING_set(s, text, sizeof(text) - 1), 1);
	GENERAL_NAME_set0_value(g, GEN_DNS, s);
	sk_GENERAL_NAME_push(all, g);
	assert_int_equal(X509_add1_ext_i2d(p.x, NID_subject_alt_name, all, 0, 0), 1);
	assert_int_equal(certificate_names(p.x, names), 0);
	sk_GENERAL_NAME_pop_free(all, GENERAL_NAME_free);
	pair_free(&p);
}

static void
usage_that_a_sip_peer_has(void **state)
{
	static const struct { const char *usage; bool fits; } rows[] = {
		{ NULL, true }, { "serverAuth", true }, { "clientAuth", true }, { "serverAuth,clientAuth", true },
		{ "1.3.6.1.5.5.7.3.20", true }, { "anyExtendedKeyUsage", true }, { "codeSigning", false },
		{ "emailProtection,timeStamping", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = pair_make(&(struct pair_spec){ .cn = "x", .usage = rows[i].usage });

		assert_int_equal(certificate_is_for_sip(p.x), rows[i].fits);
		pair_free(&p);
	}
}

static void
days_that_are_left(void **state)
{
	struct pair soon = pair_make(&(struct pair_spec){ .cn = "x", .ends_s = 10 * TLS_PEER_DAY });
	struct pair over = pair_make(&(struct pair_spec){ .cn = "x", .begins_s = -9 * TLS_PEER_DAY, .ends_s = -TLS_PEER_DAY });

	assert_in_range(certificate_seconds_left(soon.x), 10 * TLS_PEER_DAY - 60, 10 * TLS_PEER_DAY);
	assert_true(certificate_seconds_left(over.x) < -TLS_PEER_DAY + 60);
	pair_free(&soon);
	pair_free(&over);
}

static void
files_that_will_not_do_are_named_with_the_remedy(void **state)
{
	struct tls_peer *p = calloc(1, sizeof(*p));
	struct certificate c;
	struct x509_store_st *store;
	char why[512];
	FILE *f;

	tls_peer_prepare(p);
	assert_int_equal(certificate_load(&c, p->certificate, p->private_key, why, sizeof(why)), SRS_OK);
	certificate_release(&c);
	assert_int_equal(certificate_load(&c, "/nonexistent.pem", p->private_key, why, sizeof(why)), SRS_ERR_IO);
	assert_non_null(strstr(why, "/nonexistent.pem cannot be read"));
	assert_int_equal(certificate_load(&c, p->folder, p->private_key, why, sizeof(why)), SRS_ERR_IO);
	assert_int_equal(certificate_load(&c, p->private_key, p->private_key, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "holds no certificate"));
	assert_int_equal(certificate_load(&c, p->certificate, p->certificate, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "holds no private key"));
	pair_write(&p->client, p->client_ca, p->private_key);
	assert_int_equal(certificate_load(&c, p->certificate, p->private_key, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "does not belong to the certificate"));
	f = fopen(p->private_key, "we");
	assert_int_equal(PEM_write_PrivateKey(f, p->server.key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL, NULL), 1);
	fclose(f);
	assert_int_equal(certificate_load(&c, p->certificate, p->private_key, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "has a passphrase"));
	assert_int_equal(certificate_store_load(&store, p->private_key, why, sizeof(why)), SRS_ERR_INVALID);
	assert_int_equal(certificate_store_load(&store, p->client_ca, why, sizeof(why)), SRS_OK);
	X509_STORE_free(store);
	assert_false(certificate_file_is_open(p->private_key));
	chmod(p->private_key, 0644);
	assert_true(certificate_file_is_open(p->private_key));
	tls_peer_stop(p);
	free(p);
}

static void
file_append(const char *path, const char *text)
{
	FILE *f = fopen(path, "ae");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Authorities behind one that is broken would not be trusted, and nobody would know why. */
static void
bundle_is_read_to_its_end_or_refused(void **state)
{
	struct tls_peer *p = calloc(1, sizeof(*p));
	struct x509_store_st *store;
	char why[512], *one = NULL;
	BIO *out = BIO_new(BIO_s_mem());
	long len;

	tls_peer_prepare(p);
	assert_int_equal(PEM_write_bio_X509(out, p->stranger.x), 1);
	len = BIO_get_mem_data(out, &one);
	one = strndup(one, (size_t)len);
	BIO_free(out);
	for (unsigned int i = 0; i < 100; i++)	/* more than a few, with remarks between them */
		file_append(p->client_ca, one), file_append(p->client_ca, "Subject: an authority\n");
	assert_int_equal(certificate_store_load(&store, p->client_ca, why, sizeof(why)), SRS_OK);
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 2);	/* each once */
	X509_STORE_free(store);
	file_append(p->client_ca, "-----BEGIN CERTIFICATE-----\nMIIBszCC\n-----END CERTIFICATE-----\n");
	file_append(p->client_ca, one);
	assert_int_equal(certificate_store_load(&store, p->client_ca, why, sizeof(why)), SRS_ERR_INVALID);
	assert_non_null(strstr(why, "certificate no. 102 cannot be read"));
	free(one);
	tls_peer_stop(p);
	free(p);
}

/* The file's text and the key's bytes are gone from ordinary memory once it is read; what is left is OpenSSL's number, in
 * its locked heap and in the machine's byte order. */
static void
private_key_leaves_no_copy_behind(void **state)
{
	struct tls_peer *p = calloc(1, sizeof(*p));
	struct certificate c;
	BIGNUM *scalar = NULL;
	uint8_t key[32], inverted[32];
	char why[512], certificate[96], private_key[96];

	tls_peer_prepare(p);
	memcpy(certificate, p->certificate, sizeof(certificate));
	memcpy(private_key, p->private_key, sizeof(private_key));
	assert_int_equal(EVP_PKEY_get_bn_param(p->server.key, "priv", &scalar), 1);
	assert_int_equal(BN_bn2binpad(scalar, key, sizeof(key)), sizeof(key));
	memory_invert(inverted, key, sizeof(key));
	BN_clear_free(scalar);
	EVP_PKEY_free(p->server.key);	/* this one is not ours to judge: a copy made by the test */
	p->server.key = NULL;
	secret_wipe(key, sizeof(key));
	assert_int_equal(memory_count(inverted, sizeof(inverted)), 0);
	assert_int_equal(certificate_load(&c, certificate, private_key, why, sizeof(why)), SRS_OK);
	assert_int_equal(memory_count(inverted, sizeof(inverted)), 0);
	certificate_release(&c);
	tls_peer_stop(p);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sip_uris_are_the_identity_then_dns_names_and_the_cn_never),
		cmocka_unit_test(persons_and_wildcards_are_nobody),
		cmocka_unit_test(zero_byte_in_a_name_hides_nothing),
		cmocka_unit_test(usage_that_a_sip_peer_has),
		cmocka_unit_test(days_that_are_left),
		cmocka_unit_test(files_that_will_not_do_are_named_with_the_remedy),
		cmocka_unit_test(hundred_names_all_count),
		cmocka_unit_test(bundle_is_read_to_its_end_or_refused),
		cmocka_unit_test(private_key_leaves_no_copy_behind),
	};

	secret_heap_make();	/* before OpenSSL is used */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
