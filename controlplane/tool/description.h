/* The DESCRIPTION documents of a recording (docs/format.md, "Documents"): which codec a payload type means at a
 * time, and who speaks on which stream. @thread tool */
#ifndef DESCRIPTION_H
#define DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define DESCRIPTION_TEXT_MAX  128
#define DESCRIPTION_CODECS_MAX 32
#define DESCRIPTION_STREAMS_MAX 256
#define DESCRIPTION_PARTICIPANTS_MAX 256

struct description_codec {
	uint8_t payload_type;
	char name[32];		/* upper case: PCMU */
	uint32_t clock_hz;
	uint8_t channels;
};
struct description_stream {
	uint8_t number;
	char label[DESCRIPTION_TEXT_MAX];
	char address[64];	/* where the recorder received it */
	uint16_t port;
	struct description_codec codecs[DESCRIPTION_CODECS_MAX];
	unsigned int n_codecs;
	bool inactive;
	char speaker[DESCRIPTION_TEXT_MAX];	/* names of who sends into it, comma between */
};
struct description_participant {
	char id[DESCRIPTION_TEXT_MAX];
	char aor[DESCRIPTION_TEXT_MAX];
	char name[DESCRIPTION_TEXT_MAX];
	uint64_t sends[DESCRIPTION_STREAMS_MAX / 64];	/* a bit for each stream that he sends into, or once did */
};
struct description {
	uint64_t wall_ns;	/* of its frame: valid from here */
	char cs_id[DESCRIPTION_TEXT_MAX], call_id[2 * DESCRIPTION_TEXT_MAX], src[DESCRIPTION_TEXT_MAX];
	char agent[DESCRIPTION_TEXT_MAX], node[DESCRIPTION_TEXT_MAX], rs_id[DESCRIPTION_TEXT_MAX];
	char identity[DESCRIPTION_TEXT_MAX], profile[DESCRIPTION_TEXT_MAX], retention_class[DESCRIPTION_TEXT_MAX];
	char group_id[DESCRIPTION_TEXT_MAX];
	char *session_ids;	/* RFC 7989 values, a blank between */
	uint64_t started_wall_ns;
	uint32_t n_streams_ever, n_deviations;
	struct description_stream *streams;
	unsigned int n_streams;
	struct description_participant *participants;
	unsigned int n_participants;
};

/** Read one document. @return INVALID (not our JSON), NOMEM */
SRS_MUST_CHECK enum srs_err description_read(struct description **out, struct span json, uint64_t wall_ns);
void description_free(struct description *d);	/* accepts NULL */

bool description_sends(const struct description_participant *p, unsigned int stream_i);
/** A number of nanoseconds since 1970 out of a document of ours: larger than 2^53, so that cJSON would round it. @param
 * member  with quotes and colon: "\"wall_ns\":" @return 0 when it is not there */
uint64_t description_wall_ns(struct span json, const char *member);
const struct description_stream *description_stream(const struct description *d, uint8_t number);
/** What a payload type means on a stream; a static type (RFC 3551 §6) when nothing else says. NULL: unknown */
const struct description_codec *description_codec(const struct description *d, uint8_t number, uint8_t payload_type);

#endif
