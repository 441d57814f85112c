/* DTLS on the control thread: records that lcores copied, and datagrams that go back. */
#include <string.h>

#include "dataplane/dataplane_state.h"
#include "lib/srs_assert.h"

static bool
same_address(const struct media_address *a, const struct media_address *b)
{
	return a->ip_version == b->ip_version && a->udp_port == b->udp_port && steer_ip_equal(a->ip_version, a->ip, b->ip);
}

/* The newest first; the oldest makes room. */
static void
heard(struct desk_stream *d, const struct punt *p)
{
	unsigned int at = 0;

	while (at < d->n_heard && !same_address(&d->heard[at].address, &p->source))
		at++;
	if (at == d->n_heard) {
		if (d->n_heard < DESK_SOURCES)
			d->n_heard++;
		else
			at--;
	}
	memmove(&d->heard[1], &d->heard[0], at * sizeof(d->heard[0]));
	d->heard[0].address = p->source;
	d->heard[0].link = p->link;
}

/* @return false: its stream is gone */
static bool
hand_on(struct dataplane *dp, const struct punt *p, void (*on_event)(void *ctx, const struct dataplane_event *e), void *ctx)
{
	struct desk_stream *d = desk_stream_of(dp, p->stream);
	struct dataplane_event e = { .kind = EVENT_STREAM_PUNTED, .stream = p->stream };

	if (d == NULL || d->life != p->life)
		return false;
	heard(d, p);
	e.cookie = d->cookie;
	e.recording = d->recording;
	memcpy(e.recording_id, dp->desk_recordings[d->recording].id, REEL_ID_SIZE);
	e.part = dp->desk_recordings[d->recording].part;
	e.u.punted.source = p->source;
	e.u.punted.datagram = span_of(p->bytes, p->len);
	on_event(ctx, &e);
	return true;
}

unsigned int
desk_punts_poll(struct dataplane *dp, void (*on_event)(void *ctx, const struct dataplane_event *e), void *ctx,
                unsigned int max)
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < dp->n_lcores; i++) {
		struct punts *punts = &dp->lcores[i]->punts;
		struct punt *p;

		while (punts->full != NULL && n < max && (p = spsc_pop(punts->full)) != NULL) {
			bool given;

			n += hand_on(dp, p, on_event, ctx);
			given = spsc_push(punts->empty, p);
			srs_assert(given);
		}
	}
	return n;
}

enum srs_err
dataplane_stream_send(struct dataplane *dp, uint32_t stream, const struct media_address *to, struct span datagram)
{
	struct desk_stream *d = desk_stream_of(dp, stream);
	const struct media_address *ours;
	struct command *c;

	if (d == NULL || (to->ip_version == 0 && d->n_heard == 0))
		return SRS_ERR_STATE;
	if (datagram.len > STREAM_DATAGRAM_MAX)
		return SRS_ERR_LIMIT;
	ours = &dp->steer.address[d->address_i];
	if (to->ip_version != 0 && (to->ip_version != ours->ip_version || to->udp_port == 0))
		return SRS_ERR_INVALID;
	c = desk_stream_command(dp, stream, COMMAND_STREAM_SEND, 0);
	if (c == NULL)
		return SRS_ERR_LIMIT;
	if (command_datagram_fill(&dp->commands, c, datagram) != SRS_OK) {
		dp->outstanding--;
		command_give(&dp->commands, c);
		return SRS_ERR_LIMIT;
	}
	c->u.send.to = to->ip_version != 0 ? *to : d->heard[0].address;
	for (unsigned int i = 0; i < d->n_heard; i++)
		if (same_address(&d->heard[i].address, &c->u.send.to))
			c->u.send.link = d->heard[i].link;
	desk_post(dp, d->lcore_i, c);
	return SRS_OK;
}
