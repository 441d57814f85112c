/* capstand: brings the parts up in order, runs the control loop, takes them down in reverse. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/catalog/catalog.h"
#include "controlplane/sip/dialog.h"
#include "controlplane/dtls/dtls.h"
#include "controlplane/keys.h"
#include "controlplane/session/media.h"
#include "controlplane/options.h"
#include "controlplane/reactor.h"
#include "controlplane/rest/rest.h"
#include "controlplane/session/session.h"
#include "controlplane/stun.h"
#include "crypto/secret.h"
#include "dataplane/dataplane.h"
#include "lib/srs_log.h"

#define POLL_BUSY_US     250	/* commands are outstanding, or DTLS handshakes under way: a call waits for two answers */
#define POLL_IDLE_US     20000
#define POLL_EVENTS_MAX  4096
#define SECOND_MS        1000
#define STOP_MS_MAX      4500	/* after this the rest is left to the next start */
#define BYE_WAIT_MS      2000	/* all is sealed: how long a peer may take to answer BYE */
#define WHY_MAX          1024
#define PATH_LEN_MAX     4096

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct capstand {
	struct config *config;
	struct reactor *reactor;
	struct keystore *keystore;
	struct catalog *catalog;
	struct dataplane *dataplane;
	struct keys *keys;
	struct dtls *dtls;	/* NULL: srtp.dtls is off */
	struct media *media;
	struct nat nat;
	struct stun *stun;	/* NULL: not used */
	struct sessions *sessions;
	struct sip *sip;
	struct rest *rest;
	struct event *on_int, *on_term, *on_hup, *on_rest, *on_dtls;
	struct timer poll, second, drain_limit, stop_limit;
	bool poll_busy;
	bool draining, stopping, ready;
	uint64_t stopped_mono_ns;
	int lock_fd;
	char why[WHY_MAX];
};

extern char **environ;

/* ---- start: small steps ---- */

static enum srs_err
folder_make(const char *setting, const char *path, char *why, size_t why_len)
{
	char part[PATH_LEN_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part)) {
		(void)snprintf(why, why_len, "%s is empty or too long: name a folder", setting);
		return SRS_ERR_INVALID;
	}
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST) {
			(void)snprintf(why, why_len, "cannot make the folder %s: %s; run as root or set %s", part,
			               strerror(errno), setting);
			return SRS_ERR_IO;
		}
		part[i] = path[i];
	}
	return SRS_OK;
}

/* One recorder for one run_dir: two would fight for ports and segments. */
static enum srs_err
lock_take(struct capstand *c)
{
	char path[PATH_LEN_MAX];
	enum srs_err err = folder_make("node.run_dir", c->config->node.run_dir, c->why, sizeof(c->why));

	if (err)
		return err;
	(void)snprintf(path, sizeof(path), "%s/capstand.lock", c->config->node.run_dir);
	c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (c->lock_fd < 0) {
		(void)snprintf(c->why, sizeof(c->why), "cannot open %.400s: %s; run as root or set node.run_dir", path,
		               strerror(errno));
		return SRS_ERR_IO;
	}
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		(void)snprintf(c->why, sizeof(c->why),
		               "another capstand runs with %.400s: stop it, or give this one its own node.run_dir, ports "
		               "and vault", path);
		return SRS_ERR_STATE;
	}
	return SRS_OK;
}

static void
log_level_apply(const char *name)
{
	static const char *const names[] = {
		[SRS_LOG_ERROR] = "error", [SRS_LOG_WARN] = "warn", [SRS_LOG_INFO] = "info", [SRS_LOG_DEBUG] = "debug",
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			srs_log_level_set((enum srs_log_level)i);
	}
}

/* ---- the loop ---- */

static void
poll_arm(struct capstand *c, bool busy)
{
	c->poll_busy = busy;
	if (timer_arm_us(c->reactor, &c->poll, busy ? POLL_BUSY_US : POLL_IDLE_US))
		log_error("main", "timer_failed", "the data plane is no longer polled");
}

/* Is the data plane about to say something that somebody waits for? */
static bool
is_busy(const struct capstand *c)
{
	return dataplane_outstanding(c->dataplane) != 0 || (c->dtls != NULL && dtls_waiting(c->dtls) != 0);
}

