/* Recording sessions: what SIP dialogs, the data plane and the catalog make together. One `struct sessions` holds them
 * all; a session is one recording session (its dialog, streams, recordings and state), a recording is one
 * communication session in it (docs/architecture.md). Bodies of the structs: session_state.h, for session*.c alone.
 *
 * Life: OFFERED -> ARMED -> RECORDING <-> PAUSED -> DRAINING -> SEALED; FAILED only before RECORDING.
 * Everything is @thread control unless it says otherwise; nothing blocks and nothing touches a file. */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/session/admission.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/sip/dialog.h"
#include "controlplane/dtls/dtls.h"
#include "controlplane/keys.h"
#include "controlplane/session/media.h"
#include "controlplane/reactor.h"
#include "controlplane/rest/rest.h"
#include "dataplane/dataplane.h"
#include "lib/config.h"
#include "lib/srs_err.h"

struct sessions;

/* What sessions stand on; all borrowed until sessions_destroy(). */
struct session_floor {
	const struct config *config;
	struct reactor *reactor;
	struct dataplane *dataplane;
	struct media *media;
	struct keys *keys;
	struct dtls *dtls;	/* NULL: srtp.dtls is off */
	struct catalog *catalog;
	/** Commands were posted to the data plane: poll it soon. NULL: nobody asks. */
	void (*on_posted)(void *ctx);
	void *posted_ctx;
};

SRS_MUST_CHECK enum srs_err sessions_create(struct sessions **out, const struct session_floor *floor);
/** What sip_create() asks for; its ctx is the struct sessions. */
const struct dialog_handlers *sessions_handlers(void);
/** What dataplane_poll() asks for; ctx is the struct sessions. */
void sessions_on_event(void *ctx, const struct dataplane_event *e);
/** What dtls_poll() asks for; ctx is the struct sessions. */
void sessions_on_dtls(void *ctx, uint32_t association, const struct dtls_event *e);
/** Once a second: what a full ring held up is tried again. */
void sessions_tick(struct sessions *all);

/** Take no more calls; those in progress go on. For good: the operator's `node undrain` is refused from then on. */
void sessions_drain(struct sessions *all);
/** Take no more calls, end all with BYE and seal them. Done when sessions_n() is 0. */
void sessions_stop(struct sessions *all);
/** Sessions that hold anything: a dialog, streams or recordings. */
unsigned int sessions_n(const struct sessions *all);
/** Would a call be taken now? @param why filled when not */
bool sessions_ready(struct sessions *all, struct sip_refusal *why);
/** Free what is left, without sealing it. Accepts NULL. */
void sessions_destroy(struct sessions *all);

/** For rest_control_serve(); ctx is the struct sessions. */
void sessions_answer(void *ctx, const struct rest_question *q, struct rest_answer *a);

