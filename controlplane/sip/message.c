#include "controlplane/sip/message.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_LEN_MAX 128	/* no header name we know is near */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* RFC 3261 §25.1 */
static bool
is_token(uint8_t c)
{
	return isalnum(c) || (c != 0 && strchr("-.!%*_+`'~", c) != NULL);
}

/* ---- framing ---- */

/* Where the header block ends: behind the first empty line, CRLF or bare LF. 0: not there yet. */
static size_t
head_end(struct span bytes, size_t from)
{
	size_t at = from;

	while (at < bytes.len) {
		const uint8_t *lf = memchr(bytes.bytes + at, '\n', bytes.len - at);
		size_t next;

		if (lf == NULL)
			return 0;
		next = (size_t)(lf - bytes.bytes) + 1;
		if (next < bytes.len && bytes.bytes[next] == '\n')
			return next + 1;
		if (next + 1 < bytes.len && bytes.bytes[next] == '\r' && bytes.bytes[next + 1] == '\n')
			return next + 2;
		at = next;
	}
	return 0;
}

/* What becomes a blank in a value: text_put(). Folds above all. */
static bool
is_space(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* A Content-Length value: digits only. SIZE_MAX: no number; numbers that no buffer holds come back as SIZE_MAX - 1. */
static size_t
length_of(struct span value)
{
	size_t n = 0;

	while (value.len != 0 && is_space(value.bytes[0])) {
		value.bytes++;
		value.len--;
	}
	while (value.len != 0 && is_space(value.bytes[value.len - 1]))
		value.len--;
	if (value.len == 0)
		return SIZE_MAX;
	for (size_t i = 0; i < value.len; i++) {
		if (!isdigit(value.bytes[i]))
			return SIZE_MAX;
		if (n < UINT32_MAX)
			n = n * 10 + (size_t)(value.bytes[i] - '0');
	}
	return n < UINT32_MAX ? n : SIZE_MAX - 1;
}

static bool
name_is(struct span name, const char *text)
{
	return name.len == strlen(text) && strncasecmp((const char *)name.bytes, text, name.len) == 0;
}

/* "Name : value" of one line; false when it has no colon or no name. */
static bool
line_split(struct span line, struct span *name, struct span *value)
{
	const uint8_t *colon = line.len == 0 ? NULL : memchr(line.bytes, ':', line.len);
	size_t len;

	if (colon == NULL)
		return false;
	len = (size_t)(colon - line.bytes);
	*value = span_of(colon + 1, line.len - len - 1);
	while (len != 0 && is_blank(line.bytes[len - 1]))
		len--;
	*name = span_of(line.bytes, len);
	return len != 0;
}

/* The next line of a header block, without its line end; folded lines stay together. */
static struct span
line_next(struct reader *r)
{
	const uint8_t *start = r->at;
	const uint8_t *end;

	for (;;) {
		const uint8_t *lf = memchr(r->at, '\n', (size_t)(r->end - r->at));

		end = lf == NULL ? r->end : lf;
		r->at = lf == NULL ? r->end : lf + 1;
		if (r->at == r->end || !is_blank(*r->at) || end == start)
			break;
		if (end == start + 1 && *start == '\r')
			break;	/* the empty line ends the block, whatever follows */
	}
	while (end > start && end[-1] == '\r')
		end--;
	return span_of(start, (size_t)(end - start));
}

/* Body length that a header block announces. SIZE_MAX: none, contradictory or no number. */
static size_t
announced_length(struct span head)
{
	struct reader r = reader_of(head);
	size_t found = SIZE_MAX;

	line_next(&r);
	while (reader_left(&r) != 0) {
		struct span line = line_next(&r), name, value;
		size_t n;

		if (line.len == 0)
			break;
		if (!line_split(line, &name, &value))
			continue;
		if (!name_is(name, "Content-Length") && !name_is(name, "l"))
			continue;
		n = length_of(value);
		if (n == SIZE_MAX || (found != SIZE_MAX && found != n))
			return SIZE_MAX;
		found = n;
	}
	return found;
}

enum message_framing
message_frame(struct message_framer *f, struct span bytes, size_t message_bytes_max)
{
	if (f->head_len == 0) {
		size_t body;

		/* an empty line spans at most three bytes that were seen before: LF CR LF */
		f->head_len = head_end(bytes, f->scanned > 3 ? f->scanned - 3 : 0);
		f->scanned = bytes.len;
		if (f->head_len == 0)
			return bytes.len > MESSAGE_HEADER_BYTES_MAX || bytes.len > message_bytes_max ?
			               MESSAGE_TOO_LARGE : MESSAGE_PARTIAL;
		if (f->head_len > MESSAGE_HEADER_BYTES_MAX)
			return MESSAGE_TOO_LARGE;
		body = announced_length(span_of(bytes.bytes, f->head_len));
		if (body == SIZE_MAX)
			return MESSAGE_UNFRAMED;
		f->len = body > SIZE_MAX / 2 ? SIZE_MAX : f->head_len + body;
	}
	if (f->len > message_bytes_max)
		return MESSAGE_TOO_LARGE;
	return bytes.len >= f->len ? MESSAGE_WHOLE : MESSAGE_PARTIAL;
}

/* ---- header lines ---- */

/* RFC 3261 §7.3.3 and the registry of compact forms */
static const struct {
	char compact;
	const char *name;
} compact_names[] = {
	{ 'i', "Call-ID" },        { 'm', "Contact" },     { 'e', "Content-Encoding" }, { 'l', "Content-Length" },
	{ 'c', "Content-Type" },   { 'f', "From" },        { 's', "Subject" },          { 'k', "Supported" },
	{ 't', "To" },             { 'v', "Via" },         { 'x', "Session-Expires" },  { 'o', "Event" },
	{ 'r', "Refer-To" },       { 'b', "Referred-By" }, { 'u', "Allow-Events" },     { 'y', "Identity" },
	{ 'a', "Accept-Contact" }, { 'j', "Reject-Contact" }, { 'd', "Request-Disposition" },
};

static const char *
compact_name(char c)
{
	for (size_t i = 0; i < sizeof(compact_names) / sizeof(compact_names[0]); i++)
		if (compact_names[i].compact == tolower((unsigned char)c))
			return compact_names[i].name;
	return NULL;
}

static void
refuse(struct message *m, unsigned int status, const char *why)
{
	if (m->refusal != 0)
		return;		/* the first fault is the one that the peer hears of */
	m->refusal = status;
	m->why = why;
}

/* Copy a value as one line of text: folds and control characters become blanks, the ends are trimmed. */
static char *
text_put(char **at, struct span value, bool *had_nul)
{
	char *start = *at;
	char *to = start;

	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.bytes[i];

		if (c == 0 && (i == 0 || value.bytes[i - 1] != '\\'))
			*had_nul = true;	/* only as a quoted pair is it SIP (RFC 4475 §3.1.1.2) */
		if (is_space(c))
			c = ' ';
		if (c == ' ' && to == start)
			continue;
		*to++ = (char)c;
	}
	while (to > start && to[-1] == ' ')
		to--;
	*to++ = '\0';
	*at = to;
	return start;
}

