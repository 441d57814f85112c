/* What the files of a call share: call.c (life and media), call_request.c (what we ask), call_response.c (what we are
 * answered), call_server.c (what we are asked), call_change.c (what happens in mid-call), call_timer.c (RFC 4028). */
#ifndef SRC_CALL_INSIDE_H
#define SRC_CALL_INSIDE_H

#include "call.h"
#include "text.h"

#define CALL_T1_MS      500u
#define CALL_T2_MS      4000u
#define CALL_TIMEOUT_MS (64 * CALL_T1_MS)

/* What a request carries, and how. */
#define CALL_OFFER_SDP      1u
#define CALL_OFFER_METADATA 2u	/* a complete document */
#define CALL_OFFER_PARTIAL  4u	/* a partial one */
#define CALL_OFFER_SNAPSHOT 32u	/* a complete one that was asked for */
#define CALL_OFFER_UPDATE   8u	/* by UPDATE */
#define CALL_OFFER_REFRESH  16u	/* nothing else to say: the session timer is why */

/** The first reason counts. */
void __attribute__((format(printf, 2, 3))) call_fail(struct call *c, const char *format, ...);

/* ---- call.c ---- */
/** BYE, after the last frame. */
void call_end(struct call *c, uint64_t now_ms);
/** Over: sockets are closed, nothing is sent any more. */
void call_finish(struct call *c, uint64_t now_ms);
/** Handshakes; media flow once every stream has its keys. */
void call_keys_tick(struct call *c, uint64_t now_ms);
/** Open the sockets and keys of stream `i`. @return false: `failure` says why */
bool call_stream_open(struct call *c, unsigned int i);

/* ---- call_request.c ---- */
/** INVITE, re-INVITE or UPDATE. */
void call_send_offer(struct call *c, unsigned int what, uint64_t now_ms);
/** CANCEL or BYE. */
void call_send_simple(struct call *c, const char *method, uint64_t now_ms);
void call_send_ack(struct call *c, bool success);
void call_send_text(struct call *c, const struct text *t);
/** Our description: an offer, or the answer to the server's (`theirs`, as it was read). */
void call_describe(const struct call *c, struct text *t, const struct answer *theirs);
/** `Contact: ...` and its line end. */
void call_write_contact(const struct call *c, struct text *t);
void call_request_done(struct call *c);
void call_request_tick(struct call *c, uint64_t now_ms);

/* ---- call_response.c ---- */
void call_on_response(struct call *c, const char *message, uint64_t now_ms);
/** The server's answer to our offer. */
void call_take_answer(struct call *c, const char *body);
/** Point stream `i` at where the server wants it. */
void call_connect_stream(struct call *c, unsigned int i, const struct answer_media *m);
/** Target of requests in the dialog, from a Contact. */
void call_take_target(struct call *c, const char *message);

/* ---- call_server.c ---- */
void call_on_request(struct call *c, const char *message, uint64_t now_ms);
void call_server_tick(struct call *c, uint64_t now_ms);

/* ---- call_change.c ---- */
void call_change_tick(struct call *c, uint32_t elapsed_ms, uint64_t now_ms);

/* ---- call_timer.c ---- */
/** Session-Expires and Min-SE of a request of ours. */
void call_timer_write(const struct call *c, struct text *t);
/** Of our 200 to the server's request; what is agreed on holds from now on. */
void call_timer_answer(struct call *c, const char *request, struct text *t, uint64_t now_ms);
/** What a 2xx agrees to. */
void call_timer_take(struct call *c, const char *response, uint64_t now_ms);
void call_timer_tick(struct call *c, uint64_t now_ms);

#endif
