#include "controlplane/rest/rest.h"

#include <assert.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/rest/rest_pages.h"
#include "lib/config_fields.h"
#include "lib/spsc.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define CONNECTIONS_MAX  128
#define HEADER_BYTES_MAX 4096	/* of a request; lws closes what sends more */
#define PATH_MAX_LEN     512
#define QUESTIONS_MAX    32	/* unanswered by control */
#define NOTICES_MAX      64	/* readiness on its way */
#define ANSWER_US        (2 * LWS_US_PER_SEC)
#define WRITE_MAX        16384	/* bytes in one turn of a connection */
#define REQUEST_S        10
#define IDLE_S           30
#define VHOST_UNIX       "unix"

/* What crosses between api and control. Its owner is whoever popped it. */
enum note_kind { NOTE_QUESTION, NOTE_READY };
struct note {
	enum note_kind kind;
	/* QUESTION: api -> control -> api */
	unsigned int place;	/* row of waiting[] */
	uint64_t serial;	/* which question in that row */
	enum rest_ask what;
	char argument[REST_ARGUMENT_MAX];
	char body[REST_BODY_MAX + 1];
	unsigned int status;
	char *json;
	/* READY: control -> api */
	bool ready;
	char reason[128];
};

/* One connection; lws keeps it, zeroed, beside the wsi. */
struct visit {
	struct lws *wsi;
	char *body;
	size_t len, sent;
	bool head;		/* HEAD: no body */
	bool asked;
	unsigned int place;	/* of waiting[], when asked */
	char *post;		/* the body of a POST as it comes; REST_BODY_MAX + 1 */
	size_t post_len;
	enum rest_ask what;	/* of a POST */
	char command[REST_ARGUMENT_MAX]; /* "ID/verb", "verb" */
};

struct waiting {
	struct visit *visit;	/* NULL: gave up, or the row is free */
	struct note *note;	/* NULL while control has it */
	uint64_t serial;
};

struct rest {
	struct spsc *to_control, *to_api;
	int control_fd;
	_Atomic bool stopping;	/* release, paired with the loop's acquire */
	pthread_t thread;
	bool has_thread;
	struct lws_context *lws;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct rest_sources sources;
	/* of the api thread */
	struct rest_view view;
	struct waiting waiting[QUESTIONS_MAX];
	unsigned int n_connections;
};

/* ---- replies ---- */

static const char *const headers[][2] = {
	{ "x-content-type-options:", "nosniff" },
	{ "x-frame-options:", "DENY" },
	{ "content-security-policy:", "default-src 'none'; frame-ancestors 'none'" },
	{ "referrer-policy:", "no-referrer" },
	{ "cache-control:", "no-store" },
};

static bool
header_add(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
	                                   (int)strlen(value), at, end) == 0;
}

/* Takes the body. @return what lws wants from a callback: 0, or -1 to close */
static int
reply_send(struct lws *wsi, struct visit *visit, struct rest_reply reply)
{
	unsigned char room[LWS_PRE + 1024], *at = room + LWS_PRE, *end = room + sizeof(room) - 1, *start = at;
	bool ok;

	if (reply.body == NULL)
		return -1;
	free(visit->body);
	visit->body = reply.body;
	visit->len = strlen(reply.body);
	visit->sent = 0;
	ok = lws_add_http_common_headers(wsi, reply.status, reply.type, visit->len, &at, end) == 0;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		ok = ok && header_add(wsi, headers[i][0], headers[i][1], &at, end);
	if (reply.status == 405)
		ok = ok && header_add(wsi, "allow:", "GET, HEAD, POST", &at, end);
	if (reply.status == 503)
		ok = ok && header_add(wsi, "retry-after:", "2", &at, end);
	if (!ok || lws_finalize_write_http_header(wsi, start, &at, end) != 0)
		return -1;
	if (visit->head || visit->len == 0)
		return lws_http_transaction_completed(wsi) ? -1 : 0;
	lws_callback_on_writable(wsi);
	return 0;
}

