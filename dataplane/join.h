/* What the batch could not authenticate: the first packets of an SSRC, packets under other keys than the active ones, and
 * a rollover counter that is not the one that was guessed (RFC 3711 §3.3.1: who joins late does not know it). Each
 * packet is tried alone, against a copy of what would change, so that a forged one changes nothing. Likely places, those
 * of keys that were signalled, cost nothing, so that no flood of forgeries stands between a stream and its new keys; a
 * stream with one key has one of them. The search for a ROC is paid for from the slot's token bucket, so that forgeries
 * cannot buy work.
 * @thread lcore */
#ifndef JOIN_H
#define JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/srtcp.h"
#include "dataplane/stream.h"

#define JOIN_TRIES_MAX 4	/* tags computed for one packet, the batch's with them */
#define JOIN_EXTRA_HZ  10	/* tries beyond the likely places, in one slot */
#define JOIN_ROC_MAX   256	/* ROCs tried beyond the likely ones; then from the front again. 256 x 65,536 packets of
				 * 20 ms are 93 hours */
#define JOIN_SILENCE_S 1	/* a lone SSRC that was heard so lately is not looked for at other ROCs */

struct join_time {
	uint64_t now_tsc, tsc_hz;
	uint32_t turn;
};

struct join_found {
	struct keyset *keys;
	struct ssrc *context;	/* NULL: there is none yet ... */
	struct packet_index index;	/* ... and it begins with this */
};

/**
 * Try a packet of a secure stream with keys: p->ssrc is the context that the batch tried, NULL: none. On success
 * p->op has result (OK, REPLAYED or TOO_OLD), packet_index, len and keys as after unprotect_burst().
 *
 * @return  false: no tag verified; nothing but the slot's `join` has changed
 * @rfc 3711 §3.3.1, 8.1.2; 4568 §6.4.1
 */
bool join_packet(struct unprotect_engine *e, struct rx_packet *p, const struct join_time *time,
                 struct join_found *found);

/**
 * Authenticate, replay-check and decrypt an RTCP packet of a secure stream with keys, in place; p->len is then the plain
 * packet's. The keys to try are found as for RTP.
 *
 * @return  as srtcp_unprotect(); with BAD_TAG nothing but the slot's `join` has changed
 * @rfc 3711 §3.4; 7714 §9
 */
enum unprotect_result join_rtcp(struct srtcp *c, struct rx_packet *p, const struct join_time *time);

#endif
