/* The only door between the control plane and the data plane. Control hands over plain specs by value and gets
 * plain events back; it never sees an mbuf, a ring or a hot struct. Every function is @thread control unless it
 * says otherwise, returns at once, and reports completion by an event with the caller's cookie.
 *
 * Order of use for a call:
 *   recording_open  -> EVENT_RECORDING_OPENED   (the writer has the DEK, the lcore the recording)
 *   stream_add      -> EVENT_STREAM_INSTALLED   (RTP on the port is recorded from here on)
 *   note            -> EVENT_NOTE_WRITTEN       (SIP bodies, metadata: documents of the recording)
 *   stream_update / stream_bind / part_start    (hold, codecs, source; another recording; the next DEK)
 *   stream_rekey    -> EVENT_STREAM_REKEYED     (SRTP: another key generation; DTLS: the first)
 *   stream_remove   -> EVENT_STREAM_REMOVED     (totals; the port rests, then is free)
 *   recording_seal  -> EVENT_RECORDING_SEALED   (FINAL chunk and seal are durable)
 *
 * The event is the grace period: after STREAM_REMOVED no lcore knows the slot, after RECORDING_SEALED no writer
 * knows the key. Handles are indexes that control gets back only then. */
#ifndef DATAPLANE_H
#define DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "crypto/srtp_suite.h"
#include "lib/config.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

struct dataplane;

/* An IP address and UDP port, as plain bytes. */
struct media_address {
	uint8_t ip_version;	/* 4 or 6; 0: none */
	uint8_t ip[16];		/* network order; IPv4 in the first four */
	uint16_t udp_port;	/* host order */
};

#define DATAPLANE_NONE UINT32_MAX	/* no handle */

/* ---- life ---- */

/**
 * Start EAL, ports, lcores and writers; recover what an earlier process left open. Returns when packets flow and
 * the self-test passed.
 *
 * @param ks   for the node's signature; borrowed until dataplane_stop()
 * @param why  on failure one sentence that names the remedy
 */
SRS_MUST_CHECK enum srs_err dataplane_start(struct dataplane **out, const struct config *c,
                                            const struct keystore *ks, char *why, size_t why_len);
/** Stop lcores and writers, with everything flushed and segments finished. Nothing more happens after it, but what
 * happened can still be polled: poll until dataplane_poll() returns 0, then dataplane_stop(). */
void dataplane_quiesce(struct dataplane *dp);
/** Free everything, after dataplane_quiesce() (which it calls where that was left out). Call after every recording was sealed; what was not is
 * closed as far as it is durable and sealed by the next start. Accepts NULL. */
void dataplane_stop(struct dataplane *dp);

/** One line for the start-up screen: "tap capstan0, 2 MiB pages, 1 lcore on CPU 0, io_uring". */
const char *dataplane_describe(const struct dataplane *dp);

/* ---- places ---- */

/** Media addresses and which lcore owns each. */
unsigned int dataplane_n_addresses(const struct dataplane *dp);
struct dataplane_place {
	struct media_address address;	/* port 0 */
	uint16_t lcore_i;
	uint32_t n_streams;	/* installed now */
};
void dataplane_place(const struct dataplane *dp, unsigned int address_i, struct dataplane_place *out);

/* ---- recordings ---- */

/* The key of one part: what the writer needs. Copied; the caller wipes its own. */
struct part_key {
	enum reel_suite suite;
	bool clear_media, clear_documents;	/* class not encrypted: same seals, body in clear */
	struct dek dek;
	struct reel_envelope envelope;	/* recording and part filled in */
};

struct recording_spec {
	uint8_t id[REEL_ID_SIZE];
	uint16_t lcore_i;
	struct part_key key;	/* part 0 */
};

/** Take a handle and open it on a writer and an lcore. @return LIMIT (recordings_max; a full ring) */
SRS_MUST_CHECK enum srs_err dataplane_recording_open(struct dataplane *dp, const struct recording_spec *spec,
                                                     uint64_t cookie, uint32_t *recording);
/** Next part: new DEK; the old part ends and is sealed. -> EVENT_PART_STARTED, later EVENT_PART_SEALED
 * @param seam  the new part begins with a SEAM mark: what follows comes of another dialog */
SRS_MUST_CHECK enum srs_err dataplane_part_start(struct dataplane *dp, uint32_t recording,
                                                 const struct part_key *key, bool seam, uint64_t cookie);
/** Append a document. `bytes` are copied into a note of the pool. @return LIMIT (pool used up, or longer than
 * REEL_DOCUMENT_MAX): the caller counts it */
SRS_MUST_CHECK enum srs_err dataplane_note(struct dataplane *dp, uint32_t recording, enum reel_frame_kind kind,
                                           uint8_t frame_flags, struct span bytes, uint64_t cookie);