static void
on_posted(void *ctx)
{
	struct capstand *c = ctx;

	if (!c->poll_busy && is_busy(c))
		poll_arm(c, true);
}

/* All is sealed, and peers have had their chance to answer our BYE. */
static bool
stop_is_done(const struct capstand *c)
{
	uint64_t waited_ns = reactor_mono_ns() - c->stopped_mono_ns;

	return sessions_n(c->sessions) == 0 &&
	       (sip_n_dialogs(c->sip) == 0 || waited_ns > BYE_WAIT_MS * UINT64_C(1000000));
}

static void stop_begin(struct capstand *c);

static void
on_poll(void *ctx)
{
	struct capstand *c = ctx;

	(void)dataplane_poll(c->dataplane, sessions_on_event, c->sessions, POLL_EVENTS_MAX);
	if (c->draining && !c->stopping && sessions_n(c->sessions) == 0)
		stop_begin(c);
	if (c->stopping && stop_is_done(c)) {
		reactor_stop(c->reactor);
		return;
	}
	poll_arm(c, is_busy(c));
}

static void
ready_publish(struct capstand *c)
{
	struct sip_refusal why = { 0 };
	bool ready = sessions_ready(c->sessions, &why);

	if (ready != c->ready)
		log_info("main", ready ? "ready" : "not_ready", "reason=\"%s\"", ready ? "" : why.warning);
	c->ready = ready;
	if (c->rest != NULL)
		rest_ready_set(c->rest, ready, ready ? "" : why.warning);
}

static void
on_second(void *ctx)
{
	struct capstand *c = ctx;

	dataplane_clock_publish(c->dataplane);
	sessions_tick(c->sessions);
	ready_publish(c);
	if (timer_arm(c->reactor, &c->second, SECOND_MS))
		log_error("main", "timer_failed", "the clock is no longer published");
}

static void
on_stop_limit(void *ctx)
{
	struct capstand *c = ctx;

	if (sessions_n(c->sessions) != 0)
		log_error("main", "stop_incomplete", "sessions=%u: the next start seals them", sessions_n(c->sessions));
	reactor_stop(c->reactor);
}

/* End all that is left with BYE, and seal it. */
static void
stop_begin(struct capstand *c)
{
	c->stopping = true;
	c->stopped_mono_ns = reactor_mono_ns();
	timer_disarm(&c->drain_limit);
	(void)printf("\nStopping: %u sessions are ended with BYE and sealed. Another signal stops at once.\n",
	             sessions_n(c->sessions));
	sessions_stop(c->sessions);
	sip_end_all(c->sip, 503, "shutdown");	/* dialogs that have no session, and the door */
	ready_publish(c);
	if (timer_arm(c->reactor, &c->stop_limit, STOP_MS_MAX))
		reactor_stop(c->reactor);
	poll_arm(c, true);
}

static void
on_drain_limit(void *ctx)
{
	struct capstand *c = ctx;

	log_warn("main", "drain_ended", "sessions=%u node.drain_s=%" PRIu32 ": they are ended and sealed",
	         sessions_n(c->sessions), c->config->node.drain_s);
	stop_begin(c);
}

/* Take no more calls, let those in progress finish. */
static void
drain_begin(struct capstand *c)
{
	uint32_t limit_s = c->config->node.drain_s;

	c->draining = true;
	sessions_drain(c->sessions);
	(void)printf("\nDraining: %u sessions may go on for %" PRIu32 " s, new ones get 503. Another signal ends and seals them now.\n",
	             sessions_n(c->sessions), limit_s);
	log_info("main", "draining", "sessions=%u node.drain_s=%" PRIu32, sessions_n(c->sessions), limit_s);
	ready_publish(c);
	if (timer_arm(c->reactor, &c->drain_limit, limit_s * UINT64_C(1000)))
		stop_begin(c);
}

/* SIGTERM comes from a service manager, which has patience, and drains; SIGINT from somebody who sits before it, and
 * seals at once. Whatever comes next is a step more: seal, then leave it to the next start. */
