#include "lib/srs_log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOG_LINE_MAX   1024
#define LOG_BURST      20 /* lines a second and event */
#define LOG_EVENTS_MAX 256

/* One row an event name, found by hash; a collision shares the limit, which only costs log lines. */
struct log_event {
	time_t second;
	unsigned int n_lines;
	unsigned int n_suppressed;
};

static enum srs_log_level log_level = SRS_LOG_INFO;
static struct log_event log_events[LOG_EVENTS_MAX];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void
srs_log_level_set(enum srs_log_level level)
{
	log_level = level;
}

static struct log_event *
log_event_of(const char *module, const char *event)
{
	unsigned int hash = 5381;

	for (; *module != '\0'; module++)
		hash = hash * 33 + (unsigned char)*module;
	for (; *event != '\0'; event++)
		hash = hash * 33 + (unsigned char)*event;
	return &log_events[hash % LOG_EVENTS_MAX];
}

/* Returns how many lines were held back before this one, or -1 when this one is held back too. */
static int
log_admit(const char *module, const char *event, time_t now)
{
	struct log_event *row = log_event_of(module, event);
	int suppressed = -1;

	pthread_mutex_lock(&log_lock);
	if (row->second != now) {
		row->second = now;
		row->n_lines = 0;
	}
	if (row->n_lines < LOG_BURST) {
		row->n_lines++;
		suppressed = (int)row->n_suppressed;
		row->n_suppressed = 0;
	} else {
		row->n_suppressed++;
	}
	pthread_mutex_unlock(&log_lock);
	return suppressed;
}

void
srs_log(enum srs_log_level level, const char *module, const char *event, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	struct timespec now;
	struct tm tm;
	va_list args;
	size_t len;
	int suppressed;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	suppressed = log_admit(module, event, now.tv_sec);
	if (suppressed < 0)
		return;

	gmtime_r(&now.tv_sec, &tm);
	len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03ldZ %s %s %s ", now.tv_nsec / 1000000,
	                        level_names[level], module, event);
	va_start(args, format);
	len += (size_t)vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	if (len >= sizeof(line))
		len = sizeof(line) - 1;
	for (size_t i = 0; i < len; i++) /* a peer's bytes may not forge a second line */
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	if (suppressed > 0)
		fprintf(stderr, "%s suppressed=%d\n", line, suppressed);
	else
		fprintf(stderr, "%s\n", line);
}
