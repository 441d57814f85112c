/* What the differential tests have in common: the seed, how many packets, one test a suite. */
#ifndef RUN_H
#define RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/diff/network.h"

extern const char *const run_result_names[];	/* by enum unprotect_result */

/** CAPSTAN_SEED; another in each run without it. Printed by run_suites(). */
uint64_t run_seed(void);
/** CAPSTAN_DIFF_PACKETS: packets a suite. */
uint64_t run_packets(void);
/** Fails the test: seed, packet, who, what. */
void run_finding(const struct network *n, const struct wire *w, const char *who, const char *what);

/** `agree` runs all slots through their suites, from `seed`. One test for each suite, and one in which every slot has
 * another. @return the exit status */
int run_suites(void (*agree)(const enum srtp_suite suites[NETWORK_SLOTS], uint64_t seed));

#endif
