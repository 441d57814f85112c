/* Who spoke when: from the DESCRIPTIONs of a recording, which say at each change who sends into which stream, and since
 * and until when as the client has it (docs/format.md, "Who spoke when"). Media tells what was heard meanwhile.
 * @thread tool */
#ifndef ATTENDANCE_H
#define ATTENDANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define ATTENDANCE_TEXT_MAX 128
#define ATTENDANCE_ROWS_MAX 4096

/* A participant on a stream, from and to. */
struct attendance_row {
	char participant[ATTENDANCE_TEXT_MAX];	/* id */
	char aor[ATTENDANCE_TEXT_MAX], name[ATTENDANCE_TEXT_MAX];
	char label[ATTENDANCE_TEXT_MAX];
	uint8_t stream;			/* number */
	uint64_t from_wall_ns, to_wall_ns;	/* to 0: until the recording ends */
	bool from_src, to_src;		/* as the client says; else when the recorder heard of it */
	uint64_t n_packets;		/* RTP on the stream meanwhile */
	uint64_t first_wall_ns, last_wall_ns;	/* of those; 0: none */
	uint32_t ssrc;			/* of the first of those */
	bool seen;			/* scratch: in the description in hand */
};

struct attendance {
	struct attendance_row *rows;	/* in order of their beginning to be known */
	unsigned int n, room;
	uint64_t started_wall_ns;
	bool cut;			/* there are more than ATTENDANCE_ROWS_MAX */
};

/** The next DESCRIPTION, in order. What is not ours changes nothing. @return NOMEM */
SRS_MUST_CHECK enum srs_err attendance_describe(struct attendance *a, struct span json, uint64_t wall_ns);
/** An RTP packet: it counts for everybody who sends into its stream then. Asked once all descriptions are in. */
void attendance_hear(struct attendance *a, uint8_t stream, uint32_t ssrc, uint64_t wall_ns);
void attendance_release(struct attendance *a);

#endif
