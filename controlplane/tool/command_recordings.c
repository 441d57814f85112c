/* `recordings ls` reads the catalog; `recordings show` reads the recording itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/tool/telephone_event.h"
#include "controlplane/tool/timeline.h"
#include "controlplane/tool/tool.h"
#include "controlplane/tool/verify.h"

#define FINDINGS_MAX 100

/* ---- ls ---- */

struct listing {
	cJSON *rows;	/* with --json */
	unsigned int n;
};

/* Larger than 2^53: cJSON's numbers are doubles, and would round it. */
static void
wall_ns_add(cJSON *row, const char *name, int64_t wall_ns)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, wall_ns);
	cJSON_AddRawToObject(row, name, digits);
}

static void
add_json_text(cJSON *object, const char *name, const char *json)
{
	cJSON *parsed = json != NULL ? cJSON_Parse(json) : NULL;

	cJSON_AddItemToObject(object, name, parsed != NULL ? parsed : cJSON_CreateArray());
}

static const char *
text_or(const char *text, const char *other)
{
	return text != NULL && text[0] != '\0' ? text : other;
}

static void
list_json(struct listing *l, const struct catalog_recording *r)
{
	cJSON *row = cJSON_CreateObject();
	char hex[2 * REEL_ID_SIZE + 1], at[32];

	cJSON_AddStringToObject(row, "id", tool_hex(r->id, REEL_ID_SIZE, hex));
	cJSON_AddStringToObject(row, "state", text_or(r->state, ""));
	cJSON_AddStringToObject(row, "started", tool_time((uint64_t)r->started_wall_ns, at));
	wall_ns_add(row, "started_wall_ns", r->started_wall_ns);
	wall_ns_add(row, "ended_wall_ns", r->ended_wall_ns);
	cJSON_AddStringToObject(row, "rs_id", text_or(r->rs_id, ""));
	cJSON_AddStringToObject(row, "cs_id", text_or(r->cs_id, ""));
	cJSON_AddStringToObject(row, "group_id", text_or(r->group_id, ""));
	cJSON_AddStringToObject(row, "session_ids", text_or(r->session_ids, ""));
	cJSON_AddStringToObject(row, "call_id", text_or(r->call_id, ""));
	cJSON_AddStringToObject(row, "src", text_or(r->src_address, ""));
	cJSON_AddStringToObject(row, "agent", text_or(r->src_agent, ""));
	cJSON_AddStringToObject(row, "reason", text_or(r->reason, ""));
	cJSON_AddNumberToObject(row, "n_streams", r->n_streams);
	cJSON_AddNumberToObject(row, "n_frames", (double)r->n_frames);
	cJSON_AddNumberToObject(row, "bytes", (double)r->bytes);
	cJSON_AddNumberToObject(row, "missing", (double)r->missing);
	cJSON_AddNumberToObject(row, "lost_upstream", (double)r->lost_upstream);
	cJSON_AddNumberToObject(row, "deviations", r->n_deviations);
	add_json_text(row, "participants", r->participants_json);
	add_json_text(row, "streams", r->streams_json);
	cJSON_AddItemToArray(l->rows, row);
}

/* "Alice, Bob" from the participants' names, else their addresses. */
static void
names_of(const char *participants_json, char *out, size_t len)
{
	cJSON *all = participants_json != NULL ? cJSON_Parse(participants_json) : NULL;
	const cJSON *p;
	size_t at = 0;

	out[0] = '\0';
	cJSON_ArrayForEach(p, all) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(p, "name");
		const cJSON *aor = cJSON_GetObjectItemCaseSensitive(p, "aor");
		const char *text = cJSON_IsString(name) && name->valuestring[0] != '\0' ? name->valuestring
		                   : cJSON_IsString(aor)                                ? aor->valuestring
		                                                                        : "?";
		int n = snprintf(out + at, len - at, "%s%s", at > 0 ? ", " : "", text);

		if (n < 0 || (size_t)n >= len - at)
			break;
		at += (size_t)n;
	}
	cJSON_Delete(all);
}

