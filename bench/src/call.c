#include "call.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define T1_MS        500
#define T2_MS        4000
#define TIMEOUT_MS   (64 * T1_MS)
#define REPORT_MS    5000
#define BOUNDARY     "capstan-src-boundary"

/* ---- text ---- */

struct text {
	char *bytes;
	size_t len, room;
	bool cut;
};

static void __attribute__((format(printf, 2, 3)))
text_add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->bytes + t->len, t->room - t->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->room - t->len)
		t->cut = true;
	else
		t->len += (size_t)n;
}

bool
call_header(const char *message, const char *name, const char *compact, char *out, size_t out_len)
{
	const char *line = strstr(message, "\r\n");

	while (line != NULL && strncmp(line, "\r\n\r\n", 4) != 0) {
		const char *end, *colon;
		size_t name_len;

		line += 2;
		end = strstr(line, "\r\n");
		if (end == NULL)
			return false;
		colon = memchr(line, ':', (size_t)(end - line));
		if (colon != NULL) {
			name_len = (size_t)(colon - line);
			while (name_len > 0 && isspace((unsigned char)line[name_len - 1]))
				name_len--;
			if ((name_len == strlen(name) && strncasecmp(line, name, name_len) == 0) ||
			    (compact != NULL && name_len == strlen(compact) &&
			     strncasecmp(line, compact, name_len) == 0)) {
				for (colon++; colon < end && isspace((unsigned char)*colon); colon++)
					;
				snprintf(out, out_len, "%.*s", (int)(end - colon), colon);
				return true;
			}
		}
		line = end;
	}
	return false;
}

static void
random_text(uint32_t *seed, char *out, size_t len)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i + 1 < len; i++)
		out[i] = digits[(unsigned int)(media_random(seed) * 36.0)];
	out[len - 1] = '\0';
}

/* A UUID in base64 (RFC 7865 §6.10): 22 digits and "==". */
static void
random_id(uint32_t *seed, char out[32])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int i = 0; i < 21; i++)
		out[i] = digits[(unsigned int)(media_random(seed) * 64.0)];
	out[21] = "AQgw"[(unsigned int)(media_random(seed) * 4.0)]; /* the last digit carries two bits */
	memcpy(out + 22, "==", 3);
}

static void __attribute__((format(printf, 2, 3)))
call_fail(struct call *c, const char *format, ...)
{
	va_list args;

	if (c->failure[0] != '\0')
		return; /* the first reason counts */
	va_start(args, format);
	vsnprintf(c->failure, sizeof(c->failure), format, args);
	va_end(args);
}

/* ---- bodies ---- */

static const char *
ip_family(const struct call_plan *p)
{
	return p->local.ss_family == AF_INET6 ? "IP6" : "IP4";
}

static void
write_offer(const struct call *c, struct text *t, const char *direction)
{
	const struct call_plan *p = c->plan;

	text_add(t,
	         "v=0\r\no=capstan-src %u %u IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", 1000u, c->sdp_version,
	         ip_family(p), p->local_ip, ip_family(p), p->local_ip);
	for (unsigned int i = 0; i < c->n_streams; i++) {
		enum media_codec codec = c->streams[i].source->codec;

		text_add(t,
		         "m=audio %u RTP/AVP %d\r\na=rtpmap:%d %s/8000\r\na=ptime:%d\r\na=label:%u\r\na=%s\r\n",
		         c->local_ports[i], codec == MEDIA_PCMU ? 0 : 8, codec == MEDIA_PCMU ? 0 : 8,
		         codec == MEDIA_PCMU ? "PCMU" : "PCMA", MEDIA_FRAME_MS, i + 1, direction);
		if (p->rtcp_mux)
			text_add(t, "a=rtcp-mux\r\n");
	}
}

/* The value of a {{name}} in a template: "" for one that does not exist. {{participant_id_1}}, {{stream_id_1}} and
 * {{label_1}} count from 1. */
static const char *
template_value(const struct call *c, const char *name, size_t len, char *room, size_t room_len)
{
	char key[48];
	char *number;
	unsigned int i = 0;

	snprintf(key, sizeof(key), "%.*s", (int)len, name);
	if (strcmp(key, "session_id") == 0)
		return c->session_id;
	if (strcmp(key, "call_id") == 0)
		return c->id;
	number = strrchr(key, '_');
	if (number != NULL)
		i = (unsigned int)atoi(number + 1);
	if (i < 1 || i > CALL_STREAMS_MAX)
		return "";
	*number = '\0';
	if (strcmp(key, "participant_id") == 0)
		return c->participant_ids[i - 1];
	if (strcmp(key, "stream_id") == 0)
		return c->stream_ids[i - 1];
	if (strcmp(key, "label") == 0) {
		snprintf(room, room_len, "%u", i);
		return room;
	}
	return "";
}

