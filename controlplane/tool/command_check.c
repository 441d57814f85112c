/* `config check` and `metadata check`: is this file what it should be? Line, name or path, and rule. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/metadata/metadata.h"
#include "controlplane/tool/tool.h"

#define FILE_MAX (1 << 20)

static void
note(void *ctx, const char *sentence)
{
	cJSON_AddItemToArray(ctx, cJSON_CreateString(sentence));
}

int
command_config_check(struct tool *t, const struct config_sources *from)
{
	struct config_arithmetic sums;
	struct config *c;
	char why[CONFIG_WHY_MAX];
	cJSON *document, *notes;
	const cJSON *row;
	enum srs_err err = config_load(&c, from, why, sizeof(why));
	int status;

	if (err)
		return tool_fail(t, err == SRS_ERR_IO ? TOOL_NOT_FOUND : TOOL_DAMAGED, "%s", why);
	config_arithmetic(c, &sums);
	notes = cJSON_CreateArray();
	config_notes(c, from, note, notes);
	config_free(c);
	status = sums.fits ? TOOL_OK : TOOL_DAMAGED;
	if (!t->json) {
		printf("%s: %s\n", from->yaml_path != NULL ? from->yaml_path : "built-in defaults, .env and environment",
		       sums.fits ? "good" : "does not fit this machine");
		printf("%s\n", sums.sentence);
		cJSON_ArrayForEach(row, notes)
			printf("note: %s\n", row->valuestring);
		cJSON_Delete(notes);
		return status;
	}
	document = cJSON_CreateObject();
	cJSON_AddBoolToObject(document, "ok", sums.fits);
	cJSON_AddStringToObject(document, "arithmetic", sums.sentence);
	cJSON_AddNumberToObject(document, "ports_have", (double)sums.ports_have);
	cJSON_AddNumberToObject(document, "ports_need", (double)sums.ports_need);
	cJSON_AddNumberToObject(document, "memory_have", (double)sums.memory_have);
	cJSON_AddNumberToObject(document, "memory_need", (double)sums.memory_need);
	cJSON_AddItemToObject(document, "notes", notes);
	return tool_print_json(document, status);
}

static int
print_metadata(const struct tool *t, const char *path, const struct metadata *m)
{
	char *json;

	if (t->json) {
		cJSON *document = cJSON_CreateObject();

		json = metadata_to_json(m);
		cJSON_AddBoolToObject(document, "ok", m->n_deviations == 0);
		cJSON_AddItemToObject(document, "model", cJSON_Parse(json != NULL ? json : "{}"));
		free(json);
		json = metadata_deviations_json(m);
		cJSON_AddItemToObject(document, "deviations", cJSON_Parse(json != NULL ? json : "[]"));
		free(json);
		return tool_print_json(document, m->n_deviations == 0 ? TOOL_OK : TOOL_DAMAGED);
	}
	for (unsigned int i = 0; i < m->n_deviations; i++)
		printf("%s:%u: %s: %s\n", path, m->deviations[i].line, m->deviations[i].path, m->deviations[i].rule);
	printf("%s: %s, %s; %u sessions, %u participants, %u streams; %u deviations\n", path,
	       metadata_dialect_name(m->dialect), m->partial ? "partial" : "complete", m->n_sessions, m->n_participants,
	       m->n_streams, m->n_deviations);
	return m->n_deviations == 0 ? TOOL_OK : TOOL_DAMAGED;
}

int
command_metadata_check(struct tool *t, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = malloc(FILE_MAX);
	struct metadata *m;
	char why[CONFIG_WHY_MAX];
	size_t n;
	int status;

	if (file == NULL || bytes == NULL) {
		status = tool_fail(t, TOOL_NOT_FOUND, "%s: %s", path, strerror(errno));
		if (file != NULL)
			fclose(file);
		free(bytes);
		return status;
	}
	n = fread(bytes, 1, FILE_MAX, file);
	fclose(file);
	if (metadata_check_bytes(&m, span_of(bytes, n), why, sizeof(why)) != SRS_OK) {
		status = tool_fail(t, TOOL_DAMAGED, "%s: %s", path, why);
	} else {
		status = print_metadata(t, path, m);
		metadata_free(m);
	}
	free(bytes);
	return status;
}
