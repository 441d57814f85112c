/* What a call asks of the server: requests, their bodies, and their going again until there is an answer. */
#include "call_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "metadata.h"

#define BOUNDARY "capstan-src-boundary"

static const char *const transports[] = { "UDP", "TCP", "TLS" };
static const char *const uri_transports[] = { "", ";transport=tcp", ";transport=tls" };

/* ---- bodies ---- */

static const char *
ip_family(const struct call_plan *p)
{
	return p->local.ss_family == AF_INET6 ? "IP6" : "IP4";
}

/* An m-line of ours that is over, or one of theirs that we do not take. */
static void
describe_nothing(const struct call *c, struct text *t, unsigned int i, const struct answer_media *theirs)
{
	const char *profile = i < c->n_streams ? secure_profile(&c->secures[i]) : "RTP/AVP";

	text_add(t, "m=audio 0 %s 0\r\na=inactive\r\n", theirs != NULL ? theirs->profile : profile);
}

static void
describe_stream(const struct call *c, struct text *t, unsigned int i, const struct answer_media *theirs)
{
	enum media_codec codec = c->streams[i].source->codec;
	bool inactive = c->held || (theirs != NULL && theirs->inactive);

	text_add(t,
	         "m=audio %u %s %d\r\na=rtpmap:%d %s/8000\r\na=ptime:%d\r\na=label:%u\r\na=%s\r\n",
	         c->local_ports[i], secure_profile(&c->secures[i]), codec == MEDIA_PCMU ? 0 : 8,
	         codec == MEDIA_PCMU ? 0 : 8, codec == MEDIA_PCMU ? "PCMU" : "PCMA", MEDIA_FRAME_MS, i + 1,
	         inactive ? "inactive" : "sendonly");
	if (c->plan->rtcp_mux)
		text_add(t, "a=rtcp-mux\r\n");
	else
		text_add(t, "a=rtcp:%u\r\n", c->rtcp_ports[i]);
	if (theirs != NULL)
		secure_answer(&c->secures[i], t);
	else
		secure_offer(&c->secures[i], t);
}

void
call_describe(const struct call *c, struct text *t, const struct answer *theirs)
{
	const struct call_plan *p = c->plan;
	unsigned int n = theirs != NULL ? theirs->n_media : c->n_streams;

	text_add(t, "v=0\r\no=capstan-src %u %u IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", 1000u, c->sdp_version,
	         ip_family(p), p->local_ip, ip_family(p), p->local_ip);
	for (unsigned int i = 0; i < n; i++) {
		const struct answer_media *m = theirs != NULL && i < ANSWER_MEDIA_MAX ? &theirs->media[i] : NULL;

		if (i >= c->n_streams || c->gone[i] || (m != NULL && m->port == 0))
			describe_nothing(c, t, i, m);
		else
			describe_stream(c, t, i, m);
	}
}

/* One part alone, or both in a multipart. @return its Content-Type */
static const char *
write_body(const struct call *c, unsigned int what, struct text *body)
{
	bool metadata = (what & (CALL_OFFER_METADATA | CALL_OFFER_PARTIAL | CALL_OFFER_SNAPSHOT)) != 0 && c->plan->metadata != NULL;
	bool sdp = (what & CALL_OFFER_SDP) != 0;

	if (sdp && metadata)
		text_add(body, "--" BOUNDARY "\r\nContent-Type: application/sdp\r\n\r\n");
	if (sdp)
		call_describe(c, body, NULL);
	if (sdp && metadata)
		text_add(body, "\r\n--" BOUNDARY "\r\nContent-Type: application/rs-metadata+xml\r\n"
		               "Content-Disposition: recording-session\r\n\r\n");
	if (metadata)
		metadata_write(c, what & CALL_OFFER_PARTIAL ? METADATA_PARTIAL : what & CALL_OFFER_SNAPSHOT ? METADATA_SNAPSHOT
		                                                                : METADATA_COMPLETE, body);
	if (sdp && metadata)
		text_add(body, "\r\n--" BOUNDARY "--\r\n");
	if (sdp && metadata)
		return "Content-Type: multipart/mixed;boundary=\"" BOUNDARY "\"\r\n";
	if (metadata)
		return "Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n";
	return sdp ? "Content-Type: application/sdp\r\n" : "";
}

/* ---- requests ---- */

void
call_send_text(struct call *c, const struct text *t)
{
	if (t->cut)
		call_fail(c, "message over %d bytes: shorten the metadata", CALL_MESSAGE_MAX);
	else if (!c->plan->transmit(t->bytes, t->len))
		call_fail(c, "cannot send to the server");
	if (c->plan->verbose)
		fprintf(stderr, ">>> %.*s\n", (int)t->len, t->bytes);
}

void
call_write_contact(const struct call *c, struct text *t)
{
	const struct call_plan *p = c->plan;
	bool v6 = p->local.ss_family == AF_INET6;

	text_add(t, "Contact: <sip:src@%s%s%s:%u%s>;+sip.src\r\n", v6 ? "[" : "", p->local_ip, v6 ? "]" : "", p->local_port,
	         uri_transports[p->transport]);
}

