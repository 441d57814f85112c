/* `sessions`: what the running recorder has open, and what an operator may do to a call. Asked over its Unix socket. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/tool/tool.h"

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

	return cJSON_IsString(item) ? item->valuestring : "-";
}

static const char *
state_of(const cJSON *row)
{
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "masked")))
		return "masked";
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "silent")))
		return "silent";
	return text(row, "state");
}

static void
row_print(const cJSON *row)
{
	const cJSON *streams = cJSON_GetObjectItemCaseSensitive(row, "streams"), *stream;
	double frames = 0, lost = 0;

	cJSON_ArrayForEach(stream, streams) {
		frames += number(stream, "frames");
		lost += number(stream, "lost");
	}
	printf("%-12.12s %-32.32s %-22.22s %-10.10s %7d %9.0f %6.0f\n", text(row, "id"), text(row, "call_id"),
	       text(row, "src"), state_of(row), cJSON_GetArraySize(streams), frames, lost);
}

static void
head_print(void)
{
	printf("%-12s %-32s %-22s %-10s %7s %9s %6s\n", "ID", "CALL-ID", "FROM", "STATE", "STREAMS", "FRAMES", "LOST");
}

int
command_sessions_ls(struct tool *t)
{
	int status;
	cJSON *document = tool_get(t, "/api/v1/sessions", &status);
	const cJSON *row;

	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	head_print();
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(document, "sessions"))
		row_print(row);
	cJSON_Delete(document);
	return TOOL_OK;
}

/* Who gives the command: --by, else who is logged in. */
static const char *
who(const struct tool *t)
{
	const struct passwd *me = getpwuid(getuid());

	return t->by != NULL ? t->by : me != NULL ? me->pw_name : "";
}

/* @param path  "sessions/ID/verb" */
static char *
request_of(const struct tool *t, const char *path)
{
	cJSON *json = cJSON_CreateObject();
	char *body, *request = NULL;

	cJSON_AddStringToObject(json, "by", who(t));
	cJSON_AddStringToObject(json, "reason", t->reason != NULL ? t->reason : "");
	if (t->stream != NULL)
		cJSON_AddStringToObject(json, "stream", t->stream);
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (body == NULL || asprintf(&request, "POST /api/v1/%s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n"
	                                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	                             path, strlen(body), body) < 0)
		request = NULL;
	free(body);
	return request;
}

/* @return the answer; NULL with our exit status after a message */
static cJSON *
command(const struct tool *t, const char *path, int *status)
{
	char *request = request_of(t, path);
	cJSON *document;

	if (request == NULL) {
		*status = tool_fail(t, TOOL_FAILED, "no memory");
		return NULL;
	}
	document = tool_ask(t, request, status);
	free(request);
	if (document == NULL || *status == 200)
		return document;
	*status = tool_fail(t, *status == 404 ? TOOL_NOT_FOUND : TOOL_DAMAGED, "%s", text(document, "error"));
	cJSON_Delete(document);
	return NULL;
}

int
command_sessions_do(struct tool *t, const char *verb, const char *id)
{
	char path[128];
	cJSON *document;
	int status;

	if (strspn(id, "0123456789abcdefABCDEF") != strlen(id) || strlen(id) > 64)
		return tool_fail(t, TOOL_USAGE, "%s is no session id: `capstan sessions ls` shows them", id);
	if (strcmp(verb, "drop") == 0 && t->stream == NULL)
		return tool_fail(t, TOOL_USAGE, "drop: name the stream, --stream LABEL");
	snprintf(path, sizeof(path), "sessions/%s/%s", id, verb);
	document = command(t, path, &status);
	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	head_print();
	row_print(document);
	cJSON_Delete(document);
	return TOOL_OK;
}

int
command_node_do(struct tool *t, const char *verb)
{
	char path[32];
	cJSON *document;
	int status;

	snprintf(path, sizeof(path), "node/%s", verb);
	document = command(t, path, &status);
	if (document == NULL)
		return status;
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	printf(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(document, "draining"))
	               ? "Draining: new calls get 503, %.0f in progress go on.\n"
	               : "New calls are taken again; %.0f in progress.\n", number(document, "sessions"));
	cJSON_Delete(document);
	return TOOL_OK;
}
