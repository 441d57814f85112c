/* Inside of the SIP stack, shared by sip.c (what comes in, and checks that need no dialog), dialog.c (dialogs),
 * dialog_request.c (our own requests) and dialog_offer.c (those of them that offer). The page for others is dialog.h.
 * @thread control */
#ifndef SIP_H
#define SIP_H

#include <stdatomic.h>

#include "controlplane/sip/conn.h"
#include "controlplane/sip/dialog.h"
#include "controlplane/sip/dialog_timer.h"
#include "controlplane/sip/message.h"
#include "controlplane/sip/observatory.h"
#include "controlplane/sip/replaces.h"
#include "controlplane/sip/resolver.h"
#include "controlplane/sip/textmap.h"
#include "controlplane/sip/transaction.h"

#define SIP_TAG_SIZE   17	/* 64 random bits in hex */
#define SIP_LIFE_OF_T1 64	/* how long a 2xx waits for its ACK */
#define SIP_T2_OF_T1   8

/* What we serve, in requests and responses alike (RFC 3261 §20.1, §20.5, §20.37). multipart/mixed is not implied by the
 * types in it (RFC 5621 §4). */
#define SIP_ALLOW_LINE     "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n"
/** "Supported: ..." and its line end. */
const char *sip_supported_line(const struct sip *s);
#define SIP_ACCEPT_LINE    "Accept: application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed\r\n"

struct challenge;
struct source_limit;

struct sip {
	struct reactor *reactor;
	const struct config *config;
	struct dialog_handlers handlers;
	void *ctx;
	struct conn_set *conns;
	struct resolver *resolver;
	struct transactions *transactions;
	struct textmap dialogs;
	struct replaces_ended ended;
	const struct nat *nat;		/* NULL: our addresses are what others use */
	struct challenge *challenge;	/* NULL: nobody is asked for a password */
	struct source_limit *sources;	/* how much each address asked */
	struct observatory *observatory;
	struct dialog *first_dialog;
	struct dialog *dead;		/* freed by the reaper, never below a handler */
	struct timer reaper;
	uint32_t n_dialogs, dialogs_max;
	bool closing;
	char agent[64];			/* node name as Warning wants it */
	_Atomic uint64_t counters[SIP_N_COUNTERS];
};

void sip_count(struct sip *s, enum sip_counter which);
void sip_tag_make(char tag[SIP_TAG_SIZE]);
/** 1 to sip.retry_after_s, at random, so that refused SRCs do not come back together. */
unsigned int sip_retry_after(const struct sip *s);

/* A response as this stack gives it: the header lines that its method and status ask for are added. */
struct sip_answer {
	unsigned int status;
	const char *warning;		/* refusals: text of Warning: 399 */
	unsigned int retry_after_s;	/* 0: none */
	const char *lines;		/* more header lines, or NULL */
	bool expected;			/* above 400, and no refusal in earnest: a challenge */
	const char *sdp;		/* or NULL */
};
/** @return malloc'ed text of the response, NULL: no memory */
char *sip_answer_text(struct sip *s, const char *head, const char *method, const struct conn_path *from,
                      const struct sip_answer *a, size_t *len);
/** Answer a server transaction. */
void sip_answer(struct sip *s, struct transaction *t, const char *method, const struct conn_path *from,
                const struct sip_answer *a);
/** What a URI says of a transport: "", ";transport=tcp", ";transport=tls". */
const char *sip_transport_parameter(enum config_transport t);
/** `Contact: <sip:srs@our-address>;+sip.srs` and its line end. `out` holds SIP_CONTACT_MAX. @return out */
#define SIP_CONTACT_MAX 128
const char *sip_contact_line(const struct sip *s, const struct conn_path *from, char *out);

/** The profile of whoever sends on this path, by its certificate and its address. @param identity  the name that the
 * certificate proves, "" without one; may be NULL */
const struct config_src *sip_src_of(const struct sip *s, const struct conn_path *from, const char **identity);

/* A request as handlers see it; release after the handler. */
struct sip_request_view {
	struct sip_request request;
	char *from_uri, *to_uri;
};
void sip_request_view(const struct sip *s, struct sip_request_view *out, const struct message *m,
                      const struct conn_path *from);
void sip_request_view_release(struct sip_request_view *v);

/* ---- dialog.c ---- */
enum dialog_state {
	DIALOG_OFFERED,		/* the INVITE waits for the session layer's answer */
	DIALOG_ACCEPTED,	/* 2xx sent, no ACK yet */
	DIALOG_CONFIRMED,
	DIALOG_ENDING,		/* over for the session layer; BYE or its ACK is still on the way */
	DIALOG_DEAD,
};

/* Our own UPDATE or re-INVITE: dialog_offer.c. */
struct dialog_offer {
	struct transaction *transaction;	/* under way */
	struct transaction *accepted;		/* a re-INVITE whose 2xx may come again (RFC 6026 §7.2) */
	bool in_hand;		/* dialog_send() was called, on_answer() was not: under way, or waiting for its next try */
	bool is_invite, offers, refreshes;	/* what is under way */
	bool has_sdp;		/* what is in hand */
	bool stale;		/* an offer of theirs was applied since */
	unsigned int tries;
	char *lines;		/* Content-*, Accept */
	char *body;		/* may hold keys */
	size_t body_len;
	struct timer due;	/* the next try, or the end of patience with one that was answered with 1xx only */
};

