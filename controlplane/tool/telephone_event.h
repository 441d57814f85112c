/* The telephone events of a recording: keys that somebody pressed, each once, out of the packets that say so again and
 * again (RFC 4733 §2.5). The packets themselves lie in the recording as they came. @thread tool */
#ifndef TELEPHONE_EVENT_H
#define TELEPHONE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/tool/timeline.h"
#include "lib/srs_err.h"

struct telephone_event {
	uint8_t stream;
	uint32_t ssrc;
	uint8_t code;		/* RFC 4733 §3.2: 0 to 9, 10 star, 11 pound, 12 to 15 A to D, 16 flash */
	bool ended;		/* a packet with the E bit came; else the duration is what was heard of it */
	int64_t place_ns;	/* of its beginning on the recording's axis */
	uint64_t wall_ns;	/* arrival of its first packet */
	uint64_t duration_ns;
};

/** Every event in order of time. @param out free with free() @return NOMEM */
SRS_MUST_CHECK enum srs_err telephone_events(struct telephone_event **out, size_t *n, const struct timeline *t);
/** "0" to "9", "*", "#", "A" to "D", "flash", else the number in `buffer` of 4. @return a text */
const char *telephone_event_name(uint8_t code, char buffer[4]);

#endif
