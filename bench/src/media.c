#include "media.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "g711.h"

#define RATE 8000

double
media_random(uint32_t *seed)
{
	uint32_t x = *seed ? *seed : 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*seed = x;
	return (double)x / 4294967296.0;
}

static uint8_t
encode(enum media_codec codec, int16_t sample)
{
	return codec == MEDIA_PCMU ? g711_ulaw(sample) : g711_alaw(sample);
}

bool
media_load_wav(struct media_source *s, const char *path, enum media_codec codec, char *why, size_t why_len)
{
	SF_INFO info = { 0 };
	SNDFILE *file = sf_open(path, SFM_READ, &info);
	short *samples;
	bool ok = false;

	if (file == NULL) {
		snprintf(why, why_len, "%s: %s; give a WAV file", path, sf_strerror(NULL));
		return false;
	}
	samples = calloc((size_t)(info.frames > 0 ? info.frames : 1), sizeof(*samples) * (size_t)info.channels);
	s->payload = malloc((size_t)(info.frames > 0 ? info.frames : 1));
	if (info.samplerate != RATE) {
		snprintf(why, why_len, "%s: %d samples/s, but G.711 needs 8000: sox %s -r 8000 -c 1 out.wav", path,
		         info.samplerate, path);
	} else if (info.frames == 0) {
		snprintf(why, why_len, "%s: no samples in it", path);
	} else if (samples == NULL || s->payload == NULL) {
		snprintf(why, why_len, "%s: no memory for %lld samples", path, (long long)info.frames);
	} else if (sf_readf_short(file, samples, info.frames) != info.frames) {
		snprintf(why, why_len, "%s: ends early; is the file whole?", path);
	} else {
		s->codec = codec;
		s->n_samples = (size_t)info.frames;
		for (size_t i = 0; i < s->n_samples; i++)
			s->payload[i] = encode(codec, samples[i * (size_t)info.channels]);
		ok = true;
	}
	free(samples);
	sf_close(file);
	return ok;
}

bool
media_make_tone(struct media_source *s, enum media_codec codec, double hz, unsigned int ms)
{
	s->codec = codec;
	s->n_samples = (size_t)ms * RATE / 1000;
	s->payload = malloc(s->n_samples ? s->n_samples : 1);
	if (s->payload == NULL)
		return false;
	for (size_t i = 0; i < s->n_samples; i++)
		s->payload[i] = encode(codec, (int16_t)(8000.0 * sin(2.0 * M_PI * hz * (double)i / RATE)));
	return true;
}

/* ---- captures: classic pcap, the two byte orders, micro- and nanoseconds ---- */

#define PCAP_SNAP_MAX 65535