/** Close, seal FINAL with this reason, release the handle by the event. Streams must be removed before. */
SRS_MUST_CHECK enum srs_err dataplane_recording_seal(struct dataplane *dp, uint32_t recording, const char *reason,
                                                     uint64_t cookie);
/** Pause: frames of all its streams become counted PAUSED gaps, between two marks. No packet that came to the port after
 * this call returned is recorded. No event follows. @return LIMIT (pool of commands), STATE */
SRS_MUST_CHECK enum srs_err dataplane_recording_pause(struct dataplane *dp, uint32_t recording, bool paused,
                                                      uint64_t cookie);

/* ---- streams ---- */

struct stream_keys;
struct stream_spec {
	uint32_t recording;
	uint8_t number;			/* stream number within the recording */
	uint16_t address_i;		/* which media address */
	uint16_t udp_port;		/* RTP; host order */
	uint16_t rtcp_port;		/* 0: muxed on udp_port */
	struct media_address source;	/* the offer's c= address, port 0: free; ip_version 0: any (latch) */
	bool latch;			/* media.source: latch */
	bool inactive;			/* packets are counted, not recorded (hold) */
	bool at_once;			/* of an update to inactive: no packet that came after the call is recorded */
	bool secure;			/* SRTP: nothing is recorded that does not authenticate. Without keys yet: rx_drop_no_key */
	bool dtls;			/* DTLS records of its source come back as EVENT_STREAM_PUNTED */
	bool report;			/* send receiver reports: to where packets come from, as soon as some do; secure
					 * streams with keys->ours only. Like the two above, for life */
	uint16_t rtcp_to;		/* where reports go until RTCP was heard: the port of a=rtcp; 0: the one beside RTP's */
	uint32_t clock_hz;		/* of the payload, for the jitter in reports; 0: 8000 */
	const struct stream_keys *keys;	/* with `secure`; NULL: dataplane_stream_rekey() follows. Borrowed for the call */
};

/* Master keys of one stream. Copied by what takes it; the caller wipes its own. */
struct stream_keys {
	struct srtp_master theirs[SRTP_MASTERS_MAX];	/* what protects their RTP and RTCP; several only with MKIs */
	unsigned int n_theirs;
	struct srtp_master ours;	/* for our receiver reports, and for no other stream, also none before or after this
					 * one: their SRTCP index begins at 1. Suite NONE: we send none */
};

/** Does the SRTP engine run this suite? Not before dataplane_start(); false for all with srtp.enabled false. */
bool dataplane_takes_suite(struct dataplane *dp, enum srtp_suite suite);

/** @return LIMIT (streams_max, ring) , STATE (port in use) */
SRS_MUST_CHECK enum srs_err dataplane_stream_add(struct dataplane *dp, const struct stream_spec *spec,
                                                 uint64_t cookie, uint32_t *stream);
/** New source, RTCP port or inactive flag. Keys have their own call, and a stream stays `secure`, or plain, for life: where a re-offer
 * changes that, it is another stream. -> EVENT_STREAM_UPDATED */
SRS_MUST_CHECK enum srs_err dataplane_stream_update(struct dataplane *dp, uint32_t stream,
                                                    const struct stream_spec *spec, uint64_t cookie);
/** From now on its frames go to another recording on the same lcore. -> EVENT_STREAM_BOUND */
SRS_MUST_CHECK enum srs_err dataplane_stream_bind(struct dataplane *dp, uint32_t stream, uint32_t recording,
                                                  uint8_t number, uint64_t cookie);
SRS_MUST_CHECK enum srs_err dataplane_stream_remove(struct dataplane *dp, uint32_t stream, uint64_t cookie);

/** New master keys: one that the stream has already keeps its context (ROC and replay window go on); another opens a
 * key generation, used from its first packet that authenticates. Keys that are not named any more live on until then
 * and srtp.rekey_grace_ms longer. -> EVENT_STREAM_REKEYED (installed)
 * @return LIMIT (spare contexts or ring used up), UNSUPPORTED (suite, or the libsrtp2 engine's bound), STATE */
SRS_MUST_CHECK enum srs_err dataplane_stream_rekey(struct dataplane *dp, uint32_t stream,
                                                   const struct stream_keys *keys, uint64_t cookie);

#define STREAM_DATAGRAM_MAX 1500
/** Send a datagram from the stream's RTP address and port (DTLS). Lost when the port does not take it, or has no way to
 * the address, as datagrams are. No event.
 *
 * @param to  where to; ip_version 0: where the stream's last punted record came from. A DTLS client speaks before it
 *            was spoken to, and a server answers each source by itself: both name the address
 * @return    LIMIT (too long, or ring), STATE (no such stream; nothing was punted), INVALID (another IP version than ours,
 *            or port 0) */
