/* The body of struct dataplane: what the control thread keeps about recordings and streams that it gave away.
 * Private to dataplane*.c. @thread control */
#ifndef DATAPLANE_STATE_H
#define DATAPLANE_STATE_H

#include "dataplane/command.h"
#include "dataplane/eal.h"
#include "dataplane/lcore.h"
#include "dataplane/port.h"
#include "dataplane/writer.h"

#define DATAPLANE_LCORES_MAX PORT_QUEUES_MAX

enum desk_state {
	DESK_FREE,
	DESK_OPENING,	/* the writer has part 0's key on its way, then the lcore the recording */
	DESK_OPEN,
	DESK_PART,	/* the same for the next part */
	DESK_SEALING,	/* the end is on its way to the lcore */
	DESK_ENDED,	/* the lcore is done with it; the writer seals */
};

/* Control's view of one handle. */
struct desk_recording {
	uint8_t state;		/* enum desk_state */
	uint8_t writer_i;
	uint16_t lcore_i;
	uint32_t part;
	uint32_t n_streams;	/* installed, or on their way */
	uint32_t n_leaving;	/* bound to another one, not there yet: their totals are still to come */
	uint64_t cookie;	/* of the open, part or seal under way */
	struct command *command;	/* taken before, for its second half */
	uint8_t id[REEL_ID_SIZE];
};

#define DESK_SOURCES 4	/* of DTLS records: the peer, and strangers */

struct desk_stream {
	bool taken, removing;
	uint16_t lcore_i;
	uint16_t address_i;
	uint16_t udp_port, rtcp_port;
	uint32_t recording;
	/* SRTP */
	bool secure, keyed;	/* `keyed`: it was given keys */
	bool queued;		/* in the queue of streams with keys that retire ... */
	uint32_t before, behind;	/* ... by age; 0: none */
	uint32_t n_leaving;	/* its keysets that no signalled key names any more, and that did not come back yet */
	uint16_t next_generation;
	uint8_t n_named;
	bool has_ours;
	uint8_t ours[KEYSET_ID_SIZE];	/* of our own key */
	uint8_t named[SRTP_MASTERS_MAX][KEYSET_ID_SIZE];
	/* DTLS */
	uint32_t life;		/* counts the streams of this handle */
	uint64_t cookie;	/* of stream_add: its records come with it */
	uint8_t n_heard;
	struct {
		struct media_address address;
		struct link link;
	} heard[DESK_SOURCES];	/* where records came from, newest first */
};

struct dataplane {
	const struct config *config;
	struct eal eal;
	struct port port;
	struct steer steer;
	struct selftest selftest;
	struct clock clock;
	uint32_t clock_sequence;	/* control's copy of the map ... */
	struct clock_map clock_map;	/* ... for views */
	struct stream_table streams;
	struct recording *recordings;
	struct memory recording_memory;
	struct command_pool commands;
	struct lcore *lcores[DATAPLANE_LCORES_MAX];
	uint16_t n_lcores;
	struct writer *writers[RECORDER_WRITERS_MAX];
	struct dataplane_event *held[RECORDER_WRITERS_MAX];	/* came before its other half */
	uint32_t writer_load[RECORDER_WRITERS_MAX];	/* open recordings */
	uint16_t n_writers;
	uint32_t recordings_max, streams_max;
	struct desk_recording *desk_recordings;
	struct desk_stream *desk_streams;	/* index is the handle; 0 is not used */
	uint32_t *free_recordings, *free_streams;	/* stacks */
	uint32_t n_free_recordings, n_free_streams;
	uint8_t (*port_used)[65536 / 8];	/* by address */
	uint32_t streams_of[CONFIG_ADDRESS_MAX];
	enum unprotect_engine_kind engine_kind;
	struct unprotect_engine *engine;	/* control's own, to expand keys; NULL: srtp.enabled is off */
	struct keyset_pool keysets;
	uint32_t n_keyed;	/* streams with keys */
	uint32_t leaving_first, leaving_last;	/* handles: which streams have keys that retire, oldest first */
	unsigned int outstanding;
	char description[256];
	char cname[REPORT_CNAME_SIZE + 1];	/* of our reports; new in each process */
};

void desk_recording_free(struct dataplane *dp, uint32_t handle);
void desk_stream_free(struct dataplane *dp, uint32_t handle);
/** Send a command to its lcore; the ring holds the whole pool. */
void desk_post(struct dataplane *dp, uint16_t lcore_i, struct command *c);
/** The order for a seal of `rec`, as large as what is known now needs. NULL: no memory */
struct seal_order *desk_order(const struct dataplane *dp, uint32_t handle, const char *reason, bool final,
                              uint64_t cookie, uint16_t *rows_max);
struct command *desk_stream_command(struct dataplane *dp, uint32_t stream, enum command_kind kind, uint64_t cookie);
/** The stream behind a handle; NULL: there is none, or it is being removed. */
struct desk_stream *desk_stream_of(struct dataplane *dp, uint32_t handle);

/** Hand on DTLS records, at most `max`. @return how many */
unsigned int desk_punts_poll(struct dataplane *dp, void (*on_event)(void *ctx, const struct dataplane_event *e), void *ctx,
                             unsigned int max);

/* ---- keys ---- */

/** Choose the engine, and take what SRTP needs. @param why one sentence with the remedy */
SRS_MUST_CHECK enum srs_err desk_keys_create(struct dataplane *dp, char *why, size_t why_len);
void desk_keys_destroy(struct dataplane *dp);
/** May a stream with this be added, and is there an engine's room for its keys? */
SRS_MUST_CHECK enum srs_err desk_keys_check(const struct dataplane *dp, const struct stream_spec *spec);
/** Expand those of `keys` that the stream does not have; all that are named stand in `ids`. Nothing changes on failure.
 * @param fresh  list, in their order */
SRS_MUST_CHECK enum srs_err desk_keys_make(struct dataplane *dp, uint32_t stream, const struct stream_keys *keys,
                                           uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE], unsigned int *n_ids,
                                           struct keyset **fresh);
/** Our own key for reports, when the stream does not have it. With `slot`, which no lcore knows yet, it is put there; else
 * a keyset carries it, in front of `*fresh`. Nothing changes on failure. */
SRS_MUST_CHECK enum srs_err desk_keys_ours(struct dataplane *dp, uint32_t stream, const struct srtp_master *ours,
                                           struct stream *slot, struct keyset **fresh);
/** The stream has these keys from now on. */
void desk_keys_commit(struct dataplane *dp, uint32_t stream, uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE],
                      unsigned int n_ids);
/** Wipe and free what lcores gave back. */
void desk_keys_poll(struct dataplane *dp);
/** The stream's removal is on its way: nothing is asked of it any more. */
void desk_keys_removing(struct dataplane *dp, uint32_t stream);
/** The stream is gone, and these are its keys. */
void desk_keys_removed(struct dataplane *dp, uint32_t stream, struct keyset *keys);

/** The command goes nowhere: free the order that it owns. */
void desk_order_drop(struct command *c);

#endif
