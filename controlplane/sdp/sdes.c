#include "controlplane/sdp/sdes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/secret.h"

#define LIFETIME_BITS_MAX 48	/* packets under one key, all suites (RFC 3711 §9.2, 6188 §7, 7714 §14.1) */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static struct span
take_word(struct span *rest)
{
	struct span word;
	size_t n = 0;

	while (rest->len != 0 && is_blank(rest->bytes[0])) {
		rest->bytes++;
		rest->len--;
	}
	while (n < rest->len && !is_blank(rest->bytes[n]))
		n++;
	word = span_of(rest->bytes, n);
	if (n != 0) {
		rest->bytes += n;
		rest->len -= n;
	}
	return word;
}

/* What stands before `c`, all without it; `found` says whether it was there. */
static struct span
take_until(struct span *rest, char c, bool *found)
{
	const uint8_t *at = rest->len != 0 ? memchr(rest->bytes, c, rest->len) : NULL;
	struct span before = *rest;

	*found = at != NULL;
	if (at == NULL) {
		rest->len = 0;
		return before;
	}
	before.len = (size_t)(at - before.bytes);
	rest->bytes = at + 1;
	rest->len -= before.len + 1;
	return before;
}

static bool
begins_nocase(struct span s, const char *text)
{
	return s.len >= strlen(text) && strncasecmp((const char *)s.bytes, text, strlen(text)) == 0;
}

