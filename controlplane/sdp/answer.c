/* Writes SDP answers, and strikes secrets out of bytes that somebody will read. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controlplane/sdp/offer.h"
#include "controlplane/sdp/sdes.h"

struct answer_writer {
	char *out;
	size_t len, max;
	bool full;
};

static void __attribute__((format(printf, 2, 3))) put(struct answer_writer *w, const char *format, ...)
{
	va_list args;
	int n;

	if (w->full)
		return;
	va_start(args, format);
	n = vsnprintf(w->out + w->len, w->max - w->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= w->max - w->len)
		w->full = true;
	else
		w->len += (size_t)n;
}

static int
ip_version_of(const char *ip)
{
	return strchr(ip, ':') ? 6 : 4;
}

static void
put_codecs(struct answer_writer *w, const struct offer_media *m)
{
	for (unsigned int i = 0; i < m->n_codecs; i++) {
		const struct offer_codec *c = &m->codecs[i];

		if (c->name[0] == '\0')
			continue; /* dynamic and unnamed: recorded raw, nothing to say about it */
		put(w, "a=rtpmap:%u %s/%" PRIu32, c->payload_type, c->name, c->clock_hz);
		if (c->channels > 1)
			put(w, "/%u", c->channels);
		put(w, "\r\n");
		if (c->fmtp[0] != '\0')
			put(w, "a=fmtp:%u %s\r\n", c->payload_type, c->fmtp);
	}
}

/* RFC 3264 §6.1. An SRS never sends, so what the SRC only receives has no media at all. */
static bool
is_inactive(const struct offer_media *m, const struct answer_media *d)
{
	return d->inactive || (!d->asks && (m->direction == OFFER_INACTIVE || m->direction == OFFER_RECVONLY));
}

/* RFC 4568 §5.1.2: one line, with the tag of the one that was chosen and a key of our own. */
static void
put_crypto(struct answer_writer *w, const struct answer_media *d)
{
	size_t n;

	put(w, "a=crypto:");
	n = w->full ? 0 : sdes_line_write(w->out + w->len, w->max - w->len, d->sdes.tag, d->sdes.ours);
	w->full |= n == 0;
	w->len += n;
	put(w, "\r\n");
}

static void
put_keying(struct answer_writer *w, const struct answer_media *d)
{
	if (d->sdes.ours != NULL)
		put_crypto(w, d);
	if (d->dtls.fingerprint != NULL)
		put(w, "a=fingerprint:%s\r\na=setup:%s\r\n", d->dtls.fingerprint,
		    d->dtls.setup == OFFER_SETUP_ACTIVE ? "active" : "passive");
	if (d->dtls.fingerprint != NULL && d->dtls.tls_id != NULL)
		put(w, "a=tls-id:%s\r\n", d->dtls.tls_id);
}

/* A profile that promises SRTP is never accepted without a key, nor a plain one with it (RFC 4568 §5.1.2, 5763 §5). */
static bool
is_keyed(const struct offer_media *m, const struct answer_media *d)
{
	enum offer_keying keying = offer_media_keying(m);

	return (d->sdes.ours != NULL) == (keying == OFFER_KEYING_SDES) &&
	       (d->dtls.fingerprint != NULL) == (keying == OFFER_KEYING_DTLS);
}

static void
put_media(struct answer_writer *w, const struct offer_media *m, const struct answer_media *d)
{
	/* RFC 3264 §6: a stream offered with port 0 is refused in the answer, whatever we would like. */
	if (!d->accepted || d->port == 0 || m->port == 0 || m->formats[0] == '\0' || !is_keyed(m, d)) {
		put(w, "m=%s 0 %s %s\r\n", m->kind_text, m->profile_text, m->formats[0] ? m->formats : "0");
		if (m->label[0] != '\0')
			put(w, "a=label:%s\r\n", m->label);
		return;
	}
	put(w, "m=%s %u %s %s\r\n", m->kind_text, d->port, m->profile_text, m->formats);
	put(w, "c=IN IP%d %s\r\n", d->ip_version, d->ip);
	put_codecs(w, m);
	if (m->ptime_ms != 0)
		put(w, "a=ptime:%u\r\n", m->ptime_ms);
	if (m->label[0] != '\0')
		put(w, "a=label:%s\r\n", m->label);
	if (d->rtcp_port == 0 && m->rtcp_mux)
		put(w, "a=rtcp-mux\r\n");
	else if (d->rtcp_port != 0 && d->rtcp_port != d->port + 1)
		put(w, "a=rtcp:%u\r\n", d->rtcp_port);
	put_keying(w, d);
	put(w, is_inactive(m, d) ? "a=inactive\r\n" : "a=recvonly\r\n");
}

