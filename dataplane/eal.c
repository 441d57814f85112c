#include "dataplane/eal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "lib/srs_log.h"

#define ARGS_MAX       48
#define HUGE_PAGE_SIZE (UINT64_C(2) << 20)

/* A number that the kernel keeps of its large pages; 0 when it keeps none of that size. */
static unsigned long
huge_number(unsigned long size_kib, const char *name)
{
	char path[96];
	unsigned long number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%lukB/%s", size_kib, name);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &number) != 1)
		number = 0;
	fclose(f);
	return number;
}

/* Large pages that nobody has taken, of any size, in MiB. */
static unsigned long
huge_free_mib(void)
{
	return huge_number(2048, "free_hugepages") * 2 + huge_number(1048576, "free_hugepages") * 1024;
}

/* What vm.nr_hugepages must be for all of our memory: it counts the pages that others hold, too. */
static unsigned long
huge_remedy(const struct config *c, unsigned int memory_mib)
{
	unsigned long held = huge_number(2048, "nr_hugepages") - huge_number(2048, "free_hugepages");
	struct config_arithmetic sums;

	config_arithmetic(c, &sums);
	return held + (unsigned long)(sums.memory_need / HUGE_PAGE_SIZE) + memory_mib / 2 + 1;
}

static void
cpus_read(struct eal *eal, const cpu_set_t *set)
{
	eal->n_cpus = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((unsigned int)cpu, set) && eal->n_cpus < (int)(sizeof(eal->cpus) / sizeof(eal->cpus[0])))
			eal->cpus[eal->n_cpus++] = cpu;
}

/* Split `extra` at blanks, in place. */
static int
args_add_extra(char *args[ARGS_MAX], int n, char *extra)
{
	char *at;

	for (char *word = strtok_r(extra, " \t", &at); word != NULL && n < ARGS_MAX - 1; word = strtok_r(NULL, " \t", &at))
		args[n++] = word;
	return n;
}

static int
init_with(const struct eal *eal, const char *extra, unsigned int memory_mib)
{
	char name[] = "capstan", quiet[] = "--log-level=error", telemetry[] = "--no-telemetry", pci[] = "--no-pci";
	char quiet_tap[] = "--log-level=pmd.net.tap:critical";	/* it complains of flow rules that we do not use */
	char no_huge[] = "--no-huge", no_shconf[] = "--no-shconf", in_memory[] = "--in-memory", m[] = "-m";
	char mib[16], lcores[32], words[512];
	char *args[ARGS_MAX] = { name, quiet, quiet_tap, telemetry, pci, lcores, m, mib };
	int n = 8;

	snprintf(mib, sizeof(mib), "%u", memory_mib);
	/* EAL knows one lcore, the caller; ours are threads that register themselves, so that they float or are pinned
	 * as we say */
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d", eal->cpus[0]);
	if (eal->huge) {
		args[n++] = in_memory;
	} else {
		args[n++] = no_huge;
		args[n++] = no_shconf;	/* --in-memory's part that fits */
	}
	snprintf(words, sizeof(words), "%s", extra != NULL ? extra : "");
	n = args_add_extra(args, n, words);
	return rte_eal_init(n, args);
}

/* The tap driver signals the process for packets, and the kernel saves the vector registers of the thread that takes the
 * signal on its stack, with what it handled last: keys of an answer have been found there long after their call. DPDK's
 * own threads, which are running by now, handle none and take it; this one and all that it starts do not. */
static void
signals_leave_to_eal(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(&set, number);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);	/* a valid set cannot be refused */
}

enum srs_err
eal_start(struct eal *eal, const struct config *c, unsigned int memory_mib, char *why, size_t why_len)
{
	static struct eal started;	/* @thread control: once in a process */
	static bool is_started;
	cpu_set_t before;
	int result;

	if (is_started) {
		*eal = started;
		return SRS_OK;
	}
	memset(eal, 0, sizeof(*eal));
	if (sched_getaffinity(0, sizeof(before), &before) != 0) {
		snprintf(why, why_len, "This process's CPU affinity cannot be read.");
		return SRS_ERR_IO;
	}
	cpus_read(eal, &before);
	eal->huge = !c->media.no_huge;
	if (eal->huge && huge_free_mib() < memory_mib) {
		eal->huge = false;
		eal->huge_remedy = huge_remedy(c, memory_mib);
		log_info("eal", "no_hugepages", "free_mib=%lu need_mib=%u remedy=\"sysctl vm.nr_hugepages=%lu\"", huge_free_mib(),
		         memory_mib, eal->huge_remedy);
	}
	result = init_with(eal, c->media.eal_extra, memory_mib);
	sched_setaffinity(0, sizeof(before), &before);
	if (result < 0) {
		snprintf(why, why_len, "DPDK did not start with %u MiB%s: %s; check media.eal_extra and free memory.", memory_mib,
		         eal->huge ? " of large pages" : "", rte_strerror(rte_errno));
		return SRS_ERR_IO;
	}
	signals_leave_to_eal();
	started = *eal;
	is_started = true;
	return SRS_OK;
}
