/* Reads SDP offers line by line. What SRCs leave out or bend becomes a deviation; only what cannot be answered in
 * the same number and order of m-lines is an error. */
#include "controlplane/sdp/offer.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define DEVIATIONS_MAX (sizeof(((struct offer *)0)->deviations) / sizeof(((struct offer *)0)->deviations[0]))

/* RFC 3551 §6, tables 4 and 5. G.722 has the clock 8000 by an old mistake that became the rule (§4.5.2). */
static const struct static_type {
	uint8_t payload_type;
	uint8_t channels;
	uint32_t clock_hz;
	const char *name;
} static_types[] = {
	{ 0, 1, 8000, "PCMU" },	  { 3, 1, 8000, "GSM" },    { 4, 1, 8000, "G723" },
	{ 5, 1, 8000, "DVI4" },	  { 6, 1, 16000, "DVI4" },  { 7, 1, 8000, "LPC" },
	{ 8, 1, 8000, "PCMA" },	  { 9, 1, 8000, "G722" },   { 10, 2, 44100, "L16" },
	{ 11, 1, 44100, "L16" },  { 12, 1, 8000, "QCELP" }, { 13, 1, 8000, "CN" },
	{ 14, 1, 90000, "MPA" },  { 15, 1, 8000, "G728" },  { 16, 1, 11025, "DVI4" },
	{ 17, 1, 22050, "DVI4" }, { 18, 1, 8000, "G729" },  { 25, 1, 90000, "CelB" },
	{ 26, 1, 90000, "JPEG" }, { 28, 1, 90000, "nv" },   { 31, 1, 90000, "H261" },
	{ 32, 1, 90000, "MPV" },  { 33, 1, 90000, "MP2T" }, { 34, 1, 90000, "H263" },
};

static const struct profile_name {
	const char *text;
	enum offer_profile profile;
} profile_names[] = {
	{ "RTP/AVP", OFFER_RTP_AVP },
	{ "RTP/AVPF", OFFER_RTP_AVPF },
	{ "RTP/SAVP", OFFER_RTP_SAVP },
	{ "RTP/SAVPF", OFFER_RTP_SAVPF },
	{ "UDP/TLS/RTP/SAVP", OFFER_DTLS_SAVP },
	{ "UDP/TLS/RTP/SAVPF", OFFER_DTLS_SAVPF },
};

struct offer_reader {
	struct offer *offer;
	struct offer_media *media; /* the m-line whose attributes are read; NULL at session level */
	unsigned int media_line;
	unsigned int line;
	struct offer_address address;	/* session-level c= */
	enum offer_direction direction; /* session-level */
	bool has_address, has_direction, has_fingerprint;
	struct offer_dtls dtls;		/* session-level */
	struct offer_crypto crypto[OFFER_CRYPTO_MAX];
	unsigned int n_crypto;
	bool media_has_address;
	bool has_version, has_origin, has_name, has_time;
	const char *why;
};

void
offer_deviate(struct offer *o, unsigned int line, const char *rule)
{
	if (o->n_deviations == DEVIATIONS_MAX)
		return;
	o->deviations[o->n_deviations].line = line;
	o->deviations[o->n_deviations].rule = rule;
	o->n_deviations++;
}

static void
deviation(struct offer_reader *r, unsigned int line, const char *rule)
{
	offer_deviate(r->offer, line, rule);
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The next word up to blanks, or an empty span at the end. */
static struct span
take_word(struct span *rest)
{
	struct span word;
	size_t n = 0;

	*rest = span_trimmed(*rest);
	while (n < rest->len && !is_blank(rest->bytes[n]))
		n++;
	word = span_of(rest->bytes, n);
	if (n != 0) {
		rest->bytes += n;
		rest->len -= n;
	}
	return word;
}

/* What stands before `c`; `rest` moves behind it. Without `c` that is everything. */
static struct span
take_until(struct span *rest, char c)
{
	const uint8_t *at = rest->len ? memchr(rest->bytes, c, rest->len) : NULL;
	struct span before = *rest;

	if (at == NULL) {
		*rest = (struct span){ 0 };
		return before;
	}
	before.len = (size_t)(at - before.bytes);
	rest->bytes = at + 1;
	rest->len -= before.len + 1;
	return before;
}

static bool
to_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)s.bytes[i] - '0';

		if (s.bytes[i] < '0' || s.bytes[i] > '9' || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

/* Copies what we may one day write into an answer: nothing that could end a line or a C string early. */
static bool
to_text(char *out, size_t out_len, struct span s, bool blanks)
{
	out[0] = '\0';
	if (s.len >= out_len)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.bytes[i] < (blanks ? 0x20 : 0x21) || s.bytes[i] == 0x7f)
			return false;
	if (s.len != 0)
		memcpy(out, s.bytes, s.len);
	out[s.len] = '\0';
	return true;
}