static int
body_write(struct lws *wsi, struct visit *visit)
{
	unsigned char room[LWS_PRE + WRITE_MAX];
	size_t len;
	bool last;

	if (visit->body == NULL)
		return 0;
	len = visit->len - visit->sent;
	last = len <= WRITE_MAX;
	len = last ? len : WRITE_MAX;
	memcpy(room + LWS_PRE, visit->body + visit->sent, len);
	if (lws_write(wsi, room + LWS_PRE, len, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) != (int)len)
		return -1;
	visit->sent += len;
	if (!last) {
		lws_callback_on_writable(wsi);
		return 0;
	}
	free(visit->body);
	visit->body = NULL;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* ---- questions to control ---- */

static int
ask(struct rest *r, struct lws *wsi, struct visit *visit, enum rest_ask what, const char *argument, const char *body)
{
	uint64_t one = 1;
	unsigned int place = 0;
	struct waiting *row;

	while (place < QUESTIONS_MAX && (r->waiting[place].visit != NULL || r->waiting[place].note == NULL))
		place++;
	if (place == QUESTIONS_MAX)
		return reply_send(wsi, visit, rest_error(503, "too many questions wait for an answer", "ask less often"));
	row = &r->waiting[place];
	row->serial++;
	row->note->kind = NOTE_QUESTION;
	row->note->place = place;
	row->note->serial = row->serial;
	row->note->what = what;
	row->note->json = NULL;
	snprintf(row->note->argument, sizeof(row->note->argument), "%s", argument);
	snprintf(row->note->body, sizeof(row->note->body), "%s", body);
	if (!spsc_push(r->to_control, row->note)) /* as large as waiting[] */
		return reply_send(wsi, visit, rest_error(503, "the recorder is busy", "try again"));
	row->note = NULL;
	row->visit = visit;
	visit->wsi = wsi;
	visit->asked = true;
	visit->place = place;
	if (write(r->control_fd, &one, sizeof(one)) != sizeof(one))
		log_warn("rest", "rest_wake_failed", "errno=%d", errno);
	lws_set_timer_usecs(wsi, ANSWER_US);
	return 0;
}

/* The answer may still come: the row stays taken until control gives its note back. */
static void
visit_forget(struct rest *r, struct visit *visit)
{
	if (visit->asked)
		r->waiting[visit->place].visit = NULL;
	visit->asked = false;
}

static int
answer_late(struct rest *r, struct lws *wsi, struct visit *visit)
{
	if (!visit->asked)
		return 0;
	visit_forget(r, visit);
	log_warn("rest", "rest_answer_late", "seconds=%d", (int)(ANSWER_US / LWS_US_PER_SEC));
	return reply_send(wsi, visit, rest_error(503, "the recorder did not answer within 2 seconds", "try again; see its log"));
}

static void
answer_take(struct rest *r, struct note *n)
{
	struct waiting *row = &r->waiting[n->place];
	struct visit *visit = row->visit;
	struct rest_reply reply = { .status = n->status, .type = "application/json", .body = n->json };

	srs_assert(row->serial == n->serial);
	row->note = n;
	row->visit = NULL;
	n->json = NULL;
	if (visit == NULL) {
		free(reply.body);
		return;
	}
	visit->asked = false;
	lws_set_timer_usecs(visit->wsi, LWS_SET_TIMER_USEC_CANCEL);
	if (reply.body == NULL)
		reply = rest_error(503, "the recorder cannot say now", "try again");
	else if (n->what == REST_ASK_HEALTH && !r->view.ready)
		reply.status = 503;
	if (reply_send(visit->wsi, visit, reply) != 0)
		lws_set_timeout(visit->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
}

/* lws_cancel_service() from control ends here. */
static void
notes_take(struct rest *r)
{
	struct note *n;

	while ((n = spsc_pop(r->to_api)) != NULL) {
		if (n->kind == NOTE_QUESTION) {
			answer_take(r, n);
			continue;
		}
		r->view.ready = n->ready;
		snprintf(r->view.reason, sizeof(r->view.reason), "%s", n->reason);
		free(n);
	}
}

/* ---- requests ---- */

static const struct {
	const char *path;
	struct rest_reply (*page)(struct rest_view *v, const struct rest_arguments *a);
	enum rest_ask what;	/* when page is NULL */
} routes[] = {
	{ "/health", NULL, REST_ASK_HEALTH },
	{ "/health/live", rest_page_live, 0 },
	{ "/health/ready", rest_page_ready, 0 },
	{ "/metrics", rest_page_metrics, 0 },
	{ "/stun-status", NULL, REST_ASK_STUN },
	{ "/api/v1/sessions", NULL, REST_ASK_SESSIONS },
	{ "/api/v1/recordings", rest_page_recordings, 0 },
	{ "/api/v1/srcs", NULL, REST_ASK_SRCS },
	{ "/api/v1/refusals", NULL, REST_ASK_REFUSALS },
	{ "/api/sessions/stats", NULL, REST_ASK_SESSION_STATS },
	{ "/api/resources/stats", rest_page_resources, 0 },
	{ "/api/cache/stats", rest_page_cache, 0 },
	{ "/api/workers/stats", rest_page_workers, 0 },
};

/* @return false: more or longer than the bounds allow, or not name=value */
static bool
arguments_read(struct lws *wsi, struct rest_arguments *a)
{
	char *equals;
	int n;

	for (a->n = 0;; a->n++) {
		char row[REST_ARGUMENT_MAX];

		n = lws_hdr_copy_fragment(wsi, row, sizeof(row), WSI_TOKEN_HTTP_URI_ARGS, (int)a->n);
		if (n == -2)
			return false; /* longer than the room */
		if (n <= 0)
			return true;
		if (a->n == REST_ARGUMENTS_MAX)
			return false;
		memcpy(a->rows[a->n].text, row, (size_t)n);
		a->rows[a->n].text[n] = '\0';
		equals = strchr(a->rows[a->n].text, '=');
		if (equals == NULL || strlen(a->rows[a->n].text) != (size_t)n)
			return false;
		*equals = '\0';
		a->rows[a->n].name = a->rows[a->n].text;
		a->rows[a->n].value = equals + 1;
	}
}

/* A name that some web page chose could be made to point here (DNS rebinding), and there is no password yet: only
 * numeric hosts, localhost and our own name are answered. No browser reaches the Unix socket: there the file's rights
 * decide, and clients write any Host. */
static bool
host_is_ours(const struct rest *r, struct lws *wsi)
{
	char host[128];
	size_t len;

	if (strcmp(lws_get_vhost_name(lws_get_vhost(wsi)), VHOST_UNIX) == 0)
		return true;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HOST) == 0)
		return true; /* HTTP/1.0, no browser */
	if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) < 0)
		return false;
	if (host[0] == '[')
		return true;
	len = strcspn(host, ":");
	host[len] = '\0';
	return config_address_parse(host, NULL) == 4 || strcasecmp(host, "localhost") == 0 ||
	       strcasecmp(host, r->view.config->node.name) == 0;
}