static void
write_template(const struct call *c, struct text *t)
{
	const char *at = c->plan->metadata;

	for (;;) {
		const char *open = strstr(at, "{{");
		const char *close = open != NULL ? strstr(open, "}}") : NULL;
		char room[16];

		if (close == NULL)
			break;
		text_add(t, "%.*s%s", (int)(open - at), at,
		         template_value(c, open + 2, (size_t)(close - open - 2), room, sizeof(room)));
		at = close + 2;
	}
	text_add(t, "%s", at);
}

static void
write_metadata(const struct call *c, struct text *t)
{
	const struct call_plan *p = c->plan;
	static const char *const names[] = { "Alice", "Bob", "Carol", "Dave", "Erin", "Frank", "Grace", "Heidi" };

	if (strcmp(p->metadata, "") != 0) {
		write_template(c, t);
		return;
	}
	text_add(t,
	         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
	         "<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">\r\n<datamode>complete</datamode>\r\n"
	         "<session session_id=\"%s\"/>\r\n",
	         c->session_id);
	for (unsigned int i = 0; i < p->n_participants; i++)
		text_add(t,
		         "<participant participant_id=\"%s\"><nameID aor=\"sip:%s@example.com\">"
		         "<name xml:lang=\"en\">%s</name></nameID></participant>\r\n",
		         c->participant_ids[i], names[i], names[i]);
	for (unsigned int i = 0; i < c->n_streams; i++)
		text_add(t, "<stream stream_id=\"%s\" session_id=\"%s\"><label>%u</label></stream>\r\n",
		         c->stream_ids[i], c->session_id, i + 1);
	for (unsigned int i = 0; i < p->n_participants; i++)
		text_add(t,
		         "<participantsessionassoc participant_id=\"%s\" session_id=\"%s\"/>\r\n"
		         "<participantstreamassoc participant_id=\"%s\"><send>%s</send></participantstreamassoc>\r\n",
		         c->participant_ids[i], c->session_id, c->participant_ids[i],
		         c->stream_ids[p->mixed ? 0 : i]);
	text_add(t, "</recording>\r\n");
}

/* ---- requests ---- */

static void
send_text(struct call *c, const struct text *t)
{
	if (t->cut)
		call_fail(c, "message over %d bytes: shorten the metadata", CALL_MESSAGE_MAX);
	else if (!c->plan->transmit(t->bytes, t->len))
		call_fail(c, "cannot send to the server");
	if (c->plan->verbose)
		fprintf(stderr, ">>> %.*s\n", (int)t->len, t->bytes);
}

static void
write_head(struct call *c, struct text *t, const char *method, unsigned int cseq, const char *branch)
{
	const struct call_plan *p = c->plan;
	bool v6 = p->local.ss_family == AF_INET6;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

	text_add(t,
	         "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s%s%s:%u;branch=%s;rport\r\nMax-Forwards: 70\r\n"
	         "From: <sip:src@%s%s%s>;tag=%s\r\nTo: <sip:srs@%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
	         "User-Agent: capstan-src\r\n",
	         method, c->target, p->tcp ? "TCP" : "UDP", open, p->local_ip, close, p->local_port, branch, open,
	         p->local_ip, close, c->from_tag, p->server, c->to_tag[0] ? ";tag=" : "", c->to_tag, c->id, cseq,
	         method);
	if (strcmp(method, "ACK") != 0 && strcmp(method, "CANCEL") != 0)
		text_add(t, "Contact: <sip:src@%s%s%s:%u%s>;+sip.src\r\n", open, p->local_ip, close, p->local_port,
		         p->tcp ? ";transport=tcp" : "");
}

static void
new_branch(struct call *c)
{
	char tail[20];

	random_text(c->plan->seed, tail, sizeof(tail));
	snprintf(c->branch, sizeof(c->branch), "z9hG4bK-%s", tail);
}

