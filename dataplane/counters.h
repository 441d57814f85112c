/* What an lcore counts. Each counter is declared once, with its unit, severity and sentence; metrics, REST and the
 * manual are made from these lists. A packet that came in leaves with exactly one verdict, so that
 *
 *     nic_received = sum of all verdicts
 *
 * Cells have one writer, the lcore; others read them relaxed and may see them a burst old. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "lib/spsc.h"

#define VERDICT_LIST(X) \
	X(RX_RECORDED, rx_recorded, INFO, "RTP, recorded") \
	X(RX_RECORDED_RTCP, rx_recorded_rtcp, INFO, "RTCP, recorded") \
	X(RX_HELD, rx_held, INFO, "RTP of a source on probation (RFC 3550 A.1): see held_recorded, held_dropped") \
	X(RX_REPLIED, rx_replied, INFO, "ARP, neighbour discovery or echo for one of our addresses, answered") \
	X(RX_DTLS, rx_dtls, INFO, "DTLS record, handed to the handshake") \
	X(RX_SELFTEST, rx_selftest, INFO, "our own packet of the start-up self-test") \
	X(RX_DROP_NEIGHBOUR, rx_drop_neighbour, INFO, "ARP, neighbour discovery or ICMP that asks nothing of us") \
	X(RX_DROP_ETHERTYPE, rx_drop_ethertype, INFO, "neither IP nor ARP") \
	X(RX_DROP_TRUNCATED, rx_drop_truncated, WARN, "shorter than its own headers say") \
	X(RX_DROP_LONG, rx_drop_long, WARN, "more long packets at once than there is room to join") \
	X(RX_DROP_IP, rx_drop_ip, WARN, "malformed IP header") \
	X(RX_DROP_FRAGMENT, rx_drop_fragment, WARN, "IP fragment: senders must keep RTP below the path MTU") \
	X(RX_DROP_ADDRESS, rx_drop_address, INFO, "not for one of our addresses") \
	X(RX_DROP_MISROUTED, rx_drop_misrouted, ERROR, "one of our addresses, but another queue's: steering is wrong") \
	X(RX_DROP_PROTOCOL, rx_drop_protocol, INFO, "not UDP") \
	X(RX_DROP_UDP, rx_drop_udp, WARN, "UDP length does not fit") \
	X(RX_DROP_CHECKSUM, rx_drop_checksum, WARN, "IP or UDP checksum is wrong") \
	X(RX_DROP_NO_STREAM, rx_drop_no_stream, WARN, "no stream on this port") \
	X(RX_DROP_NOT_RTP, rx_drop_not_rtp, WARN, "not RTP version 2, or lengths that do not fit") \
	X(RX_DROP_STUN, rx_drop_stun, INFO, "STUN: there is no ICE here") \
	X(RX_DROP_DTLS_RATE, rx_drop_dtls_rate, WARN, "more DTLS than a stream, or the way to the handshake, takes") \
	X(RX_DROP_RTCP, rx_drop_rtcp, WARN, "malformed RTCP") \
	X(RX_DROP_SOURCE, rx_drop_source, WARN, "not from the stream's source") \
	X(RX_DROP_PROBATION, rx_drop_probation, WARN, "no room to hold a packet of a source on probation") \
	X(RX_DROP_SSRC, rx_drop_ssrc, WARN, "more synchronisation sources than a stream keeps at once or a part has room for") \
	X(RX_DROP_DUPLICATE, rx_drop_duplicate, INFO, "duplicate or replay") \
	X(RX_DROP_LATE, rx_drop_late, WARN, "older than the replay window") \
	X(RX_DROP_AUTH, rx_drop_auth, ERROR, "SRTP tag did not verify") \
	X(RX_DROP_AUTH_RTCP, rx_drop_auth_rtcp, ERROR, "SRTCP tag did not verify") \
	X(RX_DROP_NO_KEY, rx_drop_no_key, WARN, "SRTP before its key is known") \
	X(RX_DROP_PAUSED, rx_drop_paused, INFO, "recording or stream is paused") \
	X(RX_DROP_NO_CHUNK, rx_drop_no_chunk, ERROR, "recorded as a gap: storage is behind") \
	X(RX_DROP_DISK_FULL, rx_drop_disk_full, ERROR, "recorded as a gap: no room on the device") \
	X(RX_DROP_WRITE_ERROR, rx_drop_write_error, ERROR, "recorded as a gap: the device failed") \
	X(RX_DROP_TOO_LONG, rx_drop_too_long, WARN, "recorded as a gap: longer than a frame may be")

enum rx_verdict {
	RX_PENDING,		/* no packet leaves with it */
#define X(verdict, name, severity, sentence) verdict,
	VERDICT_LIST(X)
#undef X
	RX_VERDICTS
};

/* Beside the verdicts; unit, severity, sentence. */
#define LCORE_COUNTER_LIST(X) \
	X(nic_received, "packets", INFO, "taken from the port") \
	X(nic_missed, "packets", ERROR, "lost in the port: the lcore was too slow (imissed)") \
	X(nic_no_buffer, "packets", ERROR, "lost in the port: no packet buffer (rx_nombuf)") \
	X(nic_errors, "packets", ERROR, "refused by the port: broken, or longer than it takes (ierrors)") \
	X(tx_replies, "packets", INFO, "replies and announcements sent") \
	X(tx_reports, "packets", INFO, "receiver reports sent (RTCP)") \
	X(tx_dtls, "packets", INFO, "DTLS datagrams sent") \
	X(tx_dtls_nowhere, "packets", WARN, "DTLS datagrams to an address that nobody on the wire answered for") \
	X(tx_dropped, "packets", WARN, "of our own, not taken by the port, or without a buffer") \
	X(held_recorded, "frames", INFO, "held on probation, then recorded") \
	X(held_dropped, "frames", WARN, "held on probation, then dropped") \
	X(frames_appended, "frames", INFO, "written into chunks, all kinds") \
	X(bytes_appended, "bytes", INFO, "of those frames, with their headers") \
	X(chunks_closed, "chunks", INFO, "handed to the writers") \
	X(notes_dropped, "frames", ERROR, "documents that found no chunk") \
	X(marks_dropped, "frames", WARN, "marks that found no chunk") \
	X(ssrc_evicted, "frames", INFO, "synchronisation sources that made room for another") \
	X(ssrc_restarted, "frames", INFO, "sources that jumped in sequence and were taken on anew (RFC 3550 A.1)") \
	X(totals_dropped, "frames", ERROR, "totals of ended streams that found no room until the seal") \
	X(turns_busy, "turns", INFO, "lcore turns that had packets") \
	X(cycles_busy, "cycles", INFO, "TSC cycles of those turns")

struct counters {
	alignas(SRS_CACHE_LINE) uint64_t verdicts[RX_VERDICTS];
#define X(name, unit, severity, sentence) uint64_t name;
	LCORE_COUNTER_LIST(X)
#undef X
};

/** Add to a cell. @thread the cell's only writer */
static inline void
counter_add(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}

/** @thread any */
static inline uint64_t
counter_read(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

/** Add one lcore's counters to a sum. @thread any */
void counters_sum(struct counters *sum, const struct counters *one);
/** Sum of all verdicts: equals nic_received between two bursts. */
uint64_t counters_verdicts(const struct counters *c);
/** Hand each counter of `c` to `on_counter`. */
void counters_walk(const struct counters *c, void (*on_counter)(void *ctx, const struct dataplane_counter *c),
                   void *ctx);

#endif
