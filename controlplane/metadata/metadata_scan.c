#include "controlplane/metadata/metadata_scan.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controlplane/metadata/metadata.h"

struct open_tag {
	struct span name;
	unsigned int line;
	unsigned int n_namespaces; /* declared here */
};

struct scan {
	const uint8_t *start, *at, *end;
	unsigned int line;
	struct open_tag open[METADATA_DEPTH_MAX];
	unsigned int depth;
	unsigned int n_elements;
	unsigned int n_namespaces; /* in force */
	char *why;
	size_t why_len;
};

static enum srs_err
refuse(struct scan *s, enum srs_err err, const char *what)
{
	snprintf(s->why, s->why_len, "line %u: %s", s->line, what);
	return err;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Moves to `to`, counting lines. */
static void
advance(struct scan *s, const uint8_t *to)
{
	while (s->at < to) {
		const uint8_t *lf = memchr(s->at, '\n', (size_t)(to - s->at));

		if (lf == NULL)
			break;
		s->line++;
		s->at = lf + 1;
	}
	s->at = to;
}

static void
skip_blanks(struct scan *s)
{
	const uint8_t *p = s->at;

	while (p < s->end && is_blank(*p))
		p++;
	advance(s, p);
}

static bool
at_text(const struct scan *s, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(s->end - s->at) >= len && memcmp(s->at, text, len) == 0;
}

static bool
ends_name(uint8_t c)
{
	switch (c) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case '/':
	case '>':
	case '=':
	case '<':
	case '"':
	case '\'':
	case '&':
	case '\0':
		return true;
	default:
		return false;
	}
}

static struct span
take_name(struct scan *s)
{
	const uint8_t *from = s->at;

	while (s->at < s->end && !ends_name(*s->at))
		s->at++;
	return span_of(from, (size_t)(s->at - from));
}

/* Moves behind `text`, or says that it does not come. */
static enum srs_err
skip_behind(struct scan *s, const char *text, const char *what)
{
	const uint8_t *found = memmem(s->at, (size_t)(s->end - s->at), text, strlen(text));

	if (found == NULL)
		return refuse(s, SRS_ERR_INVALID, what);
	advance(s, found + strlen(text));
	return SRS_OK;
}

/* Only encodings that keep ASCII as it is: the scan would not see tags in others. */
static bool
is_readable_encoding(struct span name)
{
	static const char *const readable[] = { "utf-8",      "utf8",	     "us-ascii",    "ascii",
						"iso-8859-1", "iso-8859-15", "windows-1252" };

	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
		if (name.len == strlen(readable[i]) &&
		    strncasecmp((const char *)name.bytes, readable[i], name.len) == 0)
			return true;
	return false;
}

static enum srs_err
scan_declaration(struct scan *s)
{
	const uint8_t *end = memmem(s->at, (size_t)(s->end - s->at), "?>", 2);
	const uint8_t *p;

	if (end == NULL)
		return refuse(s, SRS_ERR_INVALID, "an XML declaration that does not end");
	p = memmem(s->at, (size_t)(end - s->at), "encoding", 8);
	if (p != NULL) {
		const uint8_t *close = NULL;

		p += 8;
		while (p < end && (is_blank(*p) || *p == '='))
			p++;
		if (p < end && (*p == '"' || *p == '\''))
			close = memchr(p + 1, *p, (size_t)(end - p - 1));
		if (close == NULL || !is_readable_encoding(span_of(p + 1, (size_t)(close - p - 1))))
			return refuse(s, SRS_ERR_INVALID, "an encoding that is not read here; UTF-8 is");
	}
	advance(s, end + 2);
	return SRS_OK;
}

static enum srs_err
scan_comment(struct scan *s)
{
	enum srs_err err;

	s->at += strlen("<!--");
	err = skip_behind(s, "--", "a comment that does not end");
	if (err)
		return err;
	if (s->at == s->end || *s->at != '>')
		return refuse(s, SRS_ERR_INVALID, "\"--\" inside a comment");
	s->at++;
	return SRS_OK;
}

/* <? and <! */
static enum srs_err
scan_special(struct scan *s)
{
	if (at_text(s, "<?xml") && s->at + 5 < s->end && is_blank(s->at[5])) {
		if (s->at != s->start)
			return refuse(s, SRS_ERR_INVALID, "an XML declaration that is not at the start");
		return scan_declaration(s);
	}
	if (at_text(s, "<?"))
		return skip_behind(s, "?>", "a processing instruction that does not end");
	if (at_text(s, "<!--"))
		return scan_comment(s);
	if (at_text(s, "<![CDATA[") && s->depth != 0)
		return skip_behind(s, "]]>", "a CDATA section that does not end");
	if ((size_t)(s->end - s->at) >= 9 && strncasecmp((const char *)s->at, "<!doctype", 9) == 0)
		return refuse(s, SRS_ERR_LIMIT, "a DOCTYPE, which is refused (RFC 7865 §10)");
	return refuse(s, SRS_ERR_INVALID, "\"<!\" that starts nothing XML knows here");
}

static bool
is_namespace(struct span name)
{
	return (name.len == 5 || (name.len > 5 && name.bytes[5] == ':')) &&
	       memcmp(name.bytes, "xmlns", 5) == 0;
}

