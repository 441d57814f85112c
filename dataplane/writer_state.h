/* Inside of a writer, shared by writer.c (life, thread, intake), writer_commit.c (blocks, segments, durability, faults)
 * and writer_seal.c (ends of parts). Everything here belongs to the writer's thread unless it says otherwise.
 *
 * A block is one disk write: sealed slots in arrival order. It is bound to a place in a segment only when it is
 * submitted, since a slot's crc covers its place: so blocks can wait for room, and move to another segment when a
 * file can no longer be trusted. Blocks are kept until fdatasync said that they are durable; what happened with them
 * (placed, sealed) becomes an event only then. */
#ifndef WRITER_STATE_H
#define WRITER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "crypto/digest.h"
#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "dataplane/memory.h"
#include "dataplane/segment.h"
#include "dataplane/storage.h"
#include "dataplane/writer.h"
#include "lib/merkle.h"

#define BLOCK_SLOTS          256u /* 1 MiB */
#define WRITER_BLOCKS        64u  /* default pool: what one commit interval may write at 640 MB/s */
#define WRITER_BLOCKS_MIN    4u
#define WRITER_BLOCKS_MAX    1024u
#define WRITER_ENDINGS_MAX   256u /* seals under one signature */
#define WRITER_COMMANDS      256u
#define WRITER_MISSING_MAX   32u  /* ranges named in a seal; the chunks of further ones are counted in its reason */
#define WRITER_EVENTS_SPARE  8u   /* kept for segment and device events */
#define WRITER_RETRY_MS      250u
#define WRITER_FAILURES_MAX  4u   /* failed tries with one file before another one is opened */
#define WRITER_IDLE_NS       1000000
#define WRITER_BRISK_NS      200000 /* while work comes: a call waits until its recording is open */
#define WRITER_BRISK_TURNS   100u   /* empty ones that it stays so */
#define WRITER_STOP_MS       2000u /* at stop, how long a failing device is retried */

struct writer_event {
	struct dataplane_event e; /* first: the pointer that control sees */
	struct writer_event *next;
};

/* Control -> writer: the key of a part. Lives in secret memory. */
struct writer_command {
	uint32_t recording;
	uint32_t part;
	uint64_t cookie;
	struct part_key key;
};

enum writer_part_state {
	WRITER_PART_FREE = 0,
	WRITER_PART_OPEN,
	WRITER_PART_ENDED, /* END seen, its seal is not durable yet */
};

struct writer_part {
	/* lines 0 and 1: each chunk; the tree's upper end lies in them and the next two */
	alignas(SRS_CACHE_LINE) enum writer_part_state state;
	uint32_t recording;
	uint32_t part;
	enum reel_suite suite;
	bool clear_media, clear_documents;
	uint16_t n_missing;
	uint8_t id[REEL_ID_SIZE]; /* of the recording */
	uint64_t next_chunk_no;
	uint64_t n_chunks, n_frames, bytes;
	uint64_t first_wall_ns, last_wall_ns;
	struct merkle tree;
	/* chunk 0, and what should not happen */
	uint8_t commitment[REEL_COMMITMENT_SIZE];
	uint64_t missing_unnamed;
	struct reel_seal_missing missing[WRITER_MISSING_MAX];
};
static_assert(offsetof(struct writer_part, tree) < 2 * SRS_CACHE_LINE, "two lines a chunk, and the tree");

struct writer_recording {
	uint8_t id[REEL_ID_SIZE];
	uint8_t previous[REEL_DIGEST_SIZE]; /* digest of the last part's seal */
	uint64_t placed_sequence;           /* segment that it was last seen in; 0: none */
	uint64_t n_chunks, n_frames, bytes, missing, lost_upstream; /* of its sealed parts */
	uint64_t first_wall_ns;
};

enum block_state { BLOCK_FREE = 0, BLOCK_FILLING, BLOCK_READY, BLOCK_BUSY, BLOCK_WRITTEN };

struct block_slot {
	struct reel_footer_entry entry;
	uint32_t recording;	/* handle, or DATAPLANE_NONE (recovery) */
	uint32_t crc;		/* of the slot's bytes; its place is joined to it when there is one */
	uint32_t signed_len;	/* CHUNK: bytes of the leaf digest */
	struct writer_part *part; /* CHUNK: whose tree takes the leaf */
};

struct block {
	enum block_state state;
	uint32_t n, n_max;
	uint32_t n_hashed;   /* slots whose leaves are in their trees */
	uint32_t n_unhashed; /* chunks behind them */
	uint64_t first_slot; /* place in the open segment; 0: unbound (slot 0 is the header's) */
	uint32_t n_chunks;
	uint64_t n_frames;
	uint8_t *slots;
	struct storage_io io;
	struct writer_event *events; /* sent when the block is durable, oldest first */
	struct writer_event **events_end;
	struct block *next;
	struct block_slot meta[BLOCK_SLOTS];
};

/* A part whose seal is to be made in the next commit. */
struct recovery_part;

struct writer_ending {
	struct reel_seal seal;
	struct seal_order *order;   /* owned; NULL from recovery */
	struct writer_part *part;   /* NULL from recovery */
	uint32_t recording;
	uint64_t cookie;
	uint64_t bytes;
	const struct recovery_part *recovered; /* NULL while alive */
	bool last;                  /* of its recording */
	bool chained;               /* from recovery: follows the seal before it in the batch */
};

enum writer_batch { WRITER_BATCH_OPEN = 0, WRITER_BATCH_DIGESTED, WRITER_BATCH_SIGNED };

