/* The life of a call and its media. */
#include "call.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "call_inside.h"

#define REPORT_MS    5000
#define SHAKE_MS     10000	/* a DTLS handshake with a few lost flights */
#define REPLACED_MS  3000	/* from a replacing dialog's 200 to the replaced one's BYE */
#define FORGED_REST_MS 500	/* before the end of a call */
#define FORGED_TURN  64	/* forged packets before it is another stream's turn */
#define RTCP_ROOM    2048
#define DATAGRAMS_MAX 16	/* taken from a socket at once */

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

void
call_random_text(char *out, size_t len)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i + 1 < len; i++)
		out[i] = digits[arc4random_uniform(36)];
	out[len - 1] = '\0';
}

/* A UUID in base64 (RFC 7865 §6.10): 22 digits and "==". */
static void
random_id(char out[32])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int i = 0; i < 21; i++)
		out[i] = digits[arc4random_uniform(64)];
	out[21] = "AQgw"[arc4random_uniform(4)]; /* the last digit carries two bits */
	memcpy(out + 22, "==", 3);
}

void
call_fail(struct call *c, const char *format, ...)
{
	va_list args;

	if (c->failure[0] != '\0')
		return; /* the first reason counts */
	va_start(args, format);
	vsnprintf(c->failure, sizeof(c->failure), format, args);
	va_end(args);
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

bool
call_stream_open(struct call *c, unsigned int i)
{
	const struct call_plan *p = c->plan;
	struct wire *w = &c->streams[i].wire;

	random_id(c->stream_ids[i]);
	random_id(c->participant_ids[i]);
	media_stream_open(&c->streams[i], p->sources[i % p->n_sources], &p->faults, p->seed, &p->start);

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

/* The same communication session, participants and streams, under another dialog. */
static void
take_over(struct call *c, struct call *before, uint64_t now_ms)
{
	before->after = c;
	c->before = before;
	memcpy(c->session_id, before->session_id, sizeof(c->session_id));
	memcpy(c->stream_ids, before->stream_ids, sizeof(c->stream_ids));
	memcpy(c->participant_ids, before->participant_ids, sizeof(c->participant_ids));
	c->offset_ms = before->offset_ms + (uint32_t)(now_ms - before->started_ms);
}

bool
call_start(struct call *c, const struct call_plan *plan, unsigned int number, struct call *before, uint64_t now_ms)
{
	char tail[20];

	memset(c, 0, sizeof(*c));
	c->plan = plan;
	c->number = number;
	c->min_se_s = plan->min_se_s;
	c->n_streams = plan->mixed ? 1 : plan->n_participants;
	call_random_text(tail, sizeof(tail));
	snprintf(c->id, sizeof(c->id), "%u-%s", number, tail);
	call_random_text(c->from_tag, 12);
	random_id(c->session_id);
	snprintf(c->target, sizeof(c->target), "sip:srs@%s%s", plan->server,
	         plan->transport == CALL_UDP ? "" : plan->transport == CALL_TCP ? ";transport=tcp" : ";transport=tls");
	for (unsigned int i = 0; i < plan->n_participants; i++)
		random_id(c->participant_ids[i]);
	for (unsigned int i = 0; i < c->n_streams; i++) {
		if (!call_stream_open(c, i)) {
			c->state = CALL_DONE;
			return false;
		}
	}
	if (before != NULL)
		take_over(c, before, now_ms);
	c->sdp_version = 1;
	c->invited_ms = now_ms;
	c->state = CALL_INVITING;
	call_send_offer(c, CALL_OFFER_SDP | CALL_OFFER_METADATA, now_ms);
	return c->failure[0] == '\0';
}

void
call_finish(struct call *c, uint64_t now_ms)
{
	call_request_done(c);
	c->ended_ms = now_ms;
	c->state = CALL_DONE;
	c->reply_ms = 0;
	for (unsigned int i = 0; i < c->n_streams; i++) {
		wire_close(&c->streams[i].wire);
		secure_close(&c->secures[i]);
	}
}

void
call_end(struct call *c, uint64_t now_ms)
{
	for (unsigned int i = 0; i < c->n_streams; i++) {
		wire_flush(&c->streams[i].wire);
		if (c->plan->rtcp && c->flowing && c->keyed[i] && !c->gone[i]) /* never in clear for want of a key */
			media_stream_bye(&c->streams[i]);
		secure_hang_up(&c->secures[i]);
	}
	if (c->plan->no_bye) {
		call_finish(c, now_ms);
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
	call_send_simple(c, "BYE", now_ms);
}

/* ---- keys ---- */

static void
on_keyed(struct call *c, unsigned int i)
{
	struct secure *s = &c->secures[i];

	c->keyed[i] = true;
	if (s->kind == SECURE_DTLS) {
		wire_secure(&c->streams[i].wire, s->out);
		c->handshakes++;
	}
	if (s->out != NULL)
		c->suite = protect_shape(s->keys.suite)->name;
}

/* Media flow once every stream of the first offer has its keys: with DTLS that is a while after the answer. */
void
call_keys_tick(struct call *c, uint64_t now_ms)
{
	bool ready = true;
	char why[CALL_TEXT_MAX];

	for (unsigned int i = 0; i < c->n_streams; i++) {
		struct secure *s = &c->secures[i];

		if (c->gone[i])
			continue;
		if (!secure_shake(s, NULL, 0, why, sizeof(why)))
			call_fail(c, "%s", why);
		if (!c->keyed[i] && c->answered[i] && secure_ready(s) && c->failure[0] == '\0')
			on_keyed(c, i);
		ready = ready && c->keyed[i];
	}
	if (c->flowing || c->failure[0] != '\0')
		return;
	if (!ready) {
		if (now_ms >= c->answered_ms + SHAKE_MS)
			call_fail(c, "DTLS: no keys within %d s", SHAKE_MS / 1000);
		return;
	}
	c->flowing = true;
	c->started_ms = now_ms;
	c->report_ms = now_ms + 200;
	for (unsigned int i = 0; i < c->n_streams && c->before != NULL; i++)
		media_stream_tick(&c->streams[i], c->offset_ms, true);	/* said already */
}

void
call_receive(struct call *c, const char *message, uint64_t now_ms)
{
	if (c->plan->verbose)
		fprintf(stderr, "<<< %s\n", message);
	if (strncmp(message, "SIP/2.0 ", 8) == 0)
		call_on_response(c, message, now_ms);
	else
		call_on_request(c, message, now_ms);
}

/* ---- time ---- */

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

/* @return whether a source has more to say. A stream that waits for its answer or keys says nothing yet. */
static bool
tick_streams(struct call *c, uint32_t elapsed)
{
	bool more = false;

	for (unsigned int i = 0; i < c->n_streams; i++) {
		bool quiet = c->silent || c->paused[i] || !c->keyed[i];

		if (!c->gone[i] && media_stream_tick(&c->streams[i], elapsed, quiet))
			more = true;
	}
	return more;
}

static void
tick_media(struct call *c, uint64_t now_ms)
{
	const struct call_plan *p = c->plan;
	uint32_t elapsed = (uint32_t)(now_ms - c->started_ms) + c->offset_ms;
	bool more;

	tick_ssrc(c, elapsed);
	tick_inline_keys(c, elapsed);
	more = tick_streams(c, elapsed);
	tick_forgery(c, elapsed);
	if (p->rtcp && now_ms >= c->report_ms) {
		for (unsigned int i = 0; i < c->n_streams; i++)
			if (c->keyed[i] && !c->gone[i])
				media_stream_report(&c->streams[i], c->participant_ids[i], elapsed);
		c->report_ms = now_ms + REPORT_MS;
	}
	call_change_tick(c, elapsed, now_ms);
	if (c->state == CALL_TALKING && c->again_ms == 0 && c->after == NULL &&
	    (p->duration_ms != 0 ? elapsed >= p->duration_ms : !more))
		call_end(c, now_ms);
}

/* The dialog that was replaced must be ended by the server (RFC 3891 §3). */
static void
tick_replaced(struct call *c, uint64_t now_ms)
{
	const struct call *a = c->after;

	if (a == NULL)
		return;
	if (a->state == CALL_DONE && a->answered_ms == 0) {
		c->after = NULL; /* it was refused: this one goes on */
		return;
	}
	if (a->answered_ms == 0 || now_ms < a->answered_ms + REPLACED_MS)
		return;
	call_fail(c, "the server did not end the replaced dialog");
	call_end(c, now_ms);
}

void
call_tick(struct call *c, uint64_t now_ms)
{
	call_request_tick(c, now_ms);
	call_server_tick(c, now_ms);
	tick_hang_up(c, now_ms);
	if (c->state != CALL_TALKING && c->state != CALL_CHANGING)
		return;
	call_keys_tick(c, now_ms);
	call_timer_tick(c, now_ms);
	if (c->state != CALL_TALKING && c->state != CALL_CHANGING)
		return;
	tick_replaced(c, now_ms);
	if (c->failure[0] != '\0' && c->state != CALL_ENDING)
		call_end(c, now_ms);
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
	if (c->state == CALL_TALKING || c->state == CALL_CHANGING)
		call_end(c, now_ms);
	else if (c->state == CALL_INVITING)
		call_finish(c, now_ms);
}

bool
call_is_over(const struct call *c)
{
	return c->state == CALL_DONE;
}

void
call_release(struct call *c)
{
	call_finish(c, c->ended_ms);
	free(c->reply);
	c->reply = NULL;
}
