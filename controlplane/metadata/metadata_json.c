/* The model as JSON: docs/format.md, "Metadata model". Absent texts and empty lists are left out. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "controlplane/metadata/metadata.h"

struct json {
	bool nomem;
};

static cJSON *
object_in(struct json *j, cJSON *array)
{
	cJSON *o = cJSON_CreateObject();

	if (o == NULL || !cJSON_AddItemToArray(array, o)) {
		cJSON_Delete(o);
		j->nomem = true;
		return NULL;
	}
	return o;
}

static cJSON *
array_in(struct json *j, cJSON *object, const char *name)
{
	cJSON *a = cJSON_AddArrayToObject(object, name);

	j->nomem |= a == NULL;
	return a;
}

static void
put_text(struct json *j, cJSON *object, const char *name, const char *text)
{
	if (text[0] != '\0')
		j->nomem |= cJSON_AddStringToObject(object, name, text) == NULL;
}

/* wall_ns as raw digits: a double, which is all that cJSON knows, would round it */
static void
put_time(struct json *j, cJSON *object, const char *name, const struct metadata_time *t)
{
	cJSON *o;

	if (t->text[0] == '\0')
		return;
	o = cJSON_AddObjectToObject(object, name);
	j->nomem |= o == NULL;
	put_text(j, o, "text", t->text);
	if (t->wall_ns != 0) {
		char digits[24];
		size_t at = sizeof(digits) - 1;
		uint64_t v = t->wall_ns < 0 ? 0 - (uint64_t)t->wall_ns : (uint64_t)t->wall_ns;

		digits[at] = '\0';
		for (; v != 0; v /= 10)
			digits[--at] = (char)('0' + v % 10);
		if (t->wall_ns < 0)
			digits[--at] = '-';
		j->nomem |= cJSON_AddRawToObject(o, "wall_ns", digits + at) == NULL;
	}
}

static void
put_texts(struct json *j, cJSON *object, const char *name, char *const *texts, unsigned int n)
{
	cJSON *a;

	if (n == 0)
		return;
	a = array_in(j, object, name);
	for (unsigned int i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateString(texts[i]);

		if (item == NULL || !cJSON_AddItemToArray(a, item)) {
			cJSON_Delete(item);
			j->nomem = true;
		}
	}
}

static void
put_groups(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "groups");

	for (unsigned int i = 0; i < m->n_groups; i++) {
		const struct metadata_group *g = &m->groups[i];
		cJSON *o = object_in(j, a);

		put_text(j, o, "id", g->id);
		put_time(j, o, "associated", &g->associated);
		put_time(j, o, "disassociated", &g->disassociated);
		put_text(j, o, "extension", g->extension);
	}
}

static void
put_sessions(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "sessions");

	for (unsigned int i = 0; i < m->n_sessions; i++) {
		const struct metadata_session *s = &m->sessions[i];
		cJSON *o = object_in(j, a);

		put_text(j, o, "id", s->id);
		put_text(j, o, "group", s->group_ref);
		put_text(j, o, "sip_session_id", s->sip_session_id);
		put_text(j, o, "reason", s->reason);
		put_time(j, o, "start", &s->start);
		put_time(j, o, "stop", &s->stop);
		put_time(j, o, "associated", &s->associated);
		put_time(j, o, "disassociated", &s->disassociated);
		put_text(j, o, "extension", s->extension);
	}
}

static void
put_participants(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "participants");

	for (unsigned int i = 0; i < m->n_participants; i++) {
		const struct metadata_participant *p = &m->participants[i];
		cJSON *o = object_in(j, a);
		cJSON *names;

		put_text(j, o, "id", p->id);
		names = array_in(j, o, "names");
		for (unsigned int k = 0; k < p->n_names; k++) {
			cJSON *name = object_in(j, names);

			put_text(j, name, "aor", p->names[k].aor);
			put_text(j, name, "name", p->names[k].name);
			put_text(j, name, "lang", p->names[k].lang);
		}
		put_text(j, o, "extension", p->extension);
	}
}

static void
put_streams(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "streams");

	for (unsigned int i = 0; i < m->n_streams; i++) {
		const struct metadata_stream *s = &m->streams[i];
		cJSON *o = object_in(j, a);

		put_text(j, o, "id", s->id);
		put_text(j, o, "session", s->session);
		put_text(j, o, "label", s->label);
		put_text(j, o, "mode", s->mode);
		put_time(j, o, "associated", &s->associated);
		put_time(j, o, "disassociated", &s->disassociated);
		put_text(j, o, "extension", s->extension);
	}
}

static void
put_participant_sessions(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "participant_sessions");

	for (unsigned int i = 0; i < m->n_participant_sessions; i++) {
		const struct metadata_participant_session *p = &m->participant_sessions[i];
		cJSON *o = object_in(j, a);

		put_text(j, o, "participant", p->participant);
		put_text(j, o, "session", p->session);
		put_time(j, o, "associated", &p->associated);
		put_time(j, o, "disassociated", &p->disassociated);
		put_text(j, o, "params", p->params);
	}
}

static void
put_participant_streams(struct json *j, cJSON *root, const struct metadata *m)
{
	cJSON *a = array_in(j, root, "participant_streams");

	for (unsigned int i = 0; i < m->n_participant_streams; i++) {
		const struct metadata_participant_stream *p = &m->participant_streams[i];
		cJSON *o = object_in(j, a);

		put_text(j, o, "participant", p->participant);
		put_texts(j, o, "send", p->send, p->n_send);
		put_texts(j, o, "recv", p->recv, p->n_recv);
		put_time(j, o, "associated", &p->associated);
		put_time(j, o, "disassociated", &p->disassociated);
	}
}

static char *
finish(const struct json *j, cJSON *root)
{
	char *text = j->nomem ? NULL : cJSON_PrintUnformatted(root);

	cJSON_Delete(root);
	return text;
}

char *
metadata_to_json(const struct metadata *m)
{
	struct json j = { 0 };
	cJSON *root = cJSON_CreateObject();

	put_text(&j, root, "dialect", metadata_dialect_name(m->dialect));
	put_text(&j, root, "datamode", m->partial ? "partial" : "complete");
	put_groups(&j, root, m);
	put_sessions(&j, root, m);
	put_participants(&j, root, m);
	put_streams(&j, root, m);
	put_participant_sessions(&j, root, m);
	put_participant_streams(&j, root, m);
	put_text(&j, root, "extension", m->extension);
	return finish(&j, root);
}

char *
metadata_deviations_json(const struct metadata *m)
{
	struct json j = { 0 };
	cJSON *root = cJSON_CreateArray();

	j.nomem = root == NULL;
	for (unsigned int i = 0; i < m->n_deviations; i++) {
		const struct metadata_deviation *d = &m->deviations[i];
		cJSON *o = object_in(&j, root);

		j.nomem |= cJSON_AddNumberToObject(o, "line", d->line) == NULL;
		put_text(&j, o, "path", d->path);
		put_text(&j, o, "rule", d->rule);
	}
	return finish(&j, root);
}
