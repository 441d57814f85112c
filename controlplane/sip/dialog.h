/* SIP dialogs of the recording server, as the session layer sees them. Below this page lie connections
 * (controlplane/sip/conn) and transactions (controlplane/sip/transaction); above it controlplane/session/session decides. This layer
 * does what RFC 3261, 6026 and 3311 ask of any UAS: matching, CSeq rules, retransmission of 2xx until ACK, route
 * sets, Allow/Supported/Accept/Contact with +sip.srs on everything, and every refusal that needs no knowledge of
 * recording (docs/rfc-coverage.md SIP: 400, 405, 413, 415, 420, 481, 482, 500, 501, 505).
 *
 * A dialog is created by an INVITE and lives until on_ended() returned. @thread control */
#ifndef DIALOG_H
#define DIALOG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/reactor.h"
#include "controlplane/sip/observatory.h"
#include "lib/config.h"
#include "lib/span.h"
#include "lib/srs_err.h"

struct sip;	/* the whole stack: listeners, transactions, dialogs */
struct dialog;

/* One request, borrowed for the time of a handler. Text fields are NUL-terminated, "" when absent. */
struct sip_request {
	const char *method;
	const char *call_id;
	const char *from_uri, *from_tag;
	const char *to_uri;
	const char *contact;		/* whole header value */
	const char *user_agent;		/* User-Agent, else Server */
	const char *session_id;		/* RFC 7989 */
	const char *content_type;	/* whole header value with parameters */
	const char *content_disposition;
	struct span body;		/* raw octets, never rewritten */
	bool require_siprec;		/* Require: siprec */
	bool contact_sip_src;		/* +sip.src as a Contact parameter, also inside the URI */
	bool contact_bare_src;		/* ;src of draft-era SRCs */
	struct dialog *replaced;	/* what a new INVITE takes the place of (RFC 3891): allowed, confirmed, not ended; NULL */
	enum config_transport transport;
	struct sockaddr_storage source;	/* where it came from */
	struct sockaddr_storage local;	/* which of our addresses it came to */
	const char *identity;		/* the name that a client certificate proves: the one that `src` has, else the first */
	const struct config_src *src;	/* the profile that holds for the peer; never NULL */
};

/* How a handler answers an INVITE, re-INVITE or UPDATE with an offer: now or later, exactly once, by one of these. Both accept a dialog
 * whose request was cancelled meanwhile (nothing is sent). */
/** 200 with plain application/sdp; retransmitted until ACK. `sdp` may hold keys: what is kept of it is wiped. */
void dialog_accept(struct dialog *d, const char *sdp);
struct sip_refusal {
	unsigned int status;		/* 400 to 699 */
	const char *warning;		/* text of Warning: 399, says what to mend; required */
	unsigned int retry_after_s;	/* 0: no Retry-After */
};
/** Refuse. For an initial INVITE the dialog ends (no on_ended()); a refused re-INVITE leaves the old session running. */
void dialog_refuse(struct dialog *d, const struct sip_refusal *why);

/** End from our side: BYE with Reason (RFC 3326), or a refusal while still unanswered. on_ended() follows. */
void dialog_end(struct dialog *d, unsigned int reason_cause, const char *reason_text);

/** Ask a silent peer whether it still knows the dialog: an OPTIONS in it (RFC 3261 §11). 481, 408 or a broken transport
 * end the dialog with DIALOG_END_GONE and a BYE; any other answer comes as on_probed(). One at a time: nothing is sent
 * while one is under way, nor before the ACK. */
void dialog_probe(struct dialog *d);

/* A request of ours, borrowed for the call. Either an offer, or a body of another kind that changes no media: the
 * snapshot request (RFC 7866 §9.2). */
struct dialog_message {
	const char *sdp;			/* an offer; may hold keys. NULL: `body` */
	const char *content_type;		/* of `body` */
	const char *content_disposition;	/* or NULL */
	struct span body;
	const char *accept;			/* Accept of the request; NULL: what this stack accepts anyway */
};
/**
 * Send an UPDATE where the peer's Allow lists it, else a re-INVITE (only with an offer; its ACK is this layer's business).
 * The final answer comes by on_answer(), from the loop. What the peer refuses for glare (491, or 500 with a Retry-After
 * of 10 s at most) is tried again here after the waits of RFC 3261 §14.1 and 3311 §5.2, five times in all.
 *
 * @return STATE: not confirmed, one is outstanding already, or an offer of theirs waits for our answer; UNSUPPORTED: a
 *         body without an offer to a peer that takes no UPDATE; IO, NOMEM: nothing was sent
 * @rfc 3261 §14.1, 3311 §5.1
 */
