/* `recordings show --metadata-history`: every metadata document that a recording holds, in the order of arrival. */
#include <inttypes.h>
#include <libxml/xmlstring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/history.h"
#include "controlplane/tool/tool.h"

static void
on_damage(void *ctx, const char *sentence)
{
	fprintf(stderr, "! %s\n", sentence);
}

/* JSON is UTF-8, and a document may be anything: one that is not gets its bytes in hex. */
static void
document_add(cJSON *row, const struct history_version *v)
{
	char *hex;

	if (v->document == NULL)
		return;
	if (strlen((const char *)v->document) == v->len && xmlCheckUTF8(v->document)) {
		cJSON_AddStringToObject(row, "document", (const char *)v->document);
		return;
	}
	hex = malloc(2 * v->len + 1);
	if (hex != NULL)
		cJSON_AddStringToObject(row, "document_hex", tool_hex(v->document, (unsigned int)v->len, hex));
	free(hex);
}

static cJSON *
version_json(const struct history_version *v)
{
	cJSON *row = cJSON_CreateObject();
	char at[32], digits[24];

	cJSON_AddNumberToObject(row, "version", v->version);
	cJSON_AddStringToObject(row, "received", tool_time(v->received_wall_ns, at));
	(void)snprintf(digits, sizeof(digits), "%" PRIu64, v->received_wall_ns);	/* larger than 2^53 */
	cJSON_AddRawToObject(row, "received_wall_ns", digits);
	cJSON_AddNumberToObject(row, "bytes", (double)v->bytes);
	cJSON_AddStringToObject(row, "datamode", v->datamode);
	cJSON_AddStringToObject(row, "dialect", v->dialect);
	cJSON_AddBoolToObject(row, "applied", v->applied);
	cJSON_AddStringToObject(row, "reason", v->reason);
	cJSON_AddBoolToObject(row, "redacted", v->redacted);
	document_add(row, v);
	return row;
}

static int
print_json(const struct history *h, const struct tape *tape)
{
	cJSON *document = cJSON_CreateObject(), *rows;
	char hex[2 * REEL_ID_SIZE + 1];

	cJSON_AddStringToObject(document, "id", tool_hex(tape->id, REEL_ID_SIZE, hex));
	rows = cJSON_AddArrayToObject(document, "metadata");
	for (unsigned int i = 0; i < h->n; i++)
		cJSON_AddItemToArray(rows, version_json(&h->versions[i]));
	return tool_print_json(document, TOOL_OK);
}

/* The documents themselves follow the table, each under its number. What a terminal would take for a command is shown
 * as a question mark; --json has the octets. */
static int
print_people(const struct history *h)
{
	char at[32];

	printf("%7s  %-23s  %8s  %-8s  %s\n", "VERSION", "RECEIVED (UTC)", "BYTES", "MODE", "FATE");
	for (unsigned int i = 0; i < h->n; i++) {
		const struct history_version *v = &h->versions[i];

		printf("%7" PRIu32 "  %-23s  %8" PRIu64 "  %-8s  %s\n", v->version, tool_time(v->received_wall_ns, at),
		       v->bytes, v->datamode[0] != '\0' ? v->datamode : "-", v->applied ? "applied" : v->reason);
	}
	for (unsigned int i = 0; i < h->n; i++) {
		const struct history_version *v = &h->versions[i];

		printf("\n--- %" PRIu32 "%s\n", v->version, v->document == NULL ? " (its bytes are not here)" : "");
		for (size_t k = 0; k < v->len; k++) {
			bool shown = v->document[k] >= ' ' || v->document[k] == '\n' || v->document[k] == '\t';

			if (v->document[k] != '\r')
				putchar(shown && v->document[k] != 0x7f ? v->document[k] : '?');
		}
		if (v->len != 0 && v->document[v->len - 1] != '\n')
			putchar('\n');
	}
	if (h->n == 0)
		printf("no metadata in this recording\n");
	return TOOL_OK;
}

int
command_recordings_history(struct tool *t, const char *name)
{
	struct history *h = NULL;
	struct keystore *ks;
	struct vault *vault;
	struct tape *tape;
	char why[CONFIG_WHY_MAX];
	int status = tool_find(t, name, &vault, &tape);

	if (status != TOOL_OK)
		return status;
	ks = tool_keystore(t, why, sizeof(why));
	if (ks == NULL)
		status = tool_fail(t, TOOL_NO_KEY, "%s", why);
	else if (history_make(&h, tape, ks, on_damage, NULL) != SRS_OK)
		status = tool_fail(t, TOOL_NO_KEY, "no part of it opens with the keys here");
	else
		status = t->json ? print_json(h, tape) : print_people(h);
	history_free(h);
	keystore_close(ks);
	tape_free(tape);
	vault_close(vault);
	return status;
}