SRS_MUST_CHECK enum srs_err dataplane_stream_send(struct dataplane *dp, uint32_t stream,
                                                  const struct media_address *to, struct span datagram);

/** Relaxed look at a live stream, a burst old. @thread control */
struct stream_view {
	uint64_t frames, bytes, drops, lost;
	uint64_t last_packet_mono_ns;	/* RTP or RTCP that was its own, recorded or not; 0: none yet */
	uint32_t ssrc;
	uint8_t payload_type;
	struct media_address source;
};
void dataplane_stream_view(const struct dataplane *dp, uint32_t stream, struct stream_view *out);

/* ---- events ---- */

enum dataplane_event_kind {
	EVENT_RECORDING_OPENED,
	EVENT_PART_STARTED,
	EVENT_PART_SEALED,
	EVENT_NOTE_WRITTEN,
	EVENT_RECORDING_SEALED,
	EVENT_STREAM_INSTALLED,
	EVENT_STREAM_UPDATED,
	EVENT_STREAM_BOUND,
	EVENT_STREAM_REMOVED,
	EVENT_STREAM_REKEYED,
	EVENT_STREAM_PUNTED,	/* a DTLS datagram; the cookie is stream_add's */
	EVENT_RECORDING_PLACED,	/* first slot of a recording in a segment: for the catalog */
	EVENT_SEGMENT_OPENED,
	EVENT_SEGMENT_FINISHED,
	EVENT_DEVICE_FULL,	/* gaps from here; admission closes */
	EVENT_DEVICE_ROOM,
	EVENT_DEVICE_FAILED,
};

struct dataplane_event {
	enum dataplane_event_kind kind;
	enum srs_err err;	/* OK, or why it did not happen */
	uint64_t cookie;
	uint32_t recording;	/* handle, or DATAPLANE_NONE */
	uint32_t stream;
	uint32_t part;
	uint8_t recording_id[REEL_ID_SIZE];
	union {
		struct {	/* STREAM_REMOVED */
			uint64_t recorded, lost_upstream, dropped, duplicates;
		} totals;
		struct {	/* STREAM_PUNTED; valid during the call */
			struct media_address source;
			struct span datagram;
		} punted;
		struct {	/* PART_SEALED: of the part; RECORDING_SEALED: of the whole recording */
			uint8_t digest[REEL_DIGEST_SIZE];
			uint64_t n_frames, n_chunks, bytes;
			uint64_t first_wall_ns, last_wall_ns;
			uint64_t missing;	/* frames lost here, all reasons but PAUSED */
			uint64_t lost_upstream;
			uint32_t n_streams;	/* totals in the seal: (stream, SSRC, key generation) */
			bool interrupted;	/* sealed by recovery: recording DATAPLANE_NONE, no stream totals */
		} sealed;
		struct {	/* RECORDING_PLACED, SEGMENT_* */
			uint8_t uuid[REEL_ID_SIZE];
			uint64_t sequence;
			uint32_t device_i;
			uint8_t digest[REEL_DIGEST_SIZE];	/* FINISHED: SHA-256 of the footer slots */
			uint64_t n_slots_used;
		} segment;
	} u;
};

/** Deliver what happened, at most `max` events. @return events delivered @thread control, each 1 ms while commands
 * are outstanding, else each 20 ms */
unsigned int dataplane_poll(struct dataplane *dp, void (*on_event)(void *ctx, const struct dataplane_event *e),
                            void *ctx, unsigned int max);
/** Commands without a completion event yet. */
unsigned int dataplane_outstanding(const struct dataplane *dp);
/** Publish the wall clock to the lcores; once a second, and after a step. */
void dataplane_clock_publish(struct dataplane *dp);

/* ---- admission and counters ---- */

struct dataplane_room {
	uint32_t sessions_free;	/* recordings that can still be opened */
	uint32_t streams_free;
	uint32_t chunks_free_percent;	/* the emptiest lcore's pool */
	bool storage_ok;	/* no device full or failed, reserve kept */
};
void dataplane_room(const struct dataplane *dp, struct dataplane_room *out);

enum counter_severity { COUNTER_INFO, COUNTER_WARN, COUNTER_ERROR };
struct dataplane_counter {
	const char *name;	/* rx_recorded, ... ; stable */
	const char *unit;	/* packets | frames | bytes | chunks */
	enum counter_severity severity;
	const char *sentence;
	uint64_t value;		/* summed over lcores and writers */
};
/** Walk every counter. @thread any (relaxed loads) */
void dataplane_counters(const struct dataplane *dp,
                        void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx);

/** profile `ring`: hand packets (whole Ethernet frames) to address owner lcore's queue as if received; for tests and
 * the bench. @return how many were taken @thread one feeder */
unsigned int dataplane_inject(struct dataplane *dp, unsigned int lcore_i, const struct span *frames, unsigned int n);

#endif