static void
keep_pending(struct call *c, const struct text *t, uint64_t now_ms)
{
	free(c->pending);
	c->pending = malloc(t->len + 1);
	if (c->pending == NULL) {
		call_fail(c, "no memory");
		return;
	}
	memcpy(c->pending, t->bytes, t->len);
	c->pending_len = t->len;
	c->interval_ms = T1_MS;
	c->retransmit_ms = now_ms + T1_MS;
	c->give_up_ms = now_ms + TIMEOUT_MS;
}

static void
request_done(struct call *c)
{
	free(c->pending);
	c->pending = NULL;
}

static void
send_invite(struct call *c, const char *direction, uint64_t now_ms)
{
	static char body_room[CALL_MESSAGE_MAX], room[CALL_MESSAGE_MAX];
	struct text body = { .bytes = body_room, .room = sizeof(body_room) };
	struct text t = { .bytes = room, .room = sizeof(room) };
	bool multipart = c->plan->metadata != NULL;

	if (multipart)
		text_add(&body, "--" BOUNDARY "\r\nContent-Type: application/sdp\r\n\r\n");
	write_offer(c, &body, direction);
	if (multipart) {
		text_add(&body, "\r\n--" BOUNDARY "\r\nContent-Type: application/rs-metadata+xml\r\n"
		                "Content-Disposition: recording-session\r\n\r\n");
		write_metadata(c, &body);
		text_add(&body, "\r\n--" BOUNDARY "--\r\n");
	}
	t.cut = body.cut;
	new_branch(c);
	c->cseq++;
	c->acknowledged = false;
	write_head(c, &t, "INVITE", c->cseq, c->branch);
	text_add(&t, "Require: siprec\r\nSupported: siprec\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
	             "Accept: application/sdp, application/rs-metadata-request\r\nContent-Type: %s\r\n"
	             "Content-Length: %zu\r\n\r\n%s",
	         multipart ? "multipart/mixed;boundary=\"" BOUNDARY "\"" : "application/sdp", body.len, body.bytes);
	send_text(c, &t);
	keep_pending(c, &t, now_ms);
}

static void
send_simple(struct call *c, const char *method, unsigned int cseq, const char *branch, bool keep, uint64_t now_ms)
{
	char room[2048];
	struct text t = { .bytes = room, .room = sizeof(room) };

	write_head(c, &t, method, cseq, branch);
	text_add(&t, "Content-Length: 0\r\n\r\n");
	send_text(c, &t);
	if (keep)
		keep_pending(c, &t, now_ms);
}

/* ACK: a transaction of its own for 2xx, the INVITE's branch for a refusal (RFC 3261 §13.2.2.4, §17.1.1.3). */
static void
send_ack(struct call *c, bool success)
{
	if (success)
		new_branch(c);
	send_simple(c, "ACK", c->cseq, c->branch, false, 0);
}

/* ---- life ---- */

static bool
open_media(struct call *c, unsigned int i)
{
	struct sockaddr_storage local = c->plan->local;
	socklen_t len = local.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(local.ss_family, SOCK_DGRAM, 0);

	if (local.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&local)->sin6_port = 0;
	else
		((struct sockaddr_in *)&local)->sin_port = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&local, &len) != 0) {
		call_fail(c, "no media socket: raise the limit with ulimit -n");
		if (fd >= 0)
			close(fd);
		return false;
	}
	c->streams[i].fd = fd;
	c->local_ports[i] = ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&local)->sin6_port
	                                                       : ((struct sockaddr_in *)&local)->sin_port);
	return true;
}

bool
call_start(struct call *c, const struct call_plan *plan, unsigned int number, uint64_t now_ms)
{
	uint32_t *seed = plan->seed;
	char tail[20];

	memset(c, 0, sizeof(*c));
	c->plan = plan;
	c->n_streams = plan->mixed ? 1 : plan->n_participants;
	random_text(seed, tail, sizeof(tail));
	snprintf(c->id, sizeof(c->id), "%u-%s", number, tail);
	random_text(seed, c->from_tag, 12);
	random_id(seed, c->session_id);
	snprintf(c->target, sizeof(c->target), "sip:srs@%s%s", plan->server, plan->tcp ? ";transport=tcp" : "");
	for (unsigned int i = 0; i < plan->n_participants; i++)
		random_id(seed, c->participant_ids[i]);
	for (unsigned int i = 0; i < c->n_streams; i++)
		c->streams[i].fd = -1;
	for (unsigned int i = 0; i < c->n_streams; i++) {
		struct media_stream *m = &c->streams[i];

		random_id(seed, c->stream_ids[i]);
		m->source = plan->sources[i % plan->n_sources];
		m->faults = &plan->faults;
		m->seed = seed;
		m->ssrc = (uint32_t)(media_random(seed) * 4294967295.0);
		m->seq = (uint16_t)(media_random(seed) * 65535.0);
		m->timestamp = m->first_timestamp = (uint32_t)(media_random(seed) * 4294967295.0);
		if (!open_media(c, i)) {
			c->state = CALL_DONE;
			return false;
		}
	}
	c->sdp_version = 1;
	c->invited_ms = now_ms;
	c->state = CALL_INVITING;
	send_invite(c, "sendonly", now_ms);
	return c->failure[0] == '\0';
}