static enum srs_err
scan_attribute(struct scan *s, struct open_tag *tag)
{
	struct span name = take_name(s);
	const uint8_t *close;

	skip_blanks(s);
	if (name.len == 0 || s->at == s->end || *s->at != '=')
		return refuse(s, SRS_ERR_INVALID, "a tag that is not XML");
	s->at++;
	skip_blanks(s);
	if (s->at == s->end || (*s->at != '"' && *s->at != '\''))
		return refuse(s, SRS_ERR_INVALID, "an attribute value without quotes");
	close = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at - 1));
	if (close == NULL || memchr(s->at, '<', (size_t)(close - s->at)) != NULL)
		return refuse(s, SRS_ERR_INVALID, "an attribute value that does not end");
	advance(s, close + 1);
	if (is_namespace(name)) {
		tag->n_namespaces++;
		if (s->n_namespaces + tag->n_namespaces > METADATA_NAMESPACES_MAX)
			return refuse(s, SRS_ERR_LIMIT, "more than 64 namespace declarations in force");
	}
	return SRS_OK;
}

static enum srs_err
scan_start_tag(struct scan *s, bool *closed)
{
	struct open_tag tag = { .line = s->line };
	unsigned int n_attributes = 0;

	s->at++;
	tag.name = take_name(s);
	if (tag.name.len == 0)
		return refuse(s, SRS_ERR_INVALID, "\"<\" that starts no tag");
	if (++s->n_elements > METADATA_ELEMENTS_MAX)
		return refuse(s, SRS_ERR_LIMIT, "more than 4096 elements");
	for (;;) {
		const uint8_t *before = s->at;
		enum srs_err err;

		skip_blanks(s);
		if (at_text(s, ">") || at_text(s, "/>"))
			break;
		if (s->at == before || s->at == s->end)
			return refuse(s, SRS_ERR_INVALID, "a tag that is not XML");
		if (++n_attributes > METADATA_ATTRIBUTES_MAX)
			return refuse(s, SRS_ERR_LIMIT, "more than 64 attributes in one tag");
		err = scan_attribute(s, &tag);
		if (err)
			return err;
	}
	if (s->depth == METADATA_DEPTH_MAX)
		return refuse(s, SRS_ERR_LIMIT, "elements nested deeper than 32");
	*closed = *s->at == '/';
	s->at += *closed ? 2 : 1;
	if (!*closed) {
		s->n_namespaces += tag.n_namespaces;
		s->open[s->depth++] = tag;
	}
	return SRS_OK;
}

static enum srs_err
scan_end_tag(struct scan *s)
{
	struct open_tag *tag;
	struct span name;

	if (s->depth == 0)
		return refuse(s, SRS_ERR_INVALID, "an end tag without a start");
	tag = &s->open[--s->depth];
	s->n_namespaces -= tag->n_namespaces;
	s->at += 2;
	name = take_name(s);
	skip_blanks(s);
	if (!at_text(s, ">") || !span_equal(name, tag->name)) {
		snprintf(s->why, s->why_len,
			 "line %u: an end tag that does not match the tag opened in line %u", s->line,
			 tag->line);
		return SRS_ERR_INVALID;
	}
	s->at++;
	return SRS_OK;
}

/* One piece of text and the markup behind it. */
static enum srs_err
scan_markup(struct scan *s, bool *done)
{
	const uint8_t *lt = memchr(s->at, '<', (size_t)(s->end - s->at));
	bool closed = false;
	enum srs_err err;

	if (s->depth == 0) {
		skip_blanks(s);
		if (s->at == s->end || *s->at != '<')
			return refuse(s, SRS_ERR_INVALID,
				      s->at == s->start ? "not XML" : "text outside the root element");
	} else if (lt == NULL) {
		return refuse(s, SRS_ERR_INVALID, "the document ends before its root element does");
	} else {
		advance(s, lt);
	}
	if (at_text(s, "<?") || at_text(s, "<!"))
		return scan_special(s);
	if (at_text(s, "</")) {
		err = scan_end_tag(s);
		closed = true;
	} else {
		err = scan_start_tag(s, &closed);
	}
	*done = closed && s->depth == 0;
	return err;
}

enum srs_err
metadata_scan(struct span *document, struct span xml, unsigned int line_first, char *why, size_t why_len)
{
	struct scan s = { .at = xml.bytes, .end = xml.bytes + xml.len, .line = line_first + 1 };
	bool done = false;

	s.why = why;
	s.why_len = why_len;
	if (xml.len > METADATA_BYTES_MAX)
		return refuse(&s, SRS_ERR_LIMIT, "metadata larger than 256 KiB");
	if (xml.len >= 3 && memcmp(xml.bytes, "\xef\xbb\xbf", 3) == 0)
		s.at += 3; /* UTF-8's byte order mark */
	skip_blanks(&s);
	s.start = s.at;
	while (!done) {
		enum srs_err err = scan_markup(&s, &done);

		if (err)
			return err;
	}
	*document = span_of(s.start, (size_t)(s.at - s.start));
	/* UTF-16 and its kin hold NULs wherever they hold a tag */
	if (memchr(document->bytes, '\0', document->len) != NULL)
		return refuse(&s, SRS_ERR_INVALID, "NUL bytes: not UTF-8");
	return SRS_OK;
}