static void
on_signal(evutil_socket_t number, short what, void *ctx)
{
	struct capstand *c = ctx;

	if (c->stopping) {
		log_warn("main", "stopped_at_once", "sessions=%u: the next start seals them", sessions_n(c->sessions));
		reactor_stop(c->reactor);
	} else if (number == SIGTERM && !c->draining && c->config->node.drain_s != 0 && sessions_n(c->sessions) != 0) {
		drain_begin(c);
	} else {
		stop_begin(c);
	}
}

/* A closed terminal, or an operator who renewed a certificate: neither is a reason to lose calls. */
static void
on_hangup(evutil_socket_t number, short what, void *ctx)
{
	struct capstand *c = ctx;

	if (!c->config->tls.on) {
		log_warn("main", "hangup_ignored",
		         "remedy=\"settings are read at start: stop with SIGTERM and start again\"");
		return;
	}
	log_info("main", "hangup", "certificates are read again; settings only at the next start");
	sip_reload(c->sip);
}

/* What the api thread asks that is not about sessions is answered here. */
static void
rest_answer(void *ctx, const struct rest_question *q, struct rest_answer *a)
{
	struct capstand *c = ctx;

	if (q->what == REST_ASK_SRCS)
		a->json = observatory_srcs_json(sip_observatory(c->sip), q->body, reactor_wall_ns(), &a->status);
	else if (q->what == REST_ASK_REFUSALS)
		a->json = observatory_refusals_json(sip_observatory(c->sip), q->body, &a->status);
	else if (q->what == REST_ASK_STUN)
		a->json = stun_json(c->stun, c->nat.configured.ip_version != 0 ? "media.external_ip is set" : "stun.server is not set");
	else
		sessions_answer(c->sessions, q, a);
}

static void
on_rest_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct capstand *c = ctx;

	rest_control_serve(c->rest, rest_answer, c);
}

static void
on_dtls_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct capstand *c = ctx;

	(void)dtls_poll(c->dtls, sessions_on_dtls, c->sessions);
}

static void
counters_walk(void *ctx, void (*on_counter)(void *ctx2, const struct dataplane_counter *counter), void *ctx2)
{
	struct capstand *c = ctx;

#define SIP_COUNTER_WALK(symbol, cname, cunit, cseverity, csentence) \
	on_counter(ctx2, &(struct dataplane_counter){ .name = #cname, .unit = cunit, .severity = cseverity, \
		.sentence = csentence, .value = sip_counter_read(c->sip, symbol) });
	SIP_COUNTER_LIST(SIP_COUNTER_WALK)
#undef SIP_COUNTER_WALK
	sessions_counters(c->sessions, on_counter, ctx2);
	if (c->dtls != NULL)
		dtls_counters(c->dtls, on_counter, ctx2);
	on_counter(ctx2, &(struct dataplane_counter){ .name = "catalog_queue_len_now", .unit = "rows",
		.severity = COUNTER_INFO, .sentence = "catalog rows that wait to be written",
		.value = catalog_queue_len(c->catalog) });
}

static enum srs_err
loop_arm(struct capstand *c)
{
	struct event_base *base = reactor_base(c->reactor);

	c->on_int = evsignal_new(base, SIGINT, on_signal, c);
	c->on_term = evsignal_new(base, SIGTERM, on_signal, c);
	c->on_hup = evsignal_new(base, SIGHUP, on_hangup, c);
	if (c->on_int == NULL || c->on_term == NULL || c->on_hup == NULL || event_add(c->on_int, NULL) != 0 ||
	    event_add(c->on_term, NULL) != 0 || event_add(c->on_hup, NULL) != 0)
		return SRS_ERR_NOMEM;
	if (c->rest != NULL) {
		c->on_rest = event_new(base, rest_control_fd(c->rest), EV_READ | EV_PERSIST, on_rest_readable, c);
		if (c->on_rest == NULL || event_add(c->on_rest, NULL) != 0)
			return SRS_ERR_NOMEM;
	}
	if (c->dtls != NULL) {
		c->on_dtls = event_new(base, dtls_fd(c->dtls), EV_READ | EV_PERSIST, on_dtls_readable, c);
		if (c->on_dtls == NULL || event_add(c->on_dtls, NULL) != 0)
			return SRS_ERR_NOMEM;
	}
	poll_arm(c, true);
	return timer_arm(c->reactor, &c->second, SECOND_MS);
}

