/* `sessions`: what the running recorder has open, and what an operator may do to a call. Asked over its Unix socket. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/tool/tool.h"

#define ANSWER_MAX (16 << 20)

/* @return malloc'd answer with its head; NULL: errno says why */
static char *
exchange(const char *socket_path, const char *request)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	char *text = malloc(ANSWER_MAX + 1);
	size_t len = 0, request_len = strlen(request);
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	errno = strlen(socket_path) < sizeof(to.sun_path) ? 0 : ENAMETOOLONG;
	if (text == NULL || fd < 0 || errno != 0)
		goto fail;
	strcpy(to.sun_path, socket_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || write(fd, request, request_len) != (ssize_t)request_len)
		goto fail;
	while (len < ANSWER_MAX && (n = read(fd, text + len, ANSWER_MAX - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fd);
	return text;
fail:
	free(text);
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* Ask, and read the JSON of the answer. @return NULL after a message; `*status` is HTTP's, or our exit status then */
static cJSON *
ask(const struct tool *t, const char *request, int *status)
{
	const char *path = t->config->http.socket != NULL ? t->config->http.socket : "";
	char *text = path[0] != '\0' ? exchange(path, request) : NULL;
	const char *body;
	cJSON *document = NULL;

	if (text == NULL) {
		*status = tool_fail(t, TOOL_NOT_FOUND, "no recorder answers at %s (%s); is it running, with the same node.run_dir?",
		                    path[0] != '\0' ? path : "its socket", strerror(errno));
		return NULL;
	}
	*status = strncmp(text, "HTTP/1.", 7) == 0 && strlen(text) > 12 ? atoi(text + 9) : 0;
	body = strstr(text, "\r\n\r\n");
	body = body != NULL ? strchr(body, '{') : NULL;
	if (body != NULL)
		document = cJSON_Parse(body);
	free(text);
	if (document == NULL)
		*status = tool_fail(t, TOOL_FAILED, "the recorder's answer at %s could not be read; its log says why", path);
	return document;
}

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
	cJSON *document = ask(t, "GET /api/v1/sessions HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n", &status);
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

static char *
request_of(const struct tool *t, const char *verb, const char *id)
{
	cJSON *json = cJSON_CreateObject();
	char *body, *request = NULL;

	cJSON_AddStringToObject(json, "by", who(t));
	cJSON_AddStringToObject(json, "reason", t->reason != NULL ? t->reason : "");
	if (t->stream != NULL)
		cJSON_AddStringToObject(json, "stream", t->stream);
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (body == NULL || asprintf(&request, "POST /api/v1/sessions/%s/%s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n"
	                                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	                             id, verb, strlen(body), body) < 0)
		request = NULL;
	free(body);
	return request;
}

int
command_sessions_do(struct tool *t, const char *verb, const char *id)
{
	char *request;
	cJSON *document;
	int status;

	if (strspn(id, "0123456789abcdefABCDEF") != strlen(id))
		return tool_fail(t, TOOL_USAGE, "%s is no session id: `capstan sessions ls` shows them", id);
	if (strcmp(verb, "drop") == 0 && t->stream == NULL)
		return tool_fail(t, TOOL_USAGE, "drop: name the stream, --stream LABEL");
	request = request_of(t, verb, id);
	if (request == NULL)
		return tool_fail(t, TOOL_FAILED, "no memory");
	document = ask(t, request, &status);
	free(request);
	if (document == NULL)
		return status;
	if (status != 200) {
		status = tool_fail(t, status == 404 ? TOOL_NOT_FOUND : TOOL_DAMAGED, "%s", text(document, "error"));
		cJSON_Delete(document);
		return status;
	}
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	head_print();
	row_print(document);
	cJSON_Delete(document);
	return TOOL_OK;
}
