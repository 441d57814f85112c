#include "controlplane/tool/export.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rtp.h"

/* pcapng (draft-ietf-opsawg-pcapng): section header, one interface of raw IP with nanoseconds, packets. Addresses are
 * those the packets came from (MARK frames) and went to (DESCRIPTION); IP and UDP headers are made anew, since the
 * recording keeps RTP and RTCP only. */
#define BLOCK_SECTION   0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET    6u
#define LINKTYPE_RAW    101
#define OPTION_COMMENT  1
#define OPTION_TSRESOL  9
#define PACKET_MAX      (REEL_JOINED_MAX + 64)

struct pcapng_stream {
	struct in6_addr to, from;
	bool to_v6, from_known, from_v6;
	uint16_t to_port, from_port;
};

struct pcapng {
	FILE *file;
	struct pcapng_stream streams[256];
	uint8_t packet[PACKET_MAX];
	bool failed;
	void (*on_damage)(void *ctx, const char *sentence);
	void *ctx;
};

static void
put(struct pcapng *p, const void *bytes, size_t len)
{
	static const uint8_t zeros[4];

	if (fwrite(bytes, 1, len, p->file) != len || fwrite(zeros, 1, (4 - len % 4) % 4, p->file) != (4 - len % 4) % 4)
		p->failed = true;
}

static void
put_u32(struct pcapng *p, uint32_t v)
{
	put(p, &v, sizeof(v)); /* a section says its own byte order */
}

static void
put_head(struct pcapng *p, const struct tape *t)
{
	char comment[80] = "Capstan recording ";
	size_t n = strlen(comment);
	uint32_t padded, len;
	uint16_t option[2] = { OPTION_COMMENT, 0 };
	static const uint16_t interface[2] = { LINKTYPE_RAW, 0 }, resolution[2] = { OPTION_TSRESOL, 1 };
	static const uint8_t nanoseconds = 9;

	for (unsigned int i = 0; i < REEL_ID_SIZE; i++)
		n += (size_t)snprintf(comment + n, sizeof(comment) - n, "%02x", t->id[i]);
	option[1] = (uint16_t)n;
	padded = (uint32_t)(n + 3) & ~3u;
	len = 28 + 4 + padded + 4;
	put_u32(p, BLOCK_SECTION);
	put_u32(p, len);
	put_u32(p, 0x1a2b3c4d);
	put_u32(p, 1); /* version 1.0 */
	put_u32(p, UINT32_MAX);
	put_u32(p, UINT32_MAX); /* section length: not given */
	put(p, option, sizeof(option));
	put(p, comment, n);
	put_u32(p, 0);
	put_u32(p, len);

	put_u32(p, BLOCK_INTERFACE);
	put_u32(p, 32);
	put(p, interface, sizeof(interface));
	put_u32(p, 0); /* no snap length */
	put(p, resolution, sizeof(resolution));
	put(p, &nanoseconds, 1);
	put_u32(p, 0);
	put_u32(p, 32);
}

static uint32_t
sum_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (len % 2 != 0)
		sum += (uint32_t)bytes[len - 1] << 8;
	return sum;
}