/* ---- start, in order ---- */

static enum srs_err
keystore_start(struct capstand *c)
{
	const struct keystore_spec spec = {
		.store = c->config->keys.store,
		.path = c->config->keys.path,
		.rotation_interval_s = c->config->keys.rotation_interval_s,
		.create = true,
	};

	return keystore_open(&c->keystore, &spec, c->why, sizeof(c->why));
}

static enum srs_err
dtls_make(struct capstand *c)
{
	const struct config *f = c->config;
	enum srtp_suite suites[SRTP_SUITES];
	struct dtls_settings settings = {
		.suites = suites,
		.handshakes_max = f->srtp.dtls_handshakes_max,
		.associations_max = f->limits.streams_max,
	};

	if (!f->srtp.enabled || !f->srtp.dtls)
		return SRS_OK;
	while (settings.n_suites < f->srtp.n_suites && settings.n_suites < SRTP_SUITES) {
		suites[settings.n_suites] = srtp_suite_by_name(span_of_text(f->srtp.suites[settings.n_suites]));
		settings.n_suites++;
	}
	return dtls_create(&c->dtls, &settings, c->why, sizeof(c->why));
}

static enum srs_err
sessions_start(struct capstand *c)
{
	struct session_floor floor = {
		.config = c->config,
		.reactor = c->reactor,
		.dataplane = c->dataplane,
		.media = NULL,
		.keys = c->keys,
		.dtls = c->dtls,
		.catalog = c->catalog,
		.on_posted = on_posted,
		.posted_ctx = c,
	};
	enum srs_err err = media_create(&c->media, c->config, c->dataplane);

	if (err) {
		(void)snprintf(c->why, sizeof(c->why), "the media ports cannot be laid out (%s): check media.rtp_port_min "
		               "and rtp_port_max", srs_err_name(err));
		return err;
	}
	floor.media = c->media;
	err = sessions_create(&c->sessions, &floor);
	if (err)
		(void)snprintf(c->why, sizeof(c->why), "no memory for limits.sessions_max=%" PRIu32 " sessions: lower it",
		               c->config->limits.sessions_max);
	return err;
}

static void
on_external_found(void *ctx, const struct nat_address *a)
{
	struct capstand *c = ctx;

	(void)nat_learn(&c->nat, a);
}

/* How others know us: by configuration, else by STUN. */
static enum srs_err
nat_begin(struct capstand *c)
{
	nat_init(&c->nat, c->config);
	media_nat_set(c->media, &c->nat);
	sip_nat_set(c->sip, &c->nat);
	if (c->nat.configured.ip_version != 0 || c->config->stun.server[0] == '\0')
		return SRS_OK;
	return stun_create(&c->stun, c->reactor, c->config, on_external_found, c, c->why, sizeof(c->why));
}

static enum srs_err
rest_begin(struct capstand *c)
{
	const struct rest_sources from = {
		.dataplane = c->dataplane,
		.counters = counters_walk,
		.ctx = c,
		.catalog_dir = c->config->storage.devices[0],
	};

	if (!c->config->http.enabled)
		return SRS_OK;
	return rest_start(&c->rest, c->config, &from, c->why, sizeof(c->why));
}

