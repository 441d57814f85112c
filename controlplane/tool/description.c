#include "controlplane/tool/description.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
take_text(char *out, size_t len, const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	snprintf(out, len, "%s", cJSON_IsString(item) ? item->valuestring : "");
}

static unsigned int
take_number(const cJSON *object, const char *name, unsigned int max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= max ? (unsigned int)item->valuedouble
	                                                                                  : 0;
}

static void
take_codecs(struct description_stream *s, const cJSON *codecs)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, codecs) {
		struct description_codec *c = &s->codecs[s->n_codecs];

		if (s->n_codecs == DESCRIPTION_CODECS_MAX)
			return;
		c->payload_type = (uint8_t)take_number(item, "payload_type", 127);
		c->clock_hz = take_number(item, "clock_hz", 1000000);
		c->channels = (uint8_t)take_number(item, "channels", 255);
		take_text(c->name, sizeof(c->name), item, "name");
		s->n_codecs++;
	}
}

static struct description_participant *
participant_of(struct description *d, const char *id)
{
	for (unsigned int i = 0; i < d->n_participants; i++)
		if (strcmp(d->participants[i].id, id) == 0)
			return &d->participants[i];
	return NULL;
}

static void
take_speakers(struct description_stream *s, struct description *d, const cJSON *ids)
{
	unsigned int stream_i = (unsigned int)(s - d->streams);
	const cJSON *item;
	size_t len = 0;
	bool full = false;

	cJSON_ArrayForEach(item, ids) {
		struct description_participant *p =
		        cJSON_IsString(item) ? participant_of(d, item->valuestring) : NULL;
		int n;

		if (p == NULL)
			continue;
		p->sends[stream_i / 64] |= UINT64_C(1) << stream_i % 64;
		n = full ? 0 : snprintf(s->speaker + len, sizeof(s->speaker) - len, "%s%s", len > 0 ? ", " : "",
		             p->name[0] != '\0' ? p->name : p->aor[0] != '\0' ? p->aor : p->id);
		full = full || n < 0 || (size_t)n >= sizeof(s->speaker) - len;
		len += full ? 0 : (size_t)n;
	}
}

uint64_t
description_wall_ns(struct span json, const char *member)
{
	const char *at = json.len != 0 ? memmem(json.bytes, json.len, member, strlen(member)) : NULL;
	size_t left = at != NULL ? json.len - (size_t)((const uint8_t *)at - json.bytes) - strlen(member) : 0;
	uint64_t n = 0;

	if (at == NULL)
		return 0;
	at += strlen(member);
	for (; left != 0 && *at == ' '; at++)
		left--;
	for (; left != 0 && *at >= '0' && *at <= '9' && n < UINT64_MAX / 10; at++, left--)
		n = 10 * n + (uint64_t)(*at - '0');
	return n;
}

bool
description_sends(const struct description_participant *p, unsigned int stream_i)
{
	return (p->sends[stream_i / 64] >> stream_i % 64 & 1) != 0;
}