static void
headers_read(struct message *m, struct reader *r, char **at)
{
	bool had_nul = false;

	while (reader_left(r) != 0) {
		struct span line = line_next(r), name, value;
		struct message_header *h = &m->headers[m->n_headers];

		if (line.len == 0)
			break;
		if (!line_split(line, &name, &value) || name.len > NAME_LEN_MAX) {
			refuse(m, 400, "a header line has no name");
			continue;
		}
		if (m->n_headers == MESSAGE_HEADERS_MAX) {
			refuse(m, 400, "more header lines than are accepted");
			break;
		}
		for (size_t i = 0; i < name.len; i++)
			if (!is_token(name.bytes[i]))
				refuse(m, 400, "a header name is no token");
		h->name = name.len == 1 ? compact_name((char)name.bytes[0]) : NULL;
		if (h->name == NULL)
			h->name = text_put(at, name, &had_nul);
		h->value = text_put(at, value, &had_nul);
		m->n_headers++;
	}
	if (had_nul)
		refuse(m, 400, "a header value holds a NUL octet");
}

const char *
message_value(const struct message *m, const char *name)
{
	for (unsigned int i = 0; i < m->n_headers; i++)
		if (strcasecmp(m->headers[i].name, name) == 0)
			return m->headers[i].value;
	return "";
}

