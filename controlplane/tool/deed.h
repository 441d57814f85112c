/* What somebody did to a recording while it was made: who paused, masked, held, dropped or ended it, when and why
 * (docs/format.md, EVENT). @thread tool */
#ifndef DEED_H
#define DEED_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"
#include "lib/srs_err.h"

#define DEEDS_MAX      4096
#define DEED_TEXT_MAX  260	/* what the recorder writes has at most 256 */
#define DEED_STREAM_ALL (-1)

struct deed {
	uint64_t wall_ns;
	int stream;		/* number, or DEED_STREAM_ALL */
	char event[16];		/* "paused", "masked", ... */
	char by[16];		/* "operator", "src" */
	char name[DEED_TEXT_MAX], reason[DEED_TEXT_MAX];
};

struct deeds {
	struct deed *rows;	/* in the order of the recording */
	unsigned int n, room;
	bool cut;		/* there are more than DEEDS_MAX */
};

/** One EVENT frame. What is no JSON object with an event is left out. @return NOMEM */
SRS_MUST_CHECK enum srs_err deeds_take(struct deeds *d, struct span json);
void deeds_release(struct deeds *d);

#endif
