#include "call.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "metadata.h"
#include "text.h"

#define T1_MS        500
#define T2_MS        4000
#define TIMEOUT_MS   (64 * T1_MS)
#define REPORT_MS    5000
#define SHAKE_MS     10000	/* a DTLS handshake with a few lost flights */
#define FORGED_REST_MS 500	/* before the end of a call */
#define FORGED_TURN  64	/* forged packets before it is another stream's turn */
#define RTCP_ROOM    2048
#define DATAGRAMS_MAX 16	/* taken from a socket at once */
#define BOUNDARY     "capstan-src-boundary"

/* ---- text ---- */

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
		         "m=audio %u %s %d\r\na=rtpmap:%d %s/8000\r\na=ptime:%d\r\na=label:%u\r\na=%s\r\n",
		         c->local_ports[i], secure_profile(&c->secures[i]), codec == MEDIA_PCMU ? 0 : 8,
		         codec == MEDIA_PCMU ? 0 : 8, codec == MEDIA_PCMU ? "PCMU" : "PCMA", MEDIA_FRAME_MS, i + 1,
		         direction);
		if (p->rtcp_mux)
			text_add(t, "a=rtcp-mux\r\n");
		else
			text_add(t, "a=rtcp:%u\r\n", c->rtcp_ports[i]);
		secure_offer(&c->secures[i], t);
	}
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
		metadata_write(c, &body);
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

/* A datagram socket on the local address. @return -1: the call failed */
static int
open_socket(struct call *c, uint16_t *port)
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
		return -1;
	}
	*port = ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&local)->sin6_port
	                                          : ((struct sockaddr_in *)&local)->sin_port);
	return fd;
}

static bool
open_media(struct call *c, unsigned int i)
{
	struct wire *w = &c->streams[i].wire;

	w->fd = open_socket(c, &c->local_ports[i]);
	w->rtcp_fd = w->fd;
	c->rtcp_ports[i] = c->local_ports[i];
	if (w->fd >= 0 && !c->plan->rtcp_mux)
		w->rtcp_fd = open_socket(c, &c->rtcp_ports[i]);
	if (w->fd < 0 || w->rtcp_fd < 0)
		return false;
	if (!c->plan->watch(w->fd, c->number, i, false) ||
	    (w->rtcp_fd != w->fd && !c->plan->watch(w->rtcp_fd, c->number, i, true)))
		call_fail(c, "cannot watch the media socket");
	if (!secure_open(&c->secures[i], &c->plan->secure, i))
		call_fail(c, "no random bytes for keys");
	if (c->secures[i].kind == SECURE_DTLS) {
		w->hello = c->plan->secure.hello;
		w->hello_len = c->plan->secure.hello_len;
	}
	return c->failure[0] == '\0';
}

bool
call_start(struct call *c, const struct call_plan *plan, unsigned int number, uint64_t now_ms)
{
	uint32_t *seed = plan->seed;
	char tail[20];

	memset(c, 0, sizeof(*c));
	c->plan = plan;
	c->number = number;
	c->n_streams = plan->mixed ? 1 : plan->n_participants;
	random_text(seed, tail, sizeof(tail));
	snprintf(c->id, sizeof(c->id), "%u-%s", number, tail);
	random_text(seed, c->from_tag, 12);
	random_id(seed, c->session_id);
	snprintf(c->target, sizeof(c->target), "sip:srs@%s%s", plan->server, plan->tcp ? ";transport=tcp" : "");
	for (unsigned int i = 0; i < plan->n_participants; i++)
		random_id(seed, c->participant_ids[i]);
	for (unsigned int i = 0; i < c->n_streams; i++) {
		random_id(seed, c->stream_ids[i]);
		media_stream_open(&c->streams[i], plan->sources[i % plan->n_sources], &plan->faults, seed, &plan->start);
	}
	for (unsigned int i = 0; i < c->n_streams; i++) {
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

static bool
connect_socket(int fd, const char *ip, unsigned int port)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(struct sockaddr_in);

	memset(&to, 0, sizeof(to));
	if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)&to)->sin_addr) == 1) {
		to.ss_family = AF_INET;
		((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)&to)->sin6_addr) == 1) {
		to.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)port);
		len = sizeof(struct sockaddr_in6);
	}
	return to.ss_family != 0 && connect(fd, (struct sockaddr *)&to, len) == 0;
}

