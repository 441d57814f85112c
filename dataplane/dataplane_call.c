/* What control asks for: checks, takes handle and command, posts. */
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "dataplane/dataplane_state.h"
#include "lib/srs_assert.h"

void
desk_post(struct dataplane *dp, uint16_t lcore_i, struct command *c)
{
	bool pushed = spsc_push(dp->lcores[lcore_i]->commands, c);

	srs_assert(pushed);
}

static struct desk_recording *
recording_of(struct dataplane *dp, uint32_t handle)
{
	struct desk_recording *d = handle < dp->recordings_max ? &dp->desk_recordings[handle] : NULL;

	return d != NULL && (d->state == DESK_OPEN || d->state == DESK_PART) ? d : NULL;
}

struct desk_stream *
desk_stream_of(struct dataplane *dp, uint32_t handle)
{
	struct desk_stream *d = handle != 0 && handle <= dp->streams_max ? &dp->desk_streams[handle] : NULL;

	return d != NULL && d->taken && !d->removing ? d : NULL;
}

/* ---- recordings ---- */

/* The device with room and the least to do. */
static uint16_t
writer_choose(const struct dataplane *dp)
{
	uint16_t best = UINT16_MAX;

	for (uint16_t w = 0; w < dp->n_writers; w++)
		if (writer_has_room(dp->writers[w]) && (best == UINT16_MAX || dp->writer_load[w] < dp->writer_load[best]))
			best = w;
	return best;
}

enum srs_err
dataplane_recording_open(struct dataplane *dp, const struct recording_spec *spec, uint64_t cookie, uint32_t *recording)
{
	uint16_t w = writer_choose(dp);
	struct desk_recording *d;
	struct command *c;
	enum srs_err err;
	uint32_t handle;

	if (spec->lcore_i >= dp->n_lcores)
		return SRS_ERR_INVALID;
	if (w == UINT16_MAX || dp->n_free_recordings == 0)
		return SRS_ERR_LIMIT;
	c = command_take(&dp->commands, COMMAND_RECORDING_OPEN);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	handle = dp->free_recordings[dp->n_free_recordings - 1];
	err = writer_part_open(dp->writers[w], handle, 0, &spec->key, cookie);
	if (err) {
		command_give(&dp->commands, c);
		return err;
	}
	dp->n_free_recordings--;
	dp->writer_load[w]++;
	d = &dp->desk_recordings[handle];
	*d = (struct desk_recording){ .state = DESK_OPENING, .writer_i = (uint8_t)w, .lcore_i = spec->lcore_i,
		                      .cookie = cookie, .command = c };
	memcpy(d->id, spec->id, REEL_ID_SIZE);
	recording_init(&dp->recordings[handle], handle, (uint8_t)w);
	c->recording = &dp->recordings[handle];
	c->cookie = cookie;
	dp->outstanding++;
	*recording = handle;
	return SRS_OK;
}

enum srs_err
dataplane_part_start(struct dataplane *dp, uint32_t recording, const struct part_key *key, bool seam,
                     uint64_t cookie)
{
	struct desk_recording *d = recording_of(dp, recording);
	struct command *c;
	enum srs_err err;

	if (d == NULL || d->state != DESK_OPEN)
		return SRS_ERR_STATE;
	c = command_take(&dp->commands, COMMAND_PART);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	/* before the writer hears of it: nothing can fail between its key and the lcore's command */
	c->u.seal.order = desk_order(dp, recording, "part", false, cookie, &c->u.seal.rows_max);
	err = c->u.seal.order != NULL ? writer_part_open(dp->writers[d->writer_i], recording, d->part + 1, key, cookie)
	                              : SRS_ERR_NOMEM;
	if (err) {
		desk_order_drop(c);
		command_give(&dp->commands, c);
		return err;
	}
	c->u.seal.seam = seam;
	c->recording = &dp->recordings[recording];
	c->cookie = cookie;
	d->command = c;
	d->cookie = cookie;
	d->state = DESK_PART;
	dp->outstanding++;
	return SRS_OK;
}

enum srs_err
dataplane_note(struct dataplane *dp, uint32_t recording, enum reel_frame_kind kind, uint8_t frame_flags,
               struct span bytes, uint64_t cookie)
{
	struct desk_recording *d = recording_of(dp, recording);
	struct command *c;
	enum srs_err err;

