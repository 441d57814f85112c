/* One recording, put together from the slots that vault files hold of it: parts in order, each with its envelopes,
 * chunks in order and its seal. Slots stay where they are mapped. @thread tool */
#ifndef TAPE_H
#define TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/tool/vault.h"
#include "crypto/keystore.h"
#include "lib/reel.h"
#include "lib/srs_err.h"

struct tape_chunk {
	const struct vault_file *file;
	uint64_t slot_no;
	const uint8_t *slot;
	struct reel_chunk head;	/* of a damaged chunk: what its footer entry says, part and chunk_no */
	bool damaged;		/* crc or header */
};

struct tape_part {
	uint32_t part;
	const uint8_t **envelopes;
	unsigned int n_envelopes;
	struct tape_chunk *chunks;	/* ascending chunk_no, each once */
	unsigned int n_chunks, chunks_room;
	unsigned int n_damaged;
	bool conflicting;	/* two different chunks with one number */
	/* the seal */
	const uint8_t *pieces[REEL_SEAL_SLOTS_MAX];
	unsigned int n_pieces, n_pieces_seen;
	bool seal_damaged;	/* a piece or the joined whole does not read */
	bool sealed;		/* `seal`, `proof` and `seal_body` are good to use */
	struct reel_seal seal;
	struct reel_proof proof;
	uint8_t *seal_bytes;	/* the joined pieces */
	struct span seal_body;	/* the signed part of them */
	struct reel_seal_stream *streams;
	struct reel_seal_missing *missing;
};

struct tape {
	uint8_t id[REEL_ID_SIZE];
	struct tape_part *parts;	/* ascending */
	unsigned int n_parts;
	const struct vault_row *damaged;	/* slots that a footer gives to this recording and that do not read */
	unsigned int n_damaged;
};

/** Collect a recording. @return INVALID (no slot of it), NOMEM */
SRS_MUST_CHECK enum srs_err tape_load(struct tape **out, const struct vault *v, const uint8_t id[REEL_ID_SIZE]);
void tape_free(struct tape *t);	/* accepts NULL */

/** First and last packet time, from seals or headers; 0 when empty. */
void tape_times(const struct tape *t, uint64_t *first_wall_ns, uint64_t *last_wall_ns);

/**
 * Holes in a part's chunk numbers that its seal does not name as missing: chunks that were there once.
 *
 * @param on_damage  one sentence a hole
 * @return           holes
 */
unsigned int tape_holes(const struct tape_part *p, void (*on_damage)(void *ctx, const char *sentence), void *ctx);

/** The DEK of a part by any of its envelopes. @return STATE (none, or no key here), AUTH (none unwraps) */
SRS_MUST_CHECK enum srs_err tape_dek(const struct tape_part *p, struct keystore *ks, struct dek *dek);

/* Frames in order, pieces of MORE joined. */
struct tape_frame {
	uint32_t part;
	uint64_t chunk_no;
	struct reel_frame frame;	/* bytes borrowed until the next call */
	bool documents;
};
/**
 * Open every chunk that opens and hand its frames to `on_frame`, in order of part and chunk.
 *
 * @param on_damage  a chunk that could not be opened or read on: one sentence with file and slot
 * @return           OK even with damage (see on_damage); STATE or AUTH when no part could be opened at all
 */
SRS_MUST_CHECK enum srs_err tape_play(const struct tape *t, struct keystore *ks,
                                      void (*on_frame)(void *ctx, const struct tape_frame *f),
                                      void (*on_damage)(void *ctx, const char *sentence), void *ctx);

#endif
