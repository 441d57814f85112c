/* Our receiver reports: a compound packet of RR and SDES CNAME for each stream that wants it, about every five seconds, to
 * where its RTCP comes from (RFC 3550 §6.2 to 6.5). Streams stand in a timing wheel; a turn sends a bounded number, and
 * nothing is allocated.
 *
 * What a report says beyond the totals is measured in the last third of a second before it: then the stream's packets are
 * looked at (STREAM_F_SAMPLE), for jitter and for the way back. In between, media pays nothing for reports.
 * @thread lcore */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "crypto/srtcp.h"
#include "dataplane/recording.h"
#include "dataplane/stream.h"
#include "dataplane/transmit.h"

#define REPORT_INTERVAL_S  5	/* RFC 3550 §6.2: the minimum, which two parties and a few sources never exceed */
#define REPORT_SAMPLE_HZ   3	/* a third of a second: sixteen packets of 20 ms, as many as A.8 needs */
#define REPORT_WHEEL_HZ    64
#define REPORT_WHEEL_SLOTS 1024	/* 16 s; the longest interval is 6.2 s */
#define REPORT_CNAME_SIZE  16	/* 96 random bits in Base64. @rfc 7022 §4.2 */

struct reports {
	struct stream *wheel[REPORT_WHEEL_SLOTS];
	uint64_t tick_tsc, at_tsc;	/* of a slot; when the current slot is due */
	uint32_t at;
	uint64_t tsc_hz;
	uint64_t random;
	struct srtcp *srtcp;
	struct transmit *transmit;
	const struct steer *steer;
	struct counters *counters;
	const char *cname;	/* REPORT_CNAME_SIZE bytes, the process's */
};

/** @param random  a seed, not 0 @thread control */
void report_init(struct reports *r, uint64_t now_tsc, uint64_t tsc_hz, uint64_t random);

/** A stream is installed: when it wants reports, the first one comes within five seconds. */
void report_begin(struct reports *r, struct stream *s, uint64_t now_tsc);
/** It leaves. */
void report_end(struct reports *r, struct stream *s);

/** An RTP packet of a stream whose time of sampling it is: authentic, or from the stream's source. */
void report_sample(struct stream *s, const struct rx_packet *p, const struct recorder *now, const uint8_t *mac);
/** RTCP of a stream that wants reports, in clear and whole. */
void report_hear(struct stream *s, const struct rx_packet *p, const struct recorder *now, const uint8_t *mac);

/** Send what is due, at most `max`. @return how much was done */
unsigned int report_run(struct reports *r, const struct recorder *now, unsigned int max);

#endif