/* ---- the answer ---- */

/* Point stream i's socket at the answered address, and check what an SRS may answer (RFC 7866 §7.2, RFC 3264 §6). */
static void
connect_stream(struct call *c, unsigned int i, const char *ip, unsigned int port)
{
	struct sockaddr_storage to;
	socklen_t len;

	memset(&to, 0, sizeof(to));
	if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)&to)->sin_addr) == 1) {
		to.ss_family = AF_INET;
		((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
		len = sizeof(struct sockaddr_in);
	} else if (inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)&to)->sin6_addr) == 1) {
		to.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)port);
		len = sizeof(struct sockaddr_in6);
	} else {
		call_fail(c, "answer: c= holds no address: %s", ip);
		return;
	}
	if (connect(c->streams[i].fd, (struct sockaddr *)&to, len) != 0)
		call_fail(c, "no route to the media address %s: is this host the one the recorder's tap is on?", ip);
}

static void
check_media_line(struct call *c, unsigned int i, bool direction_ok, bool label_ok, bool inactive)
{
	if (!direction_ok)
		call_fail(c, "answer: m-line %u is not recvonly or inactive", i + 1);
	else if (inactive != (c->held && !c->resumed))
		call_fail(c, "answer: m-line %u is %s", i + 1, inactive ? "inactive" : "not inactive while held");
	else if (!label_ok)
		call_fail(c, "answer: m-line %u does not echo a=label:%u", i + 1, i + 1);
}

static void
read_answer(struct call *c, const char *message)
{
	const char *line = strstr(message, "\r\n\r\n");
	char ip[64] = "", media_ip[64] = "";
	unsigned int n = 0, port = 0;
	bool direction_ok = false, label_ok = false, inactive = false;

	for (line = line != NULL ? line + 4 : ""; *line != '\0';) {
		const char *end = strstr(line, "\r\n");
		char value[CALL_TEXT_MAX];

		snprintf(value, sizeof(value), "%.*s", end != NULL ? (int)(end - line) : (int)strlen(line), line);
		if (strncmp(value, "c=IN IP", 7) == 0 && strlen(value) > 9)
			snprintf(n == 0 ? ip : media_ip, 64, "%.63s", value + 9);
		if (strncmp(value, "m=", 2) == 0) {
			if (n > 0 && n <= c->n_streams) {
				check_media_line(c, n - 1, direction_ok, label_ok, inactive);
				connect_stream(c, n - 1, media_ip[0] ? media_ip : ip, port);
			}
			n++;
			port = (unsigned int)atoi(strchr(value, ' ') != NULL ? strchr(value, ' ') + 1 : "0");
			direction_ok = label_ok = inactive = false;
			media_ip[0] = '\0';
			if (port == 0)
				call_fail(c, "answer: m-line %u is refused (port 0)", n);
		}
		if (strcmp(value, "a=recvonly") == 0)
			direction_ok = true;
		if (strcmp(value, "a=inactive") == 0)
			direction_ok = inactive = true;
		if (strncmp(value, "a=label:", 8) == 0)
			label_ok = (unsigned int)atoi(value + 8) == n;
		line = end != NULL ? end + 2 : "";
	}
	if (n != c->n_streams) {
		call_fail(c, "answer: %u m-lines for %u offered", n, c->n_streams);
	} else if (n > 0) {
		check_media_line(c, n - 1, direction_ok, label_ok, inactive);
		connect_stream(c, n - 1, media_ip[0] ? media_ip : ip, port);
	}
}

static void
check_headers(struct call *c, const char *message)
{
	char value[CALL_TEXT_MAX];

	if (!call_header(message, "Contact", "m", value, sizeof(value)) || strstr(value, "+sip.srs") == NULL)
		call_fail(c, "200 without +sip.srs in Contact (RFC 7866 6.2)");
	if (!call_header(message, "Content-Type", "c", value, sizeof(value)) ||
	    strncasecmp(value, "application/sdp", 15) != 0)
		call_fail(c, "200 with Content-Type %s", value);
}

