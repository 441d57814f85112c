/* The bodies behind session.h, shared by session*.c and their test alone. @thread control */
#ifndef SESSION_STATE_H
#define SESSION_STATE_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "controlplane/sdp/binding.h"
#include "controlplane/sdp/body.h"
#include "controlplane/metadata/metadata.h"
#include "controlplane/sdp/offer.h"
#include "controlplane/sdp/sdes.h"
#include "controlplane/session/session.h"

#define SESSION_STREAMS_MAX    (2 * OFFER_MEDIA_MAX) /* live ones, and as many that are going */
#define SESSION_RECORDINGS_MAX 16	/* communication sessions of one recording session at a time */
#define SESSION_REASON_MAX     64
#define SESSION_ADDRESS_MAX    64	/* "[address]:port" */
#define SESSION_CS_ID_MAX      128
#define SESSION_TEXT_MAX       256	/* Call-ID, User-Agent as kept */

enum session_state {
	SESSION_OFFERED,	/* INVITE admitted; recordings are being opened */
	SESSION_ARMED,		/* ports are being armed */
	SESSION_RECORDING,
	SESSION_PAUSED,		/* nothing is recorded: by command, or no stream is left that may send */
	SESSION_DRAINING,	/* the dialog is over; streams go, recordings are sealed */
	SESSION_SEALED,
	SESSION_FAILED,		/* never answered with 200; what was opened is sealed too */
	SESSION_N_STATES,
};

enum session_event {
	EV_OPENED,		/* recordings are open */
	EV_REFUSED,		/* the data plane refused what the call needs */
	EV_STREAMS_READY,	/* every port that was asked for is armed */
	EV_OFFER,		/* sessions.offer holds a later offer */
	EV_DESCRIBE,		/* a re-INVITE without an offer */
	EV_CONFIRMED,		/* ACK; sessions.body may hold the answer to our offer */
	EV_METADATA,		/* sessions.body holds a metadata document */
	EV_HELD, EV_RESUMED,
	EV_PART_DUE,
	EV_EXPIRED,		/* limits.call_seconds_max */
	EV_STOP,		/* the recorder stops */
	EV_HANG_UP,		/* the operator ends the call */
	EV_ENDED,		/* the dialog is over */
	EV_REPLACED,		/* another dialog goes on with its recordings */
	EV_DRAINED,		/* no stream is left */
	EV_DURABLE,		/* no recording is left */
	SESSION_N_EVENTS,
};

struct session;

struct session_edge {
	enum session_state from;
	enum session_event event;
	void (*action)(struct session *s);
	enum session_state to;
};
/** The edge, or NULL: refused. Pure. */
const struct session_edge *session_edge_of(enum session_state from, enum session_event event);
const char *session_state_name(enum session_state state);

/* The part that begins where another dialog took over. */
enum session_seam { SEAM_NONE, SEAM_DUE, SEAM_ASKED };

enum session_recording_state { RECORDING_OPENING, RECORDING_OPEN, RECORDING_SEALING };

struct session_recording {
	uint8_t i;		/* place in session.recordings */
	uint8_t next_number;	/* stream numbers count up within a recording */
	enum session_recording_state state;
	bool doomed;		/* to be sealed as soon as nothing is bound to it */
	bool spare;		/* opened for streams whose call is over: nobody's, until a call takes it */
	uint64_t over_mono_ns;	/* since when its communication session is over; 0: it is not */
	bool part_pending;	/* a part was asked for and has not started */
	bool paused;		/* in the data plane */
	enum session_seam seam;
	uint32_t handle;
	uint32_t part;
	uint32_t version;	/* of the last DESCRIPTION */
	uint8_t id[REEL_ID_SIZE];
	char cs_id[SESSION_CS_ID_MAX];	/* "" until a communication session is bound */
	char reason[SESSION_REASON_MAX];
	uint64_t started_wall_ns;
	uint64_t part_due_mono_ns;
	unsigned int n_streams_ever;
	unsigned int n_bound;	/* streams that write into it, or are about to: also those of a dialog that it had before */
};

