/* What the server asks: BYE, OPTIONS, offers of its own (pause, resume, refresh), metadata snapshots. */
#include "call_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Value headers of a request that every response repeats. @return false: not a request that can be answered */
static bool
write_head(const struct call *c, const char *message, const char *status, struct text *t)
{
	char via[1024], from[512], to[512], cseq[64];

	if (!call_header(message, "Via", "v", via, sizeof(via)) || !call_header(message, "From", "f", from, sizeof(from)) ||
	    !call_header(message, "To", "t", to, sizeof(to)) || !call_header(message, "CSeq", NULL, cseq, sizeof(cseq)))
		return false;
	text_add(t, "SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n", status, via, from, to, c->id, cseq);
	return true;
}

/* Until the server's next request this is what a repeated one gets; a 200 to INVITE goes until its ACK (RFC 3261
 * §13.3.1.4). */
static void
send_reply(struct call *c, const struct text *t, bool until_ack, uint64_t now_ms)
{
	free(c->reply);
	c->reply = malloc(t->len);
	c->reply_len = c->reply == NULL ? 0 : t->len;
	if (c->reply != NULL)
		memcpy(c->reply, t->bytes, t->len);
	c->reply_interval_ms = CALL_T1_MS;
	c->reply_ms = until_ack ? now_ms + CALL_T1_MS : 0;
	c->reply_until_ms = now_ms + CALL_TIMEOUT_MS;
	call_send_text(c, t);
}

static void
answer_plainly(struct call *c, const char *message, const char *status, uint64_t now_ms)
{
	char room[4096];
	struct text t = { .bytes = room, .room = sizeof(room) };

	if (!write_head(c, message, status, &t))
		return;
	text_add(&t, "Content-Length: 0\r\n\r\n");
	send_reply(c, &t, false, now_ms);
}

/* ---- offers ---- */

/* An SRS may pause, resume, move and remove; it adds nothing (RFC 7866 §7.2). */
static bool
take_offer(struct call *c, const struct answer *offer)
{
	char why[CALL_TEXT_MAX - 64];

	if (offer->n_media != c->n_streams) {
		call_fail(c, "the server offers %u m-lines, there are %u (RFC 3264 8)", offer->n_media, c->n_streams);
		return false;
	}
	for (unsigned int i = 0; i < c->n_streams; i++) {
		const struct answer_media *m = &offer->media[i];

		if (m->port == 0 || c->gone[i]) {
			c->paused[i] = true;
			continue;
		}
		if (m->sends)
			call_fail(c, "the server offers to send on m-line %u", i + 1);
		call_connect_stream(c, i, m);
		if (!secure_take_offer(&c->secures[i], m, c->streams[i].ssrc, c->streams[i].roc, why, sizeof(why)))
			call_fail(c, "the server's offer: m-line %u: %s", i + 1, why);
		c->paused[i] = m->inactive;
	}
	return c->failure[0] == '\0';
}

static const char *
body_of(const char *message, const char *type)
{
	char value[CALL_TEXT_MAX];
	const char *body = strstr(message, "\r\n\r\n");

	if (body == NULL || body[4] == '\0' || !call_header(message, "Content-Type", "c", value, sizeof(value)) ||
	    strncasecmp(value, type, strlen(type)) != 0)
		return NULL;
	return body + 4;
}

