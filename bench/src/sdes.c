#include "sdes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INLINE_MAX (PROTECT_KEY_MAX + PROTECT_SALT_MAX)

static bool
make_keys(struct protect_keys *keys, enum protect_suite suite, uint8_t mki_len, unsigned int number)
{
	keys->suite = suite;
	keys->mki_len = mki_len;
	if (RAND_bytes(keys->key, protect_shape(suite)->key_len) != 1 ||
	    RAND_bytes(keys->salt, protect_shape(suite)->salt_len) != 1 ||
	    (mki_len != 0 && RAND_bytes(keys->mki, mki_len) != 1))
		return false;
	if (mki_len != 0)
		keys->mki[0] = (uint8_t)(number + 1);
	return true;
}

bool
sdes_make(struct sdes_line *line, unsigned int tag, enum protect_suite suite, unsigned int n_keys, uint8_t mki_len)
{
	memset(line, 0, sizeof(*line));
	line->tag = tag;
	line->n_keys = n_keys;
	for (unsigned int i = 0; i < n_keys; i++)
		if (!make_keys(&line->keys[i], suite, mki_len, i))
			return false;
	return true;
}

/* An MKI stands in SDP as a number and a length (RFC 4568 §6.1); ours are short enough for one. */
static unsigned long long
mki_number(const struct protect_keys *keys)
{
	unsigned long long v = 0;

	for (unsigned int i = 0; i < keys->mki_len; i++)
		v = v << 8 | keys->mki[i];
	return v;
}

static void
write_key(const struct protect_keys *keys, const char *lifetime, struct text *t)
{
	const struct protect_shape *shape = protect_shape(keys->suite);
	uint8_t key[INLINE_MAX], coded[INLINE_MAX * 4 / 3 + 4];

	memcpy(key, keys->key, shape->key_len);
	memcpy(key + shape->key_len, keys->salt, shape->salt_len);
	EVP_EncodeBlock(coded, key, shape->key_len + shape->salt_len);
	text_add(t, "inline:%s", (const char *)coded);
	if (lifetime != NULL)
		text_add(t, "|%s", lifetime);
	if (keys->mki_len != 0)
		text_add(t, "|%llu:%u", mki_number(keys), keys->mki_len);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(coded, sizeof(coded));
}

void
sdes_write(const struct sdes_line *line, const char *lifetime, struct text *t)
{
	text_add(t, "a=crypto:%u %s ", line->tag, protect_shape(line->keys[0].suite)->name);
	for (unsigned int i = 0; i < line->n_keys; i++) {
		text_add(t, "%s", i > 0 ? ";" : "");
		write_key(&line->keys[i], lifetime, t);
	}
	text_add(t, "\r\n");
}

/* Key and salt from their base64. */
static bool
read_key(struct protect_keys *keys, const char *coded, size_t coded_len)
{
	const struct protect_shape *shape = protect_shape(keys->suite);
	size_t want = (size_t)shape->key_len + shape->salt_len;
	uint8_t key[INLINE_MAX + 8];
	size_t padding = 0;
	int n;

	while (padding < 2 && padding < coded_len && coded[coded_len - 1 - padding] == '=')
		padding++;
	if (coded_len % 4 != 0 || coded_len > sizeof(key) * 4 / 3)
		return false;
	n = EVP_DecodeBlock(key, (const uint8_t *)coded, (int)coded_len);
	if (n < 0 || (size_t)n - padding != want)
		return false;
	memcpy(keys->key, key, shape->key_len);
	memcpy(keys->salt, key + shape->key_len, shape->salt_len);
	OPENSSL_cleanse(key, sizeof(key));
	return true;
}

/* "|lifetime|MKI:length", either may be absent. */
static bool
read_rest(struct protect_keys *keys, const char *rest)
{
	while (*rest == '|') {
		size_t len = strcspn(rest + 1, "|");
		unsigned long long number;
		unsigned int mki_len;
		char end;

		if (sscanf(rest + 1, "%llu:%u%c", &number, &mki_len, &end) >= 2 && memchr(rest + 1, ':', len) != NULL) {
			if (mki_len == 0 || mki_len > sizeof(number))
				return false;
			keys->mki_len = (uint8_t)mki_len;
			for (unsigned int i = 0; i < mki_len; i++)
				keys->mki[i] = (uint8_t)(number >> 8 * (mki_len - 1 - i));
		}
		rest += 1 + len;
	}
	return *rest == '\0';
}

bool
sdes_read(struct sdes_line *line, const char *value, char *why, size_t why_len)
{
	char suite[48], key[160];
	size_t coded_len;
	int at = 0;

	memset(line, 0, sizeof(*line));
	line->n_keys = 1;
	if (sscanf(value, "%u %47s inline:%159s%n", &line->tag, suite, key, &at) != 3) {
		snprintf(why, why_len, "a=crypto is not TAG SUITE inline:KEY");
	} else if (value[at] != '\0') {
		snprintf(why, why_len, "a=crypto has session parameters that nobody offered");
	} else if (!protect_suite_by_name(suite, &line->keys[0].suite)) {
		snprintf(why, why_len, "a=crypto names the suite %s", suite);
	} else {
		coded_len = strcspn(key, "|");
		if (!read_key(&line->keys[0], key, coded_len))
			snprintf(why, why_len, "a=crypto has no key of %s's length", suite);
		else if (!read_rest(&line->keys[0], key + coded_len))
			snprintf(why, why_len, "a=crypto has a lifetime or MKI that cannot be read");
		else
			return true;
	}
	return false;
}
