/* `srcs` and `refusals`: what recording clients do, and what was refused, as the running recorder has seen it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tool/tool.h"

#define PATH_MAX_LEN 1600

static double
number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *
text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) && item->valuestring[0] != '\0' ? item->valuestring : "-";
}

/* One more name=value; nothing when there is no value. */
static void
filter_add(char path[PATH_MAX_LEN], const char *name, const char *value)
{
	size_t used = strlen(path);
	char encoded[512];

	if (value == NULL)
		return;
	tool_url_encode(value, encoded, sizeof(encoded));
	snprintf(path + used, PATH_MAX_LEN - used, "%s%s=%s", strchr(path, '?') == NULL ? "?" : "&", name, encoded);
}

/* @return the document, NULL with our exit status after a message */
static cJSON *
fetch(const struct tool *t, const char *path, int *status)
{
	cJSON *document = tool_get(t, path, status);

	if (document == NULL || *status == 200)
		return document;
	*status = tool_fail(t, *status == 404 ? TOOL_NOT_FOUND : *status == 400 ? TOOL_USAGE : TOOL_FAILED, "%s: %s",
	                    text(document, "error"), text(document, "remedy"));
	cJSON_Delete(document);
	return NULL;
}

/* "2026-11-23T08:15:38.123Z" without what a column has no need of. */
static const char *
moment(const cJSON *object, const char *name, char out[24])
{
	snprintf(out, 24, "%.19s", text(object, name));
	if (strlen(out) > 10)
		out[10] = ' ';
	return out;
}

/* "refresh by itself", "snapshot by profile": what is not asked of the client. */
static void
closed_print(const cJSON *row)
{
	static const char *const names[] = { "refresh", "snapshot" };
	const cJSON *switches = cJSON_GetObjectItemCaseSensitive(row, "switches");
	const char *between = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const cJSON *s = cJSON_GetObjectItemCaseSensitive(switches, names[i]);

		if (strcmp(text(s, "now"), "never") != 0)
			continue;
		printf("%sno %s (%s)", between, names[i], text(s, "decided_by"));
		between = ", ";
	}
	printf("\n");
}

int
command_srcs_ls(struct tool *t)
{
	char path[PATH_MAX_LEN] = "/api/v1/srcs", at[24];
	const cJSON *row;
	cJSON *document;
	int status;

	filter_add(path, "limit", t->limit);
	document = fetch(t, path, &status);
	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	printf("%-40s %-11s %-19s %8s %8s %10s %s\n", "CLIENT", "KNOWN BY", "HEARD (UTC)", "CALLS", "REFUSED", "DEVIATIONS",
	       "NOT ASKED");
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(document, "srcs")) {
		printf("%-40.40s %-11s %-19s %8.0f %8.0f %10.0f ", text(row, "name"), text(row, "known_by"),
		       moment(row, "last_seen", at), number(row, "calls"), number(row, "refused"), number(row, "deviations"));
		closed_print(row);
	}
	cJSON_Delete(document);
	return TOOL_OK;
}

static void
tallies_print(const cJSON *row, const char *array, const char *what)
{
	const cJSON *item;
	char at[24];

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(row, array))
		printf("  %10.0f  %s (last %s)\n", number(item, "count"), text(item, what), moment(item, "last_seen", at));
}

static void
switches_print(const cJSON *row)
{
	const cJSON *s;

	cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(row, "switches")) {
		printf("  %-10s %s; decided by: %s", s->string, text(s, "now"), text(s, "decided_by"));
		if (strcmp(text(s, "until"), "-") != 0)
			printf(", until %s, behind %.0f refusals in a row", text(s, "until"), number(s, "refused_in_a_row"));
		if (strcmp(s->string, "accept") == 0)
			printf("; strict would have refused at least %.0f INVITEs", number(s, "strict_would_refuse_at_least"));
		printf("\n");
	}
}

static void
src_print(const cJSON *row)
{
	const cJSON *fact;
	char first[24], last[24];

	printf("%s, known by its %s\n", text(row, "name"), text(row, "known_by"));
	printf("  profile %s, address %s, agent %s\n", text(row, "profile"), text(row, "address"), text(row, "agent"));
	printf("  heard from %s to %s (UTC)\n", moment(row, "first_seen", first), moment(row, "last_seen", last));
	printf("Counted\n");
	cJSON_ArrayForEach(fact, cJSON_GetObjectItemCaseSensitive(row, "facts")) {
		if (fact->valuedouble > 0)
			printf("  %10.0f  %s\n", fact->valuedouble, fact->string);
	}
	printf("Metadata dialects\n");
	tallies_print(row, "dialects", "dialect");
	printf("Deviations\n");
	tallies_print(row, "rules", "rule");
	if (number(row, "deviations_of_other_rules") > 0)
		printf("  %10.0f  of other rules\n", number(row, "deviations_of_other_rules"));
	printf("Switches\n");
	switches_print(row);
}

int
command_srcs_show(struct tool *t, const char *name)
{
	char path[PATH_MAX_LEN] = "/api/v1/srcs";
	const cJSON *row;
	cJSON *document;
	int status;

	filter_add(path, "name", name);
	document = fetch(t, path, &status);
	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(document, "srcs"))
		src_print(row);
	cJSON_Delete(document);
	return TOOL_OK;
}

int
command_refusals_ls(struct tool *t)
{
	char path[PATH_MAX_LEN] = "/api/v1/refusals", at[24];
	const cJSON *row;
	cJSON *document;
	int status;

	filter_add(path, "src", t->src);
	filter_add(path, "status", t->status);
	filter_add(path, "limit", t->limit);
	document = fetch(t, path, &status);
	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	printf("%-19s %-8s %-6s %-28s %-32s %s\n", "TIME (UTC)", "METHOD", "STATUS", "CLIENT", "CALL-ID", "WHY");
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(document, "refusals")) {
		printf("%-19s %-8s %-6.0f %-28.28s %-32.32s %s", moment(row, "time", at), text(row, "method"), number(row, "status"),
		       text(row, "src"), text(row, "call_id"), text(row, "rule"));
		if (number(row, "repeats") > 0)
			printf(" (and %.0f more like it)", number(row, "repeats"));
		printf("\n");
	}
	cJSON_Delete(document);
	return TOOL_OK;
}