size_t
answer_write(const struct offer *o, const struct answer_media *decided, const char *origin_ip,
	     uint64_t session_id, uint64_t version, char *out, size_t out_len)
{
	struct answer_writer w = { .out = out, .max = out_len, .full = out_len == 0 };
	int ip_version = ip_version_of(origin_ip);

	put(&w, "v=0\r\no=capstan %" PRIu64 " %" PRIu64 " IN IP%d %s\r\ns=-\r\n", session_id, version,
	    ip_version, origin_ip);
	/* also at session level: every m-line needs a c=, the refused ones too (RFC 8866 §5.7) */
	put(&w, "c=IN IP%d %s\r\nt=0 0\r\n", ip_version, origin_ip);
	for (unsigned int i = 0; i < o->n_media; i++)
		put_media(&w, &o->media[i], &decided[i]);
	return w.full ? 0 : w.len;
}

/* What put_media() writes beside texts of the offer, each at its longest. */
#define HEAD_SIZE_MAX  (sizeof("v=0\r\no=capstan  IN IP6 \r\ns=-\r\nc=IN IP6 \r\nt=0 0\r\n") + 20 + 1 + 20 + 2 * sizeof(((struct answer_media *)0)->ip))
#define MEDIA_SIZE_MAX (sizeof("m= 65535  \r\nc=IN IP6 \r\na=ptime:65535\r\na=label:\r\na=rtcp:65535\r\na=recvonly\r\n") + \
                        sizeof(((struct answer_media *)0)->ip))
#define CODEC_SIZE_MAX (sizeof("a=rtpmap:127 /4294967295/255\r\na=fmtp:127 \r\n"))
#define SDES_SIZE_MAX  (sizeof("a=crypto:\r\n") + SDES_TAG_SIZE + 30 + sizeof(" inline:") + 64) /* the longest suite, key and salt in base64 */
#define DTLS_SIZE_MAX  (sizeof("a=fingerprint:sha-256 \r\na=setup:passive\r\na=tls-id:\r\n") + 3 * 32 + 40)

static size_t
media_size_max(const struct offer_media *m)
{
	size_t len = MEDIA_SIZE_MAX + strlen(m->kind_text) + strlen(m->profile_text) + strlen(m->formats) + strlen(m->label);

	for (unsigned int i = 0; i < m->n_codecs; i++)
		len += CODEC_SIZE_MAX + strlen(m->codecs[i].name) + strlen(m->codecs[i].fmtp);
	switch (offer_media_keying(m)) {
	case OFFER_KEYING_SDES: return len + SDES_SIZE_MAX;
	case OFFER_KEYING_DTLS: return len + DTLS_SIZE_MAX;
	case OFFER_KEYING_NONE: break;
	}
	return len;
}

size_t
answer_size_max(const struct offer *o)
{
	size_t len = HEAD_SIZE_MAX;

	for (unsigned int i = 0; i < o->n_media; i++)
		len += media_size_max(&o->media[i]);
	return len;
}

/* ---- secrets ---- */

struct striker {
	char *bytes;
	size_t len;
	unsigned int n; /* secrets struck out */
};

static bool
at_word(const struct striker *s, size_t i, const char *word)
{
	size_t n = strlen(word);

	/* the second octet tells most of them apart, and this is asked for every third octet of a document */
	return n <= s->len - i && ((s->bytes[i + 1] ^ word[1]) & 0xdf) == 0 && strncasecmp(s->bytes + i, word, n) == 0;
}

