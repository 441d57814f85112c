/* The REST interface by a plain socket, as any client: pages, refusals, bounds, and questions that control answers
 * late, wrongly or never. The data plane behind it is the few lines below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/rest/rest.h"

struct dataplane {
	uint64_t recorded;
};

void
dataplane_counters(const struct dataplane *dp, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx)
{
	struct dataplane_counter c = { "rx_recorded", "packets", COUNTER_INFO, "recorded", dp->recorded };

	on_counter(ctx, &c);
}

static void
own_counters(void *unused, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx)
{
	struct dataplane_counter c = { "sessions_now", "sessions", COUNTER_INFO, "open now", 3 };

	on_counter(ctx, &c);
}

struct fixture {
	char dir[64], run_dir[96], devices[128], port_flag[32], socket[100], why[512];
	uint16_t port;
	struct config *config;
	struct dataplane dp;
	struct rest *rest;
	pthread_t control;
	_Atomic bool stopping, silent, wordless;
	char reply[65536];
	int status;
	const char *body;
};

static void
answer(void *ctx, const struct rest_question *q, struct rest_answer *a)
{
	struct fixture *f = ctx;

	if (atomic_load(&f->wordless))
		return;
	if (q->what == REST_ASK_NODE) {
		a->status = strcmp(q->argument, "drain") == 0 ? 200 : 409;
		assert_true(asprintf(&a->json, "{\"node\":\"%s\"}", q->argument) > 0);
		return;
	}
	if (q->what == REST_ASK_COMMAND) {
		a->status = strcmp(q->argument, "beef/mask") == 0 ? 200 : 409;
		assert_true(asprintf(&a->json, "{\"heard\":%s}", q->body[0] != '\0' ? q->body : "0") > 0);
		return;
	}
	a->json = strdup(q->what == REST_ASK_SESSIONS ? "{\"sessions\":[]}"
	                 : q->what == REST_ASK_HEALTH ? "{\"status\":\"ok\"}" : "{\"open\":0}");
}

static void *
control_run(void *arg)
{
	struct fixture *f = arg;
	struct pollfd fd = { .fd = rest_control_fd(f->rest), .events = POLLIN };

	while (!atomic_load(&f->stopping)) {
		if (poll(&fd, 1, 20) == 1 && !atomic_load(&f->silent))
			rest_control_serve(f->rest, answer, f);
		else if (atomic_load(&f->silent))
			usleep(20000);
	}
	return NULL;
}

static uint16_t
free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void
configure(struct fixture *f, const char *more)
{
	const char *flags[] = { f->devices, f->run_dir, f->port_flag, "node.name=box1", more, NULL };
	struct config_sources from = { .flags = flags };

	config_free(f->config);
	f->config = NULL;
	if (config_load(&f->config, &from, f->why, sizeof(f->why)) != SRS_OK)
		fail_msg("%s", f->why);
}

static void
stop(struct fixture *f)
{
	if (f->rest == NULL)
		return;
	atomic_store(&f->stopping, true);
	pthread_join(f->control, NULL);
	rest_stop(f->rest);
	f->rest = NULL;
}

static void
start(struct fixture *f)
{
	struct rest_sources from = { .dataplane = &f->dp, .counters = own_counters, .catalog_dir = f->dir };

	if (rest_start(&f->rest, f->config, &from, f->why, sizeof(f->why)) != SRS_OK)
		fail_msg("%s", f->why);
	atomic_store(&f->stopping, false);
	assert_int_equal(pthread_create(&f->control, NULL, control_run, f), 0);
}

static int
make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/capstan-rest-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->port = free_port();
	f->dp.recorded = 42;
	snprintf(f->devices, sizeof(f->devices), "storage.devices=%s", f->dir);
	snprintf(f->run_dir, sizeof(f->run_dir), "node.run_dir=%s/run", f->dir);
	snprintf(f->port_flag, sizeof(f->port_flag), "http.port=%u", f->port);
	snprintf(f->socket, sizeof(f->socket), "%s/run/api.sock", f->dir);
	configure(f, NULL);
	start(f);
	*state = f;
	return 0;
}

static int
drop_fixture(void **state)
{
	struct fixture *f = *state;
	char run[96];
	DIR *dir;

	stop(f);
	config_free(f->config);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	rmdir(run);
	dir = opendir(f->dir);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	assert_int_equal(rmdir(f->dir), 0); /* nothing is left behind, the socket neither */
	free(f);
	return 0;
}

static int
dial(const struct fixture *f, bool by_socket)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un su = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 8 };
	int fd = socket(by_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	snprintf(su.sun_path, sizeof(su.sun_path), "%s", f->socket);
	assert_int_equal(connect(fd, by_socket ? (struct sockaddr *)&su : (struct sockaddr *)&sa,
	                         by_socket ? sizeof(su) : sizeof(sa)), 0);
	return fd;
}

