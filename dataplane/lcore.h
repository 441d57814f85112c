/* The receive loop (lcore.c) and its burst (lcore_burst.c): one thread, one queue, a share of the addresses. Takes a
 * burst, leaves each packet with one verdict, and between bursts carries out commands and passes on old chunks. It does
 * not allocate, log or block; it sleeps only when nothing came. */
#ifndef LCORE_H
#define LCORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/unprotect.h"
#include "dataplane/command.h"
#include "dataplane/generation.h"
#include "dataplane/neighbour.h"
#include "dataplane/punt.h"
#include "dataplane/recording.h"
#include "dataplane/replay.h"
#include "dataplane/reply.h"
#include "dataplane/report.h"
#include "dataplane/selftest.h"
#include "dataplane/steer.h"
#include "dataplane/transmit.h"
#include "dataplane/writer.h"

struct rte_mbuf;
struct rte_mempool;

#define BURST_MAX 32
#define RX_LONG_MAX  4	/* packets longer than a buffer, of one burst */
#define RX_LONG_SIZE (65536 + 64)	/* the longest IP packet and its link header */

struct lcore_spec {
	uint16_t lcore_i;
	uint16_t port_id, queue_id;
	struct rte_mempool *pool;	/* for what it sends; NULL: the port sends nothing */
	bool file;		/* profile pcap */
	bool answers;		/* no kernel behind the port: this lcore does ARP, ND and echo */
	uint8_t mac[REPLY_MAC_SIZE];
	const struct steer *steer;
	const struct selftest *selftest;
	struct stream_table *streams;
	const struct clock *clock;
	struct writer *const *writers;
	uint16_t n_writers;
	const struct config *config;
	uint32_t n_chunks, n_commands, n_keysets;
	enum unprotect_engine_kind engine;
	uint32_t streams_max, recordings_max;
	const char *cname;	/* REPORT_CNAME_SIZE bytes: who sends our reports */
	bool huge;
	int cpu;		/* -1: floats */
	bool one_cpu;		/* always sleeps when empty */
};

struct lcore {
	/* constant after creation */
	struct lcore_spec spec;
	uint32_t idle_sleep_us;
	struct spsc *commands, *events;	/* struct command *: there, and back */
	pthread_t thread;
	bool started;
	_Atomic bool stop;	/* set by control */
	_Atomic bool running;	/* the first turn is over */
	_Atomic bool urgent;	/* set by control: among the commands is one that no packet may overtake */
	/* the lcore's own */
	struct counters counters;
	struct recorder recorder;
	struct chunk_pool chunks;
	struct stream_pool pool;
	struct unprotect_engine *engine;
	struct srtcp *srtcp;
	struct generations generations;
	struct transmit transmit;
	struct neighbours neighbours;
	struct reports reports;
	struct punts punts;	/* none where srtp.dtls is off */
	struct replay replay;	/* profile pcap */
	uint8_t *joined;	/* RX_LONG_MAX places: packets that came in several buffers, for the length of a burst */
	struct command *current;	/* a document that is being copied */
	struct command *waiting;	/* ends of parts without a chunk to carry them */
	uint32_t clock_sequence;
	uint32_t turn;
	const struct rx_packet *burst_end;	/* of the packets that are being appended */
	uint64_t housekeeping_tsc;
	uint64_t behind_tsc;	/* since when each burst was full: more packets wait; 0: the last one was not */
};

SRS_MUST_CHECK enum srs_err lcore_create(struct lcore **out, const struct lcore_spec *spec);
SRS_MUST_CHECK enum srs_err lcore_start(struct lcore *lc);
/** Leave the loop, pass open chunks on, join. */
void lcore_stop(struct lcore *lc);
void lcore_destroy(struct lcore *lc);

/** Work on packets as they came from the port; all are freed. @thread lcore */
void lcore_burst(struct lcore *lc, struct rte_mbuf *m[], uint16_t n);
/** What is to be done between bursts. @return how much was done */
unsigned int lcore_housekeep(struct lcore *lc);
/** Begin a turn: time, refusals of writers. */
void lcore_begin(struct lcore *lc);

#endif
