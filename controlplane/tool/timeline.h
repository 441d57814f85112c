/* The media of a recording in time: packets by stream and SSRC in order of their index, each with its place on one
 * common axis. Places come from the RTP clock, anchored where the fastest packet of a run arrived; where every stream
 * has RTCP sender reports, the senders' own clock aligns them (RFC 3550 §6.4.1). @thread tool */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/tool/attendance.h"
#include "controlplane/tool/deed.h"
#include "controlplane/tool/contributors.h"
#include "controlplane/tool/description.h"
#include "controlplane/tool/tape.h"
#include "lib/srs_err.h"

struct timeline_packet {
	uint64_t order;		/* seq_ext carried on over its own wraps */
	uint64_t wall_ns;	/* arrival */
	int64_t place_ns;	/* on the recording's axis, after timeline_place() */
	uint32_t timestamp;
	uint8_t payload_type;
	uint8_t description;	/* index into timeline.descriptions + 1; 0: none yet */
	uint8_t *payload;
	uint16_t len;
};

struct timeline_report {	/* an RTCP sender report */
	uint64_t ntp_ns;	/* since 1970 */
	uint32_t timestamp;
};

struct timeline_source {	/* one SSRC of one stream */
	uint8_t stream;
	uint32_t ssrc;
	struct timeline_packet *packets;
	size_t n_packets, room;
	struct timeline_report *reports;
	size_t n_reports, reports_room;
	uint32_t part;
	uint16_t generation;	/* of its last SSRC mark */
	uint32_t shift, shift_before;	/* onto one row of numbers: where a new key began again at a lower index */
};

#define TIMELINE_SOURCES_MAX 4096
#define TIMELINE_DESCRIPTIONS_MAX 255
struct timeline {
	struct timeline_source *sources;
	unsigned int n_sources;
	struct description *descriptions[TIMELINE_DESCRIPTIONS_MAX];
	unsigned int n_descriptions;
	struct attendance attendance;
	struct deeds deeds;
	struct contributors contributors;
	uint64_t n_gap_frames;	/* lost here, by the GAP frames */
	unsigned int n_damaged;	/* chunks that did not open */
	int64_t length_ns;	/* from the first sample to the end of the last */
	bool aligned_by_reports;
	bool cut;		/* a named bound was hit: more sources or descriptions than this page says */
};

/** Play a tape into a timeline and place every packet. @param on_damage as in tape_play() */
SRS_MUST_CHECK enum srs_err timeline_make(struct timeline **out, const struct tape *t, struct keystore *ks,
                                          void (*on_damage)(void *ctx, const char *sentence), void *ctx);
void timeline_free(struct timeline *t);	/* accepts NULL */

/** The newest description, for names; NULL when there is none. */
const struct description *timeline_last_description(const struct timeline *t);
/** The newest description that has this stream: one that ended is no longer in those that follow, and no number comes
 * again. The newest of all when none has it. */
const struct description *timeline_description_of(const struct timeline *t, uint8_t stream);
/** What a packet's payload type meant at its time; NULL: unknown. */
const struct description_codec *timeline_codec(const struct timeline *t, const struct timeline_source *s,
                                               const struct timeline_packet *p);

#endif
