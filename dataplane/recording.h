/* Recordings as an lcore sees them: one open chunk each, to which frames are appended in arrival order. The chunk
 * goes to the recording's writer when it is full, when it is old, when the class of frames changes, when packet time
 * steps back, and at the end of a part. No empty chunk, or a writer that refuses, makes gaps: counted by recording
 * and stream, written as GAP frames as soon as there is a chunk again. @thread lcore, but for recording_init() */
#ifndef RECORDING_H
#define RECORDING_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/chunk.h"
#include "dataplane/clock.h"
#include "dataplane/counters.h"
#include "dataplane/stream.h"

#define RECORDING_F_PAUSED   0x01
#define RECORDING_F_GAPS_DUE 0x02	/* gaps wait to be written */
#define RECORDING_F_OPEN     0x04	/* the lcore has it */

struct recording {
	/* line 0: every frame */
	alignas(SRS_CACHE_LINE) uint8_t *body;	/* of the open chunk */
	struct chunk *chunk;	/* NULL: none open */
	uint64_t first_wall_ns, last_wall_ns;
	int64_t steps_seen_ns;	/* clock steps that this recording knows */
	uint16_t used, limit;	/* of the body */
	uint32_t n_frames;	/* in the open chunk */
	uint32_t part;
	uint8_t class;		/* enum reel_class of the open chunk */
	uint8_t writer_i;
	uint8_t flags;		/* RECORDING_F_* */
	/* line 1: each chunk */
	alignas(SRS_CACHE_LINE) uint64_t next_chunk_no;
	uint64_t opened_tsc;
	struct recording *older, *younger;	/* open chunks by age */
	struct stream *streams;
	struct totals *totals;
	uint32_t handle;
	uint32_t n_totals;	/* relaxed: control sizes the seal by it */
	/* line 2 and later: rare */
	alignas(SRS_CACHE_LINE) struct gap gaps[REEL_REASONS_MAX];	/* of frames that belong to no stream */
};
static_assert(offsetof(struct recording, next_chunk_no) == 1 * SRS_CACHE_LINE, "line 0 overflowed");
static_assert(offsetof(struct recording, gaps) == 2 * SRS_CACHE_LINE, "line 1 overflowed");

/* Sources that may end in one part; the other half of a seal's rows is for those that live to its end. */
#define RECORDING_ENDED_MAX  (REEL_SEAL_STREAMS_MAX / 2)

#define RECORDER_WRITERS_MAX CONFIG_DEVICE_MAX

/* The recording side of one lcore. */
struct recorder {
	struct chunk_pool *chunks;
	struct stream_pool *streams;
	struct counters *counters;
	struct spsc *full[RECORDER_WRITERS_MAX];
	struct spsc *empty[RECORDER_WRITERS_MAX];
	uint8_t refused[RECORDER_WRITERS_MAX];	/* enum reel_reason, as of this turn */
	uint16_t n_writers;
	uint64_t now_tsc, wall_ns;	/* of this turn */
	uint64_t age_ns, age_tsc;	/* chunks pass on then */
	struct clock_map clock;
	struct recording *oldest, *youngest;	/* open chunks */
};

struct recording_frame {
	uint8_t kind;		/* enum reel_frame_kind and REEL_FRAME_REDACTED, _MORE */
	uint8_t stream;
	uint16_t len;
	uint32_t seq_ext;
	uint64_t wall_ns;
	const uint8_t *bytes;
};

/** Fill a recording that no lcore has. @thread control */
void recording_init(struct recording *rec, uint32_t handle, uint8_t writer_i);

/** Append a frame, in MORE pieces when it is longer than an empty chunk: all of it or nothing.
 * @return NONE, or why it was not appended: the caller counts it with recording_gap() */
enum reel_reason recording_append(struct recorder *r, struct recording *rec, const struct recording_frame *f);
/** The same for what goes on with a frame that has begun: also when the writer takes no new ones now. */
enum reel_reason recording_append_rest(struct recorder *r, struct recording *rec, const struct recording_frame *f);
/** A frame was not recorded. @param s  its stream; NULL: a document */
void recording_gap(struct recording *rec, struct stream *s, enum reel_reason reason, uint64_t wall_ns);
/** Append a mark. @param stream number or REEL_STREAM_NONE @return false: no chunk; it is counted */
bool recording_mark(struct recorder *r, struct recording *rec, uint8_t stream, const struct reel_mark *mark);

void recording_pause(struct recorder *r, struct recording *rec, bool paused);

void recording_stream_add(struct recording *rec, struct stream *s);
/** Take a stream off: its totals stay for the seal, its gaps are written. */
void recording_stream_remove(struct recorder *r, struct recording *rec, struct stream *s);
/** An SSRC of this stream ended: keep its totals. */
void recording_ssrc_end(struct recorder *r, struct recording *rec, struct stream *s, const struct ssrc *x);

/** End the part: last chunk, with the totals in `order`. @param rows_max room in `order`
 * @return false: no chunk to carry the end; try again later, nothing has changed */
bool recording_part_end(struct recorder *r, struct recording *rec, struct seal_order *order, uint16_t rows_max);

/** May another source of this part end? Its totals need a place until the seal, and a row in it. */
static inline bool
recording_totals_room(const struct recorder *r, const struct recording *rec)
{
	return rec->n_totals < RECORDING_ENDED_MAX && r->streams->totals != NULL;
}

/** Pass the open chunk on, if there is one. */
void recording_close(struct recorder *r, struct recording *rec);
/** Pass on what is older than chunk_age_ms, at most `max` chunks. @return how many */
unsigned int recorder_age(struct recorder *r, unsigned int max);
/** Begin a turn: time, refusals. */
void recorder_turn(struct recorder *r, uint64_t tsc);
/** Take chunks back from the writers. */
void recorder_refill(struct recorder *r);

#endif
