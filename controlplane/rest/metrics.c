#include "controlplane/rest/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __attribute__((format(printf, 2, 3)))
add(struct metrics *m, const char *format, ...)
{
	va_list args;
	char row[1024], *grown;
	int n;

	va_start(args, format);
	n = vsnprintf(row, sizeof(row), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(row) || m->len + (size_t)n >= METRICS_BYTES_MAX)
		m->bad = true;
	if (m->bad)
		return;
	if (m->len + (size_t)n + 1 > m->room) {
		grown = realloc(m->text, 2 * m->room + sizeof(row));
		if (grown == NULL) {
			m->bad = true;
			return;
		}
		m->text = grown;
		m->room = 2 * m->room + sizeof(row);
	}
	memcpy(m->text + m->len, row, (size_t)n + 1);
	m->len += (size_t)n;
}

void
metrics_counter(void *ctx, const struct dataplane_counter *c)
{
	static const char *const severities[] = { "info", "warn", "error" };
	struct metrics *m = ctx;
	size_t len = strlen(c->name);
	bool level = len > 4 && strcmp(c->name + len - 4, "_now") == 0;
	const char *suffix = level ? "" : "_total";

	add(m, "# HELP capstan_%s%s %s (%s, %s)\n# TYPE capstan_%s%s %s\ncapstan_%s%s %" PRIu64 "\n", c->name, suffix,
	    c->sentence, c->unit, severities[c->severity], c->name, suffix, level ? "gauge" : "counter", c->name, suffix,
	    c->value);
}

void
metrics_gauge(struct metrics *m, const char *name, const char *help, const char *labels, double value)
{
	add(m, "# HELP capstan_%s %s\n# TYPE capstan_%s gauge\ncapstan_%s%s%s%s %.17g\n", name, help, name, name,
	    labels != NULL ? "{" : "", labels != NULL ? labels : "", labels != NULL ? "}" : "", value);
}