SRS_MUST_CHECK enum srs_err dialog_send(struct dialog *d, const struct dialog_message *m);
/** Would dialog_send() take an offer now? */
bool dialog_can_send(const struct dialog *d);
/** As last heard in Allow and Accept. False while the peer never said; no snapshot is to be asked of who mishandled that,
 * or whose profile says never. */
bool dialog_can_update(const struct dialog *d);
/** The type that a snapshot request may have: application/rs-metadata-request (RFC 8068 §3), else that of RFC 7866 §9.2 and
 * RFC 9806 §2, as Accept lists one; NULL: the peer takes none. */
const char *dialog_snapshot_type(const struct dialog *d);

/** The session layer's object of this dialog. */
void dialog_user_set(struct dialog *d, void *user);
void *dialog_user(const struct dialog *d);
const char *dialog_call_id(const struct dialog *d);
const char *dialog_local_tag(const struct dialog *d);
const char *dialog_remote_tag(const struct dialog *d);

/** What the session layer saw of the client of this dialog; accepts NULL. @param rule,dialect  static text */
void dialog_observe(struct dialog *d, enum observatory_fact fact);
void dialog_observe_rule(struct dialog *d, const char *rule);
void dialog_observe_dialect(struct dialog *d, const char *dialect);

enum dialog_end { DIALOG_END_BYE, DIALOG_END_CANCELLED, DIALOG_END_LOCAL, DIALOG_END_NO_ACK, DIALOG_END_GONE,
                  DIALOG_END_EXPIRED };
const char *dialog_end_name(enum dialog_end how);	/* "bye", "cancelled", ... : the recording's reason */

struct dialog_handlers {
	/** A new INVITE that passed this layer's checks. Answer by dialog_accept() or dialog_refuse(), now or later. */
	void (*on_invite)(void *ctx, struct dialog *d, const struct sip_request *req);
	/** A re-INVITE (answer as above). `req->body` is empty when it carries no offer: answer with our description. */
	void (*on_reinvite)(void *ctx, struct dialog *d, const struct sip_request *req);
	/** A body in UPDATE or INFO: metadata, or in an UPDATE an offer. @return status: 200, or 4xx and 5xx, then with the
	 * text of Warning in `*warning` when there is one to give. 0, to an UPDATE with an offer alone: the answer comes by
	 * dialog_accept() or dialog_refuse(), when the ports are armed. */
	unsigned int (*on_body)(void *ctx, struct dialog *d, const struct sip_request *req, const char **warning);
	/** ACK arrived; `body` is the answer when we offered. */
	void (*on_confirmed)(void *ctx, struct dialog *d, struct span body);
	/** The final answer to dialog_send(). 2xx: `sdp` is the answer to our offer, empty when the peer gave none. Any
	 * other status: the session is as it was (RFC 3261 §14.1); 503 also when it could not be sent; 491 when the peer's
	 * own offers kept crossing ours, or one of theirs was applied meanwhile: then describe anew. 408 and 481
	 * end the dialog by themselves: on_ended() comes instead. dialog_send() may be called from here. May be NULL. */
	void (*on_answer)(void *ctx, struct dialog *d, unsigned int status, struct span sdp);
	/** A session timer is to be refreshed, and only a re-INVITE can do it: the current description, with the same
	 * version (RFC 4028 §7.4). malloc'd, taken over and wiped. NULL: not now. An answer with SDP comes by on_answer(),
	 * a refusal does not. May be NULL. */
	char *(*on_describe)(void *ctx, struct dialog *d);
	/** The peer answered dialog_probe(): it knows the dialog. May be NULL. */
	void (*on_probed)(void *ctx, struct dialog *d);
	/** The dialog is over, by either side or by time; the last call for this dialog. */
	void (*on_ended)(void *ctx, struct dialog *d, enum dialog_end how);
	/** Would a call of a client with this profile be taken now? Asked for each INVITE before anything is taken for it, and
	 * for OPTIONS outside a dialog, which tells the truth. @return false: `*why` is filled. May be NULL. */
	bool (*on_door)(void *ctx, const struct config_src *src, struct sip_refusal *why);
};

/** Bind every listener. @param why names listener and remedy ("port 5060 is taken: ...") */
SRS_MUST_CHECK enum srs_err sip_create(struct sip **out, struct reactor *r, const struct config *c,
                                       const struct dialog_handlers *handlers, void *ctx, char *why,
                                       size_t why_len);