static void
write_head(struct call *c, struct text *t, const char *method, unsigned int cseq)
{
	const struct call_plan *p = c->plan;
	bool v6 = p->local.ss_family == AF_INET6;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

	text_add(t,
	         "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s%s%s:%u;branch=%s;rport\r\nMax-Forwards: 70\r\n"
	         "From: <sip:src@%s%s%s>;tag=%s\r\nTo: <sip:srs@%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n"
	         "User-Agent: capstan-src\r\n",
	         method, c->target, transports[p->transport], open, p->local_ip, close, p->local_port, c->branch, open,
	         p->local_ip, close, c->from_tag, p->server, c->to_tag[0] ? ";tag=" : "", c->to_tag, c->id, cseq,
	         method);
	if (strcmp(method, "ACK") != 0 && strcmp(method, "CANCEL") != 0)
		call_write_contact(c, t);
}

static void
new_branch(struct call *c)
{
	char tail[20];

	call_random_text(tail, sizeof(tail));
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
	c->pending[t->len] = '\0';
	c->pending_len = t->len;
	c->interval_ms = CALL_T1_MS;
	c->retransmit_ms = now_ms + CALL_T1_MS;
	c->give_up_ms = now_ms + CALL_TIMEOUT_MS;
}

void
call_request_done(struct call *c)
{
	free(c->pending);
	c->pending = NULL;
}

/* Who we are and what we can. */
static void
write_abilities(const struct call *c, struct text *t, bool initial)
{
	bool replaces = initial && (c->before != NULL || c->plan->replaces != NULL);

	text_add(t, "Require: siprec%s\r\nSupported: siprec%s%s\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n"
	            "Accept: application/sdp%s\r\n",
	         replaces ? ", replaces" : "", c->plan->session_expires_s != 0 ? ", timer" : "", replaces ? ", replaces" : "",
	         c->plan->no_snapshot ? "" : ", application/rs-metadata-request");
	if (initial && c->before != NULL) /* the server's tag is the local one there (RFC 3891 §3) */
		text_add(t, "Replaces: %s;to-tag=%s;from-tag=%s\r\n", c->before->id, c->before->to_tag, c->before->from_tag);
	else if (initial && c->plan->replaces != NULL)
		text_add(t, "Replaces: %s\r\n", c->plan->replaces);
}

void
call_send_offer(struct call *c, unsigned int what, uint64_t now_ms)
{
	static char body_room[CALL_MESSAGE_MAX], room[CALL_MESSAGE_MAX];
	struct text body = { .bytes = body_room, .room = sizeof(body_room) };
	struct text t = { .bytes = room, .room = sizeof(room) };
	bool update = (what & CALL_OFFER_UPDATE) != 0, initial = c->state == CALL_INVITING;
	const char *type;

	if (!update)
		what |= CALL_OFFER_SDP; /* an INVITE without an offer would ask for one */
	body_room[0] = '\0';
	type = write_body(c, what, &body);
	t.cut = body.cut;
	new_branch(c);
	c->cseq++;
	c->offered = what;
	c->again_ms = 0;
	c->acknowledged = false;
	if (!initial) {
		c->state = CALL_CHANGING;
		c->updates += update;
		c->reinvites += !update;
	}
	write_head(c, &t, update ? "UPDATE" : "INVITE", c->cseq);
	write_abilities(c, &t, initial);
	call_timer_write(c, &t);
	text_add(&t, "%sContent-Length: %zu\r\n\r\n%s", type, body.len, body.bytes);
	call_send_text(c, &t);
	keep_pending(c, &t, now_ms);
}

/* CANCEL has the branch and number of its INVITE (RFC 3261 §9.1). */
void
call_send_simple(struct call *c, const char *method, uint64_t now_ms)
{
	char room[2048];
	struct text t = { .bytes = room, .room = sizeof(room) };
	bool cancel = strcmp(method, "CANCEL") == 0;

	if (!cancel) {
		new_branch(c);
		c->cseq++;
	}
	write_head(c, &t, method, c->cseq);
	text_add(&t, "Content-Length: 0\r\n\r\n");
	call_send_text(c, &t);
	if (!cancel)
		keep_pending(c, &t, now_ms);
}

/* A transaction of its own for 2xx, the INVITE's branch for a refusal (RFC 3261 §13.2.2.4, §17.1.1.3). */
void
call_send_ack(struct call *c, bool success)
{
	char room[2048];
	struct text t = { .bytes = room, .room = sizeof(room) };

	if (success)
		new_branch(c);
	write_head(c, &t, "ACK", c->cseq);
	text_add(&t, "Content-Length: 0\r\n\r\n");
	call_send_text(c, &t);
}

void
call_request_tick(struct call *c, uint64_t now_ms)
{
	if (c->again_ms != 0 && now_ms >= c->again_ms && c->state == CALL_TALKING)
		call_send_offer(c, c->offered, now_ms);
	if (c->pending == NULL)
		return;
	if (now_ms >= c->give_up_ms) {
		call_fail(c, "no answer to %.*s within %u s", (int)strcspn(c->pending, " "), c->pending, CALL_TIMEOUT_MS / 1000);
		call_finish(c, now_ms);
	} else if (c->plan->transport == CALL_UDP && c->interval_ms != 0 && now_ms >= c->retransmit_ms) {
		c->plan->transmit(c->pending, c->pending_len);
		c->interval_ms *= 2;
		if (c->interval_ms > CALL_T2_MS && strncmp(c->pending, "INVITE", 6) != 0)
			c->interval_ms = CALL_T2_MS;
		c->retransmit_ms = now_ms + c->interval_ms;
	}
}
