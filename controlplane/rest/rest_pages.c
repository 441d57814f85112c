#include "controlplane/rest/rest_pages.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/rest/metrics.h"

#define TYPE_JSON "application/json"

static uint64_t
mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* cJSON's adders take NULL. Without memory there is no body, and rest.c closes the connection. */
static struct rest_reply
reply_json(unsigned int status, cJSON *json)
{
	struct rest_reply reply = { .status = status, .type = TYPE_JSON };

	if (json != NULL)
		reply.body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return reply;
}

struct rest_reply
rest_error(unsigned int status, const char *error, const char *remedy)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "error", error);
	cJSON_AddStringToObject(json, "remedy", remedy);
	return reply_json(status, json);
}

struct rest_reply
rest_page_live(struct rest_view *v, const struct rest_arguments *a)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "status", "live");
	cJSON_AddNumberToObject(json, "uptime_s", (double)((mono_ns() - v->started_mono_ns) / 1000000000));
	return reply_json(200, json);
}

struct rest_reply
rest_page_ready(struct rest_view *v, const struct rest_arguments *a)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "status", v->ready ? "ready" : "not ready");
	if (!v->ready)
		cJSON_AddStringToObject(json, "reason", v->reason);
	return reply_json(v->ready ? 200 : 503, json);
}

/* ---- numbers ---- */

struct rest_reply
rest_page_metrics(struct rest_view *v, const struct rest_arguments *a)
{
	struct rest_reply reply = { .status = 200, .type = "text/plain; version=0.0.4; charset=utf-8" };
	struct metrics m = { 0 };
	struct mallinfo2 heap;
	char labels[128];

	if (!v->config->http.metrics)
		return rest_error(404, "metrics are switched off", "set http.metrics (ENABLE_METRICS) to true");
	/* node.name holds no quotes and no backslash: config_rules.c */
	snprintf(labels, sizeof(labels), "version=\"%s\",node=\"%s\"", SRS_VERSION, v->config->node.name);
	metrics_gauge(&m, "info", "version and name of this recorder", labels, 1);
	metrics_gauge(&m, "ready", "1 when new calls are taken", NULL, v->ready);
	metrics_gauge(&m, "uptime_seconds", "since start", NULL, (double)(mono_ns() - v->started_mono_ns) / 1e9);
	heap = mallinfo2();
	metrics_gauge(&m, "memory_in_use_bytes", "bytes of the heap in use", NULL,
	              (double)heap.uordblks + (double)heap.hblkhd);
	metrics_gauge(&m, "catalog_memory_bytes", "bytes of it that belong to the catalog: its cache grows to its bound", NULL,
	              (double)catalog_memory_bytes());
	metrics_gauge(&m, "sessions_limit", "limits.sessions_max", NULL, v->config->limits.sessions_max);
	if (v->from->dataplane != NULL)
		dataplane_counters(v->from->dataplane, metrics_counter, &m);
	if (v->from->counters != NULL)
		v->from->counters(v->from->ctx, metrics_counter, &m);
	if (m.bad) {
		free(m.text);
		return rest_error(500, "the metrics do not fit their buffer", "report this with the output of capstan doctor");
	}
	reply.body = m.text;
	return reply;
}

static unsigned int
n_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return n;
}