	if (d == NULL)
		return SRS_ERR_STATE;
	c = command_take(&dp->commands, COMMAND_NOTE);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	err = command_note_fill(&dp->commands, c, (uint8_t)((uint8_t)kind | (frame_flags & REEL_FRAME_REDACTED)), bytes);
	if (err) {
		command_give(&dp->commands, c);
		return err;
	}
	c->recording = &dp->recordings[recording];
	c->cookie = cookie;
	dp->outstanding++;
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}

/* Rows: what ended already, and what each stream that lives, or is about to leave, may add. More rows than that wait
 * for the next seal; before the last one no stream lives, and there is room for all. */
#define ROWS_SPARE (4 * (STREAM_SSRC_MAX + 1))	/* for streams added while the order is on its way */

struct seal_order *
desk_order(const struct dataplane *dp, uint32_t handle, const char *reason, bool final, uint64_t cookie,
           uint16_t *rows_max)
{
	const struct desk_recording *d = &dp->desk_recordings[handle];
	uint32_t rows = __atomic_load_n(&dp->recordings[handle].n_totals, __ATOMIC_RELAXED) +
	                (STREAM_SSRC_MAX + 1) * (d->n_streams + d->n_leaving) + (final ? 0 : ROWS_SPARE);
	struct seal_order *order;

	if (rows > REEL_SEAL_STREAMS_MAX)
		rows = REEL_SEAL_STREAMS_MAX;
	order = calloc(1, sizeof(*order) + rows * sizeof(order->streams[0]));
	if (order == NULL)
		return NULL;
	order->cookie = cookie;
	order->final = final;
	strncpy(order->reason, reason, sizeof(order->reason) - 1);
	*rows_max = (uint16_t)rows;
	return order;
}

void
desk_order_drop(struct command *c)
{
	free(c->u.seal.order);
	c->u.seal.order = NULL;
}

enum srs_err
dataplane_recording_seal(struct dataplane *dp, uint32_t recording, const char *reason, uint64_t cookie)
{
	struct desk_recording *d = recording_of(dp, recording);
	struct command *c;

	if (d == NULL || d->state != DESK_OPEN || d->n_streams != 0)
		return SRS_ERR_STATE;
	c = command_take(&dp->commands, COMMAND_RECORDING_SEAL);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	c->u.seal.seam = false;
	c->u.seal.order = desk_order(dp, recording, reason, true, cookie, &c->u.seal.rows_max);
	if (c->u.seal.order == NULL) {
		command_give(&dp->commands, c);
		return SRS_ERR_NOMEM;
	}
	c->recording = &dp->recordings[recording];
	c->cookie = cookie;
	d->state = DESK_SEALING;
	d->cookie = cookie;
	dp->outstanding++;
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}

/* What was just posted lets no packet pass. Pairs with lcore_turn(): who sees it finds the command. */
static void
hurry(struct dataplane *dp, uint16_t lcore_i)
{
	atomic_store_explicit(&dp->lcores[lcore_i]->urgent, true, memory_order_release);
}

enum srs_err
dataplane_recording_pause(struct dataplane *dp, uint32_t recording, bool paused, uint64_t cookie)
{
	struct desk_recording *d = recording_of(dp, recording);
	struct command *c;

	if (d == NULL)
		return SRS_ERR_STATE;
	c = command_take(&dp->commands, COMMAND_RECORDING_PAUSE);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	c->recording = &dp->recordings[recording];
	c->cookie = cookie;
	c->u.paused = paused;
	dp->outstanding++;
	desk_post(dp, d->lcore_i, c);
	if (paused)
		hurry(dp, d->lcore_i);
	return SRS_OK;
}

/* ---- streams ---- */

static bool
port_is_used(const struct dataplane *dp, uint16_t address_i, uint16_t port)
{
	return (dp->port_used[address_i][port / 8] >> (port % 8) & 1) != 0;
}

static void
port_mark(struct dataplane *dp, uint16_t address_i, uint16_t port, bool used)
{
	uint8_t bit = (uint8_t)(1u << (port % 8));

	if (port == 0)
		return;
	if (used)
		dp->port_used[address_i][port / 8] |= bit;
	else
		dp->port_used[address_i][port / 8] &= (uint8_t)~bit;
}

