/* One DTLS association of a media stream: OpenSSL fed with datagrams, SRTP master keys out. It owns no socket and no
 * thread: datagrams, time and keys come and go by its caller, all on the dtls thread (dtls.h).
 *
 * Handshakes and the association are kept apart, so that nobody but the peer whose certificate the offer named can
 * move the stream's keys:
 * - Each source address has a handshake of its own. As a server we keep no state for a source until it has sent back
 *   our cookie, which proves that it receives at that address.
 * - A handshake becomes the association when it is complete and the certificate has the fingerprint. Only then are
 *   keys given out, and only then does the association before make room. Until then that one is read as before.
 * - A handshake that fails ends alone. The association goes on, or, before the first keys, goes on waiting.
 * @rfc 5763 §5, 5764, 6347 §4.2, 8842 §4 */
#ifndef DTLS_ASSOCIATION_H
#define DTLS_ASSOCIATION_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/dtls/dtls_identity.h"
#include "dataplane/dataplane.h"
#include "lib/span.h"
#include "lib/srs_err.h"

#define DTLS_DATAGRAM_MAX     1200	/* sent: no path is known to take less */
#define DTLS_HANDSHAKE_MS_MAX 30000	/* then a handshake is given up, and a peer that never came as well */
#define DTLS_ATTEMPTS_MAX     4		/* handshakes under way with one association */
#define DTLS_LIVE_MAX         4096	/* 168 MiB */

enum dtls_role { DTLS_PASSIVE, DTLS_ACTIVE };	/* ours: a=setup of our answer */

struct dtls_spec {
	enum dtls_role role;
	struct media_address peer;	/* the offer's c= and port; ip_version 0: not known. ACTIVE needs it */
	struct dtls_fingerprint prints[DTLS_FINGERPRINTS_MAX];
	unsigned int n_prints;
};

enum dtls_reason {
	DTLS_FAILED_FINGERPRINT,	/* not the certificate that the offer named, or none */
	DTLS_FAILED_PROFILE,		/* no SRTP profile in common */
	DTLS_FAILED_ALERT,		/* the peer ended the handshake */
	DTLS_FAILED_PROTOCOL,		/* it sent what OpenSSL refuses */
	DTLS_FAILED_TIMEOUT,		/* DTLS_HANDSHAKE_MS_MAX passed */
	DTLS_FAILED_MEMORY,
	DTLS_REASONS,
};
/** "fingerprint", "profile", ... : stable, for the log and the recording */
const char *dtls_reason_name(enum dtls_reason reason);

enum dtls_event_kind {
	DTLS_EVENT_SEND,	/* a datagram for `peer` */
	DTLS_EVENT_KEYS,	/* a handshake with `peer` is complete; again when the peer begins anew */
	DTLS_EVENT_FAILED,	/* each reason once an association */
	DTLS_EVENT_ENDED,	/* the peer closed the association; its keys go on */
};

struct dtls_event {
	enum dtls_event_kind kind;
	uint64_t cookie;
	struct media_address peer;
	union {
		struct span datagram;
		const struct stream_keys *keys;
		struct {
			enum dtls_reason reason;
			const char *detail;	/* FINGERPRINT: the one shown; else OpenSSL's words or the peer's alert */
			bool live;		/* keys stand: a later handshake failed */
			bool final;		/* nobody waits for the peer any more */
		} failed;
		const char *ended;	/* the peer's alert */
	} u;
};
/* What events point to is valid during the call. */
typedef void dtls_on_event(void *ctx, const struct dtls_event *e);

/* Single-writer counters. X(symbol, name, unit, severity, sentence): metrics are made from this list. All are counted
 * on the dtls thread but the last two, which control counts. */