static uint64_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct rest_reply
rest_page_resources(struct rest_view *v, const struct rest_arguments *a)
{
	cJSON *json = cJSON_CreateObject(), *storage;
	struct config_arithmetic sum;
	struct rusage usage;
	struct statvfs fs;

	getrusage(RUSAGE_SELF, &usage);
	config_arithmetic(v->config, &sum);
	cJSON_AddNumberToObject(json, "uptime_s", (double)((mono_ns() - v->started_mono_ns) / 1000000000));
	cJSON_AddNumberToObject(json, "memory_resident_bytes", (double)resident_bytes());
	cJSON_AddNumberToObject(json, "memory_available_bytes", (double)sum.memory_have);
	cJSON_AddNumberToObject(json, "cpu_user_s", seconds(usage.ru_utime));
	cJSON_AddNumberToObject(json, "cpu_system_s", seconds(usage.ru_stime));
	cJSON_AddNumberToObject(json, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
	cJSON_AddNumberToObject(json, "open_files", n_open_files());
	storage = cJSON_AddArrayToObject(json, "storage");
	for (unsigned int i = 0; i < v->config->storage.n_devices; i++) {
		const char *path = v->config->storage.devices[i];
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "path", path);
		if (statvfs(path, &fs) == 0) {
			cJSON_AddNumberToObject(row, "free_bytes", (double)fs.f_bavail * (double)fs.f_frsize);
			cJSON_AddNumberToObject(row, "total_bytes", (double)fs.f_blocks * (double)fs.f_frsize);
		} else {
			cJSON_AddStringToObject(row, "error", strerror(errno));
		}
		cJSON_AddItemToArray(storage, row);
	}
	return reply_json(200, json);
}

struct rest_reply
rest_page_cache(struct rest_view *v, const struct rest_arguments *a)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *sessions = cJSON_AddObjectToObject(json, "closed_sessions");
	cJSON *pools = cJSON_AddObjectToObject(json, "pools");

	cJSON_AddBoolToObject(sessions, "present", false);
	cJSON_AddStringToObject(sessions, "reason", "there is no cache of closed sessions yet; the catalog answers for them");
	cJSON_AddNumberToObject(pools, "sessions_max", v->config->limits.sessions_max);
	cJSON_AddNumberToObject(pools, "streams_max", v->config->limits.streams_max);
	cJSON_AddNumberToObject(pools, "recordings_max", v->config->limits.recordings_max);
	cJSON_AddNumberToObject(pools, "chunks", (double)config_chunks_need(v->config));
	return reply_json(200, json);
}

static void
on_counter_json(void *ctx, const struct dataplane_counter *c)
{
	cJSON_AddNumberToObject(ctx, c->name, (double)c->value);
}

struct rest_reply
rest_page_workers(struct rest_view *v, const struct rest_arguments *a)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *audio = cJSON_AddObjectToObject(json, "audio_workers");
	cJSON *counters;

	cJSON_AddNumberToObject(json, "lcores", v->config->media.lcores);
	cJSON_AddNumberToObject(json, "writers", v->config->storage.n_devices);
	cJSON_AddNumberToObject(audio, "count", 0);
	cJSON_AddStringToObject(audio, "reason", "there are no playback and processing workers yet; capstan export decodes");
	counters = cJSON_AddObjectToObject(json, "counters");
	if (v->from->dataplane != NULL)
		dataplane_counters(v->from->dataplane, on_counter_json, counters);
	return reply_json(200, json);
}

/* ---- recordings ---- */

static void
add_time(cJSON *json, const char *name, int64_t wall_ns)
{
	time_t second = (time_t)(wall_ns / 1000000000);
	char text[40];
	struct tm tm;
	size_t len;

	if (wall_ns <= 0 || gmtime_r(&second, &tm) == NULL) {
		cJSON_AddNullToObject(json, name);
		return;
	}
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(wall_ns / 1000000 % 1000));
	cJSON_AddStringToObject(json, name, text);
}

/* Documents of our own making; should one not parse, the caller still gets the text. */
static void
add_json(cJSON *json, const char *name, const char *text)
{
	cJSON *parsed = *text != '\0' ? cJSON_Parse(text) : cJSON_CreateArray();

	if (parsed == NULL)
		parsed = cJSON_CreateString(text);
	cJSON_AddItemToObject(json, name, parsed);
}