struct nat;
/** From now on Contact names us as `nat` says; borrowed. */
void sip_nat_set(struct sip *s, const struct nat *nat);
void sip_destroy(struct sip *s);	/* accepts NULL */
/** Dialogs, those included whose BYE is not answered yet. */
unsigned int sip_n_dialogs(const struct sip *s);
/** dialog_end() for each dialog: a clean stop. Run the loop until sip_n_dialogs() is 0, or for as long as you can wait;
 * sip_destroy() sends one last BYE to what is left. From then on new INVITEs get 503. */
void sip_end_all(struct sip *s, unsigned int reason_cause, const char *reason_text);
/** What recording clients do; lives as long as the stack. */
const struct observatory *sip_observatory(const struct sip *s);
/** Read certificates again (SIGHUP); calls and connections go on. A bad file is logged, and nothing changes. */
void sip_reload(struct sip *s);
/** The address that listener `i` (config order) is bound to; NULL behind the last. */
const struct sockaddr_storage *sip_listener_address(const struct sip *s, unsigned int i);

/* Single-writer counters. X(symbol, name, unit, severity, sentence): metrics are made from this list. */
#define SIP_COUNTER_LIST(X) \
	X(SIP_REQUESTS,        sip_requests,         "messages", COUNTER_INFO,  "requests received") \
	X(SIP_RESPONSES,       sip_responses,        "messages", COUNTER_INFO,  "responses received") \
	X(SIP_RETRANSMITTED,   sip_retransmissions,  "messages", COUNTER_INFO,  "retransmissions absorbed") \
	X(SIP_MALFORMED,       sip_malformed,        "messages", COUNTER_WARN,  "dropped: no response could be formed") \
	X(SIP_REFUSED,         sip_refused,          "messages", COUNTER_WARN,  "answered with 4xx, 5xx or 6xx") \
	X(SIP_UNWELCOME,       sip_unwelcome,        "messages", COUNTER_WARN,  "answered with 403: the client's profile in src says refuse") \
	X(SIP_RATE_REFUSED,    sip_rate_refused,     "messages", COUNTER_WARN,  "answered with 503 without a transaction: more new requests of one address than sip.rate_per_s") \
	X(SIP_RATE_DROPPED,    sip_rate_dropped,     "messages", COUNTER_WARN,  "not answered at all: an address went on beyond that") \
	X(SIP_NO_ROOM,         sip_no_room,          "messages", COUNTER_WARN,  "INVITEs answered with 503 without a transaction: draining, or a bound was reached") \
	X(SIP_CHALLENGES,      sip_challenges,       "messages", COUNTER_INFO,  "answered with 401: no credentials yet, or a nonce that is used up") \
	X(SIP_UNAUTHENTICATED, sip_unauthenticated,  "messages", COUNTER_WARN,  "answered with 401: credentials that are not right (sip.digest_users)") \
	X(SIP_NO_ACK,          sip_no_ack,           "dialogs",  COUNTER_WARN,  "ended: our 200 was never acknowledged") \
	X(SIP_CONNECTIONS,     sip_connections,      "connections", COUNTER_INFO, "TCP and TLS connections accepted") \
	X(SIP_CONN_REFUSED,    sip_connections_refused, "connections", COUNTER_WARN, "TCP and TLS connections refused: sip.connections_max, or too many of one source") \
	X(SIP_CONN_LATE,       sip_connections_late, "connections", COUNTER_WARN, "cut: the handshake or a whole message did not come in time") \
	X(SIP_TLS_DONE,        sip_tls_handshakes,   "handshakes", COUNTER_INFO, "TLS handshakes in full") \
	X(SIP_TLS_RESUMED,     sip_tls_resumptions,  "handshakes", COUNTER_INFO, "TLS handshakes by a ticket of an earlier one") \
	X(SIP_TLS_FAILED,      sip_tls_failed,       "handshakes", COUNTER_WARN, "TLS handshakes that failed: the log says why") \
	X(SIP_TLS_EVICTED,     sip_tls_evicted,      "handshakes", COUNTER_WARN, "TLS handshakes closed, the oldest first: tls.handshakes_max")
#define SIP_COUNTER_ENUM(symbol, name, unit, severity, sentence) symbol,
enum sip_counter { SIP_COUNTER_LIST(SIP_COUNTER_ENUM) SIP_N_COUNTERS };
uint64_t sip_counter_read(const struct sip *s, enum sip_counter which);	/* @thread any */

#endif