/* Point stream i's sockets at the answered address. */
static void
connect_stream(struct call *c, unsigned int i, const struct answer_media *m)
{
	struct wire *w = &c->streams[i].wire;

	if (!connect_socket(w->fd, m->address, m->port))
		call_fail(c, "no route to the media address %s: is this host the one the recorder's tap is on?", m->address);
	if (w->rtcp_fd == w->fd && !m->rtcp_mux)
		w->rtcp_fd = -1; /* offered and not taken: no report has a place to go to */
	else if (w->rtcp_fd != w->fd)
		connect_socket(w->rtcp_fd, m->address, m->rtcp_port != 0 ? m->rtcp_port : m->port + 1u);
}

/* What an SRS may answer (RFC 7866 §7.2, RFC 3264 §6). */
static void
check_media_line(struct call *c, unsigned int i, const struct answer_media *m)
{
	if (m->port == 0)
		call_fail(c, "answer: m-line %u is refused (port 0)", i + 1);
	else if (m->sends)
		call_fail(c, "answer: m-line %u is not recvonly or inactive", i + 1);
	else if (m->inactive != (c->held && !c->resumed))
		call_fail(c, "answer: m-line %u is %s", i + 1, m->inactive ? "inactive" : "not inactive while held");
	else if (m->label != i + 1)
		call_fail(c, "answer: m-line %u does not echo a=label:%u", i + 1, i + 1);
	else if (m->rtcp_mux && !c->plan->rtcp_mux)
		call_fail(c, "answer: m-line %u has a=rtcp-mux that was not offered (RFC 5761 5.1.1)", i + 1);
}

/* The recorder's own keys must differ, like ours. */
static void
check_keys_apart(struct call *c)
{
	for (unsigned int i = 0; i < c->n_streams; i++)
		for (unsigned int k = 0; k < i; k++)
			if (c->secures[i].in != NULL && c->secures[k].in != NULL &&
			    memcmp(&c->secures[i].peer_keys, &c->secures[k].peer_keys, sizeof(struct protect_keys)) == 0)
				call_fail(c, "answer: m-lines %u and %u have the same key", k + 1, i + 1);
}

static void
take_security(struct call *c, unsigned int i, const struct answer_media *m)
{
	struct media_stream *stream = &c->streams[i];
	struct secure *s = &c->secures[i];
	uint32_t roc = s->out == NULL || c->plan->rekey_keeps_roc ? stream->roc : 0;
	const struct protect *before = s->out;
	char why[CALL_TEXT_MAX - 64];

	if (!secure_take_answer(s, m, stream->wire.fd, stream->ssrc, roc, why, sizeof(why))) {
		call_fail(c, "answer: m-line %u: %s", i + 1, why);
		return;
	}
	if (before != NULL && s->out != before) {
		stream->roc = roc;
		c->rekeys++;
	}
	if (s->out != before)
		wire_secure(&stream->wire, s->out);
}

static void
read_answer(struct call *c, const char *message)
{
	static struct answer answer;
	const char *body = strstr(message, "\r\n\r\n");

	answer_read(&answer, body != NULL ? body + 4 : "");
	if (answer.n_media != c->n_streams) {
		call_fail(c, "answer: %u m-lines for %u offered", answer.n_media, c->n_streams);
		return;
	}
	for (unsigned int i = 0; i < c->n_streams; i++) {
		check_media_line(c, i, &answer.media[i]);
		if (c->failure[0] != '\0')
			return;
		connect_stream(c, i, &answer.media[i]);
		take_security(c, i, &answer.media[i]);
	}
	check_keys_apart(c);
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
		wire_close(&c->streams[i].wire);
		secure_close(&c->secures[i]);
	}
}

static void
end_call(struct call *c, uint64_t now_ms)
{
	for (unsigned int i = 0; i < c->n_streams; i++) {
		wire_flush(&c->streams[i].wire);
		if (c->plan->rtcp && c->flowing) /* never in clear for want of a key */
			media_stream_bye(&c->streams[i]);
		secure_hang_up(&c->secures[i]);
	}
	if (c->plan->no_bye) {
		finish(c, now_ms);
		return;
	}
	c->state = CALL_ENDING;
	c->hang_up_ms = now_ms + MEDIA_FRAME_MS; /* when the last frame has been said */
}