/* What an SDES m-line was agreed on. In secret memory, out of a pool of `struct sessions`. */
struct session_keying {
	struct session_keying *next;	/* free list */
	char tag[SDES_TAG_SIZE];	/* of the line that was chosen, as offered */
	struct stream_keys keys;	/* theirs: wiped as soon as the data plane has them; ours: what the answer says */
	uint8_t digest[32];		/* of theirs: does a later offer bring the same keys? */
};

/* What decides about SRTP beside the configuration: how the request in hand came, and from whom. */
struct session_policy {
	enum config_transport transport;
	bool srtp_required;		/* srtp.required_from has the SRC */
};

/* A stream with DTLS. */
struct session_dtls {
	uint32_t association;		/* DTLS_NONE: none */
	struct offer_dtls peer;		/* what it was opened for */
	enum offer_setup setup;		/* ours */
	char tls_id[36];		/* ours; "" when none was offered */
	enum srtp_suite suite;		/* of its newest keys; NONE: no handshake is complete */
};

enum session_stream_state { STREAM_ADDING, STREAM_LIVE, STREAM_REMOVING };

struct session_stream {
	uint8_t i;		/* place in session.streams */
	uint8_t number;		/* in `recording` */
	enum session_stream_state state;
	bool doomed;		/* to be removed as soon as it is installed */
	uint32_t handle;
	struct media_port port;
	struct session_recording *recording;
	struct session_recording *moving_to;	/* a bind is under way */
	uint8_t moving_number;
	bool unmovable;		/* a bind failed: it stays where it is */
	char label[OFFER_TEXT_MAX], mid[OFFER_TEXT_MAX];
	unsigned int mline;
	struct media_address source;
	uint16_t rtcp_to;	/* a=rtcp; 0: none */
	bool latch, inactive;
	bool held;		/* by the client itself, as the recording has it */
	uint32_t clock_hz;	/* of the m-line's first format: our reports measure jitter in it */
	enum offer_keying protection;
	struct session_keying *keying;	/* with SDES; with DTLS keys that the data plane has not taken yet */
	struct session_dtls dtls;
	unsigned int n_rekeys, n_updates;	/* handed to the data plane, without their event yet */
};

/* Who stopped the recording. Each goes by its own command: a client that resumes lifts no operator's mask. What the client
 * holds is in its offer, a stream at a time. */
enum session_hold {
	SESSION_HOLD_PAUSE = 1,	/* operator; the client is asked to stop sending */
	SESSION_HOLD_MASK = 2,	/* operator; the client is not told */
};
#define SESSION_DROPPED_MAX 16
struct session_dropped {	/* found again as binding.h finds streams: by label, then mid, then place */
	char label[OFFER_TEXT_MAX], mid[OFFER_TEXT_MAX];
	unsigned int mline;
};

/* The newest metadata document. */
struct session_document {
	uint32_t version;		/* documents of this recording session are counted from 1; 0: none yet */
	struct span raw;		/* owned, struck out; a NUL stands behind it */
	char *receipt;			/* JSON: number, time, fate; NULL: none */
	char *deviations;		/* JSON; NULL: none */
	uint16_t elsewhere;		/* recordings that it says nothing of: a bit for each */
};

/* The complete document that we want from the client. */
struct session_snapshot {
	struct timer due;	/* to ask, or to wait no longer */
	bool awaited;		/* partial documents are kept, not applied */
	bool asked;		/* our request went out; else it is still to be sent */
	bool outstanding;	/* it has no answer yet */
	bool refused;		/* the client does not do it */
	uint8_t n_asked;	/* since the last complete document */
	uint8_t n_retries;
	uint64_t asked_mono_ns;	/* the last time */
	const char *reason;	/* static: for the client to read */
};