/* As control reads it. Names and values that would be two lines are refused there: no filter is called so. */
static void
query_lines(const struct rest_arguments *a, char out[REST_BODY_MAX + 1])
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < a->n; i++)
		used += (size_t)snprintf(out + used, REST_BODY_MAX + 1 - used, "%s=%s\n", a->rows[i].name, a->rows[i].value);
}
static_assert(REST_ARGUMENTS_MAX * (REST_ARGUMENT_MAX + 2) < REST_BODY_MAX, "a query fits a question");

static int
request_route(struct rest *r, struct lws *wsi, struct visit *visit, const char *path)
{
	static const char recording[] = "/api/v1/recordings/";
	struct rest_arguments *a = calloc(1, sizeof(*a));
	char query[REST_BODY_MAX + 1];
	struct rest_reply reply;

	if (a == NULL)
		return -1;
	if (!arguments_read(wsi, a)) {
		free(a);
		return reply_send(wsi, visit, rest_error(400, "the query is not name=value, or too long",
		                                         "give at most 8 pairs of at most 255 characters"));
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(path, routes[i].path) != 0)
			continue;
		if (routes[i].page == NULL) {
			query_lines(a, query);
			free(a);
			return ask(r, wsi, visit, routes[i].what, "", query);
		}
		reply = routes[i].page(&r->view, a);
		free(a);
		return reply_send(wsi, visit, reply);
	}
	free(a);
	if (strncmp(path, recording, sizeof(recording) - 1) == 0 && path[sizeof(recording) - 1] != '\0')
		return reply_send(wsi, visit, rest_page_recording(&r->view, path + sizeof(recording) - 1));
	return reply_send(wsi, visit, rest_error(404, "there is nothing at this path", "try /health, /metrics, /api/v1/sessions or /api/v1/recordings"));
}