/* A decimal number without leading zeros, at most `max`. */
static bool
to_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0 || (s.len > 1 && s.bytes[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)s.bytes[i] - '0';

		if (!is_digit(s.bytes[i]) || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

/* ---- base64 ---- */

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Byte `i` of key and salt as they stand one behind the other. */
static uint8_t *
master_byte(struct srtp_master *m, unsigned int key_len, unsigned int i)
{
	return i < key_len ? &m->key[i] : &m->salt[i - key_len];
}

/* Straight into the master, so that no copy of a key is left behind. Padding may be missing: some write it so. */
static bool
master_decode(struct srtp_master *m, const struct srtp_suite_shape *shape, struct span text)
{
	unsigned int n = shape->key_len + shape->salt_len, n_letters = (n * 8 + 5) / 6, n_bytes = 0;
	unsigned int bits = 0, n_bits = 0, n_padding = (4 - n_letters % 4) % 4;

	if (text.len != n_letters && text.len != n_letters + n_padding)
		return false;
	for (unsigned int i = 0; i < n_letters; i++) {
		int value = base64_value(text.bytes[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (unsigned int)value) & 0xfff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*master_byte(m, shape->key_len, n_bytes++) = (uint8_t)(bits >> n_bits);
		}
	}
	for (size_t i = n_letters; i < text.len; i++)
		if (text.bytes[i] != '=')
			return false;
	return true;
}

static size_t
master_encode(char *out, size_t out_len, const struct srtp_master *m, const struct srtp_suite_shape *shape)
{
	unsigned int n = shape->key_len + shape->salt_len;
	size_t len = (n + 2) / 3 * 4, at = 0;

	if (out_len <= len)
		return 0;
	for (unsigned int i = 0; i < n; i += 3) {
		uint32_t group = 0;

		for (unsigned int k = 0; k < 3; k++) {
			unsigned int b = i + k;

			group = group << 8 | (b >= n ? 0 : b < shape->key_len ? m->key[b] : m->salt[b - shape->key_len]);
		}
		for (unsigned int k = 0; k < 4; k++)
			out[at++] = i + k > n ? '=' : base64_letters[group >> (18 - 6 * k) & 63];
	}
	out[at] = '\0';
	return at;
}

/* ---- key parameters ---- */

/* RFC 4568 §6.1: packets, as a number or a power of two, and not more than the suite allows. */
static bool
lifetime_is_good(struct span text)
{
	uint64_t n;

	if (begins_nocase(text, "2^"))
		return to_number(span_of(text.bytes + 2, text.len - 2), LIFETIME_BITS_MAX, &n);
	return to_number(text, UINT64_C(1) << LIFETIME_BITS_MAX, &n) && n != 0;
}

/* "1:4": the decimal value as a big-endian number of that many bytes. */
static enum srs_err
mki_read(struct srtp_master *m, struct span text)
{
	bool colon;
	struct span value = take_until(&text, ':', &colon);
	uint64_t len;

	if (!colon || !to_number(text, 128, &len) || len == 0 || value.len == 0)
		return SRS_ERR_INVALID;
	if (len > SRTP_MKI_MAX)
		return SRS_ERR_LIMIT;
	for (size_t i = 0; i < value.len; i++) {
		unsigned int carry = (unsigned int)value.bytes[i] - '0';

		if (!is_digit(value.bytes[i]))
			return SRS_ERR_INVALID;
		for (unsigned int k = (unsigned int)len; k-- > 0;) {
			carry += m->mki[k] * 10u;
			m->mki[k] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry != 0)
			return SRS_ERR_INVALID;	/* does not fit */
	}
	m->mki_len = (uint8_t)len;
	return SRS_OK;
}

/* KEY||SALT ["|" lifetime] ["|" MKI ":" length]; only an MKI holds a colon. */
static enum srs_err
inline_read(struct srtp_master *m, enum srtp_suite suite, struct span text, const char **why)
{
	bool bar;
	struct span key = take_until(&text, '|', &bar), first, second = { 0 };
	bool two = false;
	enum srs_err err;

	m->suite = (uint8_t)suite;
	if (!master_decode(m, srtp_suite_shape(suite), key)) {
		*why = "a=crypto whose key is not of its suite's length; line ignored (RFC 4568 §6.1)";
		return SRS_ERR_INVALID;
	}
	if (!bar)
		return SRS_OK;
	first = take_until(&text, '|', &two);
	if (two)
		second = text;
	else if (first.len != 0 && memchr(first.bytes, ':', first.len) != NULL)
		second = first, first = (struct span){ 0 };
	if ((two || second.len == 0) && !lifetime_is_good(first)) {
		*why = "a=crypto with a lifetime that is no number of packets up to 2^48; line ignored (RFC 4568 §6.1)";
		return SRS_ERR_INVALID;
	}
	if (!two && second.len == 0)
		return SRS_OK;
	err = mki_read(m, second);
	if (err)
		*why = err == SRS_ERR_LIMIT ? "a=crypto with an MKI of more than 16 bytes; line ignored"
		                            : "a=crypto with an unreadable MKI; line ignored (RFC 4568 §6.1)";
	return err;
}

/* Several keys are told apart by their MKIs: all of one length, no two alike (RFC 4568 §6.1). */
static bool
mkis_tell_apart(const struct sdes_line *l)
{
	for (unsigned int i = 0; l->n_masters > 1 && i < l->n_masters; i++) {
		if (l->masters[i].mki_len == 0 || l->masters[i].mki_len != l->masters[0].mki_len)
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (memcmp(l->masters[i].mki, l->masters[k].mki, SRTP_MKI_MAX) == 0)
				return false;
	}
	return true;
}

static enum srs_err
keys_read(struct sdes_line *l, struct span text, const char **why)
{
	bool more = true;

	while (more) {
		struct span key = take_until(&text, ';', &more);
		enum srs_err err;

		if (!begins_nocase(key, "inline:")) {
			*why = "a=crypto with another key method than inline; line ignored (RFC 4568 §6.1)";
			return SRS_ERR_UNSUPPORTED;
		}
		if (l->n_masters == SRTP_MASTERS_MAX) {
			*why = "a=crypto with more than four keys; line ignored";
			return SRS_ERR_LIMIT;
		}
		key = span_of(key.bytes + strlen("inline:"), key.len - strlen("inline:"));
		err = inline_read(&l->masters[l->n_masters++], l->suite, key, why);
		if (err)
			return err;
	}
	if (mkis_tell_apart(l))
		return SRS_OK;
	*why = "a=crypto with several keys that no MKI tells apart; line ignored (RFC 4568 §6.1)";
	return SRS_ERR_INVALID;
}

/* ---- session parameters, RFC 4568 §6.3 ---- */

static enum srs_err
parameter_read(struct span p, const char **why)
{
	static const char *const weakening[] = { "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP" };
	uint64_t n;

	for (size_t i = 0; i < sizeof(weakening) / sizeof(weakening[0]); i++)
		if (span_equal_nocase(p, weakening[i])) {
			*why = "a=crypto that takes encryption or authentication away; line refused (RFC 4568 §6.3)";
			return SRS_ERR_UNSUPPORTED;
		}
	if (begins_nocase(p, "KDR=")) {
		if (span_equal_nocase(p, "KDR=0"))
			return SRS_OK;	/* never derived again: what no KDR means */
		*why = "a=crypto with a key derivation rate, which is not served; line ignored (RFC 4568 §6.3.1)";
		return SRS_ERR_UNSUPPORTED;
	}
	if (begins_nocase(p, "WSH=")) {	/* a hint about our window, which has its own size */
		if (to_number(span_of(p.bytes + 4, p.len - 4), UINT32_MAX, &n))
			return SRS_OK;
		*why = "a=crypto with an unreadable WSH; line ignored (RFC 4568 §6.3.6)";
		return SRS_ERR_INVALID;
	}
	if (span_equal_nocase(p, "FEC_ORDER=FEC_SRTP") || span_equal_nocase(p, "FEC_ORDER=SRTP_FEC"))
		return SRS_OK;	/* no FEC stream is taken, so none has an order */
	if (p.bytes[0] == '-')
		return SRS_OK;	/* §6.3.7: may be ignored */
	*why = "a=crypto with a session parameter that is not known; line ignored (RFC 4568 §6.3.7)";
	return SRS_ERR_UNSUPPORTED;
}

/* ---- lines ---- */

static bool
tag_read(struct sdes_line *l, struct span text)
{
	if (text.len == 0 || text.len >= sizeof(l->tag))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!is_digit(text.bytes[i]))
			return false;
	memcpy(l->tag, text.bytes, text.len);
	return true;
}

static enum srs_err
line_read(struct sdes_line *l, struct span rest, const char **why)
{
	struct span tag = take_word(&rest), suite = take_word(&rest), keys = take_word(&rest);
	unsigned int n = 0;
	enum srs_err err;

	if (!tag_read(l, tag) || keys.len == 0) {
		*why = "a=crypto without tag, suite and key; line ignored (RFC 4568 §4)";
		return SRS_ERR_INVALID;
	}
	l->suite = srtp_suite_by_name(suite);
	if (l->suite == SRTP_SUITE_NONE) {
		*why = "a=crypto with a suite that is not known; line ignored (RFC 4568 §6.2)";
		return SRS_ERR_UNSUPPORTED;
	}
	err = keys_read(l, keys, why);
	for (struct span p = take_word(&rest); !err && p.len != 0; p = take_word(&rest)) {
		if (++n > SDES_PARAMETERS_MAX) {
			*why = "a=crypto with more than 16 session parameters; line ignored";
			return SRS_ERR_LIMIT;
		}
		err = parameter_read(p, why);
	}
	return err;
}

enum srs_err
sdes_line_read(struct sdes_line *out, struct span value, const char **why)
{
	enum srs_err err;

	memset(out, 0, sizeof(*out));
	*why = "";
	err = line_read(out, value, why);
	if (err)
		secret_wipe(out, sizeof(*out));
	return err;
}

static unsigned int
rank_of(const enum srtp_suite *order, unsigned int n, enum srtp_suite suite)
{
	unsigned int i = 0;

	while (i < n && order[i] != suite)
		i++;
	return i;
}

/* Has an earlier good line this tag? Then our answer could mean either. */
static bool
tag_is_taken(char tags[][SDES_TAG_SIZE], unsigned int n, const char *tag)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(tags[i], tag) == 0)
			return true;
	return false;
}