/* Single-writer counters. X(symbol, name, unit, severity, sentence): metrics are made from this list. */
#define SESSION_COUNTER_LIST(X) \
	X(SESSION_STARTED,         sessions_started,         "sessions",   COUNTER_INFO,  "recording sessions answered with 200") \
	X(SESSION_REFUSED_POLICY,  sessions_refused_policy,  "sessions",   COUNTER_WARN,  "refused: not a recording session (siprec.accept)") \
	X(SESSION_REFUSED_BODY,    sessions_refused_body,    "sessions",   COUNTER_WARN,  "refused: body or SDP unusable") \
	X(SESSION_REFUSED_SRTP,    sessions_refused_srtp,    "sessions",   COUNTER_WARN,  "refused: SRTP that is not accepted, no usable key, or plain RTP from who must use SRTP (srtp.*)") \
	X(SESSION_REFUSED_LIMIT,   sessions_refused_limit,   "sessions",   COUNTER_WARN,  "refused with 503: a bound was reached") \
	X(SESSION_FAILED_OPEN,     sessions_failed,          "sessions",   COUNTER_ERROR, "failed before the answer") \
	X(SESSION_ENDED,           sessions_ended,           "sessions",   COUNTER_INFO,  "ended, by either side or by time") \
	X(SESSION_REPLACED,        sessions_replaced,        "sessions",   COUNTER_INFO,  "recordings went on in another dialog (Replaces)") \
	X(SESSION_EDGE_REFUSED,    session_events_refused,   "events",     COUNTER_WARN,  "events that the session's state does not allow") \
	X(SESSION_RECORDINGS,      recordings_opened,        "recordings", COUNTER_INFO,  "recordings opened") \
	X(SESSION_SEALED_COUNT,    recordings_sealed,        "recordings", COUNTER_INFO,  "recordings sealed") \
	X(SESSION_INTERRUPTED,     recordings_interrupted,   "recordings", COUNTER_WARN,  "recordings of an earlier process that were sealed as interrupted") \
	X(SESSION_SEAL_FAILED,     recordings_seal_failed,   "recordings", COUNTER_ERROR, "recordings whose seal did not become durable") \
	X(SESSION_REOFFERS,        session_reoffers,         "offers",     COUNTER_INFO,  "later offers applied") \
	X(SESSION_REKEYS,          session_rekeys,           "keys",       COUNTER_INFO,  "new SRTP keys in later offers") \
	X(SESSION_REKEYS_FAILED,   session_rekeys_failed,    "keys",       COUNTER_ERROR, "new SRTP keys that the data plane did not take") \
	X(SESSION_DTLS_KEYS,       session_dtls_keys,        "keys",       COUNTER_INFO,  "SRTP keys of DTLS handshakes, handed to the data plane") \
	X(SESSION_DTLS_UNSENT,     session_dtls_unsent,      "datagrams",  COUNTER_WARN,  "DTLS datagrams that the data plane did not take; the handshake sends again") \
	X(SESSION_PROBES,          session_probes,           "requests",   COUNTER_INFO,  "silent clients that were asked whether they still know the call") \
	X(SESSION_SILENT,          sessions_silent,          "sessions",   COUNTER_WARN,  "clients that know the call and send no media") \
	X(SESSION_COMMANDS,        session_commands,         "commands",   COUNTER_INFO,  "operators' commands that were obeyed: pause, mask, drop, end") \
	X(SESSION_OFFERS_REFUSED,  session_offers_refused,   "offers",     COUNTER_WARN,  "offers of ours that the client refused; the recording is as the command says all the same") \
	X(SESSION_MLINES_REFUSED,  session_mlines_refused,   "m-lines",    COUNTER_WARN,  "m-lines answered with port 0") \
	X(SESSION_METADATA,        session_metadata,         "documents",  COUNTER_INFO,  "metadata documents applied") \
	X(SESSION_METADATA_BAD,    session_metadata_refused, "documents",  COUNTER_WARN,  "metadata documents that could not be read or applied; media went on") \
	X(SESSION_METADATA_HELD,   session_metadata_held,    "documents",  COUNTER_INFO,  "partial metadata documents kept and not applied, while a complete one is awaited") \
	X(SESSION_SNAPSHOTS_ASKED, session_snapshots_asked,  "requests",   COUNTER_INFO,  "requests for a complete metadata document (RFC 7866 §9.2)") \
	X(SESSION_SNAPSHOTS_CAME,  session_snapshots_came,   "documents",  COUNTER_INFO,  "complete metadata documents that came as asked") \
	X(SESSION_SNAPSHOTS_MISSED, session_snapshots_missed, "requests",  COUNTER_WARN,  "requests for a complete metadata document that clients refused or did not keep: the log says which") \
	X(SESSION_NOTES_LOST,      session_notes_lost,       "documents",  COUNTER_ERROR, "documents that no recording could take (too long, or the pool was used up)") \
	X(SESSION_CATALOG_LOST,    session_catalog_lost,     "rows",       COUNTER_ERROR, "catalog rows lost to a full queue: capstan fsck --rebuild restores them")
#define SESSION_COUNTER_ENUM(symbol, name, unit, severity, sentence) symbol,
enum session_counter { SESSION_COUNTER_LIST(SESSION_COUNTER_ENUM) SESSION_N_COUNTERS };
/** @thread any (relaxed) */
uint64_t sessions_counter_read(const struct sessions *all, enum session_counter which);
/** Hand each to `on_counter`. @thread any (relaxed) */
void sessions_counters(const struct sessions *all,
                       void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx);

#endif