static void
list_row(void *ctx, const struct catalog_recording *r)
{
	struct listing *l = ctx;
	char hex[2 * REEL_ID_SIZE + 1], at[32], lasted[32], names[64];

	l->n++;
	if (l->rows != NULL) {
		list_json(l, r);
		return;
	}
	names_of(r->participants_json, names, sizeof(names));
	tool_time((uint64_t)r->started_wall_ns, at);
	at[19] = '\0';
	printf("%.16s  %-19s  %10s  %-11s %7llu %7llu  %s\n", tool_hex(r->id, REEL_ID_SIZE, hex), at,
	       r->ended_wall_ns > r->started_wall_ns
	               ? tool_duration((uint64_t)(r->ended_wall_ns - r->started_wall_ns), lasted)
	               : "-",
	       text_or(r->state, "?"), (unsigned long long)r->n_frames,
	       (unsigned long long)(r->missing + r->lost_upstream), names);
}

/* @return what is wrong with the filter, or NULL */
static const char *
filter_of(const struct tool *t, struct catalog_filter *f)
{
	unsigned long limit;
	char *end;

	*f = (struct catalog_filter){ .text = t->text, .state = t->state, .limit = CATALOG_LIST_PRESET,
		                      .group_id = t->group, .session_id = t->session_id };
	if (t->state != NULL && strcmp(t->state, "recording") != 0 && strcmp(t->state, "sealed") != 0 &&
	    strcmp(t->state, "interrupted") != 0)
		return "--state takes recording, sealed or interrupted";
	if (t->limit == NULL)
		return NULL;
	limit = strtoul(t->limit, &end, 10);
	if (*t->limit < '0' || *t->limit > '9' || *end != '\0' || limit == 0 || limit > CATALOG_LIST_MAX)
		return "--limit takes a number from 1 to 1000";
	f->limit = (uint32_t)limit;
	return NULL;
}

int
command_recordings_ls(struct tool *t)
{
	struct catalog_filter filter;
	const char *rule = filter_of(t, &filter);
	struct listing l = { .rows = t->json ? cJSON_CreateArray() : NULL };
	struct catalog_reader *r;
	char why[CONFIG_WHY_MAX];
	cJSON *document;

	if (rule != NULL) {
		cJSON_Delete(l.rows);
		return tool_fail(t, TOOL_USAGE, "%s", rule);
	}
	if (catalog_reader_open(&r, t->config->storage.devices[0], why, sizeof(why)) != SRS_OK) {
		cJSON_Delete(l.rows);
		return tool_fail(t, TOOL_NOT_FOUND, "%s", why);
	}
	if (!t->json)
		printf("%-16s  %-19s  %10s  %-11s %7s %7s  %s\n", "ID", "STARTED (UTC)", "LASTED", "STATE", "FRAMES", "LOST",
		       "PARTICIPANTS");
	if (catalog_list(r, &filter, list_row, &l) != SRS_OK) {
		catalog_reader_close(r);
		cJSON_Delete(l.rows);
		return tool_fail(t, TOOL_FAILED, "the catalog cannot be read; `capstan fsck --rebuild` makes it anew");
	}
	catalog_reader_close(r);
	if (!t->json) {
		if (l.n == 0)
			printf("no recordings%s in %s\n", t->text != NULL || t->state != NULL || t->group != NULL || t->session_id != NULL ? " like that" : "",
			       t->config->storage.devices[0]);
		if (l.n == filter.limit)
			printf("the newest %u; there may be more: --limit N shows up to %u\n", l.n, CATALOG_LIST_MAX);
		return TOOL_OK;
	}
	document = cJSON_CreateObject();
	cJSON_AddItemToObject(document, "recordings", l.rows);
	return tool_print_json(document, TOOL_OK);
}

/* ---- show ---- */

struct showing {
	char *findings[FINDINGS_MAX];
	unsigned int n_findings;
};