/* Send, read until the server closes, cut into status and body. Status 0: closed without a word. */
static int
exchange(struct fixture *f, int fd, const char *request)
{
	size_t len = 0;
	ssize_t n;
	char *end;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (len < sizeof(f->reply) - 1 && (n = read(fd, f->reply + len, sizeof(f->reply) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	f->reply[len] = '\0';
	f->status = 0;
	if (sscanf(f->reply, "HTTP/1.1 %d", &f->status) != 1 && sscanf(f->reply, "HTTP/1.0 %d", &f->status) != 1)
		f->status = 0;
	end = strstr(f->reply, "\r\n\r\n");
	f->body = end != NULL ? end + 4 : "";
	return f->status;
}

static int
ask(struct fixture *f, const char *method, const char *path)
{
	char request[2048];

	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", method, path);
	return exchange(f, dial(f, false), request);
}

static void
assert_body_has(const struct fixture *f, const char *part)
{
	if (strstr(f->body, part) == NULL)
		fail_msg("'%s' is not in: %s", part, f->reply);
}

static void
assert_body_is_error(const struct fixture *f)
{
	cJSON *json = cJSON_Parse(f->body);

	if (json == NULL || !cJSON_IsString(cJSON_GetObjectItem(json, "error")) ||
	    !cJSON_IsString(cJSON_GetObjectItem(json, "remedy")))
		fail_msg("no error with a remedy: %s", f->reply);
	cJSON_Delete(json);
}

/* Readiness crosses a ring: ask until it arrived, at most a second. */
static int
ask_until(struct fixture *f, const char *path, int status)
{
	for (int i = 0; i < 50 && ask(f, "GET", path) != status; i++)
		usleep(20000);
	return f->status;
}

static void
readiness_is_what_control_said_last(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "GET", "/health/ready"), 503);
	assert_body_has(f, "starting");
	assert_non_null(strcasestr(f->reply, "retry-after:"));
	rest_ready_set(f->rest, true, NULL);
	assert_int_equal(ask_until(f, "/health/ready", 200), 200);
	assert_int_equal(ask(f, "GET", "/health"), 200);
	assert_body_has(f, "\"status\":\"ok\"");
	rest_ready_set(f->rest, false, "disk full");
	assert_int_equal(ask_until(f, "/health/ready", 503), 503);
	assert_body_has(f, "disk full");
	assert_int_equal(ask(f, "GET", "/health"), 503);
	assert_int_equal(ask(f, "GET", "/health/live"), 200);
}

static void
metrics_list_every_counter_with_help_and_type(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "GET", "/metrics"), 200);
	assert_non_null(strstr(f->reply, "text/plain; version=0.0.4"));
	assert_body_has(f, "# HELP capstan_rx_recorded_total recorded (packets, info)\n# TYPE capstan_rx_recorded_total counter\n"
	                   "capstan_rx_recorded_total 42\n");
	assert_body_has(f, "# TYPE capstan_sessions_now gauge\ncapstan_sessions_now 3\n");
	assert_body_has(f, "node=\"box1\"");
	stop(f);
	configure(f, "http.metrics=false");
	start(f);
	assert_int_equal(ask(f, "GET", "/metrics"), 404);
	assert_body_is_error(f);
}

static void
paths_that_are_polled_elsewhere_answer(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/api/v1/sessions", "/api/sessions/stats", "/api/resources/stats",
		                             "/api/cache/stats", "/api/workers/stats", "/stun-status" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cJSON *json;

		assert_int_equal(ask(f, "GET", paths[i]), 200);
		json = cJSON_Parse(f->body);
		if (!cJSON_IsObject(json))
			fail_msg("%s: %s", paths[i], f->reply);
		cJSON_Delete(json);
	}
}

static void
unix_socket_serves_the_same_and_is_0660(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(exchange(f, dial(f, true), "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 200);
}

static void
everything_but_reading_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (ask(f, methods[i], "/api/v1/recordings") != 405)
			fail_msg("%s: %s", methods[i], f->reply);
		assert_non_null(strcasestr(f->reply, "allow: GET, HEAD"));
		assert_body_is_error(f);
	}
	assert_int_equal(ask(f, "HEAD", "/health/live"), 200);
	assert_string_equal(f->body, "");
	assert_non_null(strcasestr(f->reply, "content-length: "));
}

static void
every_reply_carries_the_security_headers(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/health/live", "/nothing/here" };

	for (size_t i = 0; i < 2; i++) {
		ask(f, "GET", paths[i]);
		assert_non_null(strcasestr(f->reply, "x-content-type-options: nosniff"));
		assert_non_null(strcasestr(f->reply, "content-security-policy: default-src 'none'"));
		assert_non_null(strcasestr(f->reply, "cache-control: no-store"));
		assert_null(strcasestr(f->reply, "libwebsockets"));
	}
	assert_int_equal(f->status, 404);
	assert_body_is_error(f);
}