struct dialog {
	struct sip *sip;
	struct textmap_node node;
	struct dialog *next, *previous, *next_dead;
	enum dialog_state state;
	char *call_id, *remote_tag;
	char local_tag[SIP_TAG_SIZE];
	char *local_party, *remote_party;	/* our From and To: whole header values */
	char *remote_target;
	char *record_route;			/* comma-separated elements as they came: our route set; "" none */
	uint32_t remote_cseq, local_cseq;
	struct conn_path path;			/* how the last request came */
	struct conn_path origin;		/* how the first one did */
	char *identity;				/* what its client certificate proved; "" nothing */
	const char *authenticated;		/* by digest: name out of sip.challenge; "" nobody */
	bool established;			/* a 2xx went out */

	struct transaction *invite;		/* waits for our answer, or for L */
	uint32_t invite_cseq;
	bool invite_pending;			/* not finally answered */
	bool invite_had_offer;
	char *invite_target;			/* remote target, once we accept */
	char *invite_route;			/* its Record-Route, for our 2xx; "" none */
	char *accepted;				/* the 2xx, until its ACK */
	size_t accepted_len;
	uint32_t resend_ms;
	struct timer resend, give_up, notice;

	struct transaction *update;		/* theirs, with an offer that waits for our answer */
	struct timer_ask update_asks;
	char *update_target;			/* remote target, once we accept it; NULL: as it is */

	struct transaction *bye, *probe;
	struct dialog_offer offer;
	struct dialog_timer timer;
	struct timer_ask invite_asks;
	bool allows_update;			/* as last heard in Allow */
	const char *snapshot_type;		/* as last heard in Accept */
	bool told;				/* on_ended() was called, or never will be */
	enum dialog_end how;
	unsigned int reason_cause;
	char *reason_text;
	uint32_t src;				/* whose row in the observatory */
	void *user;
};

struct dialog *dialog_find(const struct sip *s, const struct message *m);
/** Does who sends on this path prove the name that began the dialog? True for a dialog that none began. */
bool dialog_is_with(const struct dialog *d, const struct conn_path *from);
/* What the checks of a new INVITE found. */
struct dialog_opening {
	const char *tag;		/* ours, as in the transaction's head */
	struct dialog *replaced;	/* or NULL */
	const char *user;		/* who proved to be so by digest; "" nobody */
};
/** A new INVITE that passed all checks. */
void dialog_open(struct sip *s, const struct message *m, const struct conn_path *from, struct transaction *t,
                 const struct dialog_opening *with);
/** A request in a dialog that passed all checks but the dialog's own. Takes care of the answer. */
void dialog_on_request(struct dialog *d, const struct message *m, const struct conn_path *from,
                       struct transaction *t);
void dialog_on_ack(struct dialog *d, const struct message *m);
/** Its INVITE was cancelled. */
void dialog_on_cancel(struct dialog *d, struct transaction *invite);
void dialog_settle(struct dialog *d);	/* free it when nothing is left to do */
void dialog_end_as(struct dialog *d, enum dialog_end how, unsigned int cause, const char *text);
void dialogs_reap(void *sip);		/* frees the dead; a timer's callback */
void dialogs_destroy(struct sip *s);	/* last BYEs, then free all */

/** The SDP in a message's body, as it stands or in a multipart; empty: none that could be read. */
struct span dialog_sdp_of(const struct message *m);
/** What a request or response in the dialog tells of the peer: Allow, Accept. */
void dialog_heard(struct dialog *d, const struct message *m);
/** RFC 3261 §12.2.1.2, §12.2.2, RFC 6141 §4: this message moves the remote target. */
void dialog_target_move(struct dialog *d, const struct message *m);

/* ---- dialog_hop.c ---- */
/** To a number, there; to a name, the way the peer came while that stands, else where DNS says. */
void dialog_path_make(struct dialog *d, const char *next_hop, struct conn_path *to);
/** A dialog begins: should its next hop be a name, DNS is asked now, since a request of ours does not wait for it. */
void dialog_hop_learn(struct dialog *d);

/* ---- dialog_request.c ---- */
/** Send a request in the dialog. @param lines more header lines. @param body sent as it is. @return NULL: not sent */
struct transaction *dialog_request_send(struct dialog *d, const char *method, const char *lines, struct span body,
                                        const struct transaction_user *user);
/** ACK to a 2xx of ours (RFC 3261 §13.2.2.4); once more for each time that the 2xx comes. */
void dialog_ack_send(struct dialog *d, const struct message *ok);
/** BYE with Reason; d->bye is set while its answer is awaited. */
void dialog_bye_send(struct dialog *d);
/** The URI of a Contact or Route element: inside <>, or up to the parameters. malloc'ed; NULL: none */
char *dialog_uri_of(const char *value);

/* ---- dialog_offer.c ---- */
void dialog_offer_init(struct dialog *d);
/** Refresh the session: an UPDATE, or a re-INVITE with what on_describe() gives. @return STATE: not now; IO */
SRS_MUST_CHECK enum srs_err dialog_refresh_send(struct dialog *d);
/** Is an offer of ours without its answer? Then theirs get 491. */
bool dialog_offer_is_open(const struct dialog *d);
/** An offer of theirs was applied: what waits to be sent again describes the past. */
void dialog_offer_stale(struct dialog *d);
/** Forget what is in hand; on_answer() will not come. What was sent already still gets its ACK. */
void dialog_offer_drop(struct dialog *d);
/** As above, and no transaction knows of us any more. */
void dialog_offer_release(struct dialog *d);

#endif