static enum srs_err
capstand_start(struct capstand *c)
{
	const char *vault = c->config->storage.devices[0];
	enum srs_err err = lock_take(c);

	if (err == SRS_OK)	/* before threads of others use OpenSSL: it makes the heap of private keys */
		err = dtls_make(c);
	if (err == SRS_OK)
		err = keystore_start(c);
	if (err == SRS_OK)
		err = folder_make("storage.devices", vault, c->why, sizeof(c->why));
	if (err == SRS_OK)
		err = catalog_start(&c->catalog, vault, c->why, sizeof(c->why));
	if (err == SRS_OK)
		err = dataplane_start(&c->dataplane, c->config, c->keystore, c->why, sizeof(c->why));
	if (err == SRS_OK)
		err = keys_start(&c->keys, c->keystore, c->config, c->why, sizeof(c->why));
	if (err == SRS_OK && c->dtls != NULL)	/* beside the lcores' CPUs, like all that starts behind the data plane */
		err = dtls_start(c->dtls, c->why, sizeof(c->why));
	if (err == SRS_OK) {
		err = reactor_create(&c->reactor);
		if (err)
			(void)snprintf(c->why, sizeof(c->why), "the event loop cannot be made: %s", srs_err_name(err));
	}
	if (err == SRS_OK)
		err = sessions_start(c);
	if (err == SRS_OK)
		err = sip_create(&c->sip, c->reactor, c->config, sessions_handlers(), c->sessions, c->why,
		                 sizeof(c->why));
	if (err == SRS_OK)
		err = nat_begin(c);
	if (err == SRS_OK)
		err = rest_begin(c);
	if (err == SRS_OK) {
		err = loop_arm(c);
		if (err)
			(void)snprintf(c->why, sizeof(c->why), "the event loop cannot be armed: no memory");
	}
	return err;
}

/* In reverse; accepts a half-made one. */
static void
capstand_end(struct capstand *c)
{
	if (c->on_rest != NULL)
		event_free(c->on_rest);
	if (c->on_dtls != NULL)
		event_free(c->on_dtls);
	rest_stop(c->rest);
	if (c->dataplane != NULL)
		dataplane_quiesce(c->dataplane);
	if (c->sessions != NULL) /* the last segments' rows */
		while (dataplane_poll(c->dataplane, sessions_on_event, c->sessions, POLL_EVENTS_MAX) > 0)
			continue;
	dataplane_stop(c->dataplane);
	sessions_destroy(c->sessions);
	dtls_stop(c->dtls);
	stun_destroy(c->stun);
	sip_destroy(c->sip);
	media_destroy(c->media);
	keys_stop(c->keys);
	catalog_stop(c->catalog);
	keystore_close(c->keystore);
	if (c->on_int != NULL)
		event_free(c->on_int);
	if (c->on_term != NULL)
		event_free(c->on_term);
	if (c->on_hup != NULL)
		event_free(c->on_hup);
	timer_release(&c->poll);
	timer_release(&c->second);
	timer_release(&c->drain_limit);
	timer_release(&c->stop_limit);
	reactor_destroy(c->reactor);
	if (c->lock_fd >= 0)
		(void)close(c->lock_fd);	/* the file stays: its lock is what counts */
	config_free(c->config);
}

/* ---- the start-up screen ---- */

static const char *
transport_word(enum config_transport t)
{
	return t == CONFIG_UDP ? "udp" : t == CONFIG_TCP ? "tcp" : "tls";
}

static void
address_print(const char *ip, unsigned int port)
{
	(void)printf(strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip, port);
}

static void
test_call_print(const struct config *c)
{
	const struct config_listen *l = &c->sip.listen[0];
	bool ipv6 = strchr(l->address, ':') != NULL;
	bool any = strcmp(l->address, "0.0.0.0") == 0 || strcmp(l->address, "::") == 0;
	const char *kernel = ipv6 ? c->media.kernel_address6 : c->media.kernel_address4;
	const char *slash = kernel != NULL ? strchr(kernel, '/') : NULL;

	(void)printf("  Test call   capstan-src");
	if (c->media.profile == CONFIG_PROFILE_TAP && slash != NULL)
		(void)printf(" --local %.*s", (int)(slash - kernel), kernel);
	(void)printf("%s ", l->transport == CONFIG_TCP ? " --transport tcp" : l->transport == CONFIG_TLS ?
	                    " --transport tls" : "");
	address_print(!any ? l->address : ipv6 ? "::1" : "127.0.0.1", l->port);
	(void)printf("\n");
}