static void
keep_finding(void *ctx, const char *sentence)
{
	struct showing *s = ctx;

	if (s->n_findings < FINDINGS_MAX)
		s->findings[s->n_findings++] = strdup(sentence);
}

static void
ignore(void *ctx, const char *sentence)
{
}

static const char *
state_of(const struct tape *t)
{
	const struct tape_part *last = &t->parts[t->n_parts - 1];

	if (!last->sealed)
		return "open";
	return last->seal.interrupted ? "interrupted" : last->seal.final ? "sealed" : "open";
}

static uint64_t
upstream_loss(const struct reel_seal_stream *s)
{
	uint64_t expected = s->highest_index + 1 - s->first_index;	/* reports only: first 1, highest 0 */
	uint64_t here = s->recorded;

	for (unsigned int r = 0; r < REEL_REASONS_MAX; r++)
		here += s->missing[r];
	return expected > here ? expected - here : 0;
}

static cJSON *
stream_json(const struct reel_seal_stream *s, uint32_t part, const struct timeline *time)
{
	const struct description *d = time != NULL ? timeline_description_of(time, s->stream) : NULL;
	const struct description_stream *ds = description_stream(d, s->stream);
	const struct description_codec *codec = description_codec(d, s->stream, s->payload_type);
	cJSON *row = cJSON_CreateObject(), *missing = cJSON_AddObjectToObject(row, "missing");
	char ssrc[16];

	snprintf(ssrc, sizeof(ssrc), "0x%08x", s->ssrc);
	cJSON_AddNumberToObject(row, "number", s->stream);
	cJSON_AddNumberToObject(row, "part", part);
	cJSON_AddStringToObject(row, "label", ds != NULL ? ds->label : "");
	cJSON_AddStringToObject(row, "speaker", ds != NULL ? ds->speaker : "");
	cJSON_AddStringToObject(row, "codec", codec != NULL ? codec->name : "");
	cJSON_AddNumberToObject(row, "payload_type", s->payload_type);
	cJSON_AddStringToObject(row, "ssrc", ssrc);
	cJSON_AddNumberToObject(row, "generation", s->generation);
	cJSON_AddNumberToObject(row, "recorded", (double)s->recorded);
	cJSON_AddNumberToObject(row, "duplicates", (double)s->duplicates);
	cJSON_AddNumberToObject(row, "rtcp", (double)s->rtcp);
	cJSON_AddNumberToObject(row, "lost_upstream", (double)upstream_loss(s));
	for (unsigned int r = 1; r < REEL_REASONS_MAX; r++)
		if (s->missing[r] != 0)
			cJSON_AddNumberToObject(missing, reel_reason_name((enum reel_reason)r), (double)s->missing[r]);
	return row;
}

/* The totals of one stream number in every part and under every SSRC, so that a stream's rows stand together. */
static void
add_stream_rows(cJSON *rows, const struct tape *t, unsigned int number, const struct timeline *time)
{
	for (unsigned int i = 0; i < t->n_parts; i++) {
		const struct tape_part *p = &t->parts[i];

		for (unsigned int k = 0; p->sealed && k < p->seal.n_streams; k++)
			if (p->streams[k].stream == number)
				cJSON_AddItemToArray(rows, stream_json(&p->streams[k], p->part, time));
	}
}

/* Who stopped the recording, or let it go on, and why. */
static void
add_deeds(cJSON *rows, const struct timeline *time)
{
	char at[32];

	for (unsigned int i = 0; time != NULL && i < time->deeds.n; i++) {
		const struct deed *d = &time->deeds.rows[i];
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "event", d->event);
		cJSON_AddStringToObject(row, "by", d->by);
		cJSON_AddStringToObject(row, "name", d->name);
		cJSON_AddStringToObject(row, "reason", d->reason);
		if (d->stream != DEED_STREAM_ALL)
			cJSON_AddNumberToObject(row, "stream", d->stream);
		cJSON_AddStringToObject(row, "at", tool_time(d->wall_ns, at));
		wall_ns_add(row, "wall_ns", (int64_t)d->wall_ns);
		cJSON_AddItemToArray(rows, row);
	}
}