bool
sdes_choose(struct sdes_line out[2], const struct offer_crypto *lines, unsigned int n_lines,
            const enum srtp_suite *order, unsigned int n_order,
            void (*on_bad)(void *ctx, unsigned int line, const char *why), void *ctx)
{
	char tags[OFFER_CRYPTO_MAX][SDES_TAG_SIZE];
	unsigned int best = n_order, n_tags = 0;

	secret_wipe(&out[0], sizeof(out[0]));
	for (unsigned int i = 0; i < n_lines && i < OFFER_CRYPTO_MAX; i++) {
		const char *why;
		unsigned int rank;
		bool good = sdes_line_read(&out[1], lines[i].value, &why) == SRS_OK;

		if (good && tag_is_taken(tags, n_tags, out[1].tag)) {
			good = false;
			why = "a=crypto with the tag of another line; ignored (RFC 4568 §4.1)";
		}
		if (!good) {
			if (on_bad != NULL)
				on_bad(ctx, lines[i].line, why);
			continue;
		}
		memcpy(tags[n_tags++], out[1].tag, SDES_TAG_SIZE);
		rank = rank_of(order, n_order, out[1].suite);
		if (rank < best) {
			best = rank;
			memcpy(&out[0], &out[1], sizeof(out[0]));
		}
	}
	secret_wipe(&out[1], sizeof(out[1]));
	return best != n_order;
}

size_t
sdes_line_write(char *out, size_t out_len, const char *tag, const struct srtp_master *master)
{
	const struct srtp_suite_shape *shape = srtp_suite_shape((enum srtp_suite)master->suite);
	int n = snprintf(out, out_len, "%s %s inline:", tag, shape->name);
	size_t len;

	if (n < 0 || (size_t)n >= out_len)
		return 0;
	len = master_encode(out + n, out_len - (size_t)n, master, shape);
	return len != 0 ? (size_t)n + len : 0;
}