enum srs_err
description_read(struct description **out, struct span json, uint64_t wall_ns)
{
	cJSON *root = cJSON_ParseWithLength((const char *)json.bytes, json.len);
	const cJSON *streams = cJSON_GetObjectItemCaseSensitive(root, "streams");
	const cJSON *participants = cJSON_GetObjectItemCaseSensitive(root, "participants");
	const cJSON *ids = cJSON_GetObjectItemCaseSensitive(root, "session_ids");
	const cJSON *src = cJSON_GetObjectItemCaseSensitive(root, "src");
	struct description *d = calloc(1, sizeof(*d));
	enum srs_err err = SRS_OK;
	const cJSON *item;

	if (!cJSON_IsObject(root))
		err = SRS_ERR_INVALID;
	if (d == NULL)
		err = SRS_ERR_NOMEM;
	if (err != SRS_OK)
		goto out;
	d->streams = calloc(DESCRIPTION_STREAMS_MAX, sizeof(*d->streams));
	d->participants = calloc(DESCRIPTION_PARTICIPANTS_MAX, sizeof(*d->participants));
	if (d->streams == NULL || d->participants == NULL) {
		err = SRS_ERR_NOMEM;
		goto out;
	}
	d->wall_ns = wall_ns;
	take_text(d->cs_id, sizeof(d->cs_id), root, "cs_id");
	take_text(d->rs_id, sizeof(d->rs_id), root, "rs_id");
	take_text(d->call_id, sizeof(d->call_id), root, "call_id");
	take_text(d->group_id, sizeof(d->group_id), root, "group_id");
	d->session_ids = strdup(cJSON_IsString(ids) ? ids->valuestring : "");
	if (d->session_ids == NULL) {
		err = SRS_ERR_NOMEM;
		goto out;
	}
	d->started_wall_ns = description_wall_ns(json, "\"started_wall_ns\":");
	d->n_streams_ever = take_number(root, "n_streams", UINT16_MAX);
	d->n_deviations = take_number(root, "n_deviations", INT32_MAX);
	take_text(d->node, sizeof(d->node), root, "node");
	take_text(d->src, sizeof(d->src), src, "address");
	take_text(d->agent, sizeof(d->agent), src, "agent");
	take_text(d->identity, sizeof(d->identity), src, "identity");
	take_text(d->profile, sizeof(d->profile), src, "profile");
	take_text(d->retention_class, sizeof(d->retention_class), src, "retention_class");
	cJSON_ArrayForEach(item, participants) {
		struct description_participant *p = &d->participants[d->n_participants];

		if (d->n_participants == DESCRIPTION_PARTICIPANTS_MAX)
			break;
		take_text(p->id, sizeof(p->id), item, "id");
		take_text(p->aor, sizeof(p->aor), item, "aor");
		take_text(p->name, sizeof(p->name), item, "name");
		d->n_participants++;
	}
	cJSON_ArrayForEach(item, streams) {
		struct description_stream *s = &d->streams[d->n_streams];

		if (d->n_streams == DESCRIPTION_STREAMS_MAX)
			break;
		s->inactive = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "inactive"));
		s->number = (uint8_t)take_number(item, "number", 255);
		take_text(s->label, sizeof(s->label), item, "label");
		take_text(s->address, sizeof(s->address), item, "address");
		s->port = (uint16_t)take_number(item, "port", UINT16_MAX);
		take_codecs(s, cJSON_GetObjectItemCaseSensitive(item, "codecs"));
		take_speakers(s, d, cJSON_GetObjectItemCaseSensitive(item, "participants"));
		d->n_streams++;
	}
out:
	cJSON_Delete(root);
	if (err != SRS_OK)
		description_free(d);
	else
		*out = d;
	return err;
}

void
description_free(struct description *d)
{
	if (d == NULL)
		return;
	free(d->session_ids);
	free(d->streams);
	free(d->participants);
	free(d);
}

const struct description_stream *
description_stream(const struct description *d, uint8_t number)
{
	for (unsigned int i = 0; d != NULL && i < d->n_streams; i++)
		if (d->streams[i].number == number)
			return &d->streams[i];
	return NULL;
}

const struct description_codec *
description_codec(const struct description *d, uint8_t number, uint8_t payload_type)
{
	static const struct description_codec fixed[] = {
		{ 0, "PCMU", 8000, 1 }, { 3, "GSM", 8000, 1 },   { 4, "G723", 8000, 1 },  { 8, "PCMA", 8000, 1 },
		{ 9, "G722", 8000, 1 }, { 13, "CN", 8000, 1 },   { 15, "G728", 8000, 1 }, { 18, "G729", 8000, 1 },
	};
	const struct description_stream *s = description_stream(d, number);

	for (unsigned int i = 0; s != NULL && i < s->n_codecs; i++)
		if (s->codecs[i].payload_type == payload_type && s->codecs[i].name[0] != '\0')
			return &s->codecs[i];
	for (unsigned int i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (fixed[i].payload_type == payload_type)
			return &fixed[i];
	return NULL;
}