struct writer_lcore {
	struct spsc *full, *empty;
};

struct recovery;

struct writer {
	struct writer_spec spec;
	uint64_t commit_interval_ns;
	uint64_t segment_slots;
	uint32_t bound_base_ms; /* chunk age + commit interval */
	char node[64];
	char folder[SEGMENT_PATH_MAX];
	int lock_fd; /* <vault>/lock: two writers would finish each other's files */
	struct storage *storage;
	bool owns_storage;
	struct seal_engine *seal_engine;
	struct digest_lanes *lanes;
	struct keystore_signer *signer;
	uint8_t node_key_id[REEL_ID_SIZE];
	struct writer_lcore *lcores;

	/* commands and events; the *_back rings return empty ones */
	struct spsc *commands, *commands_back;
	struct writer_command *command_pool;
	struct spsc *events, *events_back;
	struct writer_event *event_pool;
	struct writer_event *events_free;
	uint32_t n_events, n_events_free;
	enum dataplane_event_kind device_event; /* waits for a free event */
	bool device_event_due;

	/* keys and trees; two parts of a recording may live at once: (recording, part & 1) */
	struct memory recording_memory, part_memory;
	struct writer_recording *recordings;
	struct writer_part *parts;
	struct seal_key *keys; /* secret memory, by part index */
	size_t keys_len;

	/* blocks */
	struct block *blocks;
	struct memory block_memory;
	uint32_t n_blocks, n_blocks_free;
	struct block *free_blocks;
	struct block *fill;
	struct block *pending, **pending_end; /* oldest first */
	uint64_t dirty_mono_ns; /* when the oldest uncommitted slot came; 0: nothing uncommitted */
	uint8_t (*leaves)[DIGEST_SIZE]; /* BLOCK_SLOTS */
	struct span *messages;

	/* seals */
	uint32_t n_endings, next_ending;
	enum writer_batch batch;
	uint8_t recovered_digest[REEL_DIGEST_SIZE]; /* of the last seal made for recovery */
	struct writer_ending *endings;
	uint8_t (*ending_digests)[DIGEST_SIZE];
	uint8_t (*ending_nodes)[MERKLE_HASH_SIZE]; /* of the tree over the batch */
	struct reel_proof proof; /* of the signed batch; path and index change per seal */
	uint8_t *seal_body;
	uint8_t (*seal_slots)[REEL_SLOT_SIZE];

	/* the disk */
	struct segment segment;
	uint64_t next_sequence;
	uint32_t segment_failures;
	struct recovery *recovery;
	uint64_t retry_mono_ns;
	bool commit_now;
	uint64_t space_mono_ns;
	uint64_t flush_histogram[32]; /* flushes that took below 2^i microseconds */
	uint64_t n_flushes;

	pthread_t thread;
	bool running;
	_Atomic bool stop;		/* control stores, the thread loads */
	_Atomic int refuses;		/* enum reel_reason; thread stores, lcores load */
	_Atomic bool space_ok;		/* thread stores, any loads */
	struct writer_counters counters; /* written by the thread with relaxed stores */
};

static inline uint64_t
writer_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void
writer_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* ---- writer.c ---- */

/** A free event, cleared, or NULL: control has not given enough back yet. */
struct writer_event *writer_event_take(struct writer *w, enum dataplane_event_kind kind);
void writer_event_send(struct writer *w, struct writer_event *ev);
void writer_event_drop(struct writer *w, struct writer_event *ev);

/* ---- writer_commit.c ---- */

SRS_MUST_CHECK enum srs_err writer_blocks_create(struct writer *w);
void writer_blocks_free(struct writer *w);
/** Room for `n` slots in the filling block, or NULL when the pool is used up. */
struct block *writer_block_for(struct writer *w, uint32_t n);
/** The next slot of a block that writer_block_for() returned; its meta is cleared. */
uint8_t *writer_block_slot(struct writer *w, struct block *b, struct block_slot **meta);
/** A chunk was sealed into the last slot. */
void writer_block_chunk(struct writer *w, struct block *b, uint32_t n_frames);
void writer_block_event(struct block *b, struct writer_event *ev);
/** Close the filling block: hash its chunks into their trees, start its write. */
void writer_block_flush(struct writer *w);
/** Take in finished writes without waiting. */
void writer_blocks_poll(struct writer *w);
/** All that came so far, seals with it, becomes durable and its events go out; or the fault state says why not. */
void writer_commit(struct writer *w);
SRS_MUST_CHECK enum srs_err writer_segment_open(struct writer *w);
SRS_MUST_CHECK enum srs_err writer_segment_finish(struct writer *w);
/** At stop, with a device that does not come back: count what is in hand as lost. */
void writer_give_up(struct writer *w);
void writer_space_check(struct writer *w);

/* ---- writer_seal.c ---- */

SRS_MUST_CHECK enum srs_err writer_seals_create(struct writer *w);
void writer_seals_free(struct writer *w);
bool writer_can_end(const struct writer *w);
void writer_part_end(struct writer *w, struct writer_part *p, bool final, struct seal_order *order);
/** Write seals of the ended parts as far as there are blocks. @return SRS_OK, or why none could be signed */
SRS_MUST_CHECK enum srs_err writer_seals_write(struct writer *w);
/** Seal what recovery found interrupted, and finish its files. Before the thread starts. */
SRS_MUST_CHECK enum srs_err writer_recover(struct writer *w);

#endif
