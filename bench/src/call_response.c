/* What the server answers, and whether it may (RFC 3264 §6, RFC 7866 §7.2). */
#include "call_inside.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AGAIN_MS_MIN 2100u	/* RFC 3261 §14.1: the one who made the Call-ID waits 2.1 to 4 s */
#define AGAIN_MS_MAX 4000u
#define CHANGES_REFUSED_MAX 5	/* then it is no glare */

/* ---- the answer's m-lines ---- */

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

void
call_connect_stream(struct call *c, unsigned int i, const struct answer_media *m)
{
	struct wire *w = &c->streams[i].wire;

	if (!connect_socket(w->fd, m->address, m->port))
		call_fail(c, "no route to the media address %s: is this host the one the recorder's tap is on?", m->address);
	if (w->rtcp_fd == w->fd && !m->rtcp_mux)
		w->rtcp_fd = -1; /* offered and not taken: no report has a place to go to */
	else if (w->rtcp_fd != w->fd)
		connect_socket(w->rtcp_fd, m->address, m->rtcp_port != 0 ? m->rtcp_port : m->port + 1u);
}

/* A stream that the server paused may stay so in its answer to our offer. */
static void
check_media_line(struct call *c, unsigned int i, const struct answer_media *m)
{
	if (m->port == 0)
		call_fail(c, "answer: m-line %u is refused (port 0)", i + 1);
	else if (m->sends)
		call_fail(c, "answer: m-line %u is not recvonly or inactive", i + 1);
	else if (c->held && !m->inactive)
		call_fail(c, "answer: m-line %u is not inactive while held", i + 1);
	else if (!c->held && m->inactive && !c->paused[i])
		call_fail(c, "answer: m-line %u is inactive", i + 1);
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
			if (!c->gone[i] && !c->gone[k] && c->secures[i].in != NULL && c->secures[k].in != NULL &&
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

void
call_take_answer(struct call *c, const char *body)
{
	static struct answer answer;

	answer_read(&answer, body);
	if (answer.n_media != c->n_streams) {
		call_fail(c, "answer: %u m-lines for %u offered", answer.n_media, c->n_streams);
		return;
	}
	for (unsigned int i = 0; i < c->n_streams; i++) {
		const struct answer_media *m = &answer.media[i];

		if (c->gone[i]) {
			if (m->port != 0)
				call_fail(c, "answer: m-line %u was removed and has port %u (RFC 3264 6)", i + 1, m->port);
			continue;
		}
		check_media_line(c, i, m);
		if (c->failure[0] != '\0')
			return;
		call_connect_stream(c, i, m);
		take_security(c, i, m);
		c->paused[i] = m->inactive && !c->held;
		c->answered[i] = true;
	}
	check_keys_apart(c);
}

/* ---- headers ---- */

static void
check_headers(struct call *c, const char *message)
{
	char value[CALL_TEXT_MAX];

	if (!call_header(message, "Contact", "m", value, sizeof(value)) || strstr(value, "+sip.srs") == NULL)
		call_fail(c, "200 without +sip.srs in Contact (RFC 7866 6.2)");
	if (c->offered & CALL_OFFER_SDP && (!call_header(message, "Content-Type", "c", value, sizeof(value)) ||
	                                    strncasecmp(value, "application/sdp", 15) != 0))
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

void
call_take_target(struct call *c, const char *message)
{
	char value[CALL_TEXT_MAX];
	char *open, *close;

	if (call_header(message, "Contact", "m", value, sizeof(value)) && (open = strchr(value, '<')) != NULL &&
	    (close = strchr(open, '>')) != NULL)
		snprintf(c->target, sizeof(c->target), "%.*s", (int)(close - open - 1), open + 1);
}

static uint32_t
number_of(const char *message, const char *name)
{
	char value[32];

	return call_header(message, name, NULL, value, sizeof(value)) ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

/* ---- refusals ---- */

/* The server is busy with an offer of its own, or wants us to come again: the call goes on as it was. */
static bool
comes_again(struct call *c, const char *message, unsigned int status, uint64_t now_ms)
{
	uint32_t wait_s = number_of(message, "Retry-After");

	if (c->state != CALL_CHANGING || c->changes_refused == CHANGES_REFUSED_MAX ||
	    (status != 491 && !(status == 500 && wait_s != 0)))
		return false;
	c->changes_refused++;
	c->state = CALL_TALKING;
	c->again_ms = now_ms + (status == 491 ? AGAIN_MS_MIN + arc4random_uniform(AGAIN_MS_MAX - AGAIN_MS_MIN) : 1000ull * wait_s);
	return true;
}

/* Session-Expires was too small for the server: it says what is not (RFC 4028 §6). */
static bool
asks_for_longer(struct call *c, const char *message, unsigned int status, uint64_t now_ms)
{
	uint32_t least = number_of(message, "Min-SE");

	if (status != 422 || c->plan->session_expires_s == 0 || least <= c->min_se_s)
		return false;
	c->min_se_s = least;
	if (c->state == CALL_INVITING)
		c->to_tag[0] = '\0'; /* a new INVITE of the same call */
	call_send_offer(c, c->offered, now_ms);
	return true;
}

static void
on_refused(struct call *c, const char *message, unsigned int status, bool invite, uint64_t now_ms)
{
	bool expected = c->plan->expect_status != 0 && status / 100 == c->plan->expect_status / 100 &&
	                (c->plan->expect_status % 100 == 0 || status == c->plan->expect_status);

	if (c->to_tag[0] == '\0')
		take_tag(c, message);
	if (invite)
		call_send_ack(c, false);
	call_request_done(c);
	if (comes_again(c, message, status, now_ms) || asks_for_longer(c, message, status, now_ms))
		return;
	if (c->state == CALL_CHANGING) {
		call_fail(c, "%s refused with %u", invite ? "re-INVITE" : "UPDATE", status);
		call_end(c, now_ms);
		return;
	}
	if (!(expected || (c->cancelled && status == 487)))
		call_fail(c, "INVITE refused with %u", status);
	call_finish(c, now_ms);
}

/* ---- responses ---- */

static void
on_agreed(struct call *c, const char *message, bool invite, uint64_t now_ms)
{
	const char *body = strstr(message, "\r\n\r\n");
	char allow[CALL_TEXT_MAX];

	if (invite && c->acknowledged) { /* a retransmitted 200: our ACK was lost */
		call_send_ack(c, true);
		return;
	}
	if (c->pending == NULL)
		return;
	take_tag(c, message);
	call_take_target(c, message);
	check_headers(c, message);
	if (call_header(message, "Allow", NULL, allow, sizeof(allow)))
		c->peer_updates = strstr(allow, "UPDATE") != NULL;
	if (c->offered & CALL_OFFER_SDP)
		call_take_answer(c, body != NULL ? body + 4 : "");
	call_timer_take(c, message, now_ms);
	call_request_done(c);
	if (invite)
		call_send_ack(c, true);
	c->acknowledged = true;
	c->changes_refused = 0;
	if (c->plan->expect_status != 0)
		call_fail(c, "INVITE accepted, expected %u", c->plan->expect_status);
	if (c->state == CALL_INVITING) {
		c->answered_ms = now_ms;
		call_keys_tick(c, now_ms);
	}
	c->silent = c->held;
	if (c->failure[0] != '\0' || c->cancelled)
		call_end(c, now_ms);
	else if (c->state != CALL_ENDING)
		c->state = CALL_TALKING;
}

void
call_on_response(struct call *c, const char *message, uint64_t now_ms)
{
	unsigned int status = (unsigned int)atoi(message + 8);
	char cseq[64] = "";
	bool invite, update;

	call_header(message, "CSeq", NULL, cseq, sizeof(cseq));
	invite = strstr(cseq, "INVITE") != NULL;
	update = strstr(cseq, "UPDATE") != NULL;
	if ((unsigned int)atoi(cseq) != c->cseq || c->state == CALL_DONE)
		return; /* of an older transaction */
	if ((invite || update) && status >= 200 && status < 300) {
		c->final_status = status;
		on_agreed(c, message, invite, now_ms);
		return;
	}
	if (c->pending == NULL)
		return;
	if (status < 200) {
		c->interval_ms = 0; /* the server has it: stop retransmitting an INVITE */
		if (c->plan->cancel && !c->cancelled && invite) {
			c->cancelled = true;
			call_send_simple(c, "CANCEL", now_ms);
		}
		return;
	}
	if (invite || update) {
		c->final_status = status;
		on_refused(c, message, status, invite, now_ms);
	} else if (strstr(cseq, "BYE") != NULL && c->state == CALL_ENDING) {
		if (status >= 300)
			call_fail(c, "BYE answered with %u", status);
		call_finish(c, now_ms);
	}
}