/* ---- commands ---- */

static const struct {
	const char *path;
	enum rest_ask what;
} commands[] = {
	{ "/api/v1/sessions/", REST_ASK_COMMAND },
	{ "/api/v1/node/", REST_ASK_NODE },
};

/* What stands behind the command's path is its argument. @return false: no command, or too long */
static bool
command_find(struct visit *visit, const char *path)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t len = strlen(commands[i].path);

		if (strncmp(path, commands[i].path, len) != 0 || strlen(path) - len >= sizeof(visit->command))
			continue;
		visit->what = commands[i].what;
		snprintf(visit->command, sizeof(visit->command), "%s", path + len);
		return true;
	}
	return false;
}

static int
command_ask(struct rest *r, struct lws *wsi, struct visit *visit)
{
	int done = ask(r, wsi, visit, visit->what, visit->command, visit->post != NULL ? visit->post : "");

	free(visit->post);
	visit->post = NULL;
	return done;
}

/* A web page in the operator's browser can post forms here, but not JSON: for that a browser asks us first, and we say no. */
static bool
is_json(struct lws *wsi)
{
	char type[64];

	if (strcmp(lws_get_vhost_name(lws_get_vhost(wsi)), VHOST_UNIX) == 0)
		return true;
	return lws_hdr_copy(wsi, type, sizeof(type), WSI_TOKEN_HTTP_CONTENT_TYPE) > 0 &&
	       strncasecmp(type, "application/json", strlen("application/json")) == 0;
}

static int
command_begin(struct rest *r, struct lws *wsi, struct visit *visit, const char *path)
{
	char length[16] = "0";
	unsigned long len;

	if (!command_find(visit, path))
		return reply_send(wsi, visit, rest_error(405, "there is no command at this path",
		                                         "POST to /api/v1/sessions/ID/VERB: pause, resume, mask, unmask, drop, end; "
		                                         "or to /api/v1/node/VERB: drain, undrain"));
	if (!is_json(wsi))
		return reply_send(wsi, visit, rest_error(415, "a command is JSON", "set Content-Type: application/json"));
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
	    lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) < 0)
		snprintf(length, sizeof(length), "%d", REST_BODY_MAX + 1);
	len = strtoul(length, NULL, 10);	/* too large a number: ULONG_MAX */
	if (len > REST_BODY_MAX)
		return reply_send(wsi, visit, rest_error(413, "the command is too long", "at most 4096 bytes"));
	if (len == 0)
		return command_ask(r, wsi, visit);
	visit->post = calloc(1, REST_BODY_MAX + 1);
	visit->post_len = 0;
	return visit->post == NULL ? -1 : 0;
}

static int
command_body(struct visit *visit, const char *bytes, size_t len)
{
	if (visit->post == NULL)
		return 0;
	if (len > REST_BODY_MAX - visit->post_len)
		return -1;
	memcpy(visit->post + visit->post_len, bytes, len);
	visit->post_len += len;
	return 0;
}