static void
hex_of(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static cJSON *
recording_json(const struct catalog_recording *r)
{
	cJSON *json = cJSON_CreateObject();
	char id[2 * REEL_ID_SIZE + 1], digest[2 * REEL_DIGEST_SIZE + 1];

	hex_of(r->id, REEL_ID_SIZE, id);
	hex_of(r->seal_digest, REEL_DIGEST_SIZE, digest);
	cJSON_AddStringToObject(json, "id", id);
	cJSON_AddStringToObject(json, "state", r->state);
	cJSON_AddStringToObject(json, "rs_id", r->rs_id);
	cJSON_AddStringToObject(json, "cs_id", r->cs_id);
	cJSON_AddStringToObject(json, "group_id", r->group_id);
	cJSON_AddStringToObject(json, "session_ids", r->session_ids);
	cJSON_AddStringToObject(json, "call_id", r->call_id);
	cJSON_AddStringToObject(json, "src_address", r->src_address);
	cJSON_AddStringToObject(json, "src_agent", r->src_agent);
	add_time(json, "started", r->started_wall_ns);
	add_time(json, "ended", r->ended_wall_ns);
	cJSON_AddStringToObject(json, "reason", r->reason);
	add_json(json, "participants", r->participants_json);
	add_json(json, "streams", r->streams_json);
	cJSON_AddNumberToObject(json, "n_streams", r->n_streams);
	cJSON_AddNumberToObject(json, "n_parts", r->n_parts);
	cJSON_AddNumberToObject(json, "n_frames", (double)r->n_frames);
	cJSON_AddNumberToObject(json, "bytes", (double)r->bytes);
	cJSON_AddNumberToObject(json, "missing", (double)r->missing);
	cJSON_AddNumberToObject(json, "lost_upstream", (double)r->lost_upstream);
	cJSON_AddNumberToObject(json, "n_deviations", r->n_deviations);
	cJSON_AddStringToObject(json, "seal_digest", strcmp(r->state, "recording") != 0 ? digest : "");
	cJSON_AddBoolToObject(json, "held", r->held);
	return json;
}

/* Seconds since 1970, or 2026-11-23T08:15:38Z. @return nanoseconds, 0 when it is neither */
static int64_t
time_parse(const char *text)
{
	struct tm tm = { 0 };
	const char *end;
	char *digits_end;
	long long second;

	second = strtoll(text, &digits_end, 10);
	if (digits_end != text && *digits_end == '\0')
		return second > 0 && second < 4102444800 ? second * 1000000000 : 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end == NULL || strcmp(end, "Z") != 0)
		return 0;
	second = timegm(&tm);
	return second > 0 && second < 4102444800 ? second * 1000000000 : 0;
}

/* @return what is wrong, or NULL */
static const char *
filter_set(struct catalog_filter *f, const char *name, const char *value)
{
	char *end;

	if (strcmp(name, "text") == 0) {
		f->text = value;
	} else if (strcmp(name, "state") == 0) {
		f->state = value;
		if (strcmp(value, "recording") != 0 && strcmp(value, "sealed") != 0 && strcmp(value, "interrupted") != 0)
			return "state must be recording, sealed or interrupted";
	} else if (strcmp(name, "group") == 0) {
		f->group_id = value;
	} else if (strcmp(name, "session_id") == 0) {
		f->session_id = value;
	} else if (strcmp(name, "after") == 0) {
		f->after = value;
	} else if (strcmp(name, "from") == 0) {
		f->from_wall_ns = time_parse(value);
		return f->from_wall_ns == 0 ? "from must be a time like 2026-01-31T08:00:00Z or seconds since 1970" : NULL;
	} else if (strcmp(name, "to") == 0) {
		f->to_wall_ns = time_parse(value);
		return f->to_wall_ns == 0 ? "to must be a time like 2026-01-31T08:00:00Z or seconds since 1970" : NULL;
	} else if (strcmp(name, "limit") == 0) {
		unsigned long limit = strtoul(value, &end, 10);

		if (*value < '0' || *value > '9' || *end != '\0' || limit == 0 || limit > CATALOG_LIST_MAX)
			return "limit must be a number from 1 to 1000";
		f->limit = (uint32_t)limit;
	} else {
		return "there is no such filter";
	}
	return NULL;
}

static enum srs_err
reader_get(struct rest_view *v, struct rest_reply *reply)
{
	char why[512] = "";
	enum srs_err err = SRS_OK;

	if (v->reader == NULL)
		err = catalog_reader_open(&v->reader, v->from->catalog_dir, why, sizeof(why));
	if (err)
		*reply = rest_error(503, "the catalog cannot be read", why);
	return err;
}