void
desk_recording_free(struct dataplane *dp, uint32_t handle)
{
	struct desk_recording *d = &dp->desk_recordings[handle];

	dp->writer_load[d->writer_i]--;
	d->state = DESK_FREE;
	dp->free_recordings[dp->n_free_recordings++] = handle;
}

void
desk_stream_free(struct dataplane *dp, uint32_t handle)
{
	struct desk_stream *d = &dp->desk_streams[handle];

	port_mark(dp, d->address_i, d->udp_port, false);
	port_mark(dp, d->address_i, d->rtcp_port, false);
	dp->streams_of[d->address_i]--;
	dp->desk_recordings[d->recording].n_streams--;
	d->taken = d->removing = false;
	dp->free_streams[dp->n_free_streams++] = handle;
}

/* An operator's or a peer's mistake, or a bound? */
static enum srs_err
stream_check(struct dataplane *dp, const struct stream_spec *spec)
{
	const struct desk_recording *d = recording_of(dp, spec->recording);

	if (d == NULL)
		return SRS_ERR_STATE;
	if (spec->address_i >= dp->steer.n_addresses || spec->udp_port == 0 || spec->number == REEL_STREAM_NONE ||
	    dp->steer.lcore_of[spec->address_i] != d->lcore_i)
		return SRS_ERR_INVALID;
	if (port_is_used(dp, spec->address_i, spec->udp_port) ||
	    (spec->rtcp_port != 0 && port_is_used(dp, spec->address_i, spec->rtcp_port)))
		return SRS_ERR_STATE;
	return dp->n_free_streams == 0 ? SRS_ERR_LIMIT : desk_keys_check(dp, spec);
}

/* Its slot, which no lcore knows yet, with the keys that it begins with. */
static enum srs_err
slot_fill(struct dataplane *dp, uint32_t handle, const struct stream_spec *spec)
{
	struct stream *slot = &dp->streams.slots[handle];
	uint8_t ids[SRTP_MASTERS_MAX][KEYSET_ID_SIZE];
	unsigned int n_ids;
	enum srs_err err;

	stream_init(slot, handle, dp->desk_streams[handle].life, spec);
	if (spec->keys == NULL)
		return SRS_OK;
	err = desk_keys_ours(dp, handle, &spec->keys->ours, slot, NULL);
	if (!err)
		err = desk_keys_make(dp, handle, spec->keys, ids, &n_ids, &slot->keys);
	if (err)
		secret_wipe(slot, sizeof(*slot));
	else
		desk_keys_commit(dp, handle, ids, n_ids);
	return err;
}

enum srs_err
dataplane_stream_add(struct dataplane *dp, const struct stream_spec *spec, uint64_t cookie, uint32_t *stream)
{
	enum srs_err err = stream_check(dp, spec);
	struct desk_stream *d;
	struct command *c;
	uint32_t handle;

	if (err)
		return err;
	c = command_take(&dp->commands, COMMAND_STREAM_ADD);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	handle = dp->free_streams[dp->n_free_streams - 1];
	d = &dp->desk_streams[handle];
	*d = (struct desk_stream){ .lcore_i = dp->desk_recordings[spec->recording].lcore_i, .address_i = spec->address_i,
		                   .udp_port = spec->udp_port, .rtcp_port = spec->rtcp_port,
		                   .recording = spec->recording, .secure = spec->secure, .life = d->life + 1,
		                   .cookie = cookie };
	err = slot_fill(dp, handle, spec);
	if (err) {
		command_give(&dp->commands, c);
		return err;
	}
	d->taken = true;
	dp->n_free_streams--;
	port_mark(dp, spec->address_i, spec->udp_port, true);
	port_mark(dp, spec->address_i, spec->rtcp_port, true);
	dp->streams_of[spec->address_i]++;
	dp->desk_recordings[spec->recording].n_streams++;
	c->stream = &dp->streams.slots[handle];
	c->recording = &dp->recordings[spec->recording];
	c->cookie = cookie;
	dp->outstanding++;
	desk_post(dp, d->lcore_i, c);
	*stream = handle;
	return SRS_OK;
}