/* Keys that were pressed, each once. */
static void
add_events(cJSON *rows, const struct timeline *time)
{
	struct telephone_event *events;
	char number[4];
	size_t n;

	if (time == NULL || telephone_events(&events, &n, time) != SRS_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "event", telephone_event_name(events[i].code, number));
		cJSON_AddNumberToObject(row, "stream", events[i].stream);
		cJSON_AddNumberToObject(row, "at_ms", (double)(events[i].place_ns / 1000000));
		cJSON_AddNumberToObject(row, "duration_ms", (double)(events[i].duration_ns / 1000000));
		cJSON_AddBoolToObject(row, "ended", events[i].ended);
		wall_ns_add(row, "wall_ns", (int64_t)events[i].wall_ns);
		cJSON_AddItemToArray(rows, row);
	}
	free(events);
}

static void
add_attendance(cJSON *array, const struct timeline *time, uint64_t ended_wall_ns)
{
	char at[32], ssrc[16];

	for (unsigned int i = 0; time != NULL && i < time->attendance.n; i++) {
		const struct attendance_row *r = &time->attendance.rows[i];
		uint64_t to = r->to_wall_ns != 0 ? r->to_wall_ns : ended_wall_ns;
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "participant", r->participant);
		cJSON_AddStringToObject(row, "aor", r->aor);
		cJSON_AddStringToObject(row, "name", r->name);
		cJSON_AddNumberToObject(row, "stream", r->stream);
		cJSON_AddStringToObject(row, "label", r->label);
		cJSON_AddStringToObject(row, "from", tool_time(r->from_wall_ns, at));
		wall_ns_add(row, "from_wall_ns", (int64_t)r->from_wall_ns);
		cJSON_AddStringToObject(row, "from_by", r->from_src ? "src" : "recorder");
		cJSON_AddStringToObject(row, "to", tool_time(to, at));
		wall_ns_add(row, "to_wall_ns", (int64_t)to);
		cJSON_AddStringToObject(row, "to_by", r->to_wall_ns == 0 ? "end" : r->to_src ? "src" : "recorder");
		cJSON_AddNumberToObject(row, "packets", (double)r->n_packets);
		wall_ns_add(row, "first_packet_wall_ns", (int64_t)r->first_wall_ns);
		wall_ns_add(row, "last_packet_wall_ns", (int64_t)r->last_wall_ns);
		(void)snprintf(ssrc, sizeof(ssrc), "%08" PRIx32, r->ssrc);
		cJSON_AddStringToObject(row, "ssrc", r->n_packets != 0 ? ssrc : "");
		cJSON_AddItemToArray(array, row);
	}
}

/* Sources of which packets came; by name where their CNAME is the address of somebody in the call. */
static void
add_contributors(cJSON *array, const struct timeline *time, const struct description *d)
{
	char at[32], id[16];

	for (unsigned int i = 0; time != NULL && i < time->contributors.n; i++) {
		const struct contributor *c = &time->contributors.rows[i];
		const char *name = "";
		cJSON *row;

		if (c->n_packets == 0)
			continue;
		for (unsigned int k = 0; d != NULL && k < d->n_participants; k++) {
			if (contributor_is(c, d->participants[k].aor))
				name = text_or(d->participants[k].name, d->participants[k].aor);
		}
		row = cJSON_CreateObject();
		cJSON_AddNumberToObject(row, "stream", c->stream);
		(void)snprintf(id, sizeof(id), "%08" PRIx32, c->id);
		cJSON_AddStringToObject(row, "source", id);
		cJSON_AddStringToObject(row, "as", c->mixed ? "csrc" : "ssrc");
		cJSON_AddStringToObject(row, "cname", c->cname);
		cJSON_AddStringToObject(row, "name", name);
		cJSON_AddStringToObject(row, "from", tool_time(c->first_wall_ns, at));
		wall_ns_add(row, "from_wall_ns", (int64_t)c->first_wall_ns);
		cJSON_AddStringToObject(row, "to", tool_time(c->last_wall_ns, at));
		wall_ns_add(row, "to_wall_ns", (int64_t)c->last_wall_ns);
		cJSON_AddNumberToObject(row, "packets", (double)c->n_packets);
		cJSON_AddItemToArray(array, row);
	}
}

