#include "dataplane/command.h"

#include <string.h>

#include "lib/srs_assert.h"

#define NOTE_PIECES_A_TURN 2	/* bytes that a turn spends on a document: two pieces */

enum srs_err
command_pool_create(struct command_pool *pool, uint32_t n, uint32_t n_notes)
{
	memset(pool, 0, sizeof(*pool));
	if (!memory_take(&pool->command_memory, (size_t)n * sizeof(struct command), false) ||
	    !memory_take(&pool->note_memory, (size_t)n_notes * sizeof(struct note), false)) {
		command_pool_destroy(pool);
		return SRS_ERR_NOMEM;
	}
	pool->commands = pool->command_memory.at;
	for (uint32_t i = 0; i < n; i++) {
		pool->commands[i].next = pool->free;
		pool->free = &pool->commands[i];
	}
	for (uint32_t i = 0; i < n_notes; i++) {
		struct note *note = (struct note *)pool->note_memory.at + i;

		note->next = pool->note_free;
		pool->note_free = note;
	}
	pool->n = pool->n_free = n;
	pool->n_notes = pool->n_notes_free = n_notes;
	return SRS_OK;
}

void
command_pool_destroy(struct command_pool *pool)
{
	memory_give(&pool->command_memory);
	memory_give(&pool->note_memory);
	memset(pool, 0, sizeof(*pool));
}

struct command *
command_take(struct command_pool *pool, enum command_kind kind)
{
	struct command *c = pool->free;

	if (c == NULL)
		return NULL;
	pool->free = c->next;
	pool->n_free--;
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	return c;
}

static void
notes_give(struct command_pool *pool, struct note *note)
{
	while (note != NULL) {
		struct note *next = note->next;

		note->next = pool->note_free;
		pool->note_free = note;
		pool->n_notes_free++;
		note = next;
	}
}

void
command_give(struct command_pool *pool, struct command *command)
{
	if (command->kind == COMMAND_NOTE)
		notes_give(pool, command->u.note.first);
	if (command->kind == COMMAND_STREAM_SEND)
		notes_give(pool, command->u.send.datagram);
	command->next = pool->free;
	pool->free = command;
	pool->n_free++;
}

static enum srs_err
pieces_fill(struct command_pool *pool, struct note **link, struct span bytes)
{
	size_t need = bytes.len == 0 ? 1 : (bytes.len + NOTE_PIECE_SIZE - 1) / NOTE_PIECE_SIZE;
	size_t done = 0;

	if (need > pool->n_notes_free)
		return SRS_ERR_LIMIT;
	for (size_t i = 0; i < need; i++) {
		struct note *note = pool->note_free;
		size_t len = bytes.len - done < NOTE_PIECE_SIZE ? bytes.len - done : NOTE_PIECE_SIZE;

		pool->note_free = note->next;
		pool->n_notes_free--;
		note->next = NULL;
		note->len = (uint16_t)len;
		if (len != 0)
			memcpy(note->bytes, bytes.bytes + done, len);
		done += len;
		*link = note;
		link = &note->next;
	}
	return SRS_OK;
}

enum srs_err
command_note_fill(struct command_pool *pool, struct command *command, uint8_t kind, struct span bytes)
{
	enum srs_err err = bytes.len <= REEL_DOCUMENT_MAX ? pieces_fill(pool, &command->u.note.first, bytes) : SRS_ERR_LIMIT;

	if (err)
		return err;
	command->u.note.at = command->u.note.first;
	command->u.note.kind = kind;
	return SRS_OK;
}

static_assert(STREAM_DATAGRAM_MAX <= NOTE_PIECE_SIZE, "a datagram is one piece");

enum srs_err
command_datagram_fill(struct command_pool *pool, struct command *command, struct span bytes)
{
	return pieces_fill(pool, &command->u.send.datagram, bytes);
}

/* ---- on the lcore ---- */