static void
take_tag(struct call *c, const char *message)
{
	char value[CALL_TEXT_MAX];
	char *tag;

	if (call_header(message, "To", "t", value, sizeof(value)) && (tag = strstr(value, ";tag=")) != NULL)
		snprintf(c->to_tag, sizeof(c->to_tag), "%.*s", (int)strcspn(tag + 5, "; \t"), tag + 5);
}

static void
take_dialog(struct call *c, const char *message)
{
	char value[CALL_TEXT_MAX];
	char *open, *close;

	take_tag(c, message);
	if (call_header(message, "Contact", "m", value, sizeof(value)) && (open = strchr(value, '<')) != NULL &&
	    (close = strchr(open, '>')) != NULL)
		snprintf(c->target, sizeof(c->target), "%.*s", (int)(close - open - 1), open + 1);
}

static void
finish(struct call *c, uint64_t now_ms)
{
	request_done(c);
	c->ended_ms = now_ms;
	c->state = CALL_DONE;
	for (unsigned int i = 0; i < c->n_streams; i++) {
		if (c->streams[i].fd >= 0)
			close(c->streams[i].fd);
		c->streams[i].fd = -1;
	}
}

static void
end_call(struct call *c, uint64_t now_ms)
{
	for (unsigned int i = 0; i < c->n_streams; i++) {
		media_stream_flush(&c->streams[i]);
		if (c->plan->rtcp)
			media_stream_bye(&c->streams[i]);
	}
	if (c->plan->no_bye) {
		finish(c, now_ms);
		return;
	}
	c->state = CALL_ENDING;
	new_branch(c);
	c->cseq++;
	send_simple(c, "BYE", c->cseq, c->branch, true, now_ms);
}

static void
on_refused(struct call *c, const char *message, unsigned int status, uint64_t now_ms)
{
	bool expected = c->plan->expect_status != 0 && status / 100 == c->plan->expect_status / 100 &&
	                (c->plan->expect_status % 100 == 0 || status == c->plan->expect_status);

	if (c->to_tag[0] == '\0')
		take_tag(c, message);
	send_ack(c, false);
	request_done(c);
	if (c->state == CALL_REINVITING) {
		call_fail(c, "re-INVITE refused with %u", status);
		end_call(c, now_ms);
		return;
	}
	if (!(expected || (c->cancelled && status == 487)))
		call_fail(c, "INVITE refused with %u", status);
	finish(c, now_ms);
}

static void
on_answered(struct call *c, const char *message, uint64_t now_ms)
{
	if (c->acknowledged) { /* a retransmitted 200: our ACK was lost */
		send_ack(c, true);
		return;
	}
	take_dialog(c, message);
	check_headers(c, message);
	read_answer(c, message);
	request_done(c);
	send_ack(c, true);
	c->acknowledged = true;
	if (c->plan->expect_status != 0)
		call_fail(c, "INVITE accepted, expected %u", c->plan->expect_status);
	if (c->state == CALL_INVITING) {
		c->answered_ms = c->started_ms = now_ms;
		c->report_ms = now_ms + 200;
	}
	if (c->failure[0] != '\0' || c->cancelled)
		end_call(c, now_ms);
	else
		c->state = CALL_TALKING;
}

static void
on_response(struct call *c, const char *message, uint64_t now_ms)
{
	unsigned int status = (unsigned int)atoi(message + 8);
	char cseq[64] = "";
	bool invite;

	call_header(message, "CSeq", NULL, cseq, sizeof(cseq));
	invite = strstr(cseq, "INVITE") != NULL;
	if (invite && status >= 200 && status < 300 && c->state != CALL_DONE &&
	    (unsigned int)atoi(cseq) == c->cseq) {
		c->final_status = status;
		on_answered(c, message, now_ms);
		return;
	}
	if ((unsigned int)atoi(cseq) != c->cseq || c->pending == NULL)
		return; /* of an older transaction */
	if (status < 200) {
		c->interval_ms = 0; /* the server has it: stop retransmitting an INVITE */
		if (c->plan->cancel && !c->cancelled && invite) {
			c->cancelled = true;
			send_simple(c, "CANCEL", c->cseq, c->branch, false, now_ms);
		}
		return;
	}
	if (invite) {
		c->final_status = status;
		on_refused(c, message, status, now_ms);
	} else if (strstr(cseq, "BYE") != NULL && c->state == CALL_ENDING) {
		if (status >= 300)
			call_fail(c, "BYE answered with %u", status);
		finish(c, now_ms);
	}
}