static cJSON *
show_json(const struct tape *t, const struct timeline *time, const struct verify_report *v, const struct showing *s)
{
	const struct description *d = time != NULL ? timeline_last_description(time) : NULL;
	cJSON *document = cJSON_CreateObject(), *streams, *participants, *findings;
	char hex[2 * REEL_ID_SIZE + 1], at[32];
	uint64_t first, last, n_frames = 0;

	tape_times(t, &first, &last);
	cJSON_AddStringToObject(document, "id", tool_hex(t->id, REEL_ID_SIZE, hex));
	cJSON_AddStringToObject(document, "state", state_of(t));
	cJSON_AddStringToObject(document, "reason", t->parts[t->n_parts - 1].sealed ? t->parts[t->n_parts - 1].seal.reason : "");
	cJSON_AddStringToObject(document, "verdict", verify_verdict_name(v->verdict));
	cJSON_AddBoolToObject(document, "signature_checked", v->signature_checked);
	cJSON_AddBoolToObject(document, "opened", time != NULL);
	cJSON_AddStringToObject(document, "started", tool_time(first, at));
	wall_ns_add(document, "started_wall_ns", (int64_t)first);
	cJSON_AddNumberToObject(document, "duration_ms", (double)((last - first) / 1000000));
	cJSON_AddNumberToObject(document, "parts", t->n_parts);
	cJSON_AddNumberToObject(document, "chunks", v->n_chunks);
	for (unsigned int i = 0; i < t->n_parts; i++)
		for (unsigned int k = 0; k < t->parts[i].n_chunks; k++)
			n_frames += t->parts[i].chunks[k].head.n_frames;
	cJSON_AddNumberToObject(document, "frames", (double)n_frames);
	cJSON_AddNumberToObject(document, "gap_frames", time != NULL ? (double)time->n_gap_frames : 0);
	cJSON_AddNumberToObject(document, "missing_chunks", (double)v->missing_chunks);
	cJSON_AddStringToObject(document, "call_id", d != NULL ? d->call_id : "");
	cJSON_AddStringToObject(document, "rs_id", d != NULL ? d->rs_id : "");
	cJSON_AddStringToObject(document, "cs_id", d != NULL ? d->cs_id : "");
	cJSON_AddStringToObject(document, "group_id", d != NULL ? d->group_id : "");
	cJSON_AddStringToObject(document, "session_ids", d != NULL ? d->session_ids : "");
	cJSON_AddStringToObject(document, "src", d != NULL ? d->src : "");
	cJSON_AddStringToObject(document, "agent", d != NULL ? d->agent : "");
	cJSON_AddStringToObject(document, "identity", d != NULL ? d->identity : "");
	cJSON_AddStringToObject(document, "profile", d != NULL ? d->profile : "");
	cJSON_AddStringToObject(document, "retention_class", d != NULL ? d->retention_class : "");
	participants = cJSON_AddArrayToObject(document, "participants");
	for (unsigned int i = 0; d != NULL && i < d->n_participants; i++) {
		cJSON *p = cJSON_CreateObject();

		cJSON_AddStringToObject(p, "id", d->participants[i].id);
		cJSON_AddStringToObject(p, "aor", d->participants[i].aor);
		cJSON_AddStringToObject(p, "name", d->participants[i].name);
		cJSON_AddItemToArray(participants, p);
	}
	streams = cJSON_AddArrayToObject(document, "streams");
	for (unsigned int number = 0; number <= UINT8_MAX; number++)
		add_stream_rows(streams, t, number, time);
	add_attendance(cJSON_AddArrayToObject(document, "who"), time, last);
	add_deeds(cJSON_AddArrayToObject(document, "events"), time);
	add_contributors(cJSON_AddArrayToObject(document, "sources"), time, d);
	add_events(cJSON_AddArrayToObject(document, "telephone_events"), time);
	findings = cJSON_AddArrayToObject(document, "findings");
	for (unsigned int i = 0; i < s->n_findings; i++)
		cJSON_AddItemToArray(findings, cJSON_CreateString(s->findings[i]));
	return document;
}