bool
message_has(const struct message *m, const char *name)
{
	for (unsigned int i = 0; i < m->n_headers; i++)
		if (strcasecmp(m->headers[i].name, name) == 0)
			return true;
	return false;
}

static unsigned int
n_lines(const struct message *m, const char *name)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->n_headers; i++)
		n += strcasecmp(m->headers[i].name, name) == 0;
	return n;
}

bool
message_element_next(const char **at, struct span *element)
{
	const char *p = *at;
	const char *start, *end;
	bool quoted = false, angled = false;

	while (*p == ' ' || *p == ',')
		p++;
	start = p;
	for (; *p != '\0'; p++) {
		if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (!quoted && *p == '<')
			angled = true;
		else if (!quoted && *p == '>')
			angled = false;
		else if (!quoted && !angled && *p == ',')
			break;
	}
	end = p;
	while (end > start && end[-1] == ' ')
		end--;
	*at = p;
	*element = span_of(start, (size_t)(end - start));
	return end > start;
}

bool
message_lists(const struct message *m, const char *name, const char *token)
{
	for (unsigned int i = 0; i < m->n_headers; i++) {
		const char *at = m->headers[i].value;
		struct span element;

		if (strcasecmp(m->headers[i].name, name) != 0)
			continue;
		while (message_element_next(&at, &element))
			if (name_is(element, token))
				return true;
	}
	return false;
}

/* Parameters stand behind semicolons, in the URI behind its host part and behind the closing bracket. */
bool
message_contact_has(const char *contact, const char *parameter)
{
	bool quoted = false;
	const char *p = contact;
	const char *open = NULL;

	for (; *p != '\0'; p++) {
		size_t len = strlen(parameter);

		if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (*p == '<')
			open = p;
		else if (*p == '>')
			open = NULL;
		else if (*p == ',' && open == NULL)
			return false;	/* the first Contact alone is the peer */
		if (*p != ';' || quoted)
			continue;
		if (open != NULL && strchr(p, '@') != NULL && strchr(p, '@') < p + strcspn(p, ">\""))
			continue;	/* still in the user part */
		p += 1 + strspn(p + 1, " ");
		if (strncasecmp(p, parameter, len) == 0 && strchr("=;>, ", p[len]) != NULL)
			return true;
		p--;
	}
	return false;
}

/* ---- what transactions and dialogs are made of ---- */

static const char *
tag_of(osip_from_t *address)
{
	osip_generic_param_t *tag = NULL;

	osip_from_param_get_byname(address, (char[]){ "tag" }, &tag);
	return tag == NULL || tag->gvalue == NULL ? "" : tag->gvalue;
}

/* From and To. A missing URI makes the header useless to a dialog, and osip accepts that. */
static osip_from_t *
address_parse(struct message *m, const char *name, const char *why)
{
	osip_from_t *address = NULL;

	if (n_lines(m, name) != 1 || osip_from_init(&address) != OSIP_SUCCESS) {
		refuse(m, 400, why);
		return NULL;
	}
	if (osip_from_parse(address, message_value(m, name)) != OSIP_SUCCESS || address->url == NULL) {
		osip_from_free(address);
		refuse(m, 400, why);
		return NULL;
	}
	return address;
}

static bool
via_parse(struct message *m, const char *text)
{
	if (m->via != NULL)
		osip_via_free(m->via);
	m->via = NULL;
	return osip_via_init(&m->via) == OSIP_SUCCESS && osip_via_parse(m->via, text) == OSIP_SUCCESS &&
	       m->via->host != NULL && m->via->protocol != NULL;
}