/* The server's own requests: BYE ends the call, anything else is answered politely. */
static void
on_request(struct call *c, const char *message, uint64_t now_ms)
{
	char room[4096], via[1024], from[512], to[512], cseq[64];
	struct text t = { .bytes = room, .room = sizeof(room) };
	bool bye = strncmp(message, "BYE ", 4) == 0;

	if (!call_header(message, "Via", "v", via, sizeof(via)) ||
	    !call_header(message, "From", "f", from, sizeof(from)) ||
	    !call_header(message, "To", "t", to, sizeof(to)) ||
	    !call_header(message, "CSeq", NULL, cseq, sizeof(cseq)) || strncmp(message, "ACK ", 4) == 0)
		return;
	text_add(&t, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
	         bye || strncmp(message, "OPTIONS ", 8) == 0 ? "200 OK" : "488 Not Acceptable Here", via, from, to,
	         c->id, cseq);
	send_text(c, &t);
	if (bye && c->state != CALL_DONE)
		finish(c, now_ms);
}

void
call_receive(struct call *c, const char *message, uint64_t now_ms)
{
	if (c->plan->verbose)
		fprintf(stderr, "<<< %s\n", message);
	if (strncmp(message, "SIP/2.0 ", 8) == 0)
		on_response(c, message, now_ms);
	else
		on_request(c, message, now_ms);
}

/* ---- time ---- */

static void
tick_pending(struct call *c, uint64_t now_ms)
{
	if (c->pending == NULL)
		return;
	if (now_ms >= c->give_up_ms) {
		call_fail(c, "no answer to %.*s within %d s", (int)strcspn(c->pending, " "), c->pending,
		          TIMEOUT_MS / 1000);
		finish(c, now_ms);
	} else if (!c->plan->tcp && c->interval_ms != 0 && now_ms >= c->retransmit_ms) {
		c->plan->transmit(c->pending, c->pending_len);
		c->interval_ms *= 2;
		if (c->interval_ms > T2_MS && strncmp(c->pending, "INVITE", 6) != 0)
			c->interval_ms = T2_MS;
		c->retransmit_ms = now_ms + c->interval_ms;
	}
}

static void
tick_hold(struct call *c, uint32_t elapsed, uint64_t now_ms)
{
	const struct call_plan *p = c->plan;

	if (p->hold_at_ms == 0 || c->state != CALL_TALKING)
		return;
	if (!c->held && elapsed >= p->hold_at_ms) {
		c->held = true;
		c->sdp_version++;
		c->state = CALL_REINVITING;
		send_invite(c, "inactive", now_ms);
	} else if (c->held && !c->resumed && elapsed >= p->hold_at_ms + p->hold_for_ms) {
		c->resumed = true;
		c->sdp_version++;
		c->state = CALL_REINVITING;
		send_invite(c, "sendonly", now_ms);
	}
}

void
call_tick(struct call *c, uint64_t now_ms)
{
	uint32_t elapsed = (uint32_t)(now_ms - c->started_ms);
	bool more = false;

	tick_pending(c, now_ms);
	if (c->state != CALL_TALKING && c->state != CALL_REINVITING)
		return;
	for (unsigned int i = 0; i < c->n_streams; i++)
		if (media_stream_tick(&c->streams[i], elapsed, c->held && !c->resumed))
			more = true;
	if (c->plan->rtcp && now_ms >= c->report_ms) {
		for (unsigned int i = 0; i < c->n_streams; i++)
			media_stream_report(&c->streams[i], c->participant_ids[i], elapsed);
		c->report_ms = now_ms + REPORT_MS;
	}
	tick_hold(c, elapsed, now_ms);
	if (c->state == CALL_TALKING &&
	    (c->plan->duration_ms != 0 ? elapsed >= c->plan->duration_ms : !more))
		end_call(c, now_ms);
}

void
call_hang_up(struct call *c, uint64_t now_ms)
{
	if (c->state == CALL_TALKING || c->state == CALL_REINVITING)
		end_call(c, now_ms);
	else if (c->state == CALL_INVITING)
		finish(c, now_ms);
}

bool
call_is_over(const struct call *c)
{
	return c->state == CALL_DONE;
}

void
call_release(struct call *c)
{
	finish(c, c->ended_ms);
}