static const char *
json_text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) && item->valuestring[0] != '\0' ? item->valuestring : "-";
}

static double
json_number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Parts and key generations have a column where there is more than one: else two rows would look the same. */
static void
show_streams(const cJSON *streams)
{
	bool parts = false, generations = false, paused = false;
	const cJSON *row;

	cJSON_ArrayForEach(row, streams) {
		parts |= json_number(row, "part") != 0;
		generations |= json_number(row, "generation") != 0;
		paused |= json_number(cJSON_GetObjectItem(row, "missing"), "paused") != 0;
	}
	printf("Streams\n  %-3s %-6s %-20s %-8s %-10s%s%s %9s %10s %9s%s\n", "NO", "LABEL", "SPEAKER", "CODEC", "SSRC",
	       parts ? " PART" : "", generations ? " KEY" : "", "RECORDED", "DUPLICATES", "LOST",
	       paused ? "    PAUSED" : "");
	cJSON_ArrayForEach(row, streams) {
		printf("  %-3.0f %-6.6s %-20.20s %-8.8s %-10s", json_number(row, "number"), json_text(row, "label"),
		       json_text(row, "speaker"), json_text(row, "codec"), json_text(row, "ssrc"));
		if (parts)
			printf(" %4.0f", json_number(row, "part"));
		if (generations)
			printf(" %3.0f", json_number(row, "generation"));
		printf(" %9.0f %10.0f %9.0f", json_number(row, "recorded"), json_number(row, "duplicates"),
		       json_number(row, "lost_upstream"));
		if (paused)
			printf(" %9.0f", json_number(cJSON_GetObjectItem(row, "missing"), "paused"));
		printf("\n");
	}
}

static void
show_events(const cJSON *events)
{
	const cJSON *row;

	if (cJSON_GetArraySize(events) != 0)
		printf("Keys pressed\n  %-6s %-3s %9s %9s\n", "KEY", "NO", "AT", "FOR");
	cJSON_ArrayForEach(row, events)
		printf("  %-6s %-3.0f %7.2f s %6.0f ms%s\n", json_text(row, "event"), json_number(row, "stream"),
		       json_number(row, "at_ms") / 1000, json_number(row, "duration_ms"),
		       cJSON_IsTrue(cJSON_GetObjectItem(row, "ended")) ? "" : " (its end was not heard)");
}

/* The time of day: the recording's date stands above. */
static const char *
clock_of(const cJSON *row, const char *name)
{
	const char *text = json_text(row, name);

	return strlen(text) > 11 ? text + 11 : text;
}

static void
show_attendance(const cJSON *who)
{
	const cJSON *row;

	if (cJSON_GetArraySize(who) != 0)
		printf("Who spoke when (UTC)\n  %-20s %-6s %-12s %-12s %9s\n", "PARTICIPANT", "LABEL", "FROM", "TO", "PACKETS");
	cJSON_ArrayForEach(row, who) {
		const char *name = json_text(row, "name");

		printf("  %-20.20s %-6.6s %-12.12s %-12.12s %9.0f\n", name[0] != '-' ? name : json_text(row, "aor"),
		       json_text(row, "label"), clock_of(row, "from"), clock_of(row, "to"), json_number(row, "packets"));
	}
}