static void
tick_hang_up(struct call *c, uint64_t now_ms)
{
	if (c->state != CALL_ENDING || c->hang_up_ms == 0 || now_ms < c->hang_up_ms)
		return;
	c->hang_up_ms = 0;
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

/* Media flows once every stream has its keys: with DTLS that is a while after the answer. */
static void
tick_keys(struct call *c, uint64_t now_ms)
{
	bool ready = true;
	char why[CALL_TEXT_MAX];

	for (unsigned int i = 0; i < c->n_streams; i++) {
		struct secure *s = &c->secures[i];

		if (!secure_shake(s, NULL, 0, why, sizeof(why)))
			call_fail(c, "%s", why);
		ready = ready && secure_ready(s);
	}
	if (c->flowing || c->failure[0] != '\0')
		return;
	if (!ready) {
		if (now_ms >= c->answered_ms + SHAKE_MS)
			call_fail(c, "DTLS: no keys within %d s", SHAKE_MS / 1000);
		return;
	}
	for (unsigned int i = 0; i < c->n_streams; i++) {
		if (c->secures[i].kind == SECURE_DTLS) {
			wire_secure(&c->streams[i].wire, c->secures[i].out);
			c->handshakes++;
		}
		if (c->secures[i].out != NULL)
			c->suite = protect_shape(c->secures[i].keys.suite)->name;
	}
	c->flowing = true;
	c->started_ms = now_ms;
	c->report_ms = now_ms + 200;
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
		c->answered_ms = now_ms;
		tick_keys(c, now_ms);
	}
	c->silent = c->held && !c->resumed;
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
reinvite(struct call *c, const char *direction, uint64_t now_ms)
{
	c->sdp_version++;
	c->state = CALL_REINVITING;
	send_invite(c, direction, now_ms);
}

static void
tick_hold(struct call *c, uint32_t elapsed, uint64_t now_ms)
{
	const struct call_plan *p = c->plan;

	if (p->hold_at_ms == 0 || c->state != CALL_TALKING)
		return;
	if (!c->held && elapsed >= p->hold_at_ms) {
		c->held = c->silent = true;
		reinvite(c, "inactive", now_ms);
	} else if (c->held && !c->resumed && elapsed >= p->hold_at_ms + p->hold_for_ms) {
		c->resumed = true;
		reinvite(c, "sendonly", now_ms);
	}
}

static void
tick_rekey(struct call *c, uint32_t elapsed, uint64_t now_ms)
{
	const struct call_plan *p = c->plan;

	if (p->rekey_at_ms == 0 || c->rekey_offered || c->state != CALL_TALKING || elapsed < p->rekey_at_ms)
		return;
	c->rekey_offered = true;
	for (unsigned int i = 0; !p->rekey_same && i < c->n_streams; i++)
		if (!secure_renew(&c->secures[i]))
			call_fail(c, "no random bytes for keys");
	reinvite(c, c->held && !c->resumed ? "inactive" : "sendonly", now_ms);
}

/* The inline keys of a line share the call among them. */
static void
tick_inline_keys(struct call *c, uint32_t elapsed)
{
	const struct call_plan *p = c->plan;

	for (unsigned int i = 0; i < c->n_streams && p->secure.n_keys > 1; i++) {
		struct secure *s = &c->secures[i];

		if (elapsed < (uint64_t)p->length_ms * (s->key_i + 1) / p->secure.n_keys ||
		    !secure_next_key(s, c->streams[i].ssrc, c->streams[i].roc))
			continue;
		wire_secure(&c->streams[i].wire, s->out);
		c->rekeys++;
	}
}

static void
tick_ssrc(struct call *c, uint32_t elapsed)
{
	if (c->plan->ssrc_change_at_ms == 0 || c->ssrc_changed || elapsed < c->plan->ssrc_change_at_ms)
		return;
	c->ssrc_changed = true;
	for (unsigned int i = 0; i < c->n_streams; i++)
		media_stream_change_ssrc(&c->streams[i]);
}

/* Forged packets go out evenly over the call, a stream at a time, but not at its very end: what is still on its way through
 * the recorder's port when the BYE comes finds no stream any more. */
static void
tick_forgery(struct call *c, uint32_t elapsed)
{
	const struct call_plan *p = c->plan;
	uint32_t length_ms = p->length_ms > 2 * FORGED_REST_MS ? p->length_ms - FORGED_REST_MS : p->length_ms;
	uint64_t due = elapsed >= length_ms ? p->forge : p->forge * elapsed / length_ms;

	for (; c->forged < due; c->forge_stream = (c->forge_stream + 1) % c->n_streams) {
		unsigned int n = due - c->forged < FORGED_TURN ? (unsigned int)(due - c->forged) : FORGED_TURN;

		if (c->secures[c->forge_stream].kind == SECURE_NONE)
			continue; /* the plan has a secured one */
		media_stream_forge(&c->streams[c->forge_stream], n);
		c->forged += n;
	}
}

static void
tick_media(struct call *c, uint64_t now_ms)
{
	uint32_t elapsed = (uint32_t)(now_ms - c->started_ms);
	bool more = false;

	tick_ssrc(c, elapsed);
	tick_inline_keys(c, elapsed);
	for (unsigned int i = 0; i < c->n_streams; i++)
		if (media_stream_tick(&c->streams[i], elapsed, c->silent))
			more = true;
	tick_forgery(c, elapsed);
	if (c->plan->rtcp && now_ms >= c->report_ms) {
		for (unsigned int i = 0; i < c->n_streams; i++)
			media_stream_report(&c->streams[i], c->participant_ids[i], elapsed);
		c->report_ms = now_ms + REPORT_MS;
	}
	tick_hold(c, elapsed, now_ms);
	tick_rekey(c, elapsed, now_ms);
	if (c->state == CALL_TALKING &&
	    (c->plan->duration_ms != 0 ? elapsed >= c->plan->duration_ms : !more))
		end_call(c, now_ms);
}

void
call_tick(struct call *c, uint64_t now_ms)
{
	tick_pending(c, now_ms);
	tick_hang_up(c, now_ms);
	if (c->state != CALL_TALKING && c->state != CALL_REINVITING)
		return;
	tick_keys(c, now_ms);
	if (c->failure[0] != '\0')
		end_call(c, now_ms);
	else if (c->flowing)
		tick_media(c, now_ms);
}

/* ---- what the recorder sends to the media sockets ---- */

static void
on_datagram(struct call *c, unsigned int i, uint8_t *datagram, uint16_t len)
{
	struct media_stream *m = &c->streams[i];
	char why[CALL_TEXT_MAX];

	if (c->secures[i].kind == SECURE_DTLS && datagram[0] >= 20 && datagram[0] <= 63) { /* RFC 7983 */
		if (!secure_shake(&c->secures[i], datagram, len, why, sizeof(why)))
			call_fail(c, "%s", why);
	} else if (len >= 8 && datagram[0] >> 6 == 2 && datagram[1] >= 192 && datagram[1] <= 223) { /* RFC 5761 §4 */
		m->reports_received++;
		if (!secure_open_rtcp(&c->secures[i], datagram, &len))
			snprintf(why, sizeof(why), "report: does not authenticate under the recorder's key, or came twice");
		else if (media_stream_on_rtcp(m, datagram, len, why, sizeof(why)))
			return;
		m->reports_bad++;
		call_fail(c, "%s", why);
	} else {
		call_fail(c, "the recorder sent %u bytes that are no RTCP to stream %u", len, i + 1);
	}
}

void
call_on_media(struct call *c, unsigned int stream_i, bool rtcp)
{
	const struct wire *w = &c->streams[stream_i].wire;
	uint8_t datagram[RTCP_ROOM];

	for (unsigned int n = 0; n < DATAGRAMS_MAX && c->state != CALL_DONE; n++) {
		ssize_t len = recv(rtcp ? w->rtcp_fd : w->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

		if (len < 0)
			return;
		if (len > 0)
			on_datagram(c, stream_i, datagram, (uint16_t)len);
	}
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
