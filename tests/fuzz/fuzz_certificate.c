/* Bytes as a certificate, and as the subjectAltName of one. A name that is found could stand in a profile and in a log:
 * no wildcard, no user, nothing but visible characters; and what says that it is for something else than SIP is not. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sip/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
certificate_is_read(const X509 *x)
{
	static const unsigned char address[16] = { 192, 0, 2, 1 };
	char *names[CERTIFICATE_NAMES_MAX];
	unsigned int n = certificate_names(x, names);

	if (n > CERTIFICATE_NAMES_MAX)
		abort();
	for (unsigned int i = 0; i < n; i++) {
		size_t name_len = strlen(names[i]);

		if (name_len == 0 || name_len > CERTIFICATE_NAME_MAX || strpbrk(names[i], "*@;?\"\\") != NULL)
			abort();
		for (size_t k = 0; k < name_len; k++)
			if (names[i][k] <= ' ' || names[i][k] > '~')
				abort();
		free(names[i]);
	}
	(void)certificate_has_address(x, address, 4);
	(void)certificate_has_address(x, address, 16);
	(void)certificate_is_for_sip(x);
	(void)certificate_seconds_left(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const unsigned char *at = bytes;
	X509 *whole = d2i_X509(NULL, &at, (long)len), *made = X509_new();
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

	if (whole != NULL)
		certificate_is_read(whole);
	if (made != NULL && value != NULL && ASN1_OCTET_STRING_set(value, bytes, (int)len) == 1) {
		X509_EXTENSION *names = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
		X509_EXTENSION *usage = X509_EXTENSION_create_by_NID(NULL, NID_ext_key_usage, 0, value);

		if (names != NULL && usage != NULL && X509_add_ext(made, names, -1) == 1 && X509_add_ext(made, usage, -1) == 1)
			certificate_is_read(made);
		X509_EXTENSION_free(names);
		X509_EXTENSION_free(usage);
	}
	ASN1_OCTET_STRING_free(value);
	X509_free(made);
	X509_free(whole);
	ERR_clear_error();
	return 0;
}