/* Only where a mixer names those whose media it mixed: else the streams say it all. */
static void
show_contributors(const cJSON *sources)
{
	const cJSON *row;
	bool mixed = false;

	cJSON_ArrayForEach(row, sources)
		mixed |= strcmp(json_text(row, "as"), "csrc") == 0;
	if (mixed)
		printf("Mixed from (UTC)\n  %-3s %-8s %-24s %-20s %-12s %-12s %9s\n", "NO", "SOURCE", "CNAME", "PARTICIPANT", "FROM",
		       "TO", "PACKETS");
	cJSON_ArrayForEach(row, sources) {
		if (mixed && strcmp(json_text(row, "as"), "csrc") == 0)
			printf("  %-3.0f %-8s %-24.24s %-20.20s %-12.12s %-12.12s %9.0f\n", json_number(row, "stream"),
			       json_text(row, "source"), json_text(row, "cname"), json_text(row, "name"), clock_of(row, "from"),
			       clock_of(row, "to"), json_number(row, "packets"));
	}
}

static void
show_deeds(const cJSON *events)
{
	const cJSON *row;

	if (cJSON_GetArraySize(events) != 0)
		printf("Held, paused and masked (UTC)\n  %-12s %-9s %-3s %-24s %s\n", "AT", "WHAT", "NO", "BY", "REASON");
	cJSON_ArrayForEach(row, events) {
		char number[16] = "all";

		if (cJSON_HasObjectItem(row, "stream"))
			(void)snprintf(number, sizeof(number), "%.0f", json_number(row, "stream"));
		printf("  %-12.12s %-9.9s %-3s %-8.8s %-15.15s %s\n", clock_of(row, "at"), json_text(row, "event"), number,
		       json_text(row, "by"), json_text(row, "name"), json_text(row, "reason"));
	}
}

static void
show_related(const cJSON *rows)
{
	const cJSON *row;

	if (cJSON_GetArraySize(rows) != 0)
		printf("Same or linked calls\n  %-16s  %-19s  %-11s  %s\n", "ID", "STARTED (UTC)", "STATE", "CALL-ID");
	cJSON_ArrayForEach(row, rows)
		printf("  %-16.16s  %-19.19s  %-11s  %s\n", json_text(row, "id"), json_text(row, "started"),
		       json_text(row, "state"), json_text(row, "call_id"));
}

static void
show_people(const cJSON *d)
{
	char lasted[32];
	const cJSON *row;

	printf("Recording     %s\n", json_text(d, "id"));
	printf("State         %s (%s)\n", json_text(d, "state"), json_text(d, "reason"));
	printf("Integrity     %s%s\n", json_text(d, "verdict"),
	       cJSON_IsTrue(cJSON_GetObjectItem(d, "signature_checked")) ? ", signature verified"
	                                                                 : " (signature not checked: no node.pub here)");
	printf("Started       %s UTC, lasted %s\n", json_text(d, "started"),
	       tool_duration((uint64_t)json_number(d, "duration_ms") * 1000000u, lasted));
	printf("Call-ID       %s from %s (%s)\n", json_text(d, "call_id"), json_text(d, "src"), json_text(d, "agent"));
	if (*json_text(d, "profile") != '\0')
		printf("Client        profile %s, certificate %s%s%s\n", json_text(d, "profile"),
		       *json_text(d, "identity") != '\0' ? json_text(d, "identity") : "none",
		       *json_text(d, "retention_class") != '\0' ? ", retention class " : "", json_text(d, "retention_class"));
	printf("Size          %.0f frames in %.0f chunks, %.0f part%s\n", json_number(d, "frames"),
	       json_number(d, "chunks"), json_number(d, "parts"), json_number(d, "parts") == 1 ? "" : "s");
	printf("Gaps          %.0f frames lost here, %.0f chunks missing\n", json_number(d, "gap_frames"),
	       json_number(d, "missing_chunks"));
	printf("Participants\n");
	cJSON_ArrayForEach(row, cJSON_GetObjectItem(d, "participants"))
		printf("  %-20s %s\n", json_text(row, "name"), json_text(row, "aor"));
	show_streams(cJSON_GetObjectItem(d, "streams"));
	show_attendance(cJSON_GetObjectItem(d, "who"));
	show_deeds(cJSON_GetObjectItem(d, "events"));
	show_contributors(cJSON_GetObjectItem(d, "sources"));
	show_events(cJSON_GetObjectItem(d, "telephone_events"));
	show_related(cJSON_GetObjectItem(d, "related"));
	cJSON_ArrayForEach(row, cJSON_GetObjectItem(d, "findings"))
		printf("! %s\n", row->valuestring);
	if (!cJSON_IsTrue(cJSON_GetObjectItem(d, "opened")))
		printf("Not opened: the keys here do not fit, so names and codecs are not shown.\n");
}

