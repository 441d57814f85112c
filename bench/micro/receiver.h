/* The frame of the unprotect benchmarks: options, traffic, passes, clock, one JSON line. A program brings the engines
 * that it can drive; the product's and libsrtp2 built on OpenSSL are two programs, so that their symbols do not meet. */
#ifndef RECEIVER_H
#define RECEIVER_H

#include <stdint.h>

#include "bench/micro/traffic.h"

#define RECEIVER_BURST 32

struct receiver {
	const char *engine;	/* as --engine names it */
	const char *version;	/* of the library that does the work */
	uint32_t streams_max;
	uint32_t n_packets;	/* of a run without --packets; fewer when they are long */
	uint16_t header_at;	/* see struct traffic_spec */
	/** Ready for every stream's first packet. @return NULL: `why` says the reason */
	void *(*create)(const struct traffic *t, const char **why);
	/** Unprotect in place, timed. @return how many were authentic, new, and of the right length afterwards */
	uint32_t (*burst)(void *state, const struct arrival a[], uint16_t n);
	void (*destroy)(void *state);
};

/** main() of such a program. @return its exit status */
int receiver_main(int argc, char **argv, const struct receiver receivers[], unsigned int n_receivers);

#endif
