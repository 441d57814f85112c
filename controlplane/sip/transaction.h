/* SIP transactions: four machines, each one static table that reads like the figure in the RFC, a hash by the key of
 * RFC 3261 §17.2.3, and a pool with a maximum. They absorb retransmissions and resend what was lost; dialogs decide
 * what to say. @thread control @rfc 3261 §17, 6026, 4320 */
#ifndef TRANSACTION_H
#define TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/message.h"
#include "controlplane/reactor.h"
#include "lib/srs_err.h"

struct transactions;
struct transaction;

enum transaction_kind { TRANSACTION_INVITE_SERVER, TRANSACTION_SERVER, TRANSACTION_INVITE_CLIENT, TRANSACTION_CLIENT,
	                TRANSACTION_N_KINDS };
enum transaction_state {
	TRANSACTION_CALLING,
	TRANSACTION_TRYING,
	TRANSACTION_PROCEEDING,
	TRANSACTION_ACCEPTED,	/* RFC 6026 */
	TRANSACTION_COMPLETED,
	TRANSACTION_CONFIRMED,
	TRANSACTION_TERMINATED,
	TRANSACTION_N_STATES
};
enum transaction_event {
	EV_REQUEST,	/* the request came again */
	EV_ACK,
	EV_SEND_1XX, EV_SEND_2XX, EV_SEND_REFUSAL,	/* from above */
	EV_RECEIVED_1XX, EV_RECEIVED_2XX, EV_RECEIVED_REFUSAL,
	EV_RETRANSMIT,	/* timers A, E, G */
	EV_DEADLINE,	/* timers B, D, F, H, I, J, K, L, M */
	EV_BROKEN,	/* the transport could not send */
	TRANSACTION_N_EVENTS
};
/** Whether the machine has this edge, and where it leads: for tests and documents. */
bool transaction_edge(enum transaction_kind kind, enum transaction_state from, enum transaction_event event,
                      enum transaction_state *to);

/* Whoever stands above a transaction. Any function may be NULL. */
struct transaction_user {
	/** Clients: a response; `m` is NULL for 408 (no answer) and 503 (transport), RFC 3261 §8.1.3.1. */
	void (*on_response)(void *ctx, struct transaction *t, unsigned int status, const struct message *m);
	/** It is over: forget the pointer. */
	void (*on_done)(void *ctx, struct transaction *t);
	void *ctx;
};

/** @param t1_ms  RFC 3261 T1; T2 is 8 T1 and T4 10 T1, as the RFC's defaults stand to each other */
SRS_MUST_CHECK enum srs_err transactions_create(struct transactions **out, struct reactor *r, struct conn_set *conns,
                                                uint32_t transactions_max, uint32_t t1_ms);
void transactions_destroy(struct transactions *ts);	/* accepts NULL; no on_done */
uint32_t transactions_n(const struct transactions *ts);

/* ---- server side ---- */
/** The transaction that this request (or ACK, as the INVITE's) belongs to, or NULL. */
struct transaction *transaction_find(const struct transactions *ts, const struct message *m);
/** The INVITE that a CANCEL means, or NULL (RFC 3261 §9.2). */
struct transaction *transaction_find_cancelled(const struct transactions *ts, const struct message *cancel);
/** The same request by another path (RFC 3261 §8.2.2.2). */
bool transaction_is_merged(const struct transactions *ts, const struct message *m);
/** A request that was found again, or an ACK. @return false: an ACK that the dialog must see */
bool transaction_absorb(struct transaction *t, const struct message *m);
/** @param head  malloc'ed response head, taken over also on failure. An INVITE is answered with 100 at once.
 * @return LIMIT (transactions_max), NOMEM */
SRS_MUST_CHECK enum srs_err transaction_accept(struct transaction **out, struct transactions *ts,
                                               const struct message *m, const struct conn_path *from, char *head);
/** Pass a response down. @param text malloc'ed, taken over; NULL is no memory: then the peer's retransmission asks again */
void transaction_respond(struct transaction *t, unsigned int status, char *text, size_t len);
/** Which client's row in the observatory it belongs to. */
void transaction_src_set(struct transaction *t, uint32_t src);
uint32_t transaction_src(const struct transaction *t);
const char *transaction_head(const struct transaction *t);	/* of responses */
bool transaction_is_answered(const struct transaction *t);	/* finally */

/* ---- client side ---- */
/** Send a request. @param text malloc'ed, taken over also on failure. @param branch,method as in the text. */
SRS_MUST_CHECK enum srs_err transaction_request(struct transaction **out, struct transactions *ts,
                                                const struct conn_path *to, const char *branch, const char *method,
                                                char *text, size_t len, const struct transaction_user *user);
/** Cancel an INVITE that was answered with 1xx; any other is left alone (RFC 3261 §9.1). It then has 64 T1 to come to its
 * final answer, else on_response(408). */
void transaction_cancel(struct transaction *t);
/** @return false: no transaction waits for it */
bool transaction_on_response(struct transactions *ts, const struct message *m);
/** A connection is gone: requests that wait on it fail. */
void transactions_on_closed(struct transactions *ts, uint64_t connection);

enum transaction_state transaction_state(const struct transaction *t);
void transaction_user_set(struct transaction *t, const struct transaction_user *user);	/* NULL: nobody any more */
void *transaction_user_ctx(const struct transaction *t);

#endif
