/* Asking the running recorder over its Unix socket. */
#include <ctype.h>
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

cJSON *
tool_ask(const struct tool *t, const char *request, int *status)
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

/* RFC 3986 §2.1: all but unreserved characters. */
void
tool_url_encode(const char *text, char *out, size_t out_len)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < out_len; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL)
			out[n++] = *text;
		else
			n += (size_t)snprintf(out + n, out_len - n, "%%%02X", (unsigned char)*text);
	}
	out[n] = '\0';
}

cJSON *
tool_get(const struct tool *t, const char *path, int *status)
{
	cJSON *document;
	char *request;

	if (asprintf(&request, "GET %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n", path) < 0) {
		*status = tool_fail(t, TOOL_FAILED, "no memory");
		return NULL;
	}
	document = tool_ask(t, request, status);
	free(request);
	return document;
}