struct session {
	struct sessions *all;
	struct dialog *dialog;	/* NULL when over or refused */
	enum session_state state;
	uint32_t slot;
	uint16_t generation;
	uint16_t lcore_i;
	bool answer_due;	/* a re-INVITE waits for its streams */
	bool beyond_nat;	/* the client's address is not private: it may know us by another one than ours */
	bool offered;		/* our 200 held an offer; its answer comes in the ACK */
	bool drained, closed;
	uint8_t busy;		/* actions under way: an action may raise the next event */
	uint8_t holds;		/* enum session_hold bits: why nothing is recorded now */
	uint64_t reoffer_mono_ns;	/* our description changed: tell the client from then on. 0: it knows */
	struct session_dropped dropped[SESSION_DROPPED_MAX];	/* m-lines that we ended, and do not take again */
	unsigned int n_dropped;
	uint8_t rs_id[REEL_ID_SIZE];
	struct session_recording *recordings[SESSION_RECORDINGS_MAX];
	struct session_stream *streams[SESSION_STREAMS_MAX];
	enum srs_err refused;	/* why the data plane refused */
	struct metadata *metadata;
	struct session_document document;
	struct session_snapshot snapshot;
	char *offer_deviations;	/* JSON of what the newest offer broke; NULL: nothing */
	char *offer_sdp, *answer_sdp;	/* struck out: no key is in them */
	bool offer_redacted, answer_redacted;
	struct session_policy policy;
	struct session_keying *keys_offered[OFFER_MEDIA_MAX];	/* of the offer in hand, until streams take them */
	bool answering;		/* what is applied answers an offer of ours: our keys stay */
	bool keys_changed;	/* our description has another key than the last one */
	unsigned int dtls_told;	/* what of DTLS was logged: bit for each enum dtls_reason, then one for the end */
	bool rekey_refused;	/* the data plane did not take a key of the offer in hand */
	uint64_t sdp_id, sdp_version;
	char call_id[SESSION_TEXT_MAX], agent[SESSION_TEXT_MAX];
	char identity[SESSION_TEXT_MAX];	/* that its certificate proved; "" without one */
	const struct config_src *profile;	/* that held for it when it began */
	char source[SESSION_ADDRESS_MAX];
	enum config_transport transport;
	char reason[SESSION_REASON_MAX];
	uint64_t started_wall_ns, started_mono_ns;
	uint64_t linger_again_mono_ns;	/* no spare recording before */
	uint64_t call_mono_ns;	/* its newest communication session began: limits.call_seconds_max counts from here */
	bool silent;		/* was asked, knows the call, and sends nothing */
	uint8_t n_probes;	/* in this silence */
	uint64_t heard_mono_ns;	/* not silent, or asked, since */
	unsigned int n_deviations;
	struct session *predecessor, *successor;	/* whose dialog takes whose place, until the ACK */
	bool replaces, took_over;	/* it goes on with another one's recordings; it has them already */
	bool hushed;		/* a document waits for the part that a seam begins */
	struct span document_waiting;	/* the replacing INVITE's metadata, owned */
	struct timer due;
};

struct session_secrets;

struct sessions {
	struct session_floor floor;
	struct session_secrets *secrets;	/* keys on their way */
	struct session_keying *free_keyings;
	enum srtp_suite suites[SRTP_SUITES];	/* srtp.suites, preferred first */
	unsigned int n_suites;
	struct session **slots;	/* by slot; NULL: free */
	uint32_t *free_slots;
	uint32_t n_slots, n_free;
	uint32_t n_answering;	/* sessions that are not draining: counts against sessions_max */
	uint32_t *n_of_src;	/* the same by profile: config.srcs in order, then the default */
	uint16_t generation;
	bool stopping, leaving;	/* for good */
	bool draining;		/* until the operator says otherwise */
	uint64_t seconds;	/* that sessions_tick() counted */
	_Atomic uint64_t counters[SESSION_N_COUNTERS];
	/* One request at a time: what a handler has read of it. Large, so here and not on the stack. */
	struct body body;
	struct offer offer;	/* of the request, or of the session that is being answered */
	struct offer described;	/* of the session that is being described */
	struct answer_media decided[OFFER_MEDIA_MAX];
	char text[OFFER_BYTES_MAX];
	struct span answer_body;	/* EV_CONFIRMED */
};

static inline void
session_count(struct sessions *all, enum session_counter which)
{
	/* one writer: no read-modify-write needed */
	uint64_t n = atomic_load_explicit(&all->counters[which], memory_order_relaxed);

	atomic_store_explicit(&all->counters[which], n + 1, memory_order_relaxed);
}