/* ---- c=, o= ---- */

/* c=IN IP4 192.0.2.1/127 (RFC 8866 §5.7); the multicast suffix says nothing to a recorder */
static struct offer_address
read_address(struct offer_reader *r, struct span value)
{
	struct offer_address a = { 0 };
	struct span net = take_word(&value);
	struct span type = take_word(&value);
	struct span word = take_word(&value);
	struct span host = take_until(&word, '/');
	char text[INET6_ADDRSTRLEN];
	bool known = span_equal_nocase(net, "IN") && to_text(text, sizeof(text), host, false);

	if (known && span_equal_nocase(type, "IP4") && inet_pton(AF_INET, text, a.ip) == 1)
		a.ip_version = 4;
	else if (known && span_equal_nocase(type, "IP6") && inet_pton(AF_INET6, text, a.ip) == 1)
		a.ip_version = 6;
	else
		deviation(r, r->line, "c= holds no readable IPv4 or IPv6 address");
	if (a.ip_version != 0) {
		static const uint8_t zero[16];

		a.unspecified = memcmp(a.ip, zero, sizeof(zero)) == 0;
		if (a.unspecified)
			deviation(r, r->line,
				  "unspecified address in c=; RFC 3264 §8.4 means hold by it, we record on");
	}
	return a;
}

static void
read_connection(struct offer_reader *r, struct span value)
{
	struct offer_address a = read_address(r, value);

	if (r->media != NULL) {
		r->media->address = a;
		r->media_has_address = true;
	} else {
		r->address = a;
		r->has_address = true;
	}
}

static void
read_origin(struct offer_reader *r, struct span value)
{
	struct span id;

	if (r->has_origin)
		return;
	r->has_origin = true;
	take_word(&value); /* user name */
	id = take_word(&value);
	if (id.len == 0 || !to_text(r->offer->session_id, sizeof(r->offer->session_id), id, false))
		deviation(r, r->line, "o= without a readable session id");
	if (!to_number(take_word(&value), UINT64_MAX, &r->offer->version)) {
		r->offer->version = 0;
		deviation(r, r->line, "o= without a numeric version; every offer counts as changed");
	}
}

/* ---- m= ---- */

static bool
is_rtp(enum offer_profile p)
{
	return p != OFFER_PROFILE_OTHER;
}

static struct offer_codec *
codec_of(struct offer_media *m, uint64_t payload_type)
{
	for (unsigned int i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].payload_type == payload_type)
			return &m->codecs[i];
	return NULL;
}

static void
add_codec(struct offer_media *m, uint8_t payload_type)
{
	struct offer_codec *c = &m->codecs[m->n_codecs++];

	*c = (struct offer_codec){ .payload_type = payload_type, .channels = 1 };
	for (size_t i = 0; i < sizeof(static_types) / sizeof(static_types[0]); i++)
		if (static_types[i].payload_type == payload_type) {
			strcpy(c->name, static_types[i].name);
			c->clock_hz = static_types[i].clock_hz;
			c->channels = static_types[i].channels;
		}
}

