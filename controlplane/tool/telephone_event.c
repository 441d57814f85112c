#include "controlplane/tool/telephone_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/span.h"

#define NS_PER_S UINT64_C(1000000000)
#define CLOCK_HZ 8000	/* RFC 4733 §2.1: used where the description says none */
#define END_BIT  0x80

/* The event of a source that packets may still add to. Times in RTP units. */
struct pressing {
	struct telephone_event *event;
	uint32_t began;		/* timestamp of its first segment */
	uint32_t segment;	/* and of the one in hand */
	uint32_t units;		/* from `began` to what was last said */
	uint32_t clock_hz;
};

struct events {
	struct telephone_event *all;
	size_t n, room;
};

static struct telephone_event *
events_add(struct events *e)
{
	if (e->n == e->room) {
		size_t room = e->room != 0 ? 2 * e->room : 64;
		struct telephone_event *grown = realloc(e->all, room * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		e->all = grown;
		e->room = room;
	}
	return memset(&e->all[e->n++], 0, sizeof(*e->all));
}

/* RFC 4733 §2.5.1.1: one event has one timestamp; §2.5.1.3: a long one goes on in segments, each beginning where the one
 * before it ended, and only the last has the E bit. */
static bool
goes_on(const struct pressing *p, const struct telephone_event *last, uint8_t code, uint32_t timestamp)
{
	if (last == NULL || last->code != code)
		return false;
	return timestamp == p->segment || (!last->ended && timestamp == p->began + p->units);
}

static enum srs_err
take_packet(struct events *e, size_t *last_i, struct pressing *p, const struct timeline_source *s,
            const struct timeline_packet *packet, uint32_t clock_hz)
{
	struct reader r = reader_of(span_of(packet->payload, packet->len));
	uint8_t code = read_u8(&r), flags = read_u8(&r);
	uint16_t duration = read_u16be(&r);
	struct telephone_event *event = *last_i != SIZE_MAX ? &e->all[*last_i] : NULL;
	uint32_t units;

	if (reader_is_bad(&r))
		return SRS_OK;		/* too short to say anything */
	if (!goes_on(p, event, code, packet->timestamp)) {
		event = events_add(e);
		if (event == NULL)
			return SRS_ERR_NOMEM;
		*last_i = e->n - 1;
		*p = (struct pressing){ .began = packet->timestamp, .clock_hz = clock_hz };
		*event = (struct telephone_event){ .stream = s->stream, .ssrc = s->ssrc, .code = code,
			.place_ns = packet->place_ns, .wall_ns = packet->wall_ns };
	}
	p->segment = packet->timestamp;
	units = packet->timestamp - p->began + duration;
	if (units > p->units)
		p->units = units;
	event->ended = event->ended || (flags & END_BIT) != 0;
	event->duration_ns = (uint64_t)p->units * NS_PER_S / p->clock_hz;
	return SRS_OK;
}

static enum srs_err
take_source(struct events *e, const struct timeline *t, const struct timeline_source *s)
{
	size_t last_i = SIZE_MAX;
	struct pressing p = { 0 };
	enum srs_err err = SRS_OK;

	for (size_t i = 0; i < s->n_packets && err == SRS_OK; i++) {
		const struct description_codec *codec = timeline_codec(t, s, &s->packets[i]);

		if (codec == NULL || strcasecmp(codec->name, "telephone-event") != 0)
			continue;
		err = take_packet(e, &last_i, &p, s, &s->packets[i], codec->clock_hz != 0 ? codec->clock_hz : CLOCK_HZ);
	}
	return err;
}

static int
by_place(const void *a, const void *b)
{
	const struct telephone_event *x = a, *y = b;

	return x->place_ns < y->place_ns ? -1 : x->place_ns > y->place_ns;
}

enum srs_err
telephone_events(struct telephone_event **out, size_t *n, const struct timeline *t)
{
	struct events e = { 0 };
	enum srs_err err = SRS_OK;

	*out = NULL;
	*n = 0;
	for (unsigned int i = 0; i < t->n_sources && err == SRS_OK; i++)
		err = take_source(&e, t, &t->sources[i]);
	if (err) {
		free(e.all);
		return err;
	}
	if (e.n != 0)
		qsort(e.all, e.n, sizeof(*e.all), by_place);
	*out = e.all;
	*n = e.n;
	return SRS_OK;
}

const char *
telephone_event_name(uint8_t code, char buffer[4])
{
	static const char *const names[] = {
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D", "flash",
	};

	if (code < sizeof(names) / sizeof(names[0]))
		return names[code];
	snprintf(buffer, 4, "%u", code);
	return buffer;
}