static bool
is_line_end(char c)
{
	return c == '\r' || c == '\n';
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static size_t
skip_blanks(const struct striker *s, size_t i)
{
	while (i < s->len && is_space(s->bytes[i]))
		i++;
	return i;
}

static size_t
word_end(const struct striker *s, size_t i)
{
	while (i < s->len && !is_space(s->bytes[i]) && !is_line_end(s->bytes[i]))
		i++;
	return i;
}

static size_t
line_end(const struct striker *s, size_t i)
{
	while (i < s->len && !is_line_end(s->bytes[i]))
		i++;
	return i;
}

/* A header value goes on where the next line starts with a blank (RFC 3261 §7.3.1). */
static size_t
folded_end(const struct striker *s, size_t i)
{
	for (;;) {
		size_t next;

		i = next = line_end(s, i);
		if (next < s->len && s->bytes[next] == '\r')
			next++;
		if (next < s->len && s->bytes[next] == '\n')
			next++;
		if (next == i || next >= s->len || !is_space(s->bytes[next]))
			return i;
		i = next;
	}
}

/* Line ends and blanks stay, so that the text keeps its shape; all the rest of [from, to) becomes '*'. */
static size_t
strike(struct striker *s, size_t from, size_t to)
{
	bool struck = false;

	for (size_t i = from; i < to; i++)
		if (!is_line_end(s->bytes[i]) && !is_space(s->bytes[i]) && s->bytes[i] != '*') {
			s->bytes[i] = '*';
			struck = true;
		}
	s->n += struck;
	return to;
}

/* a=crypto:<tag> <suite> <key-params> [<session-params>] (RFC 4568 §9.1): the method may stay, its key may not. A
 * line that is no good by that grammar may hold a key all the same: "inline:" counts wherever it stands. */
static size_t
strike_crypto(struct striker *s, size_t i)
{
	size_t end = line_end(s, i);

	for (size_t at = i; at < end; at++)
		if (at_word(s, at, "inline:")) {
			at = skip_blanks(s, at + strlen("inline:"));
			return strike(s, at, word_end(s, at));
		}
	i = word_end(s, skip_blanks(s, i)); /* tag */
	i = word_end(s, skip_blanks(s, i)); /* suite */
	return strike(s, i, end);
}

static bool
at_line_start(const struct striker *s, size_t i)
{
	return i == 0 || is_line_end(s->bytes[i - 1]);
}

/* Strikes the secret that starts at `i`, if there is one. Returns where to go on; `i` when there is none. */
static size_t
strike_at(struct striker *s, size_t i)
{
	switch (s->bytes[i]) {
	case 'a':
	case 'A':
		if (at_word(s, i, "a=crypto:"))
			return strike_crypto(s, i + strlen("a=crypto:"));
		if (at_word(s, i, "a=ice-pwd:"))
			return strike(s, i + strlen("a=ice-pwd:"), line_end(s, i));
		if (at_word(s, i, "a=key-mgmt:")) /* RFC 4567: MIKEY messages hold keys */
			return strike(s, i + strlen("a=key-mgmt:"), line_end(s, i));
		if (at_word(s, i, "authorization")) { /* Proxy-Authorization ends in it too */
			size_t colon = skip_blanks(s, i + strlen("authorization"));

			if (colon < s->len && s->bytes[colon] == ':')
				return strike(s, colon + 1, folded_end(s, colon));
		}
		return i;
	case 'i':
	case 'I':
		if (at_word(s, i, "inline:"))
			return strike(s, i + strlen("inline:"), word_end(s, i));
		return i;
	case 'k':
	case 'K':
		if (at_word(s, i, "k=") && at_line_start(s, i)) /* RFC 4566 §5.12 */
			return strike(s, i + strlen("k="), line_end(s, i));
		return i;
	default:
		return i;
	}
}

unsigned int
offer_redact(char *bytes, size_t len)
{
	static const bool begins[256] = { ['a'] = true, ['A'] = true, ['i'] = true, ['I'] = true, ['k'] = true, ['K'] = true };
	struct striker s = { .bytes = bytes, .len = len };

	for (size_t i = 0; i < len;) {
		size_t next = begins[(unsigned char)bytes[i]] ? strike_at(&s, i) : i;

		i = next > i ? next : i + 1;
	}
	return s.n;
}