/* Formats that cannot be kept are left out of our answer; RFC 3264 §6.1 allows a subset. */
static void
read_formats(struct offer_reader *r, struct span rest)
{
	struct offer_media *m = r->media;
	size_t used = 0;

	for (struct span word = take_word(&rest); word.len != 0; word = take_word(&rest)) {
		char text[sizeof(m->formats)];
		uint64_t type = 0;

		if (!to_text(text, sizeof(text), word, false) ||
		    (is_rtp(m->profile) && !to_number(word, 127, &type))) {
			deviation(r, r->line, "m= names a format that is no payload type; left out");
			continue;
		}
		if (m->n_codecs == OFFER_CODECS_MAX || used + word.len + 2 > sizeof(m->formats)) {
			deviation(
			    r, r->line,
			    "m= names more formats than we keep (32, 255 characters); the rest left out");
			break;
		}
		if (is_rtp(m->profile) && codec_of(m, type) != NULL) {
			deviation(r, r->line, "m= names a payload type twice");
			continue;
		}
		if (is_rtp(m->profile))
			add_codec(m, (uint8_t)type);
		if (used != 0)
			m->formats[used++] = ' ';
		memcpy(m->formats + used, word.bytes, word.len);
		used += word.len;
	}
	m->formats[used] = '\0';
	if (used == 0) {
		deviation(r, r->line, "m= without a usable format: refused");
		m->port = 0;
	}
}

static void
read_port(struct offer_reader *r, struct span word)
{
	struct offer_media *m = r->media;
	uint64_t port = 0, n = 1;
	struct span first = take_until(&word, '/');

	if (!to_number(first, UINT16_MAX, &port))
		deviation(r, r->line, "m= with a port that is no number up to 65535: refused");
	if (word.len != 0 && (!to_number(word, UINT16_MAX, &n) || n == 0)) {
		deviation(r, r->line, "m= with an unreadable number of ports; taken as one");
		n = 1;
	}
	m->port = (uint16_t)port;
	m->n_ports = (uint16_t)n;
}

static bool
is_secure(enum offer_profile p)
{
	return p == OFFER_RTP_SAVP || p == OFFER_RTP_SAVPF;
}

enum offer_keying
offer_media_keying(const struct offer_media *m)
{
	if (m->profile == OFFER_DTLS_SAVP || m->profile == OFFER_DTLS_SAVPF)
		return OFFER_KEYING_DTLS;
	if (!is_secure(m->profile))
		return OFFER_KEYING_NONE;
	return m->n_crypto == 0 && m->dtls.n_fingerprints != 0 ? OFFER_KEYING_DTLS : OFFER_KEYING_SDES;
}

/* Session-level lines hold for m-lines without their own. For a=crypto no RFC says so (RFC 4568 §4 has it at media
 * level only), but what else could be meant? */
static void
finish_keying(struct offer_reader *r)
{
	struct offer_media *m = r->media;

	if (m->dtls.n_fingerprints == 0) {
		memcpy(m->dtls.fingerprints, r->dtls.fingerprints, sizeof(m->dtls.fingerprints));
		m->dtls.n_fingerprints = r->dtls.n_fingerprints;
	}
	if (m->dtls.setup == OFFER_SETUP_NONE)
		m->dtls.setup = r->dtls.setup;
	if (m->n_crypto == 0 && !m->has_crypto && is_secure(m->profile)) {
		memcpy(m->crypto, r->crypto, sizeof(m->crypto));
		m->n_crypto = r->n_crypto;
		m->has_crypto = r->n_crypto != 0;
	}
}

static void
finish_media(struct offer_reader *r)
{
	struct offer_media *m = r->media;

	if (m == NULL)
		return;
	finish_keying(r);
	if (!r->media_has_address) {
		m->address = r->address;
		if (!r->has_address && m->port != 0)
			deviation(r, r->media_line,
				  "no c= for this m-line, neither here nor at session level (RFC 8866 §5.7)");
	}
	if (m->label[0] == '\0' && m->port != 0)
		deviation(r, r->media_line,
			  "m-line without a=label; bound by its position (RFC 7866 §7.1.1)");
	for (const struct offer_media *other = r->offer->media; other != m && m->label[0] != '\0'; other++)
		if (strcmp(other->label, m->label) == 0 && other->port != 0 && m->port != 0)
			deviation(r, r->media_line, "a=label is used twice (RFC 4574 §4)");
}

