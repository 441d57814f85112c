/* What a simulated participant says: RTP payloads from a WAV file, an RTP capture or a tone, packet by packet. */
#ifndef SRC_MEDIA_H
#define SRC_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "wire.h"

#define MEDIA_PACKET_MAX WIRE_PACKET_MAX
#define MEDIA_SOURCES_MAX PROTECT_SOURCES_MAX	/* SSRCs of a stream whose reports are checked */
#define MEDIA_FRAME_MS   20
#define MEDIA_FRAME_SAMPLES 160

enum media_codec { MEDIA_PCMU, MEDIA_PCMA };

/* A source is read-only after loading, shared by all calls. */
struct media_source {
	enum media_codec codec;
	uint8_t *payload;	/* one byte a sample; NULL with `packets` */
	size_t n_samples;
	/* from a capture: whole RTP packets with their time */
	struct media_packet {
		uint32_t at_ms;
		uint16_t len;
		uint8_t *bytes;
	} *packets;
	size_t n_packets, packets_room;
};

/** 8 kHz mono or stereo (first channel) WAV. @return false, with one sentence in `why` */
bool media_load_wav(struct media_source *s, const char *path, enum media_codec codec, char *why, size_t why_len);
/** RTP of a pcap file (Ethernet, Linux cooked or raw IP), in order of capture. */
bool media_load_pcap(struct media_source *s, const char *path, char *why, size_t why_len);
/** A sine of `hz`, `ms` long. */
bool media_make_tone(struct media_source *s, enum media_codec codec, double hz, unsigned int ms);
/** How long it lasts. */
uint32_t media_source_ms(const struct media_source *s);
void media_free(struct media_source *s);

/* One stream of one call. */
struct media_stream {
	const struct media_source *source;
	uint32_t *seed;
	uint32_t ssrc;
	uint16_t seq;
	uint32_t roc;		/* how often seq wrapped, and where it began */
	uint32_t timestamp, first_timestamp;
	size_t at;		/* next sample or packet */
	bool begun;		/* a packet was made: the first one carries the marker */
	struct report_source sources[MEDIA_SOURCES_MAX];
	unsigned int n_sources;	/* counted on, past what fits */
	struct wire wire;
	uint64_t ssrc_changes, reports_received, reports_bad;
};

/* Where a stream begins. */
struct media_start {
	uint32_t roc;
	int seq;		/* -1: random */
};

void media_stream_open(struct media_stream *m, const struct media_source *source, const struct wire_faults *faults,
                       uint32_t *seed, const struct media_start *start);
/** Produce and send what is due at `elapsed_ms` of the stream; on hold time passes and nothing is sent.
 * @return false when the source is at its end */
bool media_stream_tick(struct media_stream *m, uint32_t elapsed_ms, bool on_hold);
/** Go on under another SSRC, as a sender does that restarts or is replaced (RFC 3550 §8). */
void media_stream_change_ssrc(struct media_stream *m);
/** A sender report and SDES in one compound packet (RFC 3550 §6.4.1). */
void media_stream_report(struct media_stream *m, const char *cname, uint32_t elapsed_ms);
/** RTCP BYE (RFC 3550 §6.6). */
void media_stream_bye(struct media_stream *m);
/** Count and check a compound RTCP packet that came, in clear. @return false, with the reason in `why` */
bool media_stream_on_rtcp(struct media_stream *m, const uint8_t *packet, size_t len, char *why, size_t why_len);
/** Send n forged packets; see wire_forge(). */
void media_stream_forge(struct media_stream *m, unsigned int n);

/** xorshift: a run is repeated by its seed. @return 0 <= x < 1 */
double media_random(uint32_t *seed);

#endif