static int
request(struct rest *r, struct lws *wsi, struct visit *visit, const char *path, size_t path_len)
{
	char *uri = NULL;
	int uri_len = 0;
	int method = lws_http_get_uri_and_method(wsi, &uri, &uri_len);
	bool get = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
	bool post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;

	visit->wsi = wsi;
	visit->head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
	if (method < 0 || (!get && !post && !visit->head))
		return reply_send(wsi, visit, rest_error(405, "the method is not served here", "use GET, HEAD or POST"));
	if (path_len > PATH_MAX_LEN || strlen(path) != path_len)
		return reply_send(wsi, visit, rest_error(414, "the path is too long", "paths have at most 512 characters"));
	if (!host_is_ours(r, wsi))
		return reply_send(wsi, visit, rest_error(403, "the Host is not this recorder's",
		                                         "use its IP address, localhost or node.name"));
	return post ? command_begin(r, wsi, visit, path) : request_route(r, wsi, visit, path);
}

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct rest *r = lws_context_user(lws_get_context(wsi));
	struct visit *visit = user;

	switch (reason) {
	case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
		return r->n_connections >= CONNECTIONS_MAX;
	case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
		r->n_connections++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		if (r->n_connections > 0)
			r->n_connections--;
		return 0;
	case LWS_CALLBACK_HTTP:
		return request(r, wsi, visit, in, len);
	case LWS_CALLBACK_HTTP_BODY:
		return command_body(visit, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return visit->post != NULL ? command_ask(r, wsi, visit) : 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return body_write(wsi, visit);
	case LWS_CALLBACK_TIMER:
		return answer_late(r, wsi, visit);
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_CLOSED_HTTP:
		if (visit != NULL) {
			visit_forget(r, visit);
			free(visit->body);
			free(visit->post);
			visit->body = visit->post = NULL;
		}
		return 0;
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		notes_take(r);
		return 0;
	case LWS_CALLBACK_ADD_HEADERS:
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

/* ---- control's side ---- */

int
rest_control_fd(const struct rest *r)
{
	return r->control_fd;
}

void
rest_control_serve(struct rest *r, void (*answer)(void *ctx, const struct rest_question *q, struct rest_answer *a), void *ctx)
{
	uint64_t count;
	bool any = false;
	struct note *n;

	if (read(r->control_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warn("rest", "rest_control_read_failed", "errno=%d", errno);
	while ((n = spsc_pop(r->to_control)) != NULL) {
		struct rest_answer a = { .status = 200 };

		answer(ctx, &(struct rest_question){ .what = n->what, .argument = n->argument, .body = n->body }, &a);
		n->status = a.status;
		n->json = a.json;
		srs_assert(spsc_push(r->to_api, n)); /* room for every question and for NOTICES_MAX beside */
		any = true;
	}
	if (any)
		lws_cancel_service(r->lws);
}

void
rest_ready_set(struct rest *r, bool ready, const char *reason)
{
	struct note *n;

	/* Questions need their places; readiness that comes faster than it is read is dropped, and said. */
	if (spsc_len(r->to_api) >= NOTICES_MAX || (n = calloc(1, sizeof(*n))) == NULL) {
		log_warn("rest", "rest_ready_dropped", "ready=%d", ready);
		return;
	}
	n->kind = NOTE_READY;
	n->ready = ready;
	snprintf(n->reason, sizeof(n->reason), "%s", reason != NULL ? reason : "");
	srs_assert(spsc_push(r->to_api, n));
	lws_cancel_service(r->lws);
}

/* ---- life ---- */

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = on_lws, .per_session_data_size = sizeof(struct visit), .rx_buffer_size = 0 },
	{ 0 }
};

static void
on_lws_log(int level, const char *line)
{
	size_t len = strcspn(line, "\r\n");

	log_warn("rest", "lws", "level=%d said=\"%.*s\"", level, (int)(len < 200 ? len : 200), line);
}

/* lws says little about why a bind failed, so we try first. */
static enum srs_err
tcp_try(const struct config *c, char *why, size_t why_len)
{
	struct sockaddr_in6 sa6 = { .sin6_family = AF_INET6, .sin6_port = htons(c->http.port) };
	struct sockaddr_in sa4 = { .sin_family = AF_INET, .sin_port = htons(c->http.port) };
	uint8_t bytes[16];
	bool v6 = config_address_parse(c->http.address, bytes) == 6;
	int one = 1, rc, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enum srs_err err = SRS_OK;

	memcpy(v6 ? (void *)&sa6.sin6_addr : (void *)&sa4.sin_addr, bytes, v6 ? 16 : 4);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = bind(fd, v6 ? (struct sockaddr *)&sa6 : (struct sockaddr *)&sa4, v6 ? sizeof(sa6) : sizeof(sa4));
	if (rc == 0)
		rc = listen(fd, 1);
	if (fd < 0 || rc != 0) {
		snprintf(why, why_len, "REST cannot listen on %s port %u (%s); free it, or set http.port (HTTP_PORT)",
		         c->http.address, c->http.port, strerror(errno));
		err = SRS_ERR_IO;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* A socket left behind by a killed process is removed; one that somebody serves is not. */
static enum srs_err
unix_prepare(struct rest *r, const struct config *c, char *why, size_t why_len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char folder[sizeof(sa.sun_path)];
	char *slash;
	int fd;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", c->http.socket);
	snprintf(folder, sizeof(folder), "%s", c->http.socket);
	slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
			snprintf(why, why_len, "%s: the folder of the REST socket cannot be made (%s); set node.run_dir or http.socket",
			         folder, strerror(errno));
			return SRS_ERR_IO;
		}
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		snprintf(why, why_len, "%s: another process serves this socket; stop it, or set http.socket", c->http.socket);
		close(fd);
		return SRS_ERR_STATE;
	}
	if (fd >= 0)
		close(fd);
	unlink(c->http.socket);
	snprintf(r->socket, sizeof(r->socket), "%s", c->http.socket);
	return SRS_OK;
}

static enum srs_err
tcp_open(struct rest *r, const struct config *c, char *why, size_t why_len)
{
	bool any = strcmp(c->http.address, "0.0.0.0") == 0 || strcmp(c->http.address, "::") == 0;
	struct lws_context_creation_info info = {
		.port = c->http.port, .iface = any ? NULL : c->http.address, .protocols = protocols, .vhost_name = "tcp",
		.options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND, .server_string = "capstan", .alpn = "http/1.1",
		.keepalive_timeout = IDLE_S, .timeout_secs = REQUEST_S,
	};
	enum srs_err err = tcp_try(c, why, why_len);

	if (!err && lws_create_vhost(r->lws, &info) == NULL) {
		snprintf(why, why_len, "REST cannot listen on %s port %u; set http.address and http.port to an address of this host",
		         c->http.address, c->http.port);
		err = SRS_ERR_IO;
	}
	return err;
}

static enum srs_err
unix_open(struct rest *r, const struct config *c, char *why, size_t why_len)
{
	struct lws_context_creation_info info = {
		.iface = c->http.socket, .protocols = protocols, .vhost_name = VHOST_UNIX, .server_string = "capstan",
		.options = LWS_SERVER_OPTION_UNIX_SOCK | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND, .alpn = "http/1.1",
		.keepalive_timeout = IDLE_S, .timeout_secs = REQUEST_S,
	};
	enum srs_err err = unix_prepare(r, c, why, why_len);
	mode_t mask;

	if (err)
		return err;
	mask = umask(0117);
	if (lws_create_vhost(r->lws, &info) == NULL || chmod(c->http.socket, 0660) != 0) {
		snprintf(why, why_len, "%s: the REST socket cannot be made; check the folder's rights, or set http.socket",
		         c->http.socket);
		err = SRS_ERR_IO;
	}
	umask(mask);
	return err;
}

static enum srs_err
context_open(struct rest *r, const struct config *c, char *why, size_t why_len)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN, .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS, .user = r,
		.max_http_header_data2 = HEADER_BYTES_MAX, .max_http_header_pool = CONNECTIONS_MAX,
		.fd_limit_per_thread = CONNECTIONS_MAX + 32, .timeout_secs = REQUEST_S,
	};
	enum srs_err err;

	lws_set_log_level(LLL_ERR, on_lws_log);
	r->lws = lws_create_context(&info);
	if (r->lws == NULL) {
		snprintf(why, why_len, "REST cannot start: libwebsockets made no context; see the log");
		return SRS_ERR_NOMEM;
	}
	err = tcp_open(r, c, why, why_len);
	if (!err && *c->http.socket != '\0')
		err = unix_open(r, c, why, why_len);
	return err;
}