static bool
run_note(struct command *c, struct recorder *r)
{
	for (unsigned int i = 0; i < NOTE_PIECES_A_TURN && c->u.note.at != NULL; i++) {
		const struct note *note = c->u.note.at;
		const struct recording_frame f = {
			.kind = (uint8_t)(c->u.note.kind | (note->next != NULL ? REEL_FRAME_MORE : 0)),
			.stream = REEL_STREAM_NONE, .len = note->len, .wall_ns = r->wall_ns, .bytes = note->bytes,
		};
		bool begun = note != c->u.note.first;
		enum reel_reason reason = begun ? recording_append_rest(r, c->recording, &f)
		                                : recording_append(r, c->recording, &f);

		/* A reader would join the next document to one without an end: the rest waits for a chunk. */
		if (reason != REEL_REASON_NONE && begun)
			return false;
		if (reason != REEL_REASON_NONE) {
			counter_add(&r->counters->notes_dropped, 1);
			recording_gap(c->recording, NULL, reason, r->wall_ns);
			c->err = SRS_ERR_LIMIT;
			return true;
		}
		c->u.note.at = note->next;
	}
	return c->u.note.at == NULL;
}

static void
slots_set(struct stream_table *table, const struct stream *s, uint32_t slot)
{
	table->slot_of[s->address_i][s->udp_port] = slot;
	if (s->rtcp_port != 0 && s->rtcp_port != s->udp_port)
		table->slot_of[s->address_i][s->rtcp_port] = slot == 0 ? 0 : slot | SLOT_RTCP;
}

static void
run_remove(struct command *c, struct recorder *r, struct stream_table *table, struct generations *g)
{
	struct stream *s = c->stream;

	slots_set(table, s, 0);
	recording_stream_remove(r, s->recording, s);
	stream_release(s, r->streams, r->counters);
	c->u.totals.recorded = s->frames;
	c->u.totals.lost_upstream = s->lost_before;
	c->u.totals.dropped = s->drops;
	c->u.totals.duplicates = s->duplicates;
	c->u.totals.keys = generation_leave(g, s);
}

static void
run_bind(struct command *c, struct recorder *r)
{
	recording_stream_remove(r, c->stream->recording, c->stream);
	c->stream->number = c->u.bind.number;
	recording_stream_add(c->recording, c->stream);
}

static bool
run_part_end(struct command *c, struct recorder *r)
{
	const struct reel_mark seam = { .kind = REEL_MARK_SEAM }, paused = { .kind = REEL_MARK_PAUSED };
	bool goes_on = !c->u.seal.order->final;

	if (!recording_part_end(r, c->recording, c->u.seal.order, c->u.seal.rows_max))
		return false;
	c->u.seal.order = NULL;	/* the writer's now */
	if (c->u.seal.seam)
		recording_mark(r, c->recording, REEL_STREAM_NONE, &seam);
	if (goes_on && (c->recording->flags & RECORDING_F_PAUSED))	/* a part can be read by itself */
		recording_mark(r, c->recording, REEL_STREAM_NONE, &paused);
	return true;
}

bool
command_run(struct command *c, struct recorder *r, struct stream_table *table, struct generations *g)
{
	switch (c->kind) {
	case COMMAND_RECORDING_OPEN:
		c->recording->steps_seen_ns = r->clock.steps_ns;
		return true;
	case COMMAND_NOTE:
		return run_note(c, r);
	case COMMAND_RECORDING_PAUSE:
		recording_pause(r, c->recording, c->u.paused);
		return true;
	case COMMAND_PART:
	case COMMAND_RECORDING_SEAL:
		return run_part_end(c, r);
	case COMMAND_STREAM_ADD:
		recording_stream_add(c->recording, c->stream);
		slots_set(table, c->stream, c->stream->handle);
		return true;
	case COMMAND_STREAM_UPDATE:
		stream_update(c->stream, &c->u.spec, r->streams, r->counters);
		if ((c->stream->flags & STREAM_F_INACTIVE) == 0)
			c->stream->recording->flags |= RECORDING_F_GAPS_DUE;	/* of the hold */
		return true;
	case COMMAND_STREAM_BIND:
		run_bind(c, r);
		return true;
	case COMMAND_STREAM_REKEY:
		generation_rekey(g, r, c->stream, c->u.rekey.ids, c->u.rekey.n_ids, c->u.rekey.fresh);
		c->u.rekey.fresh = NULL;
		return true;
	case COMMAND_STREAM_SEND:
		break;
	case COMMAND_STREAM_HURRY:
		generation_hurry(g, r, c->stream);
		return true;
	case COMMAND_STREAM_REMOVE:
		run_remove(c, r, table, g);
		return true;
	}
	srs_assert(!"a command kind that nobody posts");
	return true;
}
