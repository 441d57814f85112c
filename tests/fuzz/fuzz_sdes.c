/* Bytes as the lines of one m-line's a=crypto attributes, split at LF. A refusal has a sentence and leaves nothing; what
 * is taken can be written, and read again as the same key; the choice is the best line that is good by itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sdp/sdes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct sdes_line chosen[2], line, again;

static void
line_is_whole(const struct sdes_line *l)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape(l->suite);
	struct srtp_master plain;
	const char *why;
	char text[256];
	size_t len;

	if (l->n_masters == 0 || l->n_masters > SRTP_MASTERS_MAX || l->tag[0] == '\0' || shape->key_len == 0)
		abort();
	for (unsigned int i = 0; i < l->n_masters; i++) {
		if (l->masters[i].suite != l->suite || l->masters[i].mki_len > SRTP_MKI_MAX ||
		    (l->n_masters > 1 && l->masters[i].mki_len == 0))
			abort();
		len = sdes_line_write(text, sizeof(text), l->tag, &l->masters[i]);
		if (len == 0 || strlen(text) != len || sdes_line_read(&again, span_of(text, len), &why) != SRS_OK)
			abort();
		plain = l->masters[i];
		plain.mki_len = 0;
		memset(plain.mki, 0, sizeof(plain.mki));
		if (again.n_masters != 1 || strcmp(again.tag, l->tag) != 0 || again.suite != l->suite ||
		    memcmp(&again.masters[0], &plain, sizeof(plain)) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const enum srtp_suite order[] = { SRTP_AEAD_AES_256_GCM, SRTP_AES_CM_128_HMAC_SHA1_80,
		                                 SRTP_AES_CM_128_HMAC_SHA1_32 };
	struct offer_crypto lines[OFFER_CRYPTO_MAX];
	unsigned int n = 0;
	bool found;

	for (size_t at = 0; at < len && n < OFFER_CRYPTO_MAX; n++) {
		const uint8_t *end = memchr(bytes + at, '\n', len - at);
		size_t line_len = end != NULL ? (size_t)(end - bytes) - at : len - at;
		const char *why = NULL;

		lines[n] = (struct offer_crypto){ .line = n, .value = span_of(bytes + at, line_len) };
		if (sdes_line_read(&line, lines[n].value, &why) == SRS_OK)
			line_is_whole(&line);
		else if (why == NULL || why[0] == '\0' || !span_is_zero(span_of(&line, sizeof(line))))
			abort();
		at += line_len + 1;
	}
	found = sdes_choose(chosen, lines, n, order, 3, NULL, NULL);
	if (!span_is_zero(span_of(&chosen[1], sizeof(chosen[1]))))
		abort();
	if (found)
		line_is_whole(&chosen[0]);
	else if (!span_is_zero(span_of(&chosen[0], sizeof(chosen[0]))))
		abort();
	return 0;
}
