#include "controlplane/dtls/dtls_profile.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	enum srtp_suite suite;
	uint16_t number;	/* IANA, DTLS-SRTP Protection Profiles */
	const char *name;	/* OpenSSL's */
} profiles[] = {
	{ SRTP_AES_CM_128_HMAC_SHA1_80, 0x0001, "SRTP_AES128_CM_SHA1_80" },
	{ SRTP_AES_CM_128_HMAC_SHA1_32, 0x0002, "SRTP_AES128_CM_SHA1_32" },
	{ SRTP_AEAD_AES_128_GCM, 0x0007, "SRTP_AEAD_AES_128_GCM" },
	{ SRTP_AEAD_AES_256_GCM, 0x0008, "SRTP_AEAD_AES_256_GCM" },
};
#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

unsigned int
dtls_profiles_text(const enum srtp_suite suites[], unsigned int n, char text[DTLS_PROFILES_TEXT_MAX])
{
	bool named[PROFILES] = { false };
	unsigned int n_named = 0;
	size_t len = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int k = 0; k < PROFILES; k++) {
			if (profiles[k].suite != suites[i] || named[k])
				continue;
			named[k] = true;
			len += (size_t)snprintf(text + len, DTLS_PROFILES_TEXT_MAX - len, "%s%s", n_named++ != 0 ? ":" : "",
			                        profiles[k].name);
		}
	}
	return n_named;
}

enum srtp_suite
dtls_profile_suite(uint16_t number)
{
	for (unsigned int k = 0; k < PROFILES; k++) {
		if (profiles[k].number == number)
			return profiles[k].suite;
	}
	return SRTP_SUITE_NONE;
}
