/* `sessions ls`: what the running recorder has open, asked over its Unix socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/tool/tool.h"

#define ANSWER_MAX (16 << 20)

static int
ask(const char *socket_path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	static const char request[] = "GET /api/v1/sessions HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	int fd;

	if (strlen(socket_path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    write(fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1) {
		close(fd);
		return -1;
	}
	return fd;
}

static cJSON *
read_answer(int fd)
{
	char *text = malloc(ANSWER_MAX + 1), *body;
	size_t len = 0;
	cJSON *document = NULL;
	ssize_t n;

	if (text == NULL)
		return NULL;
	while (len < ANSWER_MAX && (n = read(fd, text + len, ANSWER_MAX - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	body = strstr(text, "\r\n\r\n");
	if (body != NULL && strncmp(text, "HTTP/1.", 7) == 0 && strstr(text, " 200 ") != NULL)
		document = cJSON_Parse(strchr(body, '{') != NULL ? strchr(body, '{') : "");
	free(text);
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

int
command_sessions_ls(struct tool *t)
{
	const char *path = t->config->http.socket;
	int fd = path != NULL && path[0] != '\0' ? ask(path) : -1;
	const cJSON *row, *stream;
	cJSON *document;

	if (fd < 0)
		return tool_fail(t, TOOL_NOT_FOUND, "no recorder answers at %s (%s); is it running, with the same node.run_dir?",
		                 path != NULL ? path : "its socket", strerror(errno));
	document = read_answer(fd);
	close(fd);
	if (document == NULL)
		return tool_fail(t, TOOL_FAILED, "the recorder's answer at %s could not be read; its log says why", path);
	if (t->json)
		return tool_print_json(document, TOOL_OK);
	printf("%-36s %-22s %-10s %7s %9s %6s\n", "CALL-ID", "FROM", "STATE", "STREAMS", "FRAMES", "LOST");
	cJSON_ArrayForEach(row, cJSON_GetObjectItem(document, "sessions")) {
		const cJSON *streams = cJSON_GetObjectItem(row, "streams");
		double frames = 0, lost = 0;

		cJSON_ArrayForEach(stream, streams) {
			frames += number(stream, "frames");
			lost += number(stream, "lost");
		}
		printf("%-36.36s %-22.22s %-10.10s %7d %9.0f %6.0f\n", text(row, "call_id"), text(row, "src"),
		       text(row, "state"), cJSON_GetArraySize(streams), frames, lost);
	}
	cJSON_Delete(document);
	return TOOL_OK;
}
