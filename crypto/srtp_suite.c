#include "crypto/srtp_suite.h"

#include <string.h>
#include <strings.h>

static const struct srtp_suite_shape shapes[SRTP_SUITES] = {
	[SRTP_SUITE_NONE] = { "", 0, 0, 0, 0, false },
	[SRTP_AES_CM_128_HMAC_SHA1_80] = { "AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, false },
	[SRTP_AES_CM_128_HMAC_SHA1_32] = { "AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, false },
	[SRTP_AES_192_CM_HMAC_SHA1_80] = { "AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 10, false },
	[SRTP_AES_192_CM_HMAC_SHA1_32] = { "AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 10, false },
	[SRTP_AES_256_CM_HMAC_SHA1_80] = { "AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 10, false },
	[SRTP_AES_256_CM_HMAC_SHA1_32] = { "AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 10, false },
	[SRTP_AEAD_AES_128_GCM] = { "AEAD_AES_128_GCM", 16, 12, 16, 16, true },
	[SRTP_AEAD_AES_256_GCM] = { "AEAD_AES_256_GCM", 32, 12, 16, 16, true },
};

const struct srtp_suite_shape *
srtp_suite_shape(enum srtp_suite suite)
{
	return &shapes[(unsigned int)suite < SRTP_SUITES ? suite : SRTP_SUITE_NONE];
}

enum srtp_suite
srtp_suite_by_name(struct span name)
{
	for (unsigned int i = SRTP_SUITE_NONE + 1; i < SRTP_SUITES; i++)
		if (name.len == strlen(shapes[i].name) &&
		    strncasecmp((const char *)name.bytes, shapes[i].name, name.len) == 0)
			return (enum srtp_suite)i;
	return SRTP_SUITE_NONE;
}