/* ---- session.c: the machine ---- */
bool session_dispatch(struct session *s, enum session_event event);
/** Post what is due and raise the events that follow from it. May free `s`: the last thing a handler does with it. */
void session_settle(struct session *s);
/** A session for this request, OFFERED, with nothing opened yet. @return LIMIT, NOMEM, IO */
SRS_MUST_CHECK enum srs_err session_open(struct session **out, struct sessions *all, struct dialog *d,
                                         const struct sip_request *req);
void session_free(struct session *s);
void session_timer_arm(struct session *s);
/** How many sessions of this profile count against its sessions_max. */
uint32_t *sessions_of_src(const struct sessions *all, const struct config_src *src);

/* ---- session_recordings.c ---- */
/** Open what the metadata asks for: R0, and one for each further communication session. @return of R0's */
SRS_MUST_CHECK enum srs_err session_recordings_plan(struct session *s);
struct session_recording *session_recording_for(const struct session *s, const char *label);
unsigned int session_recordings_in(const struct session *s, enum session_recording_state state);
unsigned int session_recordings_n(const struct session *s);
void session_recordings_doom(struct session *s, const char *reason);
void session_recordings_reap(struct session *s);
void session_recordings_roll(struct session *s);	/* parts that are due */
/** Open a spare recording for streams whose call has been over for session.linger_s. */
void session_recordings_linger(struct session *s);
uint64_t session_recordings_linger_due(const struct session *s);	/* monotonic; UINT64_MAX: nothing lingers */
/** Is a call going on? Not between the calls of a persistent recording session. */
bool session_recordings_live(const struct session *s);
void session_recording_on_event(struct session *s, unsigned int i, const struct dataplane_event *e);
/** Post the row of each open recording again: participants and streams as known now. */
void session_recordings_publish(const struct session *s);
/** Rows of recordings of an earlier process, and segments. */
void session_recordings_on_stray(struct sessions *all, const struct dataplane_event *e);

/* ---- session_replace.c ---- */
/** Can a new dialog take this session's place now? Accepts NULL. */
bool session_replace_allows(const struct session *old, struct sip_refusal *why);
void session_replace_admit(struct admission_view *v);
/** `s` waits to take the place of `old`; sessions.body holds its INVITE's. @return NOMEM */
SRS_MUST_CHECK enum srs_err session_replace_wait(struct session *s, struct session *old);
/** Whose recordings and metadata the streams of `s` go by: its own, or those that it waits for. */
const struct session *session_replace_recorder(const struct session *s);
void session_replace_take(struct session *s);		/* before the answer */
void session_replace_done(struct session *s);		/* behind it */
void session_replace_confirmed(struct session *s);	/* ACK */
/** `s` drains: who waits for it gets its recordings now; whom it waits for goes on. */
void session_replace_end(struct session *s);
void session_replace_unlink(struct session *s);		/* before it is freed */
/** Who has the recording that an event is about. @param asked  whom the cookie names, NULL: gone. @return NULL: nobody */
struct session *session_replace_holder(struct sessions *all, struct session *asked, const struct dataplane_event *e);

/* ---- session_srtp.c: who may send what how, and the keys of SDES ---- */
/** The pool of keyings and the suites. @return NOMEM */
SRS_MUST_CHECK enum srs_err session_secrets_create(struct sessions *all);
void session_secrets_destroy(struct sessions *all);
void session_policy_read(struct session_policy *p, const struct sessions *all, const struct sip_request *req);
/** Audio with a port and a format: one that could be recorded, were it not for its protection. */
bool session_mline_is_candidate(const struct offer_media *m);
/** What hinders a candidate of the offer in hand: a sentence for Warning that says what to mend; NULL: nothing. */
const char *session_mline_obstacle(struct sessions *all, const struct session_policy *p, const struct offer_media *m);
/** Move the keys of sessions.offer into s->keys_offered, before the bytes that it was read from go. What is wrong with
 * a=crypto lines becomes deviations of the offer. @return LIMIT: the pool is used up */