static uint32_t
pcap_u32(const uint8_t *b, bool swapped)
{
	return swapped ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]
	               : (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static uint16_t
be16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* The RTP packet inside a captured frame, or 0. */
static size_t
rtp_within(const uint8_t *frame, size_t len, uint32_t link_type, const uint8_t **rtp)
{
	size_t at = link_type == 1 ? 14 : link_type == 113 ? 16 : 0; /* Ethernet, Linux cooked, raw IP */
	size_t end = len;

	if (link_type == 1 && len >= 18 && be16(frame + 12) == 0x8100)
		at += 4;
	if (at + 28 > len)
		return 0;
	if (frame[at] >> 4 == 4 && frame[at + 9] == 17) {
		size_t total = be16(frame + at + 2);

		if (at + total < end)
			end = at + total;
		at += (size_t)(frame[at] & 0x0f) * 4 + 8;
	} else if (frame[at] >> 4 == 6 && frame[at + 6] == 17) {
		at += 48;
	} else {
		return 0;
	}
	if (at + 12 > end || frame[at] >> 6 != 2 || ((frame[at + 1] & 0x7f) >= 64 && (frame[at + 1] & 0x7f) <= 95))
		return 0;
	*rtp = frame + at;
	return end - at;
}

static bool
pcap_add(struct media_source *s, const uint8_t *rtp, size_t len, uint32_t at_ms)
{
	struct media_packet *p;

	if (s->n_packets == s->packets_room) {
		size_t room = s->packets_room == 0 ? 1024 : s->packets_room * 2;

		p = realloc(s->packets, room * sizeof(*p));
		if (p == NULL)
			return false;
		s->packets = p;
		s->packets_room = room;
	}
	p = &s->packets[s->n_packets];
	p->bytes = malloc(len);
	if (p->bytes == NULL)
		return false;
	memcpy(p->bytes, rtp, len);
	p->len = (uint16_t)len;
	p->at_ms = at_ms;
	s->n_packets++;
	return true;
}

bool
media_load_pcap(struct media_source *s, const char *path, char *why, size_t why_len)
{
	static uint8_t frame[PCAP_SNAP_MAX];
	FILE *file = fopen(path, "rb");
	uint8_t head[24];
	bool swapped, nano, ok = true;
	uint32_t magic, link_type;
	int64_t first_us = -1;

	if (file == NULL || fread(head, sizeof(head), 1, file) != 1) {
		snprintf(why, why_len, "%s: cannot be read as a pcap file", path);
		if (file != NULL)
			fclose(file);
		return false;
	}
	magic = pcap_u32(head, false);
	swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	nano = magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
	if (!swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
		snprintf(why, why_len, "%s: not a classic pcap; for pcapng: editcap -F pcap %s out.pcap", path, path);
		fclose(file);
		return false;
	}
	link_type = pcap_u32(head + 20, swapped);
	while (ok && fread(head, 16, 1, file) == 1) {
		uint32_t len = pcap_u32(head + 8, swapped);
		const uint8_t *rtp;
		int64_t us;
		size_t rtp_len;

		if (len > sizeof(frame) || fread(frame, 1, len, file) != len)
			break;
		us = (int64_t)pcap_u32(head, swapped) * 1000000 + pcap_u32(head + 4, swapped) / (nano ? 1000 : 1);
		rtp_len = rtp_within(frame, len, link_type, &rtp);
		if (rtp_len == 0 || rtp_len > MEDIA_PACKET_MAX)
			continue;
		if (first_us < 0)
			first_us = us;
		ok = pcap_add(s, rtp, rtp_len, us > first_us ? (uint32_t)((us - first_us) / 1000) : 0);
	}
	fclose(file);
	if (s->n_packets == 0)
		snprintf(why, why_len, "%s: no RTP in it", path);
	return ok && s->n_packets != 0;
}

uint32_t
media_source_ms(const struct media_source *s)
{
	if (s->packets != NULL)
		return s->packets[s->n_packets - 1].at_ms;
	return (uint32_t)(s->n_samples / (RATE / 1000));
}

void
media_free(struct media_source *s)
{
	for (size_t i = 0; i < s->n_packets; i++)
		free(s->packets[i].bytes);
	free(s->packets);
	free(s->payload);
	memset(s, 0, sizeof(*s));
}

/* ---- sending ---- */

static void
put32(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

static void
put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static uint8_t
payload_type(const struct media_stream *m)
{
	return m->source->codec == MEDIA_PCMU ? 0 : 8;
}

static uint32_t
random_word(struct media_stream *m)
{
	return (uint32_t)(media_random(m->seed) * 4294967295.0);
}

/* What reports may say of the source that now sends. */
static struct report_source *
source_of(struct media_stream *m, uint32_t ssrc, uint16_t seq)
{
	struct report_source *s;

	for (unsigned int i = 0; i < m->n_sources && i < MEDIA_SOURCES_MAX; i++)
		if (m->sources[i].ssrc == ssrc)
			return &m->sources[i];
	if (m->n_sources++ >= MEDIA_SOURCES_MAX)
		return NULL;
	s = &m->sources[m->n_sources - 1];
	*s = (struct report_source){ .ssrc = ssrc, .first_seq = seq, .gaps = m->source->packets != NULL };
	return s;
}

void
media_stream_open(struct media_stream *m, const struct media_source *source, const struct wire_faults *faults,
                  uint32_t *seed, const struct media_start *start)
{
	memset(m, 0, sizeof(*m));
	m->source = source;
	m->seed = seed;
	m->ssrc = random_word(m);
	m->seq = (uint16_t)(media_random(seed) * 65535.0);
	if (start->seq >= 0)
		m->seq = (uint16_t)start->seq;
	m->roc = start->roc;
	m->timestamp = m->first_timestamp = random_word(m);
	wire_open(&m->wire, faults, seed);
}

/* Packets that a receiver counts as received and not as expected: those sent again, and one that arrives behind its
 * successor when that was the first (RFC 3550 A.3). */
static uint64_t
beyond_expected(const struct wire *w)
{
	return w->duplicated + w->replays + w->reordered;
}

static void
send_rtp(struct media_stream *m, uint8_t *packet, uint16_t len, uint16_t seq)
{
	struct report_source *s = source_of(m, m->ssrc, seq);
	uint64_t before = beyond_expected(&m->wire);

	wire_send_rtp(&m->wire, packet, len);
	m->begun = true;
	if (s == NULL)
		return;
	s->made++;
	for (unsigned int i = 0; i < m->n_sources && i < MEDIA_SOURCES_MAX; i++) /* a replay may be of any of them */
		m->sources[i].beyond += beyond_expected(&m->wire) - before;
}

static void
send_samples(struct media_stream *m, bool on_hold)
{
	uint8_t packet[WIRE_ROOM];
	size_t left = m->source->n_samples - m->at;
	size_t n = left < MEDIA_FRAME_SAMPLES ? left : MEDIA_FRAME_SAMPLES;

	packet[0] = 0x80;
	packet[1] = (uint8_t)(payload_type(m) | (m->begun ? 0 : 0x80));
	put16(packet + 2, m->seq);
	put32(packet + 4, m->timestamp);
	put32(packet + 8, m->ssrc);
	memcpy(packet + 12, m->source->payload + m->at, n);
	if (!on_hold) {
		send_rtp(m, packet, (uint16_t)(12 + n), m->seq);
		m->seq++;
		if (m->seq == 0)
			m->roc++;
	}
	m->timestamp += (uint32_t)n;
	m->at += n;
}

static void
send_captured(struct media_stream *m, const struct media_packet *p)
{
	uint8_t packet[WIRE_ROOM];

	memcpy(packet, p->bytes, p->len);
	m->ssrc = protect_ssrc(packet + 8);
	send_rtp(m, packet, p->len, be16(packet + 2));
}

bool
media_stream_tick(struct media_stream *m, uint32_t elapsed_ms, bool on_hold)
{
	if (m->source->packets != NULL) {
		while (m->at < m->source->n_packets && m->source->packets[m->at].at_ms <= elapsed_ms) {
			if (!on_hold)
				send_captured(m, &m->source->packets[m->at]);
			m->at++;
		}
		return m->at < m->source->n_packets;
	}
	while (m->at < m->source->n_samples && m->at / (RATE / 1000) <= elapsed_ms)
		send_samples(m, on_hold);
	return m->at < m->source->n_samples;
}

void
media_stream_change_ssrc(struct media_stream *m)
{
	if (m->source->packets != NULL)
		return; /* the capture says */
	wire_flush(&m->wire);
	m->ssrc = random_word(m);
	m->seq = (uint16_t)(media_random(m->seed) * 65535.0);
	m->roc = 0;
	m->begun = false;
	m->ssrc_changes++;
}

void
media_stream_report(struct media_stream *m, const char *cname, uint32_t elapsed_ms)
{
	uint8_t packet[REPORT_MAX + PROTECT_TRAILER_MAX];
	const struct report_facts facts = {
		.ssrc = m->ssrc,
		.timestamp = m->first_timestamp + elapsed_ms * (RATE / 1000), /* of now, not of the next packet */
		.packets = m->wire.made,
		.octets = m->wire.octets,
		.cname = cname,
	};

	wire_send_rtcp(&m->wire, packet, report_sender(packet, &facts));
}

void
media_stream_bye(struct media_stream *m)
{
	uint8_t packet[REPORT_MAX + PROTECT_TRAILER_MAX];

	wire_send_rtcp(&m->wire, packet, report_bye(packet, m->ssrc));
}

bool
media_stream_on_rtcp(struct media_stream *m, const uint8_t *packet, size_t len, char *why, size_t why_len)
{
	if (m->n_sources > MEDIA_SOURCES_MAX)
		return true; /* a capture with more sources than are kept: nothing to check against */
	return report_check(packet, len, m->sources, m->n_sources, why, why_len);
}

void
media_stream_forge(struct media_stream *m, unsigned int n)
{
	if (m->wire.made > 0)
		wire_forge(&m->wire, n, payload_type(m));
}