/* The topmost Via says where the response goes and names the transaction: without it nothing can be answered. */
static enum srs_err
via_read(struct message *m)
{
	const char *at = message_value(m, "Via");
	osip_generic_param_t *branch = NULL;
	struct span top;
	char *copy;
	bool readable;

	if (!message_element_next(&at, &top))
		return SRS_ERR_INVALID;
	copy = strndup((const char *)top.bytes, top.len);
	if (copy == NULL)
		return SRS_ERR_NOMEM;
	readable = via_parse(m, copy);
	if (!readable) {	/* sent-by alone is enough to say so */
		size_t len = strcspn(copy, ";");

		while (len != 0 && copy[len - 1] == ' ')
			len--;	/* osip looks behind the end of a value that ends in "/ " */
		copy[len] = '\0';
		refuse(m, 400, "the parameters of the topmost Via are unreadable");
		readable = via_parse(m, copy);
	}
	free(copy);
	if (!readable)
		return SRS_ERR_INVALID;
	m->via_rest = *at == ',' ? at + 1 + strspn(at + 1, " ") : NULL;
	osip_via_param_get_byname(m->via, (char[]){ "branch" }, &branch);
	m->branch = branch == NULL || branch->gvalue == NULL ? "" : branch->gvalue;
	return SRS_OK;
}

/* "number method": below 2^31 by RFC 3261 §8.1.1.5 */
static bool
cseq_read(struct message *m)
{
	const char *value = message_value(m, "CSeq");
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*value))
		return false;
	n = strtoul(value, &end, 10);
	if (n > INT32_MAX || *end != ' ')
		return false;
	m->cseq = (uint32_t)n;
	m->cseq_method = end + strspn(end, " ");
	return *m->cseq_method != '\0';
}

static bool
text_is_token(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!is_token((uint8_t)*text))
			return false;
	return true;
}

/* A host that is made of hexadecimal digits and two or more colons (RFC 5118 §4.2). */
static bool
host_is_bare_ipv6(const char *uri)
{
	const char *host = strrchr(uri, '@') != NULL ? strrchr(uri, '@') : strchr(uri, ':');
	unsigned int n_colons = 0;

	if (host == NULL || (strncasecmp(uri, "sip:", 4) != 0 && strncasecmp(uri, "sips:", 5) != 0))
		return false;
	for (host++; *host != '\0' && *host != ';' && *host != '?'; host++) {
		n_colons += *host == ':';
		if (*host != ':' && *host != '.' && !isxdigit((unsigned char)*host))
			return false;
	}
	return n_colons >= 2;
}

/* "METHOD uri SIP/2.0", single blanks only (RFC 3261 §7.1). False: not even the shape of a request. */
static bool
request_line_read(struct message *m, char *line)
{
	char *uri = strchr(line, ' ');
	char *version = strrchr(line, ' ');

	if (uri == NULL || version == uri)
		return false;
	*uri++ = '\0';
	*version++ = '\0';
	m->method = line;
	m->uri = uri;
	if (strncasecmp(version, "SIP/", 4) != 0)
		return false;
	if (strcasecmp(version, "SIP/2.0") != 0)
		refuse(m, 505, "SIP/2.0 is the only version spoken here");
	if (!text_is_token(m->method))
		refuse(m, 400, "the method is no token");
	if (strpbrk(uri, " <>\"") != NULL || *uri == '\0')
		refuse(m, 400, "the Request-URI holds blanks, quotes or angle brackets");
	else if (host_is_bare_ipv6(uri))
		refuse(m, 400, "an IPv6 address in the Request-URI needs brackets");
	return true;
}

