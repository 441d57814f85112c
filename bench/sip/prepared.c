#include "prepared.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MARK     "########"	/* stands where the call's number goes */
#define BOUNDARY "session-recording-4f1c"

struct page {
	char *bytes;
	size_t len, room;
	bool cut;
};

static void __attribute__((format(printf, 2, 3)))
page_add(struct page *p, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(p->bytes + p->len, p->room - p->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= p->room - p->len)
		p->cut = true;
	else
		p->len += (size_t)n;
}

/* Two streams with the codecs that a border controller offers. */
static void
sdp_write(struct page *p, const struct prepared_facts *f)
{
	page_add(p, "v=0\r\no=src 20518 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", f->family, f->host, f->family, f->host);
	for (unsigned int i = 0; i < 2; i++)
		page_add(p,
		         "m=audio %u RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
		         "a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
		         "a=ptime:20\r\na=rtcp-mux\r\na=label:%u\r\na=sendonly\r\n",
		         40000 + 2 * i, i + 1);
}

/* Identifiers are 16 octets in base64: eight digits of the run, eight of the call, five that tell them apart. */
#define ID(f, what) (f)->run, MARK, what
static void
metadata_write(struct page *p, const struct prepared_facts *f)
{
	static const char *const names[] = { "Alice Example", "Bob Example" };
	static const char *const words[] = { "alice", "bob" };

	page_add(p,
	         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n"
	         "  <datamode>complete</datamode>\r\n"
	         "  <group group_id=\"%s%s%sA==\"><associate-time>2026-01-01T10:00:00Z</associate-time></group>\r\n"
	         "  <session session_id=\"%s%s%sA==\"><sipSessionID>%s%s00000000ab30317f1a784dc4;remote="
	         "00000000000000000000000000000000</sipSessionID><group-ref>%s%s%sA==</group-ref>"
	         "<start-time>2026-01-01T10:00:00Z</start-time></session>\r\n",
	         ID(f, "group"), ID(f, "sessn"), f->run, MARK, ID(f, "group"));
	for (unsigned int i = 0; i < 2; i++)
		page_add(p,
		         "  <participant participant_id=\"%s%s%sA==\"><nameID aor=\"sip:%s@example.com\">"
		         "<name xml:lang=\"en\">%s</name></nameID></participant>\r\n",
		         ID(f, i == 0 ? "alice" : "bobxx"), words[i], names[i]);
	for (unsigned int i = 0; i < 2; i++)
		page_add(p,
		         "  <stream stream_id=\"%s%s%sA==\" session_id=\"%s%s%sA==\"><label>%u</label></stream>\r\n",
		         ID(f, i == 0 ? "strma" : "strmb"), ID(f, "sessn"), i + 1);
	page_add(p, "  <sessionrecordingassoc session_id=\"%s%s%sA==\"><associate-time>2026-01-01T10:00:00Z"
	            "</associate-time></sessionrecordingassoc>\r\n", ID(f, "sessn"));
	for (unsigned int i = 0; i < 2; i++)
		page_add(p,
		         "  <participantsessionassoc participant_id=\"%s%s%sA==\" session_id=\"%s%s%sA==\">"
		         "<associate-time>2026-01-01T10:00:00Z</associate-time></participantsessionassoc>\r\n"
		         "  <participantstreamassoc participant_id=\"%s%s%sA==\"><send>%s%s%sA==</send>"
		         "<recv>%s%s%sA==</recv></participantstreamassoc>\r\n",
		         ID(f, i == 0 ? "alice" : "bobxx"), ID(f, "sessn"), ID(f, i == 0 ? "alice" : "bobxx"),
		         ID(f, i == 0 ? "strma" : "strmb"), ID(f, i == 0 ? "strmb" : "strma"));
}

/* Extension elements, as makers add them, up to the size that the body is to have. */
static void
extensions_write(struct page *p, size_t end)
{
	static const char tail[] = "</v:extension>\r\n";
	unsigned int i = 1;

	while (p->len + 128 < end)
		page_add(p, "  <v:extension xmlns:v=\"urn:example:call-data\" name=\"attribute-%02u\">of the call</v:extension>\r\n",
		         i++);
	page_add(p, "  <v:extension xmlns:v=\"urn:example:call-data\">");
	while (p->len + sizeof(tail) - 1 < end)
		page_add(p, "x");
	page_add(p, tail);
}

static void
body_write(struct page *p, const struct prepared_facts *f)
{
	static const char end[] = "</recording>\r\n\r\n--" BOUNDARY "--\r\n";

	page_add(p, "--" BOUNDARY "\r\nContent-Type: application/sdp\r\n\r\n");
	sdp_write(p, f);
	page_add(p, "\r\n--" BOUNDARY "\r\nContent-Type: application/rs-metadata+xml\r\n"
	            "Content-Disposition: recording-session\r\n\r\n");
	metadata_write(p, f);
	extensions_write(p, PREPARED_BODY - (sizeof(end) - 1));
	page_add(p, end);
}