static void *
rest_run(void *arg)
{
	struct rest *r = arg;

	while (!atomic_load_explicit(&r->stopping, memory_order_acquire)) {
		if (lws_service(r->lws, 0) < 0)
			break;
	}
	return NULL;
}

static enum srs_err
rings_create(struct rest *r)
{
	enum srs_err err = spsc_create(&r->to_control, QUESTIONS_MAX);

	if (!err)
		err = spsc_create(&r->to_api, QUESTIONS_MAX + NOTICES_MAX);
	for (unsigned int i = 0; i < QUESTIONS_MAX && !err; i++) {
		r->waiting[i].note = calloc(1, sizeof(struct note));
		if (r->waiting[i].note == NULL)
			err = SRS_ERR_NOMEM;
	}
	r->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return !err && r->control_fd < 0 ? SRS_ERR_IO : err;
}

enum srs_err
rest_start(struct rest **out, const struct config *c, const struct rest_sources *from, char *why, size_t why_len)
{
	struct rest *r = calloc(1, sizeof(*r));
	struct timespec now;
	enum srs_err err;

	if (r == NULL)
		return SRS_ERR_NOMEM;
	if (why_len != 0)
		why[0] = '\0';
	r->control_fd = -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	r->sources = *from;
	r->view = (struct rest_view){ .config = c, .from = &r->sources, .reason = "starting",
		                      .started_mono_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec };
	err = rings_create(r);
	if (!err)
		err = context_open(r, c, why, why_len);
	if (!err) {
		r->has_thread = pthread_create(&r->thread, NULL, rest_run, r) == 0;
		err = r->has_thread ? SRS_OK : SRS_ERR_NOMEM;
	}
	if (err) {
		if (why_len != 0 && why[0] == '\0')
			snprintf(why, why_len, "REST cannot start (%s)", srs_err_name(err));
		rest_stop(r);
		return err;
	}
	pthread_setname_np(r->thread, "api");
	*out = r;
	return SRS_OK;
}

static void
notes_free(struct spsc *ring)
{
	struct note *n;

	while (ring != NULL && (n = spsc_pop(ring)) != NULL) {
		free(n->json);
		free(n);
	}
}

void
rest_stop(struct rest *r)
{
	if (r == NULL)
		return;
	if (r->has_thread) {
		atomic_store_explicit(&r->stopping, true, memory_order_release);
		lws_cancel_service(r->lws);
		pthread_join(r->thread, NULL);
	}
	if (r->lws != NULL)
		lws_context_destroy(r->lws);
	if (r->socket[0] != '\0')
		unlink(r->socket);
	notes_free(r->to_control);
	notes_free(r->to_api);
	for (unsigned int i = 0; i < QUESTIONS_MAX; i++)
		free(r->waiting[i].note);
	spsc_destroy(r->to_control);
	spsc_destroy(r->to_api);
	catalog_reader_close(r->view.reader);
	if (r->control_fd >= 0)
		close(r->control_fd);
	free(r);
}