SRS_MUST_CHECK enum srs_err session_keys_take(struct session *s);
/** Wipe what no stream took. */
void session_keys_drop(struct session *s);
struct session_keying *session_keying_take(struct sessions *all);	/* NULL: the pool is used up */
/** Our own key for the stream, in the suite of theirs (RFC 4568 §5.1.2). @return IO */
SRS_MUST_CHECK enum srs_err session_keying_make_own(struct session_keying *k);
void session_keying_give(struct sessions *all, struct session_keying *k);	/* wiped; accepts NULL */
/** Wipe and free a text that may hold a key. Accepts NULL. */
void session_text_wipe(char *text);

/* ---- session_dtls.c ---- */
/** As session_mline_obstacle(), for an m-line with DTLS. */
const char *session_dtls_obstacle(const struct sessions *all, const struct offer_media *m);
/** Open an association, and close the one before: its keys live on in the data plane until the new ones authenticate.
 * @return LIMIT (srtp.dtls_handshakes_max), UNSUPPORTED (srtp.dtls is off), IO */
SRS_MUST_CHECK enum srs_err session_dtls_open(struct session *s, struct session_stream *st, const struct offer_media *m);
/** A later offer: the association goes on, or another is opened. @return as session_dtls_open() */
SRS_MUST_CHECK enum srs_err session_dtls_update(struct session *s, struct session_stream *st, const struct offer_media *m);
void session_dtls_close(struct session *s, struct session_stream *st);	/* accepts one without */
void session_dtls_answer(const struct session *s, const struct session_stream *st, struct answer_media *d);
/** Try to hand keys over that the data plane had no room for. */
void session_dtls_install(struct session *s, struct session_stream *st);
void session_dtls_on_punted(struct session *s, const struct session_stream *st, const struct dataplane_event *e);

/* ---- session_streams.c ---- */
/** Can m-line `i` of the offer in hand be recorded? Asked after session_keys_take(). */
bool session_mline_recordable(const struct session *s, const struct offer_media *m, unsigned int i);
/** Bring the streams in line with this offer: add, update, remove. */
void session_streams_apply(struct session *s, const struct offer *o);
/** Their answer to an offer of ours: it stops streams, starts them or ends them (port 0), and brings other sources and keys.
 * What does not fit what we offered changes nothing: we cannot tell of another port. */
void session_streams_take_answer(struct session *s, const struct offer *answer);
/** Move streams to the recording of their communication session. */
void session_streams_bind(struct session *s);
/** Record nothing of it from now on, and remove it. */
void session_stream_stop(struct session *s, struct session_stream *st);
void session_streams_doom(struct session *s);
void session_streams_reap(struct session *s);
void session_streams_key(struct session *s);	/* what a full ring held up */
unsigned int session_streams_in(const struct session *s, enum session_stream_state state);
unsigned int session_streams_n(const struct session *s);
bool session_streams_held(const struct session *s);
bool session_streams_changing(const struct session *s);	/* keys, sources or holds are on their way to the lcore */
void session_stream_on_event(struct session *s, unsigned int i, const struct dataplane_event *e);
/* What a description of ours is for. */
enum session_purpose {
	PURPOSE_ANSWER,		/* to s->offer_sdp: what it does not send is inactive (RFC 3264 §6.1) */
	PURPOSE_OFFER,		/* recvonly unless we pause: the client says in its answer what it sends */
	PURPOSE_REFRESH,	/* as it is */
};
/** Write our description of the m-lines of s->offer_sdp; the version goes up only on change. s->answer_sdp keeps it
 * without keys. @param whole  malloc'd, with keys: session_text_wipe() it */
SRS_MUST_CHECK enum srs_err session_answer_make(struct session *s, enum session_purpose purpose, char **whole);