bool
prepared_invite_make(struct prepared_invite *p, const struct prepared_facts *f)
{
	static char room[PREPARED_MAX];
	struct page body = { .bytes = room, .room = sizeof(room) };
	struct page page = { .bytes = p->bytes, .room = sizeof(p->bytes) };
	bool stream = strcmp(f->transport, "UDP") != 0;

	body_write(&body, f);
	page_add(&page,
	         "INVITE sip:srs@%s%s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-i%s" MARK ";rport\r\n"
	         "Max-Forwards: 70\r\nFrom: <sip:src@%s>;tag=%s" MARK "\r\nTo: <sip:srs@%s>\r\n"
	         "Call-ID: " MARK "%s@%s\r\nCSeq: 1 INVITE\r\nContact: <sip:src@%s%s>;+sip.src\r\n"
	         "Require: siprec\r\nSupported: siprec, timer\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
	         "Accept: application/sdp, application/rs-metadata-request\r\nUser-Agent: capstan-load\r\n"
	         "Content-Type: multipart/mixed;boundary=" BOUNDARY "\r\nContent-Length: %zu\r\n\r\n%s",
	         f->server, !stream ? "" : strcmp(f->transport, "TLS") == 0 ? ";transport=tls" : ";transport=tcp",
	         f->transport, f->local, f->run, f->host, f->run, f->server, f->run, f->host, f->local,
	         !stream ? "" : strcmp(f->transport, "TLS") == 0 ? ";transport=tls" : ";transport=tcp", body.len, room);
	p->len = page.len;
	p->n_places = 0;
	for (char *at = p->bytes; (at = strstr(at, MARK)) != NULL; at += PREPARED_NUMBER) {
		if (p->n_places == PREPARED_PLACES)
			return false;
		p->places[p->n_places++] = (uint16_t)(at - p->bytes);
	}
	return !page.cut && !body.cut && body.len == PREPARED_BODY;
}

static void
number_write(uint32_t number, char out[PREPARED_NUMBER])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < PREPARED_NUMBER; i++)
		out[i] = digits[number >> (28 - 4 * i) & 15];
}

void
prepared_invite_write(const struct prepared_invite *p, uint32_t number, char *out)
{
	char text[PREPARED_NUMBER];

	number_write(number, text);
	memcpy(out, p->bytes, p->len);
	for (unsigned int i = 0; i < p->n_places; i++)
		memcpy(out + p->places[i], text, PREPARED_NUMBER);
}

size_t
prepared_request_write(const struct prepared_facts *f, const struct prepared_dialog *d, uint32_t number,
                       const char *method, char *out)
{
	bool ack = strcmp(method, "ACK") == 0;
	int n = snprintf(out, PREPARED_MAX,
	                 "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK-%c%s%08x;rport\r\nMax-Forwards: 70\r\n"
	                 "From: <sip:src@%s>;tag=%s%08x\r\nTo: <sip:srs@%s>;tag=%s\r\nCall-ID: %08x%s@%s\r\n"
	                 "CSeq: %d %s\r\nContent-Length: 0\r\n\r\n",
	                 method, d->target, f->transport, f->local, ack ? 'a' : 'b', f->run, number, f->host, f->run,
	                 number, f->server, d->tag, number, f->run, f->host, ack ? 1 : 2, method);

	return n < 0 || n >= (int)PREPARED_MAX ? 0 : (size_t)n;
}

/* ---- reading ---- */

static bool
is_line(const char *at, const char *end, const char *name, const char **value)
{
	size_t len = strlen(name);

	if ((size_t)(end - at) <= len || at[len] != ':' || strncasecmp(at, name, len) != 0)
		return false;
	for (*value = at + len + 1; *value < end && **value == ' '; (*value)++)
		;
	return true;
}

static bool
number_read(const char *at, const char *end, const char *run, uint32_t *number)
{
	*number = 0;
	if (end - at < (ptrdiff_t)(2 * PREPARED_NUMBER))
		return false;
	for (unsigned int i = 0; i < PREPARED_NUMBER; i++) {
		char c = at[i];
		uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;

		if (digit == 16)
			return false;
		*number = *number << 4 | digit;
	}
	return memcmp(at + PREPARED_NUMBER, run, PREPARED_NUMBER) == 0;
}

static void
line_read(struct prepared_response *r, const struct prepared_facts *f, const char *at, const char *end, bool *ours)
{
	const char *value, *found;

	if (is_line(at, end, "Call-ID", &value)) {
		*ours = number_read(value, end, f->run, &r->number);
	} else if (is_line(at, end, "CSeq", &value)) {
		found = memchr(value, ' ', (size_t)(end - value));
		r->to_invite = found != NULL && end - found == 7 && memcmp(found, " INVITE", 7) == 0;
		r->to_bye = found != NULL && end - found == 4 && memcmp(found, " BYE", 4) == 0;
	} else if (is_line(at, end, "To", &value)) {
		found = memmem(value, (size_t)(end - value), ";tag=", 5);
		if (found != NULL) {
			r->tag = found + 5;
			r->tag_len = (size_t)(end - r->tag);
		}
	} else if (is_line(at, end, "Contact", &value)) {
		const char *open = memchr(value, '<', (size_t)(end - value));
		const char *close = open == NULL ? NULL : memchr(open, '>', (size_t)(end - open));

		if (close != NULL) {
			r->target = open + 1;
			r->target_len = (size_t)(close - open) - 1;
		}
	} else if (is_line(at, end, "Warning", &value)) {
		r->warning = value;
		r->warning_len = (size_t)(end - value);
	}
}

bool
prepared_response_read(struct prepared_response *r, const struct prepared_facts *f, const char *message, size_t len)
{
	const char *at = message, *end = message + len;
	bool ours = false;

	memset(r, 0, sizeof(*r));
	r->warning = "";
	if (len < 12 || memcmp(message, "SIP/2.0 ", 8) != 0)
		return false;
	r->status = (unsigned int)((at[8] - '0') * 100 + (at[9] - '0') * 10 + (at[10] - '0'));
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = lf == NULL ? end : lf;

		if (line_end > at && line_end[-1] == '\r')
			line_end--;
		if (line_end == at)
			break;
		line_read(r, f, at, line_end, &ours);
		at = lf == NULL ? end : lf + 1;
	}
	return ours;
}