static enum srs_err
read_media(struct offer_reader *r, struct span value)
{
	struct offer *o = r->offer;
	struct offer_media *m;
	struct span kind = take_word(&value);
	struct span port = take_word(&value);
	struct span profile = take_word(&value);

	finish_media(r);
	if (o->n_media == OFFER_MEDIA_MAX) {
		r->why = "more than 64 m-lines";
		return SRS_ERR_LIMIT;
	}
	m = r->media = &o->media[o->n_media++];
	r->media_line = r->line;
	r->media_has_address = false;
	/* not by one assignment: the codec table is large and mostly stays empty */
	memset(m, 0, offsetof(struct offer_media, codecs));
	m->n_codecs = 0;
	m->has_crypto = false;
	m->has_fingerprint = r->has_fingerprint;
	m->direction = r->direction;
	m->formats[0] = '\0';
	if (profile.len == 0 || !to_text(m->kind_text, sizeof(m->kind_text), kind, false) ||
	    !to_text(m->profile_text, sizeof(m->profile_text), profile, false)) {
		r->why = "an m-line that cannot be answered: it needs media, port and profile";
		return SRS_ERR_INVALID;
	}
	m->kind = span_equal_nocase(kind, "audio")	? OFFER_AUDIO
		  : span_equal_nocase(kind, "video") ? OFFER_VIDEO
						: OFFER_OTHER;
	m->profile = OFFER_PROFILE_OTHER;
	for (size_t i = 0; i < sizeof(profile_names) / sizeof(profile_names[0]); i++)
		if (span_equal_nocase(profile, profile_names[i].text))
			m->profile = profile_names[i].profile;
	read_port(r, port);
	read_formats(r, value);
	return SRS_OK;
}

/* ---- a= ---- */

/* a=rtpmap:111 opus/48000/2 */
static void
read_rtpmap(struct offer_reader *r, struct span value)
{
	uint64_t type = 0, clock_hz = 0, channels = 1;
	struct span word = take_word(&value);
	struct offer_codec *c = to_number(word, 127, &type) ? codec_of(r->media, type) : NULL;
	struct span encoding = take_word(&value);
	struct span name = take_until(&encoding, '/');
	struct span rate = take_until(&encoding, '/');

	if (c == NULL) {
		deviation(r, r->line, "a=rtpmap for a payload type that the m-line does not name");
		return;
	}
	if (name.len == 0 || !to_number(rate, UINT32_MAX, &clock_hz) || clock_hz == 0 ||
	    !to_text(c->name, sizeof(c->name), name, false)) {
		deviation(r, r->line, "a=rtpmap without a readable name and clock rate");
		return;
	}
	/* SEMS and others append a slash or a word here; only a number means channels */
	if (encoding.len != 0 && (!to_number(encoding, UINT8_MAX, &channels) || channels == 0)) {
		deviation(r, r->line, "a=rtpmap with an unreadable number of channels; taken as one");
		channels = 1;
	}
	c->clock_hz = (uint32_t)clock_hz;
	c->channels = (uint8_t)channels;
}

static void
read_fmtp(struct offer_reader *r, struct span value)
{
	uint64_t type = 0;
	struct span word = take_word(&value);
	struct offer_codec *c = to_number(word, 127, &type) ? codec_of(r->media, type) : NULL;

	if (c == NULL)
		return; /* also how non-RTP formats carry their parameters */
	if (!to_text(c->fmtp, sizeof(c->fmtp), span_trimmed(value), true))
		deviation(r, r->line,
			  "a=fmtp longer than 127 characters or with control characters; left out");
}

static bool
read_direction(struct span name, enum offer_direction *out)
{
	static const char *const words[] = { "sendrecv", "sendonly", "recvonly", "inactive" };

	for (unsigned int i = 0; i < 4; i++)
		if (span_equal_nocase(name, words[i])) {
			*out = (enum offer_direction)i;
			return true;
		}
	return false;
}

/* ---- a=crypto, a=fingerprint, a=setup ---- */

static void
read_crypto(struct offer_reader *r, struct span value)
{
	struct offer_media *m = r->media;
	struct offer_crypto *lines = m != NULL ? m->crypto : r->crypto;
	unsigned int *n = m != NULL ? &m->n_crypto : &r->n_crypto;

	if (m != NULL)
		m->has_crypto = true;
	if (m != NULL && !is_secure(m->profile)) {
		deviation(r, r->line, "a=crypto on an m-line whose profile is not SAVP or SAVPF; ignored (RFC 4568 §5)");
		return;
	}
	if (m == NULL)
		deviation(r, r->line, "a=crypto at session level; taken for the m-lines without one (RFC 4568 §4)");
	if (*n == OFFER_CRYPTO_MAX) {
		deviation(r, r->line, "more than 16 a=crypto lines; the rest left out");
		return;
	}
	lines[(*n)++] = (struct offer_crypto){ .line = r->line, .value = value };
}