static struct rest_reply
reader_failed(struct rest_view *v)
{
	catalog_reader_close(v->reader);
	v->reader = NULL;
	return rest_error(503, "the catalog could not be read", "try again; if it stays, run capstan fsck");
}

struct rows {
	cJSON *array;
	unsigned int n;
	char last[2 * REEL_ID_SIZE + 1];
	uint8_t found[REEL_ID_SIZE];
};

static void
on_row(void *ctx, const struct catalog_recording *row)
{
	struct rows *rows = ctx;

	rows->n++;
	hex_of(row->id, REEL_ID_SIZE, rows->last);
	cJSON_AddItemToArray(rows->array, recording_json(row));
}

struct rest_reply
rest_page_recordings(struct rest_view *v, const struct rest_arguments *a)
{
	struct catalog_filter filter = { .limit = 100 };
	struct rest_reply reply;
	struct rows rows = { 0 };
	cJSON *json;
	enum srs_err err;

	for (unsigned int i = 0; i < a->n; i++) {
		const char *rule = filter_set(&filter, a->rows[i].name, a->rows[i].value);

		if (rule != NULL)
			return rest_error(400, rule, "filters are text, state, group, session_id, from, to, after and limit");
	}
	if (reader_get(v, &reply))
		return reply;
	json = cJSON_CreateObject();
	rows.array = cJSON_AddArrayToObject(json, "recordings");
	err = catalog_list(v->reader, &filter, on_row, &rows);
	if (err) {
		cJSON_Delete(json);
		if (err == SRS_ERR_IO)
			return reader_failed(v);
		return rest_error(400, "after names no recording", "take the value of next from the page before");
	}
	if (rows.n == filter.limit)
		cJSON_AddStringToObject(json, "next", rows.last);
	else
		cJSON_AddNullToObject(json, "next");
	return reply_json(200, json);
}

static void
on_related(void *ctx, const struct catalog_recording *row)
{
	cJSON *json = cJSON_CreateObject();
	char id[2 * REEL_ID_SIZE + 1];

	hex_of(row->id, REEL_ID_SIZE, id);
	cJSON_AddStringToObject(json, "id", id);
	cJSON_AddStringToObject(json, "state", row->state);
	add_time(json, "started", row->started_wall_ns);
	add_time(json, "ended", row->ended_wall_ns);
	cJSON_AddStringToObject(json, "rs_id", row->rs_id);
	cJSON_AddStringToObject(json, "cs_id", row->cs_id);
	cJSON_AddStringToObject(json, "group_id", row->group_id);
	cJSON_AddStringToObject(json, "call_id", row->call_id);
	cJSON_AddStringToObject(json, "src_address", row->src_address);
	cJSON_AddItemToArray(ctx, json);
}

/* The recording, and those of the same call or of one linked to it. */
static void
on_found(void *ctx, const struct catalog_recording *row)
{
	struct rows *rows = ctx;

	on_row(ctx, row);
	memcpy(rows->found, row->id, REEL_ID_SIZE);
}

struct rest_reply
rest_page_recording(struct rest_view *v, const char *id)
{
	struct rest_reply reply;
	struct rows rows = { 0 };
	cJSON *array, *related;
	enum srs_err err;

	if (reader_get(v, &reply))
		return reply;
	array = cJSON_CreateArray();
	rows.array = array;
	err = catalog_find(v->reader, id, on_found, &rows);
	if (!err) {
		related = cJSON_AddArrayToObject(cJSON_GetArrayItem(array, 0), "related");
		err = catalog_related(v->reader, rows.found, on_related, related);
	}
	if (!err)
		reply = reply_json(200, cJSON_DetachItemFromArray(array, 0));
	cJSON_Delete(array);
	if (err == SRS_ERR_LIMIT)
		return rest_error(409, "several recordings begin like this", "give more digits of the id");
	if (err == SRS_ERR_INVALID)
		return rest_error(404, "there is no such recording", "GET /api/v1/recordings lists them");
	return err ? reader_failed(v) : reply;
}