struct command *
desk_stream_command(struct dataplane *dp, uint32_t stream, enum command_kind kind, uint64_t cookie)
{
	struct command *c = command_take(&dp->commands, kind);

	if (c != NULL) {
		c->stream = &dp->streams.slots[stream];
		c->recording = &dp->recordings[dp->desk_streams[stream].recording];
		c->cookie = cookie;
		dp->outstanding++;
	}
	return c;
}

enum srs_err
dataplane_stream_update(struct dataplane *dp, uint32_t stream, const struct stream_spec *spec, uint64_t cookie)
{
	struct desk_stream *d = desk_stream_of(dp, stream);
	struct command *c;

	if (d == NULL)
		return SRS_ERR_STATE;
	c = desk_stream_command(dp, stream, COMMAND_STREAM_UPDATE, cookie);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	c->u.spec = *spec;
	c->u.spec.keys = NULL;	/* borrowed for the call; see dataplane_stream_rekey() */
	desk_post(dp, d->lcore_i, c);
	if (spec->at_once)
		hurry(dp, d->lcore_i);
	return SRS_OK;
}

enum srs_err
dataplane_stream_bind(struct dataplane *dp, uint32_t stream, uint32_t recording, uint8_t number, uint64_t cookie)
{
	struct desk_stream *d = desk_stream_of(dp, stream);
	struct desk_recording *to = recording_of(dp, recording);
	struct command *c;

	if (d == NULL || to == NULL)
		return SRS_ERR_STATE;
	if (to->lcore_i != d->lcore_i || number == REEL_STREAM_NONE)
		return SRS_ERR_INVALID;
	c = desk_stream_command(dp, stream, COMMAND_STREAM_BIND, cookie);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	dp->desk_recordings[d->recording].n_streams--;
	dp->desk_recordings[d->recording].n_leaving++;
	to->n_streams++;
	c->u.bind.from = d->recording;
	c->u.bind.number = number;
	d->recording = recording;
	c->recording = &dp->recordings[recording];
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}

enum srs_err
dataplane_stream_remove(struct dataplane *dp, uint32_t stream, uint64_t cookie)
{
	struct desk_stream *d = desk_stream_of(dp, stream);
	struct command *c;

	if (d == NULL)
		return SRS_ERR_STATE;
	c = desk_stream_command(dp, stream, COMMAND_STREAM_REMOVE, cookie);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	d->removing = true;
	desk_keys_removing(dp, stream);
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}

void
dataplane_stream_view(const struct dataplane *dp, uint32_t stream, struct stream_view *out)
{
	const struct stream *s = &dp->streams.slots[stream];
	uint64_t last_tsc, last_rtcp_tsc;

	memset(out, 0, sizeof(*out));
	if (stream == 0 || stream > dp->streams_max || !dp->desk_streams[stream].taken)
		return;
	out->frames = counter_read(&s->frames);
	out->bytes = counter_read(&s->bytes);
	out->drops = counter_read(&s->drops);
	out->lost = stream_lost(s);
	last_tsc = counter_read(&s->last_tsc);
	last_rtcp_tsc = counter_read(&s->last_rtcp_tsc);
	if (last_tsc == 0 || (last_rtcp_tsc != 0 && (int64_t)(last_rtcp_tsc - last_tsc) > 0))
		last_tsc = last_rtcp_tsc;
	if (last_tsc != 0)
		out->last_packet_mono_ns = dp->clock_map.mono_ns +
		        (uint64_t)((__int128)(int64_t)(last_tsc - dp->clock_map.tsc) * (int64_t)dp->clock_map.mono_rate >> 32);
	out->ssrc = __atomic_load_n(&s->first.ssrc, __ATOMIC_RELAXED);
	out->payload_type = __atomic_load_n(&s->payload_type, __ATOMIC_RELAXED);
	out->source.ip_version = __atomic_load_n(&s->source_version, __ATOMIC_RELAXED);
	out->source.udp_port = __atomic_load_n(&s->source_port, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < sizeof(out->source.ip); i++)
		out->source.ip[i] = __atomic_load_n(&s->source_ip[i], __ATOMIC_RELAXED);
}