static bool
to_hex(uint8_t c, uint8_t *out)
{
	if (c >= '0' && c <= '9')
		*out = (uint8_t)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*out = (uint8_t)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

/* "AB:CD:..", as many octets as the hash has */
static bool
to_digest(struct offer_fingerprint *f, struct span hex)
{
	if (hex.len != 3u * f->len - 1)
		return false;
	for (unsigned int i = 0; i < f->len; i++) {
		uint8_t high, low;

		if (!to_hex(hex.bytes[3 * i], &high) || !to_hex(hex.bytes[3 * i + 1], &low) ||
		    (i != 0 && hex.bytes[3 * i - 1] != ':'))
			return false;
		f->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void
read_fingerprint(struct offer_reader *r, struct offer_dtls *d, struct span value)
{
	static const struct { const char *name; uint8_t len; } hashes[] = {
		{ "sha-1", 20 }, { "sha-224", 28 }, { "sha-256", 32 }, { "sha-384", 48 }, { "sha-512", 64 },
	};
	struct offer_fingerprint f = { .hash = "" };
	struct span hash = take_word(&value);

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (span_equal_nocase(hash, hashes[i].name)) {
			strcpy(f.hash, hashes[i].name);
			f.len = hashes[i].len;
		}
	if (f.len == 0) {
		deviation(r, r->line, "a=fingerprint with a hash that proves nothing or is not known; left out (RFC 8122 §5)");
		return;
	}
	if (!to_digest(&f, span_trimmed(value))) {
		deviation(r, r->line, "a=fingerprint that is no digest of its hash; left out (RFC 8122 §5)");
		return;
	}
	if (d->n_fingerprints == OFFER_FINGERPRINTS_MAX) {
		deviation(r, r->line, "more than four a=fingerprint lines; the rest left out");
		return;
	}
	d->fingerprints[d->n_fingerprints++] = f;
}

static void
read_setup(struct offer_reader *r, struct offer_dtls *d, struct span value)
{
	static const struct { const char *word; enum offer_setup setup; } words[] = {
		{ "active", OFFER_SETUP_ACTIVE }, { "passive", OFFER_SETUP_PASSIVE },
		{ "actpass", OFFER_SETUP_ACTPASS }, { "holdconn", OFFER_SETUP_HOLDCONN },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal_nocase(value, words[i].word)) {
			d->setup = words[i].setup;
			return;
		}
	deviation(r, r->line, "a=setup with a word that RFC 4145 §4 does not have; ignored");
}

/* @return false: none of these three */
static bool
read_keying(struct offer_reader *r, struct span name, struct span value)
{
	struct offer_dtls *d = r->media != NULL ? &r->media->dtls : &r->dtls;

	if (span_equal_nocase(name, "crypto")) {
		read_crypto(r, value);
	} else if (span_equal_nocase(name, "fingerprint")) {
		if (r->media != NULL)
			r->media->has_fingerprint = true;
		else
			r->has_fingerprint = true;
		read_fingerprint(r, d, value);
	} else if (span_equal_nocase(name, "setup")) {
		read_setup(r, d, value);
	} else if (span_equal_nocase(name, "tls-id") && r->media != NULL) {	/* RFC 8842 §4: of an m-line alone */
		if (!to_text(d->tls_id, sizeof(d->tls_id), value, false))
			deviation(r, r->line, "a=tls-id longer than 255 characters; ignored (RFC 8842 §4)");
	} else {
		return false;
	}
	return true;
}

static void
read_session_attribute(struct offer_reader *r, struct span name, struct span value)
{
	if (read_direction(name, &r->direction))
		r->has_direction = true;
	else
		(void)read_keying(r, name, value);
}

static void
read_attribute(struct offer_reader *r, struct span value)
{
	struct offer_media *m = r->media;
	struct span name = span_trimmed(take_until(&value, ':'));
	uint64_t number = 0;

	value = span_trimmed(value);
	if (m == NULL) {
		read_session_attribute(r, name, value);
	} else if (read_direction(name, &m->direction)) {
		return;
	} else if (span_equal_nocase(name, "rtpmap")) {
		read_rtpmap(r, value);
	} else if (span_equal_nocase(name, "fmtp")) {
		read_fmtp(r, value);
	} else if (span_equal_nocase(name, "ptime")) {
		if (to_number(take_until(&value, '.'), UINT16_MAX, &number))
			m->ptime_ms = (uint16_t)number;
	} else if (span_equal_nocase(name, "label")) {
		if (!to_text(m->label, sizeof(m->label), value, false))
			deviation(r, r->line,
				  "a=label longer than 63 characters or no token; left out (RFC 4574 §4)");
	} else if (span_equal_nocase(name, "mid")) {
		if (!to_text(m->mid, sizeof(m->mid), value, false))
			deviation(r, r->line, "a=mid longer than 63 characters or no token; left out");
	} else if (span_equal_nocase(name, "rtcp")) {
		if (to_number(take_word(&value), UINT16_MAX, &number))
			m->rtcp_port = (uint16_t)number;
		else
			deviation(r, r->line, "a=rtcp without a port (RFC 3605 §2.1)");
	} else if (span_equal_nocase(name, "rtcp-mux")) {
		m->rtcp_mux = true;
	} else {
		(void)read_keying(r, name, value);
	}
}

/* ---- lines ---- */

/* CRLF, LF or CR ends a line. */
static struct span
take_line(struct span *rest)
{
	size_t n = 0, taken;
	struct span line;

	while (n < rest->len && rest->bytes[n] != '\r' && rest->bytes[n] != '\n')
		n++;
	taken = n;
	if (taken < rest->len && rest->bytes[taken] == '\r')
		taken++;
	if (taken < rest->len && rest->bytes[taken] == '\n')
		taken++;
	line = span_of(rest->bytes, n);
	rest->bytes += taken;
	rest->len -= taken;
	return line;
}

static enum srs_err
read_line(struct offer_reader *r, struct span line)
{
	struct span value = span_trimmed(line);

	if (value.len == 0)
		return SRS_OK;
	if (value.len < 2 || value.bytes[1] != '=') {
		deviation(r, r->line, "not of the form type=value; ignored (RFC 8866 §5)");
		return SRS_OK;
	}
	if (value.len != line.len)
		deviation(r, r->line, "blanks around the line");
	line = value;
	value = span_of(line.bytes + 2, line.len - 2);
	switch (line.bytes[0]) {
	case 'v':
		r->has_version = true;
		if (!span_equal_nocase(span_trimmed(value), "0"))
			deviation(r, r->line, "v= is not 0 (RFC 8866 §5.1)");
		break;
	case 'o':
		read_origin(r, value);
		break;
	case 's':
		r->has_name = true;
		break;
	case 't':
		r->has_time = true;
		break;
	case 'c':
		read_connection(r, value);
		break;
	case 'm':
		return read_media(r, value);
	case 'a':
		read_attribute(r, value);
		break;
	default:
		break; /* i=, u=, e=, p=, b=, r=, z=, k=: nothing that a recorder decides by */
	}
	return SRS_OK;
}

enum srs_err
offer_parse(struct offer *out, struct span sdp, const char **why)
{
	struct offer_reader r = { .offer = out, .direction = OFFER_SENDRECV };

	out->session_id[0] = '\0';
	out->version = 0;
	out->n_media = 0;
	out->n_deviations = 0;
	*why = "";
	if (sdp.len > OFFER_BYTES_MAX) {
		*why = "SDP larger than 64 KiB";
		return SRS_ERR_LIMIT;
	}
	while (sdp.len != 0) {
		enum srs_err err;

		r.line++;
		err = read_line(&r, take_line(&sdp));
		if (err) {
			*why = r.why;
			return err;
		}
	}
	finish_media(&r);
	if (out->n_media == 0) {
		*why = r.has_version ? "SDP without an m-line" : "no SDP";
		return SRS_ERR_INVALID;
	}
	if (!r.has_version)
		deviation(&r, 0, "v= is missing (RFC 8866 §5.1)");
	if (!r.has_origin)
		deviation(&r, 0, "o= is missing (RFC 8866 §5.2)");
	if (!r.has_name)
		deviation(&r, 0, "s= is missing (RFC 8866 §5.3)");
	if (!r.has_time)
		deviation(&r, 0, "t= is missing (RFC 8866 §5.9)");
	return SRS_OK;
}