/* ---- session_documents.c ---- */
/** A document into each open recording (or one of them). Secrets are struck out of a copy first. */
void session_note(struct session *s, struct session_recording *only, enum reel_frame_kind kind, struct span bytes);
/** The offer as kept: struck out already, and marked so. */
void session_note_offer(struct session *s, struct session_recording *only);
/** What a recording that opens now has to know: offer, metadata, deviations, answer, description. */
void session_note_all(struct session *s, struct session_recording *only);
/** Offers, and what they broke. @return NULL: nothing broken, or no memory */
char *session_offer_deviations(const struct offer *o);
/** [{"line", "path", "rule"}] with one row. */
char *session_deviation_json(unsigned int line, const char *path, const char *rule);
void session_describe(struct session *s, struct session_recording *only);
/** What metadata says of the recording's communication session; NULL: nothing. */
const struct metadata_session *session_cs_of(const struct session *s, const struct session_recording *r);
/** A complete document came that does not have its communication session any more: what was said of it last still holds. */
bool session_cs_is_forgotten(const struct session *s, const struct session_recording *r);
/** JSON for the catalog's columns; malloc'd, NULL without memory. */
char *session_participants_json(const struct session *s, const struct session_recording *r);
char *session_streams_json(struct session *s, const struct session_recording *r);

/* ---- session_hold.c ---- */
/** What an operator may do to a session. @param json  {"by", "reason", "stream"}, or NULL. @return HTTP status; `*why` is a
 * sentence for other than 200 */
unsigned int session_command(struct session *s, const char *verb, const char *json, const char **why);
/** Bring the data plane in line with s->holds, and tell the client what it does not know yet. */
void session_hold_apply(struct session *s);
/** The client refused what we told it. */
void session_hold_refused(struct session *s, unsigned int status);
/** The client held this stream, or released it. */
void session_hold_note(struct session *s, const struct session_stream *st);
/** A body that must not be recorded while media is not: its length becomes a mark. @return false: nothing is held */
bool session_hold_hides(struct session *s, size_t len);
bool session_mline_is_dropped(const struct session *s, const struct offer_media *m, unsigned int i);
/** `s` takes the place of `old`: what an operator held or dropped there stays so here. */
void session_hold_carry(struct session *s, const struct session *old);

/* ---- session_idle.c ---- */
/** Ask a client from which nothing comes whether it is still there. Once a second for each session. */
void session_idle_check(struct session *s, uint64_t second);
/** It is, and knows the call. */
void session_idle_answered(struct session *s);

/* ---- session_metadata.c ---- */
/** Read sessions.body's metadata and bring the model up to date; notes go to the open recordings that it speaks of. */
void session_metadata_take(struct session *s);
/** The newest document with its receipt, as a recording that opens now has to have it. */
void session_metadata_note(struct session *s, struct session_recording *only);
void session_document_free(struct session_document *d);
/** Has this communication session ended, as far as metadata says? */
bool session_cs_is_over(const struct session *s, const char *cs_id);

/* ---- session_snapshot.c ---- */
void session_snapshot_init(struct session *s);
/** Metadata is not what the client believes it is: ask for all of it, if the client takes that. @param reason  static */
void session_snapshot_want(struct session *s, const char *reason);
/** A complete document was applied. */
void session_snapshot_came(struct session *s);
/** A document could not be read, or a complete one could not be applied: it may be the one that we asked for. */
void session_snapshot_unusable(struct session *s, const char *reason);
/** The final answer to a request of ours. @return false: it was not this one */
bool session_snapshot_answered(struct session *s, unsigned int status);

/* cookies: which object of which session an event is about */
enum session_cookie_kind { COOKIE_RECORDING = 1, COOKIE_STREAM, COOKIE_NOTE };
static inline uint64_t
session_cookie(const struct session *s, enum session_cookie_kind kind, unsigned int i)
{
	return (uint64_t)s->generation << 48 | (uint64_t)s->slot << 16 | (uint64_t)kind << 8 | i;
}

/** What a peer wrote becomes JSON and catalog text: each byte that is no UTF-8, or a control character, becomes '?'. */
void session_text_clean(char *text);
struct cJSON;
void session_text_add(struct cJSON *json, const char *name, const char *text);	/* at most SESSION_TEXT_MAX of it */
void session_hex(const uint8_t id[REEL_ID_SIZE], char out[2 * REEL_ID_SIZE + 1]);

#endif
