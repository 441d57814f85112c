/* What comes back: commands from lcores, events from writers; both halves of what needs two. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane_state.h"
#include "lib/srs_assert.h"

struct delivery {
	void (*on_event)(void *ctx, const struct dataplane_event *e);
	void *ctx;
	unsigned int n;
};

static void
deliver(struct delivery *to, const struct dataplane_event *e)
{
	to->n++;
	to->on_event(to->ctx, e);
}

/* ---- lcores ---- */

static const enum dataplane_event_kind event_of[] = {
	[COMMAND_RECORDING_OPEN] = EVENT_RECORDING_OPENED,
	[COMMAND_PART] = EVENT_PART_STARTED,
	[COMMAND_NOTE] = EVENT_NOTE_WRITTEN,
	[COMMAND_STREAM_ADD] = EVENT_STREAM_INSTALLED,
	[COMMAND_STREAM_UPDATE] = EVENT_STREAM_UPDATED,
	[COMMAND_STREAM_BIND] = EVENT_STREAM_BOUND,
	[COMMAND_STREAM_REKEY] = EVENT_STREAM_REKEYED,
	[COMMAND_STREAM_REMOVE] = EVENT_STREAM_REMOVED,
};

static void
state_after(struct dataplane *dp, const struct command *c, struct dataplane_event *e)
{
	struct desk_recording *d = &dp->desk_recordings[c->recording->handle];

	switch (c->kind) {
	case COMMAND_RECORDING_OPEN:
		d->state = DESK_OPEN;
		break;
	case COMMAND_PART:
		d->state = DESK_OPEN;
		d->part++;
		break;
	case COMMAND_RECORDING_SEAL:
		d->state = DESK_ENDED;
		break;
	case COMMAND_STREAM_BIND:
		dp->desk_recordings[c->u.bind.from].n_leaving--;
		break;
	case COMMAND_STREAM_REMOVE:
		e->u.totals.recorded = c->u.totals.recorded;
		e->u.totals.lost_upstream = c->u.totals.lost_upstream;
		e->u.totals.dropped = c->u.totals.dropped;
		e->u.totals.duplicates = c->u.totals.duplicates;
		desk_keys_removed(dp, c->stream->handle, c->u.totals.keys);
		desk_stream_free(dp, c->stream->handle);
		break;
	default:
		break;
	}
}

static void
on_command_back(struct dataplane *dp, struct command *c, struct delivery *to)
{
	const struct desk_recording *d = &dp->desk_recordings[c->recording->handle];
	struct dataplane_event e = { .err = c->err, .cookie = c->cookie, .recording = c->recording->handle,
		                     .stream = c->stream != NULL ? c->stream->handle : DATAPLANE_NONE };
	bool silent = c->kind == COMMAND_RECORDING_SEAL || c->kind == COMMAND_RECORDING_PAUSE ||
	              c->kind == COMMAND_STREAM_HURRY || c->kind == COMMAND_STREAM_SEND;

	if (!silent)
		e.kind = event_of[c->kind];
	memcpy(e.recording_id, d->id, REEL_ID_SIZE);
	state_after(dp, c, &e);
	e.part = d->part;
	if (c->kind != COMMAND_RECORDING_SEAL)	/* the writer's seal completes that */
		dp->outstanding--;
	command_give(&dp->commands, c);
	if (!silent)
		deliver(to, &e);
}

/* ---- writers ---- */

/* The writer answered about a key: the lcore's half follows, or nothing does. */
static void
on_key(struct dataplane *dp, const struct dataplane_event *e, struct delivery *to)
{
	struct desk_recording *d = &dp->desk_recordings[e->recording];
	struct command *c = d->command;

	srs_assert(c != NULL);
	d->command = NULL;
	if (e->err == SRS_OK) {
		desk_post(dp, d->lcore_i, c);
		return;
	}
	dp->outstanding--;
	if (c->kind == COMMAND_PART)
		desk_order_drop(c);
	command_give(&dp->commands, c);
	if (d->state == DESK_OPENING)
		desk_recording_free(dp, e->recording);
	else
		d->state = DESK_OPEN;
	deliver(to, e);
}

/* @return false: its other half has not come yet; keep it */
static bool
on_writer_event(struct dataplane *dp, const struct dataplane_event *e, struct delivery *to)
{
	bool ours = e->recording < dp->recordings_max && dp->desk_recordings[e->recording].state != DESK_FREE;

	switch (e->kind) {
	case EVENT_RECORDING_OPENED:
	case EVENT_PART_STARTED:
		if (ours)
			on_key(dp, e, to);
		return true;
	case EVENT_RECORDING_SEALED:
		if (ours) {
			if (dp->desk_recordings[e->recording].state != DESK_ENDED)
				return false;
			dp->outstanding--;
			desk_recording_free(dp, e->recording);
		}
		break;
	default:
		break;
	}
	deliver(to, e);
	return true;
}

static void
poll_writer(struct dataplane *dp, uint16_t w, struct delivery *to, unsigned int max)
{
	while (to->n < max) {
		struct dataplane_event *e = dp->held[w];

		dp->held[w] = NULL;
		if (e == NULL)
			e = spsc_pop(writer_events(dp->writers[w]));
		if (e == NULL)
			return;
		if (!on_writer_event(dp, e, to)) {
			dp->held[w] = e;
			return;
		}
		writer_event_free(dp->writers[w], e);
	}
}

unsigned int
dataplane_poll(struct dataplane *dp, void (*on_event)(void *ctx, const struct dataplane_event *e), void *ctx,
               unsigned int max)
{
	struct delivery to = { .on_event = on_event, .ctx = ctx };

	desk_keys_poll(dp);
	for (uint16_t i = 0; i < dp->n_lcores; i++) {
		struct command *c;

		while (to.n < max && (c = spsc_pop(dp->lcores[i]->events)) != NULL)
			on_command_back(dp, c, &to);
	}
	for (uint16_t w = 0; w < dp->n_writers; w++)
		poll_writer(dp, w, &to, max);
	if (to.n < max)
		to.n += desk_punts_poll(dp, on_event, ctx, max - to.n);
	return to.n;
}

unsigned int
dataplane_outstanding(const struct dataplane *dp)
{
	return dp->outstanding;
}