static void
foreign_host_names_are_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(exchange(f, dial(f, false), "GET /health/live HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n"), 403);
	assert_int_equal(exchange(f, dial(f, true), "GET /health/live HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n"), 200);
	assert_int_equal(exchange(f, dial(f, false), "GET /health/live HTTP/1.1\r\nHost: BOX1:80\r\nConnection: close\r\n\r\n"), 200);
	assert_int_equal(exchange(f, dial(f, false), "GET /health/live HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n"), 200);
}

/* POST over TCP or by the socket. @return status */
static int
post(struct fixture *f, bool by_socket, const char *path, const char *lines, const char *sent)
{
	char request[8192];

	snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
	         path, lines, strlen(sent), sent);
	return exchange(f, dial(f, by_socket), request);
}

#define JSON "Content-Type: application/json\r\n"

static void
commands_are_handed_to_control_with_their_body(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(post(f, false, "/api/v1/sessions/beef/mask", JSON, "{\"by\":\"ann\"}"), 200);
	assert_body_has(f, "{\"heard\":{\"by\":\"ann\"}}");
	assert_int_equal(post(f, true, "/api/v1/sessions/beef/mask", "", ""), 200);
	assert_body_has(f, "{\"heard\":0}");
	assert_int_equal(post(f, false, "/api/v1/sessions/beef/whisper", JSON, "{}"), 409);
	assert_int_equal(post(f, false, "/api/v1/node/drain", JSON, "{}"), 200);
	assert_body_has(f, "{\"node\":\"drain\"}");
	assert_int_equal(post(f, true, "/api/v1/node/explode", "", ""), 409);
	atomic_store(&f->wordless, true);
	assert_int_equal(post(f, false, "/api/v1/sessions/beef/mask", JSON, "{}"), 503);
	atomic_store(&f->wordless, false);
}

/* What a form of a foreign web page can send, what is too long, and what leads nowhere. */
static void
commands_that_a_browser_could_forge_are_refused(void **state)
{
	struct fixture *f = *state;
	char large[REST_BODY_MAX + 2];

	assert_int_equal(post(f, false, "/api/v1/sessions/beef/mask", "", ""), 415);
	assert_int_equal(post(f, false, "/api/v1/sessions/beef/mask", "Content-Type: text/plain\r\n", "{}"), 415);
	assert_int_equal(post(f, false, "/api/v1/recordings", JSON, "{}"), 405);
	memset(large, ' ', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(post(f, false, "/api/v1/sessions/beef/mask", JSON, large), 413);
	assert_int_equal(exchange(f, dial(f, false), "POST /api/v1/sessions/beef/mask HTTP/1.1\r\nHost: localhost\r\n" JSON
	                 "Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\n"), 413);
	assert_int_equal(ask(f, "GET", "/health/live"), 200);
}

static void
bounds_on_path_and_headers_hold(void **state)
{
	struct fixture *f = *state;
	char *large = malloc(20001), path[700];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ask(f, "GET", path), 414);
	assert_int_equal(ask(f, "GET", "/api/v1/recordings?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9"), 400);
	memset(large, 'x', 20000);
	memcpy(large, "GET /", 5);
	large[20000] = '\0';
	assert_int_not_equal(exchange(f, dial(f, false), large), 200);
	free(large);
	assert_int_equal(ask(f, "GET", "/health/live"), 200); /* and it is still there */
}