static void
screen_print(const struct capstand *c)
{
	const struct config *f = c->config;

	(void)printf("Capstan %s, recorder %s\n", SRS_VERSION, f->node.name);
	(void)printf("  SIP         ");
	for (unsigned int i = 0; i < f->sip.n_listen; i++) {
		(void)printf("%s%s ", i != 0 ? ", " : "", transport_word(f->sip.listen[i].transport));
		address_print(f->sip.listen[i].address, f->sip.listen[i].port);
	}
	(void)printf("\n  Media       ");
	for (unsigned int i = 0; i < f->media.n_addresses; i++)
		(void)printf("%s%s", i != 0 ? ", " : "", f->media.addresses[i]);
	(void)printf(", UDP ports %u to %u%s\n", f->media.rtp_port_min, f->media.rtp_port_max,
	             f->media.profile == CONFIG_PROFILE_TAP ? " (reachable from this host only)" : "");
	(void)printf("  Data plane  %s\n", dataplane_describe(c->dataplane));
	if (c->rest != NULL) {
		(void)printf("  REST        http://");
		address_print(f->http.address, f->http.port);
		(void)printf("/health%s%s\n", f->http.socket[0] != '\0' ? ", unix " : "", f->http.socket);
	}
	(void)printf("  Recordings  ");
	for (unsigned int i = 0; i < f->storage.n_devices; i++)
		(void)printf("%s%s", i != 0 ? ", " : "", f->storage.devices[i]);
	(void)printf("; list them: capstan recordings ls\n");
	(void)printf("  Keys        %s %s\n", f->keys.store, f->keys.path);
	test_call_print(f);
	(void)printf("  Stop        Ctrl-C (calls end with BYE, recordings are sealed)");
	if (f->node.drain_s != 0)
		(void)printf("; SIGTERM lets calls finish for %" PRIu32 " s", f->node.drain_s);
	(void)printf("\n");
	(void)fflush(stdout);
}

/* ---- main ---- */

static void
note_print(void *ctx, const char *sentence)
{
	(void)printf("note: %s\n", sentence);
}

static int
complain(const char *why, enum exit_status status)
{
	(void)fprintf(stderr, "capstand: %s\n", why);
	return status;
}

static int
capstand_run(struct capstand *c)
{
	bool all_sealed;

	timer_init(&c->poll, on_poll, c);
	timer_init(&c->second, on_second, c);
	timer_init(&c->drain_limit, on_drain_limit, c);
	timer_init(&c->stop_limit, on_stop_limit, c);
	if (capstand_start(c) != SRS_OK) {
		int status = complain(c->why, EXIT_FAILED);

		capstand_end(c);
		return status;
	}
	screen_print(c);
	ready_publish(c);
	reactor_run(c->reactor);
	all_sealed = sessions_n(c->sessions) == 0;
	capstand_end(c);
	(void)printf(all_sealed ? "Stopped; everything is sealed.\n"
	                        : "Stopped; the next start seals what was left open.\n");
	return all_sealed ? EXIT_DONE : EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	struct capstand c = { .lock_fd = -1 };
	struct options o;
	struct config_arithmetic sum;
	struct config_sources from;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (options_read(&o, argc, argv, c.why, sizeof(c.why)))
		return complain(c.why, EXIT_USAGE);
	if (o.task == OPTIONS_HELP || o.task == OPTIONS_VERSION) {
		(void)fputs(o.task == OPTIONS_HELP ? options_help() : "capstand " SRS_VERSION "\n", stdout);
		return EXIT_DONE;
	}
	from = (struct config_sources){ .yaml_path = o.yaml_path, .env_path = o.env_path, .environ = environ,
	                                .flags = o.settings };
	if (config_load(&c.config, &from, c.why, sizeof(c.why)))
		return complain(c.why, EXIT_USAGE);
	config_arithmetic(c.config, &sum);
	if (!sum.fits || o.task == OPTIONS_CHECK) {
		if (sum.fits)
			(void)printf("%s\n", sum.sentence);
		else
			(void)complain(sum.sentence, EXIT_USAGE);
		config_free(c.config);
		return sum.fits ? EXIT_DONE : EXIT_USAGE;
	}
	log_level_apply(c.config->node.log_level);
	config_notes(c.config, &from, note_print, NULL);
	secret_heap_make();	/* first of all that uses OpenSSL */
	(void)signal(SIGPIPE, SIG_IGN);
	return capstand_run(&c);
}