static bool
status_line_read(struct message *m, char *line)
{
	const char *at = line + strlen("SIP/2.0 ");

	for (int i = 0; i < 3; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	m->status = (unsigned int)((at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0'));
	return m->status >= 100 && m->status <= 699 && (at[3] == ' ' || at[3] == '\0');
}

/* The octets behind the header block, as Content-Length cuts them. */
static void
body_read(struct message *m, struct span rest, bool datagram)
{
	size_t n = SIZE_MAX;

	for (unsigned int i = 0; i < m->n_headers; i++) {
		size_t here;

		if (strcasecmp(m->headers[i].name, "Content-Length") != 0)
			continue;
		here = length_of(span_of_text(m->headers[i].value));
		if (here == SIZE_MAX || (n != SIZE_MAX && n != here)) {
			refuse(m, 400, "Content-Length is no number, or stands there twice");
			return;
		}
		n = here;
	}
	if (n == SIZE_MAX && datagram)
		n = rest.len;
	if (n == SIZE_MAX) {
		refuse(m, 400, "Content-Length is missing; a stream is framed by nothing else");
		return;
	}
	if (n > rest.len) {
		refuse(m, 400, "Content-Length is larger than what arrived");
		n = rest.len;
	}
	m->body = span_of(rest.bytes, n);
}

static enum srs_err
values_read(struct message *m)
{
	enum srs_err err = via_read(m);

	if (err)
		return err;
	m->call_id = message_value(m, "Call-ID");
	if (!cseq_read(m) || m->call_id[0] == '\0' || message_value(m, "From")[0] == '\0' ||
	    message_value(m, "To")[0] == '\0') {
		if (m->status != 0)
			return SRS_ERR_INVALID;
		if (m->cseq_method[0] == '\0')
			m->cseq_method = m->method;
		refuse(m, 400, "From, To, Call-ID and CSeq must stand there and be readable");	/* RFC 4475 §3.3.1 */
	}
	if (n_lines(m, "Call-ID") != 1 || n_lines(m, "CSeq") != 1)
		refuse(m, 400, "Call-ID and CSeq must stand there once");
	if (m->status == 0 && strcmp(m->cseq_method, m->method) != 0)
		refuse(m, 400, "CSeq names another method than the request line");
	m->from = address_parse(m, "From", "From is unreadable or stands there twice");
	m->to = address_parse(m, "To", "To is unreadable or stands there twice");
	m->from_tag = m->from == NULL ? "" : tag_of(m->from);
	m->to_tag = m->to == NULL ? "" : tag_of(m->to);
	return SRS_OK;
}

enum srs_err
message_parse(struct message *m, struct span bytes, bool datagram)
{
	struct reader r;
	struct span first;
	size_t end;
	char *line, *at;
	bool had_nul = false;
	enum srs_err err;

	*m = (struct message){ .method = "", .uri = "", .call_id = "", .from_tag = "", .to_tag = "",
		               .cseq_method = "", .branch = "" };
	while (bytes.len != 0 && (*bytes.bytes == '\r' || *bytes.bytes == '\n'))
		bytes = span_of(bytes.bytes + 1, bytes.len - 1);
	if (bytes.len == 0)
		return SRS_ERR_INVALID;
	end = head_end(bytes, 0);
	if (end == 0) {
		end = bytes.len;
		refuse(m, 400, "the header block does not end with an empty line");
	}
	if (end > MESSAGE_HEADER_BYTES_MAX)
		return SRS_ERR_LIMIT;
	m->text = malloc(end + 16);	/* each line loses at least its LF and colon, and gains two NULs */
	if (m->text == NULL)
		return SRS_ERR_NOMEM;
	at = m->text;
	r = reader_of(span_of(bytes.bytes, end));
	first = line_next(&r);
	line = text_put(&at, first, &had_nul);
	if (strncasecmp(line, "SIP/2.0 ", 8) == 0) {
		if (!status_line_read(m, line))
			return SRS_ERR_INVALID;
	} else {
		/* blanks around the request line are faults (RFC 4475 §3.1.2.8-10), and text_put trimmed them */
		if (first.len != 0 && (is_blank(first.bytes[0]) || is_blank(first.bytes[first.len - 1])))
			refuse(m, 400, "blanks around the request line");
		if (!request_line_read(m, line))
			return SRS_ERR_INVALID;
	}
	headers_read(m, &r, &at);
	err = values_read(m);
	if (err)
		return err;
	if (m->status != 0)
		m->method = m->cseq_method;
	body_read(m, span_of(bytes.bytes + end, bytes.len - end), datagram);
	return m->status != 0 && m->refusal != 0 ? SRS_ERR_INVALID : SRS_OK;
}

void
message_release(struct message *m)
{
	if (m->via != NULL)
		osip_via_free(m->via);
	if (m->from != NULL)
		osip_from_free(m->from);
	if (m->to != NULL)
		osip_to_free(m->to);
	free(m->text);
	m->via = NULL;
	m->from = NULL;
	m->to = NULL;
	m->text = NULL;
}
