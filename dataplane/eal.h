/* DPDK's environment, started from the configuration. It can start once in a process and then stays until its end.
 * It pins the thread that starts it and what that thread starts later; the affinity is given back here. */
#ifndef EAL_H
#define EAL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"
#include "lib/srs_err.h"

struct eal {
	bool huge;	/* large pages are in use */
	unsigned long huge_remedy;	/* vm.nr_hugepages that would give them; 0: in use, or not wanted */
	int n_cpus;	/* that this process may use */
	int cpus[128];	/* their numbers */
};

/** @param memory_mib  what the ports' packet buffers need */
SRS_MUST_CHECK enum srs_err eal_start(struct eal *eal, const struct config *c, unsigned int memory_mib, char *why,
                                      size_t why_len);

#endif
