/* Counters as Prometheus text (exposition format 0.0.4): HELP, TYPE, value. Names are capstan_<counter>_total; a
 * counter whose name ends in `_now` is a level that also falls: TYPE gauge, without `_total`. @thread api */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/dataplane.h"

struct metrics {
	char *text;	/* malloc'd, NUL-terminated; the caller takes it */
	size_t len, room;
	bool bad;	/* no memory, or more than METRICS_BYTES_MAX: the text is not whole */
};
#define METRICS_BYTES_MAX (1u << 20)

/** One counter; `ctx` is a struct metrics, so that it fits every walk over counters. */
void metrics_counter(void *ctx, const struct dataplane_counter *c);
/** A gauge of our own. `labels` like `version="1"`, or NULL; values are quoted by the caller. */
void metrics_gauge(struct metrics *m, const char *name, const char *help, const char *labels, double value);

#endif
