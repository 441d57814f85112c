/* The DESCRIPTION documents of a recording (docs/format.md, "Documents"): which codec a payload type means at a
 * time, and who speaks on which stream. @thread tool */
#ifndef DESCRIPTION_H
#define DESCRIPTION_H

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
	char speaker[DESCRIPTION_TEXT_MAX];	/* names of who sends into it, comma between */
};
struct description_participant {
	char id[DESCRIPTION_TEXT_MAX];
	char aor[DESCRIPTION_TEXT_MAX];
	char name[DESCRIPTION_TEXT_MAX];
};
struct description {
	uint64_t wall_ns;	/* of its frame: valid from here */
	char cs_id[DESCRIPTION_TEXT_MAX], call_id[2 * DESCRIPTION_TEXT_MAX], src[DESCRIPTION_TEXT_MAX];
	char agent[DESCRIPTION_TEXT_MAX], node[DESCRIPTION_TEXT_MAX], rs_id[DESCRIPTION_TEXT_MAX];
	char identity[DESCRIPTION_TEXT_MAX], profile[DESCRIPTION_TEXT_MAX], retention_class[DESCRIPTION_TEXT_MAX];
	struct description_stream *streams;
	unsigned int n_streams;
	struct description_participant *participants;
	unsigned int n_participants;
};

/** Read one document. @return INVALID (not our JSON), NOMEM */
SRS_MUST_CHECK enum srs_err description_read(struct description **out, struct span json, uint64_t wall_ns);
void description_free(struct description *d);	/* accepts NULL */

const struct description_stream *description_stream(const struct description *d, uint8_t number);
/** What a payload type means on a stream; a static type (RFC 3551 §6) when nothing else says. NULL: unknown */
const struct description_codec *description_codec(const struct description *d, uint8_t number, uint8_t payload_type);

#endif