/* INVITE or UPDATE in the dialog. */
static void
on_offer(struct call *c, const char *message, bool invite, uint64_t now_ms)
{
	static struct answer offer;
	static char room[CALL_MESSAGE_MAX], body_room[CALL_MESSAGE_MAX];
	struct text t = { .bytes = room, .room = sizeof(room) };
	struct text body = { .bytes = body_room, .room = sizeof(body_room) };
	const char *sdp = body_of(message, "application/sdp");

	body_room[0] = '\0';
	if (body_of(message, "application/rs-metadata-request") != NULL) {
		if (c->plan->no_snapshot) {
			answer_plainly(c, message, "415 Unsupported Media Type", now_ms);
			return;
		}
		c->snapshot_due = true;
	}
	if (sdp != NULL) {
		answer_read(&offer, sdp);
		c->server_offers++;
		c->sdp_version++;
		if (!take_offer(c, &offer)) {
			answer_plainly(c, message, "488 Not Acceptable Here", now_ms);
			return;
		}
		call_describe(c, &body, &offer);
	} else if (invite) { /* then the 200 has our offer, and the ACK their answer */
		call_describe(c, &body, NULL);
		c->answer_in_ack = true;
	}
	if (!write_head(c, message, "200 OK", &t))
		return;
	call_take_target(c, message);
	call_write_contact(c, &t);
	text_add(&t, "Supported: siprec%s\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n",
	         c->plan->session_expires_s != 0 ? ", timer" : "");
	call_timer_answer(c, message, &t, now_ms);
	text_add(&t, "%sContent-Length: %zu\r\n\r\n%s", body.len != 0 ? "Content-Type: application/sdp\r\n" : "", body.len,
	         body.bytes);
	send_reply(c, &t, invite, now_ms);
}

static void
on_ack(struct call *c, const char *message)
{
	const char *body = body_of(message, "application/sdp");

	c->reply_ms = 0;
	if (c->answer_in_ack)
		call_take_answer(c, body != NULL ? body : "");
	c->answer_in_ack = false;
}

static bool
is(const char *message, const char *method)
{
	size_t len = strlen(method);

	return strncmp(message, method, len) == 0 && message[len] == ' ';
}

void
call_on_request(struct call *c, const char *message, uint64_t now_ms)
{
	char cseq[64];
	uint32_t number;

	if (!call_header(message, "CSeq", NULL, cseq, sizeof(cseq)))
		return;
	number = (uint32_t)strtoul(cseq, NULL, 10);
	if (is(message, "ACK")) {
		on_ack(c, message);
		return;
	}
	if (number == c->peer_cseq && c->reply != NULL && !is(message, "CANCEL")) { /* our answer was lost */
		c->plan->transmit(c->reply, c->reply_len);
		return;
	}
	c->peer_cseq = number;
	if (is(message, "BYE")) {
		c->replaced = c->after != NULL;
		c->ended_by_server = !c->replaced && c->state != CALL_ENDING;
		answer_plainly(c, message, "200 OK", now_ms);
		if (c->state != CALL_DONE)
			call_finish(c, now_ms);
	} else if (c->state == CALL_DONE) {
		answer_plainly(c, message, "481 Call/Transaction Does Not Exist", now_ms);
	} else if (is(message, "INVITE") || is(message, "UPDATE")) {
		if (c->state == CALL_CHANGING || c->reply_ms != 0) /* glare (RFC 3261 §14.2, RFC 3311 §5.2) */
			answer_plainly(c, message, "491 Request Pending", now_ms);
		else
			on_offer(c, message, is(message, "INVITE"), now_ms);
	} else if (is(message, "OPTIONS") || is(message, "INFO")) {
		answer_plainly(c, message, "200 OK", now_ms);
	} else {
		answer_plainly(c, message, "501 Not Implemented", now_ms);
	}
}

void
call_server_tick(struct call *c, uint64_t now_ms)
{
	if (c->reply_ms == 0 || now_ms < c->reply_ms)
		return;
	if (now_ms >= c->reply_until_ms) {
		c->reply_ms = 0;
		call_fail(c, "the server did not acknowledge our 200");
		return;
	}
	c->plan->transmit(c->reply, c->reply_len); /* over streams too: the ACK may be what is lost (RFC 3261 §13.3.1.4) */
	c->reply_interval_ms = c->reply_interval_ms * 2 < CALL_T2_MS ? c->reply_interval_ms * 2 : CALL_T2_MS;
	c->reply_ms = now_ms + c->reply_interval_ms;
}
