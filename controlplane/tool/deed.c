#include "controlplane/tool/deed.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/tool/description.h"

static void
take_text(char *out, size_t len, const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	(void)snprintf(out, len, "%s", cJSON_IsString(item) ? item->valuestring : "");
}

static struct deed *
row_add(struct deeds *d)
{
	if (d->n == d->room) {
		unsigned int room = d->room != 0 ? 2 * d->room : 16;
		void *rows = realloc(d->rows, room * sizeof(*d->rows));

		if (rows == NULL)
			return NULL;
		d->rows = rows;
		d->room = room;
	}
	return &d->rows[d->n++];
}

static enum srs_err
deed_add(struct deeds *d, const cJSON *object, struct span json)
{
	const cJSON *stream = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "streams"), 0);
	struct deed *row = row_add(d);

	if (row == NULL)
		return SRS_ERR_NOMEM;
	take_text(row->event, sizeof(row->event), object, "event");
	take_text(row->by, sizeof(row->by), object, "by");
	take_text(row->name, sizeof(row->name), object, "name");
	take_text(row->reason, sizeof(row->reason), object, "reason");
	row->wall_ns = description_wall_ns(json, "\"wall_ns\":");
	row->stream = cJSON_IsNumber(stream) && stream->valuedouble >= 0 && stream->valuedouble <= UINT8_MAX ? (int)stream->valuedouble
	                                                                                                     : DEED_STREAM_ALL;
	return SRS_OK;
}

enum srs_err
deeds_take(struct deeds *d, struct span json)
{
	cJSON *object = cJSON_ParseWithLength((const char *)json.bytes, json.len);
	enum srs_err err = SRS_OK;

	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(object, "event"))) {
		cJSON_Delete(object);
		return SRS_OK;
	}
	if (d->n == DEEDS_MAX)
		d->cut = true;
	else
		err = deed_add(d, object, json);
	cJSON_Delete(object);
	return err;
}

void
deeds_release(struct deeds *d)
{
	free(d->rows);
	*d = (struct deeds){ 0 };
}
