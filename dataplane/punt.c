#include "dataplane/punt.h"

#include <string.h>

#include "dataplane/bucket.h"
#include "dataplane/stream.h"
#include "lib/srs_assert.h"

enum srs_err
punts_create(struct punts *p)
{
	enum srs_err err = spsc_create(&p->full, PUNTS_MAX);

	if (!err)
		err = spsc_create(&p->empty, PUNTS_MAX);
	if (!err && !memory_take(&p->memory, PUNTS_MAX * sizeof(struct punt), false))
		err = SRS_ERR_NOMEM;
	for (unsigned int i = 0; i < PUNTS_MAX && !err; i++)
		if (!spsc_push(p->empty, (struct punt *)p->memory.at + i))
			err = SRS_ERR_NOMEM;
	return err;
}

void
punts_destroy(struct punts *p)
{
	spsc_destroy(p->full);
	spsc_destroy(p->empty);
	memory_give(&p->memory);
	*p = (struct punts){ 0 };
}

/* The stream's source, where it is known; its RTP port. */
static bool
is_permitted(const struct stream *s, const struct rx_packet *p)
{
	if ((s->flags & STREAM_F_LOCKED) == 0)
		return true;
	return s->source_version == p->ip_version && steer_ip_equal(p->ip_version, s->source_ip, p->source_ip) &&
	       ((s->flags & STREAM_F_LOCKED_PORT) == 0 || s->source_port == p->source_port);
}

enum rx_verdict
punt_take(struct punts *punts, const struct rx_packet *packet, uint64_t now_tsc, uint64_t tsc_hz,
          const uint8_t mac[REPLY_MAC_SIZE])
{
	struct stream *s = packet->stream;
	struct punt *p;
	bool pushed;

	if ((s->flags & STREAM_F_DTLS) == 0 || punts->empty == NULL)
		return RX_DROP_NOT_RTP;
	if (!is_permitted(s, packet))
		return RX_DROP_SOURCE;
	if (packet->len > STREAM_DATAGRAM_MAX || !bucket_take(&s->punt_paid_tsc, now_tsc, tsc_hz / PUNT_HZ, PUNT_BURST))
		return RX_DROP_DTLS_RATE;
	p = spsc_pop(punts->empty);
	if (p == NULL)
		return RX_DROP_DTLS_RATE;
	p->stream = s->handle;
	p->life = s->life;
	p->source = (struct media_address){ .ip_version = packet->ip_version, .udp_port = packet->source_port };
	memcpy(p->source.ip, packet->source_ip, packet->ip_version == 4 ? 4 : 16);
	link_back(&p->link, packet->frame, mac);
	p->len = packet->len;
	memcpy(p->bytes, packet->bytes, packet->len);
	pushed = spsc_push(punts->full, p);
	srs_assert(pushed);	/* the ring holds all of them */
	return RX_DTLS;
}
