#include "controlplane/tool/attendance.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/description.h"

#define EARLY_NS UINT64_C(86400000000000)	/* a call may be a day old when its recording begins */
#define LATE_NS  UINT64_C(60000000000)		/* and a client's clock a minute fast */

static const char *
text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

/* cJSON's doubles round nanoseconds since 1970 by up to 128: microseconds come out exact. */
static uint64_t
wall_ns_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 9e18)
		return 0;
	return ((uint64_t)item->valuedouble + 500) / 1000 * 1000;
}

/* Some clients say 1970, or the time of another zone (META-19): then our own time of receipt holds. */
static bool
is_plausible(const struct attendance *a, uint64_t said_ns, uint64_t known_ns)
{
	return said_ns != 0 && said_ns + EARLY_NS >= a->started_wall_ns && said_ns <= known_ns + LATE_NS;
}

static struct attendance_row *
open_row(struct attendance *a, const char *participant, uint8_t stream)
{
	for (unsigned int i = a->n; i-- != 0;) {
		struct attendance_row *r = &a->rows[i];

		if (r->to_wall_ns == 0 && r->stream == stream && strncmp(r->participant, participant, sizeof(r->participant) - 1) == 0)
			return r;
	}
	return NULL;
}

static struct attendance_row *
last_row(struct attendance *a, const char *participant, uint8_t stream)
{
	for (unsigned int i = a->n; i-- != 0;) {
		struct attendance_row *r = &a->rows[i];

		if (r->stream == stream && strncmp(r->participant, participant, sizeof(r->participant) - 1) == 0)
			return r;
	}
	return NULL;
}

static enum srs_err
row_add(struct attendance *a, struct attendance_row **out)
{
	*out = NULL;
	if (a->n == ATTENDANCE_ROWS_MAX) {
		a->cut = true;
		return SRS_OK;
	}
	if (a->n == a->room) {
		unsigned int room = a->room != 0 ? 2 * a->room : 16;
		struct attendance_row *rows = realloc(a->rows, room * sizeof(*rows));

		if (rows == NULL)
			return SRS_ERR_NOMEM;
		a->rows = rows;
		a->room = room;
	}
	*out = &a->rows[a->n++];
	memset(*out, 0, sizeof(**out));
	return SRS_OK;
}

static void
names_take(struct attendance_row *r, const cJSON *participants)
{
	const cJSON *p;

	cJSON_ArrayForEach(p, participants) {
		if (strncmp(text_of(p, "id"), r->participant, sizeof(r->participant) - 1) != 0)
			continue;
		(void)snprintf(r->aor, sizeof(r->aor), "%s", text_of(p, "aor"));
		(void)snprintf(r->name, sizeof(r->name), "%s", text_of(p, "name"));
	}
}

static void
row_close(struct attendance *a, struct attendance_row *r, uint64_t said_ns, uint64_t known_ns)
{
	r->to_src = is_plausible(a, said_ns, known_ns) && said_ns >= r->from_wall_ns;
	r->to_wall_ns = r->to_src ? said_ns : known_ns > r->from_wall_ns ? known_ns : r->from_wall_ns;
}

static enum srs_err
sender_take(struct attendance *a, const cJSON *sender, const cJSON *stream, const cJSON *participants, uint64_t known_ns)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(stream, "number");
	uint8_t stream_no = cJSON_IsNumber(number) ? (uint8_t)number->valueint : 0;
	uint64_t from = wall_ns_of(sender, "from_wall_ns"), to = wall_ns_of(sender, "to_wall_ns");
	bool over = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(sender, "over"));
	const char *participant = text_of(sender, "participant");
	struct attendance_row *r = open_row(a, participant, stream_no), *before = last_row(a, participant, stream_no);
	uint64_t ended_ns = before != NULL ? before->to_wall_ns : 0;	/* a row that is added moves the others */
	enum srs_err err;

	if (participant[0] == '\0')
		return SRS_OK;
	if (r != NULL && over) {
		row_close(a, r, to, known_ns);
		return SRS_OK;
	}
	if (r != NULL) {
		r->seen = true;
		names_take(r, participants);
		return SRS_OK;
	}
	/* who left is told of again and again, and who left before the recording began was never in it */
	if (over && (before != NULL || !is_plausible(a, to, known_ns) || to <= a->started_wall_ns))
		return SRS_OK;
	err = row_add(a, &r);
	if (err || r == NULL)
		return err;
	(void)snprintf(r->participant, sizeof(r->participant), "%s", participant);
	(void)snprintf(r->label, sizeof(r->label), "%s", text_of(stream, "label"));
	r->stream = stream_no;
	r->from_src = is_plausible(a, from, known_ns) && from >= ended_ns;
	r->from_wall_ns = r->from_src ? from : known_ns;
	if (r->from_wall_ns < a->started_wall_ns)
		r->from_wall_ns = a->started_wall_ns;
	r->seen = !over;
	names_take(r, participants);
	if (over)
		row_close(a, r, to, known_ns);
	return SRS_OK;
}

enum srs_err
attendance_describe(struct attendance *a, struct span json, uint64_t wall_ns)
{
	cJSON *root = cJSON_ParseWithLength((const char *)json.bytes, json.len);
	const cJSON *participants = cJSON_GetObjectItemCaseSensitive(root, "participants");
	const cJSON *stream, *sender;
	enum srs_err err = SRS_OK;

	if (!cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return SRS_OK;
	}
	if (a->started_wall_ns == 0) {
		uint64_t started = description_wall_ns(json, "\"started_wall_ns\":");

		a->started_wall_ns = started != 0 && started <= wall_ns ? started : wall_ns;
	}
	for (unsigned int i = 0; i < a->n; i++)
		a->rows[i].seen = false;
	cJSON_ArrayForEach(stream, cJSON_GetObjectItemCaseSensitive(root, "streams")) {
		cJSON_ArrayForEach(sender, cJSON_GetObjectItemCaseSensitive(stream, "senders")) {
			if (err == SRS_OK)
				err = sender_take(a, sender, stream, participants, wall_ns);
		}
	}
	for (unsigned int i = 0; i < a->n; i++) {
		if (a->rows[i].to_wall_ns == 0 && !a->rows[i].seen)
			row_close(a, &a->rows[i], 0, wall_ns);
	}
	cJSON_Delete(root);
	return err;
}

void
attendance_hear(struct attendance *a, uint8_t stream, uint32_t ssrc, uint64_t wall_ns)
{
	for (unsigned int i = 0; i < a->n; i++) {
		struct attendance_row *r = &a->rows[i];

		if (r->stream != stream || wall_ns < r->from_wall_ns || (r->to_wall_ns != 0 && wall_ns >= r->to_wall_ns))
			continue;
		if (r->n_packets++ == 0 || wall_ns < r->first_wall_ns) {
			r->first_wall_ns = wall_ns;
			r->ssrc = ssrc;
		}
		if (wall_ns > r->last_wall_ns)
			r->last_wall_ns = wall_ns;
	}
}

void
attendance_release(struct attendance *a)
{
	free(a->rows);
	*a = (struct attendance){ 0 };
}