static uint16_t
fold(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* IP and UDP headers before `payload`. @return length of the whole packet */
static size_t
wrap(struct pcapng *p, const struct pcapng_stream *s, struct span payload)
{
	uint8_t *b = p->packet;
	uint16_t udp_len = (uint16_t)(8 + payload.len);
	size_t ip_len = s->to_v6 ? 40 : 20;
	uint8_t *udp = b + ip_len;
	uint32_t sum;

	memset(b, 0, ip_len + 8);
	if (s->to_v6) {
		b[0] = 0x60;
		b[4] = (uint8_t)(udp_len >> 8);
		b[5] = (uint8_t)udp_len;
		b[6] = 17;
		b[7] = 64;
		if (s->from_v6)
			memcpy(b + 8, &s->from, 16);
		memcpy(b + 24, &s->to, 16);
		sum = sum_words(17u + udp_len, b + 8, 32);
	} else {
		uint16_t total = (uint16_t)(ip_len + udp_len), check;

		b[0] = 0x45;
		b[2] = (uint8_t)(total >> 8);
		b[3] = (uint8_t)total;
		b[8] = 64;
		b[9] = 17;
		if (!s->from_v6)
			memcpy(b + 12, &s->from, 4);
		memcpy(b + 16, &s->to, 4);
		check = fold(sum_words(0, b, 20));
		b[10] = (uint8_t)(check >> 8);
		b[11] = (uint8_t)check;
		sum = sum_words(17u + udp_len, b + 12, 8);
	}
	udp[0] = (uint8_t)(s->from_port >> 8);
	udp[1] = (uint8_t)s->from_port;
	udp[2] = (uint8_t)(s->to_port >> 8);
	udp[3] = (uint8_t)s->to_port;
	udp[4] = (uint8_t)(udp_len >> 8);
	udp[5] = (uint8_t)udp_len;
	memcpy(udp + 8, payload.bytes, payload.len);
	sum = sum_words(sum, udp, udp_len);
	sum = fold(sum);
	if (sum == 0)
		sum = 0xffff;
	udp[6] = (uint8_t)(sum >> 8);
	udp[7] = (uint8_t)sum;
	return ip_len + udp_len;
}

static void
put_packet(struct pcapng *p, uint64_t wall_ns, size_t len)
{
	uint32_t block = 32 + (((uint32_t)len + 3) & ~3u);

	put_u32(p, BLOCK_PACKET);
	put_u32(p, block);
	put_u32(p, 0); /* interface */
	put_u32(p, (uint32_t)(wall_ns >> 32));
	put_u32(p, (uint32_t)wall_ns);
	put_u32(p, (uint32_t)len);
	put_u32(p, (uint32_t)len);
	put(p, p->packet, len);
	put_u32(p, block);
}

static void
learn_addresses(struct pcapng *p, const struct tape_frame *f)
{
	struct description *d;

	if (description_read(&d, f->frame.bytes, f->frame.wall_ns) != SRS_OK)
		return;
	for (unsigned int i = 0; i < d->n_streams; i++) {
		struct pcapng_stream *s = &p->streams[d->streams[i].number];

		s->to_port = d->streams[i].port;
		s->to_v6 = inet_pton(AF_INET6, d->streams[i].address, &s->to) == 1;
		if (!s->to_v6 && inet_pton(AF_INET, d->streams[i].address, &s->to) != 1)
			memset(&s->to, 0, sizeof(s->to));
	}
	description_free(d);
}

/* First pass: where packets went; a description may come after the media it is about. */
static void
on_document(void *ctx, const struct tape_frame *f)
{
	if (f->frame.kind == REEL_FRAME_DESCRIPTION)
		learn_addresses(ctx, f);
}

static void
ignore_damage(void *ctx, const char *sentence)
{
}

static void
on_frame(void *ctx, const struct tape_frame *f)
{
	struct pcapng *p = ctx;
	struct pcapng_stream *s = &p->streams[f->frame.stream];
	struct reel_mark m;

	if (f->frame.kind == REEL_FRAME_MARK && reel_mark_read(&m, f->frame.bytes) == SRS_OK &&
	    m.kind == REEL_MARK_SSRC && m.ip_version != 0) {
		memcpy(&s->from, m.ip, sizeof(s->from));
		s->from_v6 = m.ip_version == 6;
		s->from_port = m.udp_port;
	}
	if (f->frame.kind != REEL_FRAME_RTP && f->frame.kind != REEL_FRAME_RTCP)
		return;
	if (f->frame.bytes.len > UINT16_MAX - 48)
		return;
	put_packet(p, f->frame.wall_ns, wrap(p, s, f->frame.bytes));
}

static void
on_damage(void *ctx, const char *sentence)
{
	struct pcapng *p = ctx;

	p->on_damage(p->ctx, sentence);
}

enum srs_err
export_pcapng(const struct tape *t, struct keystore *ks, const char *path,
              void (*damaged)(void *ctx, const char *sentence), void *ctx, char *why, size_t why_len)
{
	struct pcapng *p = calloc(1, sizeof(*p));
	char part[4096];
	enum srs_err err;

	if (p == NULL)
		return SRS_ERR_NOMEM;
	p->on_damage = damaged;
	p->ctx = ctx;
	snprintf(part, sizeof(part), "%s.part", path);
	p->file = fopen(part, "wb");
	if (p->file == NULL) {
		snprintf(why, why_len, "%s: %s", part, strerror(errno));
		free(p);
		return SRS_ERR_IO;
	}
	put_head(p, t);
	err = tape_play(t, ks, on_document, ignore_damage, p);
	if (err == SRS_OK)
		err = tape_play(t, ks, on_frame, on_damage, p);
	p->failed |= fclose(p->file) != 0;
	if (err != SRS_OK)
		snprintf(why, why_len, "it does not open with the keys here");
	else if (p->failed || rename(part, path) != 0)
		err = SRS_ERR_IO;
	if (err == SRS_ERR_IO)
		snprintf(why, why_len, "%s: %s", path, strerror(errno));
	if (err != SRS_OK)
		remove(part);
	free(p);
	return err;
}