#define DTLS_COUNTER_LIST(X) \
	X(DTLS_STARTED,         dtls_handshakes_started,      "handshakes", COUNTER_INFO,  "DTLS handshakes begun: the peer's address was proved, or we are the client") \
	X(DTLS_DONE,            dtls_handshakes_done,         "handshakes", COUNTER_INFO,  "DTLS handshakes that gave SRTP keys") \
	X(DTLS_FAILED,          dtls_handshakes_failed,       "handshakes", COUNTER_WARN,  "DTLS handshakes that ended without keys, by any reason") \
	X(DTLS_MISMATCHED,      dtls_fingerprint_mismatches,  "handshakes", COUNTER_ERROR, "DTLS handshakes refused: not the certificate that the offer named") \
	X(DTLS_VERIFIES,        dtls_hello_verify_requests,   "datagrams",  COUNTER_INFO,  "ClientHellos answered with a cookie, without keeping state") \
	X(DTLS_IGNORED,         dtls_datagrams_ignored,       "datagrams",  COUNTER_WARN,  "DTLS datagrams without sound records, of no handshake, or of one too many") \
	X(DTLS_ENDED,           dtls_associations_ended,      "associations", COUNTER_INFO, "DTLS associations that the peer closed; their keys go on") \
	X(DTLS_UNSENT,          dtls_datagrams_unsent,        "datagrams",  COUNTER_WARN,  "DTLS datagrams that could not be handed on to be sent; the handshake sends again") \
	X(DTLS_LOST,            dtls_datagrams_lost,          "datagrams",  COUNTER_WARN,  "DTLS datagrams that came while the dtls thread was behind") \
	X(DTLS_REFUSED,         dtls_handshakes_refused,      "handshakes", COUNTER_WARN,  "not begun: srtp.dtls_handshakes_max wait already")
#define DTLS_COUNTER_ENUM(symbol, name, unit, severity, sentence) symbol,
enum dtls_counter { DTLS_COUNTER_LIST(DTLS_COUNTER_ENUM) DTLS_N_COUNTERS };

/* What associations stand on. One for a thread. */
struct dtls_floor;
/** @param identity  borrowed until dtls_floor_destroy(); its context is set up here, so one floor an identity
 * @param handshakes_max  handshakes under way that nobody waits for: strangers, and peers that begin anew
 * @param live_max        associations whose end is listened for, 41 KiB of OpenSSL's each; not 0
 * @return NOMEM, IO (no random) */
SRS_MUST_CHECK enum srs_err dtls_floor_create(struct dtls_floor **out, struct dtls_identity *identity,
                                              unsigned int handshakes_max, unsigned int live_max);
void dtls_floor_destroy(struct dtls_floor *f);	/* after its associations; accepts NULL */
/** @thread its own */
void dtls_floor_count(struct dtls_floor *f, enum dtls_counter which);
/** @thread any (relaxed) */
uint64_t dtls_floor_counter(const struct dtls_floor *f, enum dtls_counter which);
/** Handshakes under way. */
unsigned int dtls_floor_handshakes(const struct dtls_floor *f);

struct dtls_association;
/** Begin to wait for the peer (PASSIVE), or send the first ClientHello (ACTIVE). `on_event` is called from here on, from
 * within the calls below. @return NOMEM, INVALID (no fingerprint; ACTIVE without address) */
SRS_MUST_CHECK enum srs_err dtls_association_create(struct dtls_association **out, struct dtls_floor *f,
                                                    const struct dtls_spec *spec, dtls_on_event *on_event, void *ctx,
                                                    uint64_t now_mono_ns);
/** Close without a word to the peer: its stream may be gone already. Wipes. Accepts NULL. */
void dtls_association_destroy(struct dtls_association *a);
/** A datagram came. Whatever is in it, an association with keys keeps them until a handshake is complete. */
void dtls_association_take(struct dtls_association *a, const struct media_address *from, struct span datagram,
                           uint64_t now_mono_ns);
/** When dtls_association_on_time() is due at the latest. UINT64_MAX: no timer runs */
uint64_t dtls_association_due(const struct dtls_association *a, uint64_t now_mono_ns);
/** Send again, give up. */
void dtls_association_on_time(struct dtls_association *a, uint64_t now_mono_ns);

#endif