/* ---- other recordings of the call ---- */

static void
on_related(void *ctx, const struct catalog_recording *r)
{
	cJSON *row = cJSON_CreateObject();
	char hex[2 * REEL_ID_SIZE + 1], at[32];

	cJSON_AddStringToObject(row, "id", tool_hex(r->id, REEL_ID_SIZE, hex));
	cJSON_AddStringToObject(row, "state", text_or(r->state, ""));
	cJSON_AddStringToObject(row, "started", tool_time((uint64_t)r->started_wall_ns, at));
	wall_ns_add(row, "started_wall_ns", r->started_wall_ns);
	cJSON_AddStringToObject(row, "rs_id", text_or(r->rs_id, ""));
	cJSON_AddStringToObject(row, "cs_id", text_or(r->cs_id, ""));
	cJSON_AddStringToObject(row, "group_id", text_or(r->group_id, ""));
	cJSON_AddStringToObject(row, "session_ids", text_or(r->session_ids, ""));
	cJSON_AddStringToObject(row, "call_id", text_or(r->call_id, ""));
	cJSON_AddStringToObject(row, "src", text_or(r->src_address, ""));
	cJSON_AddItemToArray(ctx, row);
}

/* Only the catalog knows; without one, as for a file from elsewhere, there is nothing to say. */
static void
related_add(cJSON *document, const struct tool *t, const struct tape *tape)
{
	cJSON *rows = cJSON_AddArrayToObject(document, "related");
	struct catalog_reader *r;
	char why[CONFIG_WHY_MAX];

	if (catalog_reader_open(&r, t->config->storage.devices[0], why, sizeof(why)) != SRS_OK)
		return;
	if (catalog_related(r, tape->id, on_related, rows) != SRS_OK)
		fprintf(stderr, "! the catalog cannot be read, so linked calls are not shown; `capstan fsck --rebuild` mends it\n");
	catalog_reader_close(r);
}

int
command_recordings_show(struct tool *t, const char *name)
{
	struct showing s = { .n_findings = 0 };
	struct timeline *time = NULL;
	struct verify_report v;
	struct keystore *ks;
	struct vault *vault;
	struct tape *tape;
	uint8_t node[32];
	char why[CONFIG_WHY_MAX];
	bool have_node = tool_node_public(t, node);
	cJSON *document;
	int status = tool_find(t, name, &vault, &tape);

	if (status != TOOL_OK)
		return status;
	ks = t->no_keys ? NULL : tool_keystore(t, why, sizeof(why));
	if (ks != NULL && timeline_make(&time, tape, ks, ignore, NULL) != SRS_OK)
		time = NULL;
	if (verify_tape(tape, have_node ? node : NULL, time != NULL ? ks : NULL, keep_finding, &s, &v) != SRS_OK) {
		status = tool_fail(t, TOOL_FAILED, "no memory");
		goto out;
	}
	document = show_json(tape, time, &v, &s);
	related_add(document, t, tape);
	status = v.verdict == VERIFY_DAMAGED ? TOOL_DAMAGED : TOOL_OK;
	if (t->json) {
		status = tool_print_json(document, status);
	} else {
		show_people(document);
		cJSON_Delete(document);
	}
out:
	for (unsigned int i = 0; i < s.n_findings; i++)
		free(s.findings[i]);
	timeline_free(time);
	keystore_close(ks);
	tape_free(tape);
	vault_close(vault);
	return status;
}
