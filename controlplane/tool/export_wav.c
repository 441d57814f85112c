#include "controlplane/tool/export.h"

#include <errno.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/g711.h"

#define RATE            8000
#define NS_PER_S        1000000000ll
#define BLOCK_SAMPLES   (RATE * 10)	/* mixed and written at a time */
#define LENGTH_MAX_S    (7 * 24 * 3600)
#define WAV_BYTES_MAX   0xfff00000ull	/* beyond: RF64 */

/* One packet's audio on a channel. */
struct clip {
	int64_t at;	/* sample */
	const uint8_t *payload;
	uint16_t len;
	uint8_t channel;
	int16_t (*decode)(uint8_t code);
};

struct mix {
	struct clip *clips;
	size_t n_clips;
	uint8_t channel_of[256];	/* stream number to channel + 1 */
	unsigned int n_channels;
	int64_t length;
};

static int
by_time(const void *a, const void *b)
{
	const struct clip *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Events and comfort noise share a stream with speech and are no speech. */
static bool
is_aside(const struct description_codec *c)
{
	return c != NULL && (strcmp(c->name, "TELEPHONE-EVENT") == 0 || strcmp(c->name, "telephone-event") == 0 ||
	                     strcmp(c->name, "CN") == 0);
}

static int16_t (*decoder_of(const struct description_codec *c))(uint8_t code)
{
	if (c == NULL)
		return NULL;
	if (strcmp(c->name, "PCMU") == 0)
		return g711_ulaw_decode;
	return strcmp(c->name, "PCMA") == 0 ? g711_alaw_decode : NULL;
}

static void
give_channels(struct mix *m, const struct timeline *t)
{
	bool present[256] = { false };

	for (unsigned int i = 0; i < t->n_sources; i++)
		present[t->sources[i].stream] |= t->sources[i].n_packets > 0;
	/* a stream that was negotiated and stayed silent keeps its channel, so that left stays left */
	for (unsigned int i = 0; i < t->n_descriptions; i++)
		for (unsigned int k = 0; k < t->descriptions[i]->n_streams; k++)
			present[t->descriptions[i]->streams[k].number] = true;
	for (unsigned int s = 0; s < 256; s++)
		if (present[s] && m->n_channels < 255)
			m->channel_of[s] = (uint8_t)++m->n_channels;
}

static void
note_codec(const struct timeline_source *s, const struct description_codec *c, uint8_t payload_type,
           void (*on_note)(void *ctx, const char *sentence), void *ctx)
{
	char sentence[256];

	snprintf(sentence, sizeof(sentence),
	         "stream %u: %s (payload type %u) is not decoded here, its channel is silent there; export it with "
	         "--format pcapng",
	         s->stream, c != NULL && c->name[0] != '\0' ? c->name : "an unknown codec", payload_type);
	on_note(ctx, sentence);
}

static void
add_source(struct mix *m, const struct timeline *t, const struct timeline_source *s,
           void (*on_note)(void *ctx, const char *sentence), void *ctx)
{
	bool noted[128] = { false };

	for (size_t i = 0; i < s->n_packets; i++) {
		const struct timeline_packet *p = &s->packets[i];
		const struct description_codec *codec = timeline_codec(t, s, p);
		int16_t (*decode)(uint8_t code) = decoder_of(codec);
		struct clip *clip = &m->clips[m->n_clips];

		if (is_aside(codec) || p->len == 0)
			continue;
		if (decode == NULL) {
			if (!noted[p->payload_type & 0x7f])
				note_codec(s, codec, p->payload_type, on_note, ctx);
			noted[p->payload_type & 0x7f] = true;
			continue;
		}
		clip->at = (p->place_ns * RATE + NS_PER_S / 2) / NS_PER_S;
		clip->payload = p->payload;
		clip->len = p->len;
		clip->channel = (uint8_t)(m->channel_of[s->stream] - 1);
		clip->decode = decode;
		if (clip->at + clip->len > m->length)
			m->length = clip->at + clip->len;
		m->n_clips++;
	}
}

static int16_t
saturate(int v)
{
	return (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
}

/* Samples [from, from + n) of all channels. `*next` is the first clip that may reach beyond `from`. */
static void
mix_block(const struct mix *m, int64_t from, int64_t n, size_t *next, int16_t *block)
{
	memset(block, 0, (size_t)n * m->n_channels * sizeof(*block));
	while (*next < m->n_clips && m->clips[*next].at + UINT16_MAX < from)
		(*next)++;
	for (size_t i = *next; i < m->n_clips && m->clips[i].at < from + n; i++) {
		const struct clip *c = &m->clips[i];

		for (int64_t k = 0; k < c->len; k++) {
			int64_t at = c->at + k - from;
			int16_t *sample = &block[at * m->n_channels + c->channel];

			if (at >= 0 && at < n)
				*sample = saturate(*sample + c->decode(c->payload[k]));
		}
	}
}

static enum srs_err
write_wav(const struct mix *m, const char *path, const struct export_progress *progress, char *why, size_t why_len)
{
	SF_INFO info = { .samplerate = RATE, .channels = (int)m->n_channels, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16 };
	int16_t *block = malloc((size_t)BLOCK_SAMPLES * m->n_channels * sizeof(*block));
	enum srs_err err = SRS_OK;
	SNDFILE *file;
	size_t next = 0;

	if (block == NULL)
		return SRS_ERR_NOMEM;
	if ((uint64_t)m->length * m->n_channels * 2 > WAV_BYTES_MAX)
		info.format = SF_FORMAT_RF64 | SF_FORMAT_PCM_16;
	file = sf_open(path, SFM_WRITE, &info);
	if (file == NULL) {
		snprintf(why, why_len, "%s: %s", path, sf_strerror(NULL));
		free(block);
		return SRS_ERR_IO;
	}
	for (int64_t from = 0; from < m->length && err == SRS_OK; from += BLOCK_SAMPLES) {
		int64_t n = m->length - from < BLOCK_SAMPLES ? m->length - from : BLOCK_SAMPLES;

		mix_block(m, from, n, &next, block);
		if (sf_writef_short(file, block, n) != n) {
			snprintf(why, why_len, "%s: %s; is there room on the disk?", path, sf_strerror(file));
			err = SRS_ERR_IO;
		}
		if (progress != NULL && progress->on_step != NULL)
			progress->on_step(progress->ctx, (uint64_t)(from + n), (uint64_t)m->length);
	}
	if (sf_close(file) != 0 && err == SRS_OK) {
		snprintf(why, why_len, "%s: could not be closed; is there room on the disk?", path);
		err = SRS_ERR_IO;
	}
	free(block);
	return err;
}

enum srs_err
export_wav(const struct timeline *t, const char *path, void (*on_note)(void *ctx, const char *sentence), void *ctx,
           const struct export_progress *progress, char *why, size_t why_len)
{
	struct mix m = { 0 };
	char part[4096];
	size_t n_packets = 0;
	enum srs_err err;

	for (unsigned int i = 0; i < t->n_sources; i++)
		n_packets += t->sources[i].n_packets;
	m.clips = malloc((n_packets ? n_packets : 1) * sizeof(*m.clips));
	if (m.clips == NULL)
		return SRS_ERR_NOMEM;
	give_channels(&m, t);
	for (unsigned int i = 0; i < t->n_sources; i++)
		add_source(&m, t, &t->sources[i], on_note, ctx);
	qsort(m.clips, m.n_clips, sizeof(*m.clips), by_time);
	if (m.n_clips == 0) {
		snprintf(why, why_len, "nothing in it can be decoded here; --format pcapng or reel keep everything");
		err = SRS_ERR_UNSUPPORTED;
	} else if (m.length > (int64_t)LENGTH_MAX_S * RATE) {
		snprintf(why, why_len, "its packets span more than %d days; --format pcapng keeps their times",
		         LENGTH_MAX_S / 86400);
		err = SRS_ERR_LIMIT;
	} else {
		snprintf(part, sizeof(part), "%s.part", path);
		err = write_wav(&m, part, progress, why, why_len);
		if (err == SRS_OK && rename(part, path) != 0) {
			snprintf(why, why_len, "%s: %s", path, strerror(errno));
			err = SRS_ERR_IO;
		}
		if (err != SRS_OK)
			remove(part);
	}
	free(m.clips);
	return err;
}