static void
silence_of_control_is_a_503_after_two_seconds(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;

	atomic_store(&f->wordless, true);
	assert_int_equal(ask(f, "GET", "/api/v1/sessions"), 503);
	assert_body_is_error(f);
	atomic_store(&f->wordless, false);
	atomic_store(&f->silent, true);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(ask(f, "GET", "/api/v1/sessions"), 503);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_body_is_error(f);
	assert_in_range((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000, 1900, 4000);
	atomic_store(&f->silent, false); /* the late answer goes nowhere, the next question is answered */
	assert_int_equal(ask(f, "GET", "/api/v1/sessions"), 200);
	assert_body_has(f, "{\"sessions\":[]}");
}

static void
client_that_leaves_before_the_answer_harms_nobody(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n";

	atomic_store(&f->silent, true);
	for (int i = 0; i < 40; i++) { /* more than questions may wait */
		int fd = dial(f, false);

		assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
		usleep(2000);
		close(fd);
	}
	assert_int_equal(ask(f, "GET", "/api/v1/sessions"), 503);
	atomic_store(&f->silent, false);
	assert_int_equal(ask_until(f, "/api/v1/sessions", 200), 200);
}

static void
connections_are_bounded_and_come_back(void **state)
{
	struct fixture *f = *state;
	int fds[200], n_open = 0;
	char byte;

	for (int i = 0; i < 200; i++)
		fds[i] = dial(f, false);
	usleep(300000);
	for (int i = 0; i < 200; i++) /* one that was refused is closed, one that is served has nothing to read */
		n_open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
	assert_in_range(n_open, 100, 130);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	assert_int_equal(ask_until(f, "/health/live", 200), 200);
}

static void
recordings_are_listed_found_and_paged(void **state)
{
	struct fixture *f = *state;
	struct catalog *c;

	assert_int_equal(ask(f, "GET", "/api/v1/recordings"), 503); /* no catalog yet, and it says so */
	assert_body_has(f, "fsck --rebuild");
	assert_int_equal(catalog_start(&c, f->dir, f->why, sizeof(f->why)), SRS_OK);
	for (uint8_t i = 0; i < 3; i++) {
		struct catalog_recording r = { .id = { 0xc0, i }, .state = "sealed", .call_id = "say \"hi\"", .n_frames = 7,
			                       .started_wall_ns = 1767225600000000000 + i * 1000000000ll,
			                       .participants_json = "[{\"name\":\"Ann\"}]" };

		assert_int_equal(catalog_post_recording(c, &r), SRS_OK);
	}
	catalog_stop(c);
	assert_int_equal(ask(f, "GET", "/api/v1/recordings?limit=2"), 200);
	assert_body_has(f, "\"id\":\"c0020000000000000000000000000000\"");
	assert_body_has(f, "\"participants\":[{\"name\":\"Ann\"}]");
	assert_body_has(f, "\"call_id\":\"say \\\"hi\\\"\"");
	assert_body_has(f, "\"started\":\"2026-01-01T00:00:02.000Z\"");
	assert_body_has(f, "\"next\":\"c0010000000000000000000000000000\"");
	assert_int_equal(ask(f, "GET", "/api/v1/recordings?limit=2&after=c0010000000000000000000000000000"), 200);
	assert_body_has(f, "\"id\":\"c0000000");
	assert_body_has(f, "\"next\":null");
	assert_int_equal(ask(f, "GET", "/api/v1/recordings?from=2026-01-01T00:00:02Z&text=%22HI"), 200);
	assert_body_has(f, "c002");
	assert_null(strstr(f->body, "c001"));
	assert_int_equal(ask(f, "GET", "/api/v1/recordings/c001"), 200);
	assert_body_has(f, "\"n_frames\":7");
	assert_int_equal(ask(f, "GET", "/api/v1/recordings/c0"), 409);
	assert_int_equal(ask(f, "GET", "/api/v1/recordings/ff"), 404);
	assert_body_is_error(f);
}

static void
wrong_filters_are_named(void **state)
{
	struct fixture *f = *state;
	static const char *const queries[] = { "limit=0", "limit=1001", "limit=-1", "state=gone", "from=yesterday", "to=0",
		                               "color=blue" };
	char path[128];

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		snprintf(path, sizeof(path), "/api/v1/recordings?%s", queries[i]);
		if (ask(f, "GET", path) != 400)
			fail_msg("%s: %s", path, f->reply);
		assert_body_is_error(f);
	}
}

static void
taken_port_is_named_with_its_remedy(void **state)
{
	struct fixture *f = *state;
	struct rest_sources from = { .catalog_dir = f->dir };
	struct rest *other;

	assert_int_equal(rest_start(&other, f->config, &from, f->why, sizeof(f->why)), SRS_ERR_IO);
	assert_non_null(strstr(f->why, f->port_flag + 10));
	assert_non_null(strstr(f->why, "http.port"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, make_fixture, drop_fixture)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(readiness_is_what_control_said_last),
		WITH_FIXTURE(metrics_list_every_counter_with_help_and_type),
		WITH_FIXTURE(paths_that_are_polled_elsewhere_answer),
		WITH_FIXTURE(unix_socket_serves_the_same_and_is_0660),
		WITH_FIXTURE(everything_but_reading_is_refused),
		WITH_FIXTURE(every_reply_carries_the_security_headers),
		WITH_FIXTURE(foreign_host_names_are_refused),
		WITH_FIXTURE(bounds_on_path_and_headers_hold),
		WITH_FIXTURE(silence_of_control_is_a_503_after_two_seconds),
		WITH_FIXTURE(client_that_leaves_before_the_answer_harms_nobody),
		WITH_FIXTURE(commands_are_handed_to_control_with_their_body),
		WITH_FIXTURE(commands_that_a_browser_could_forge_are_refused),
		WITH_FIXTURE(connections_are_bounded_and_come_back),
		WITH_FIXTURE(recordings_are_listed_found_and_paged),
		WITH_FIXTURE(wrong_filters_are_named),
		WITH_FIXTURE(taken_port_is_named_with_its_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
