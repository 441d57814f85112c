/* What control asks of an lcore. A command is taken from the pool, travels to its lcore, is carried out there and
 * comes back as its own completion: the way back is the grace period. Pools are control's alone, and the rings hold
 * a whole pool, so neither way can be full. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/datagram.h"
#include "dataplane/dataplane.h"
#include "dataplane/generation.h"
#include "dataplane/memory.h"
#include "dataplane/recording.h"
#include "dataplane/stream.h"

enum command_kind {
	COMMAND_RECORDING_OPEN,
	COMMAND_PART,
	COMMAND_NOTE,
	COMMAND_RECORDING_PAUSE,
	COMMAND_RECORDING_SEAL,
	COMMAND_STREAM_ADD,
	COMMAND_STREAM_UPDATE,
	COMMAND_STREAM_BIND,
	COMMAND_STREAM_REKEY,
	COMMAND_STREAM_HURRY,	/* its retiring keys are wanted elsewhere */
	COMMAND_STREAM_SEND,	/* carried out in lcore.c: it is the port's business */
	COMMAND_STREAM_REMOVE,
};

/* A document on its way. Buffers come in pieces that fit any empty chunk, and travel as a chain. */
#define NOTE_PIECE_SIZE 3840
struct note {
	struct note *next;
	uint16_t len;
	uint8_t bytes[NOTE_PIECE_SIZE];
};

struct command {
	struct command *next;	/* free, or waiting for a chunk */
	enum command_kind kind;
	enum srs_err err;	/* back: what came of it */
	uint64_t cookie;
	struct recording *recording;
	struct stream *stream;
	union {
		struct stream_spec spec;	/* UPDATE */
		struct {			/* NOTE */
			struct note *first, *at;	/* `at`: next to copy */
			uint8_t kind;
		} note;
		struct {			/* PART, SEAL */
			struct seal_order *order;	/* goes on to the writer */
			uint16_t rows_max;
			bool seam;		/* PART: the next one begins with the mark */
		} seal;
		bool paused;
		struct {			/* BIND */
			uint32_t from;		/* handle of the recording that it leaves */
			uint8_t number;
		} bind;
		struct {			/* REKEY */
			uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE];	/* all that are named */
			unsigned int n_ids;
			struct keyset *fresh;	/* list: those that the stream does not have */
		} rekey;
		struct {			/* SEND */
			struct note *datagram;	/* one piece */
			struct media_address to;
			struct link link;	/* len 0: not known */
		} send;
		struct {			/* back from REMOVE */
			uint64_t recorded, lost_upstream, dropped, duplicates;
			struct keyset *keys;	/* list: control's again */
		} totals;
	} u;
};

struct command_pool {
	struct command *commands;	/* all */
	struct command *free;
	uint32_t n, n_free;
	struct note *note_free;
	uint32_t n_notes, n_notes_free;
	struct memory command_memory, note_memory;
};

SRS_MUST_CHECK enum srs_err command_pool_create(struct command_pool *pool, uint32_t n, uint32_t n_notes);
void command_pool_destroy(struct command_pool *pool);
/** @return NULL: all are under way */
struct command *command_take(struct command_pool *pool, enum command_kind kind);
/** Give back a command, and its note with it. */
void command_give(struct command_pool *pool, struct command *command);
/** Copy a document into a chain of pieces. @return LIMIT: too few free */
SRS_MUST_CHECK enum srs_err command_note_fill(struct command_pool *pool, struct command *command, uint8_t kind,
                                              struct span bytes);

/** Copy a datagram, at most STREAM_DATAGRAM_MAX bytes. @return LIMIT: no piece is free */
SRS_MUST_CHECK enum srs_err command_datagram_fill(struct command_pool *pool, struct command *command, struct span bytes);

/** Work on a command. @return true: done, it may go back; false: more to do, call again in a later turn
 * @thread lcore */
bool command_run(struct command *command, struct recorder *r, struct stream_table *table, struct generations *g);

#endif
