#include "controlplane/dtls/dtls.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/reactor.h"
#include "crypto/secret.h"
#include "lib/spsc.h"
#include "lib/srs_assert.h"
#include "lib/srs_log.h"

#define DATAGRAMS_MAX 1024	/* on their way to the thread: each awaited handshake has at most a flight of four */
#define REPORTS_MAX   512	/* on their way to control */
#define HELD_MAX      16	/* datagrams of one turn: a flight has fewer */
#define WAIT_NS       1000000	/* between two looks for a report that control gives back */
#define NS_PER_MS     UINT64_C(1000000)

enum command_kind { COMMAND_OPEN, COMMAND_DATAGRAM, COMMAND_CLOSE };

struct command {
	enum command_kind kind;
	uint32_t seat_i;
};

struct datagram {
	struct command command;
	struct media_address from;
	uint16_t len;
	uint8_t bytes[STREAM_DATAGRAM_MAX];
};

/* A copied event. In secret memory, since it may hold keys. */
struct report {
	uint32_t seat_i;
	bool closed;	/* the last one of its seat, instead of an event */
	struct dtls_event event;
	struct stream_keys keys;
	char detail[DTLS_FINGERPRINT_TEXT_MAX];
	uint8_t bytes[DTLS_DATAGRAM_MAX];
};

enum seat_state { SEAT_FREE, SEAT_WAITING, SEAT_SETTLED, SEAT_CLOSING };

/* A place for an association. Control fills `spec` and `cookie` before it sends `open`; from then on the thread reads
 * them, until it sends `closed`. */
struct seat {
	enum seat_state state;		/* control */
	struct command open, close;
	struct dtls_spec spec;
	uint64_t cookie;
	struct dtls *dtls;
	/* the thread's */
	struct dtls_association *association;
	struct seat *next, **back;	/* list of those whose time is watched; back NULL: not in it */
};

struct dtls {
	struct dtls_identity *identity;
	struct dtls_floor *floor;
	struct seat *seats;
	uint32_t n_seats;
	struct datagram *datagrams;
	struct report *reports;		/* secret memory */
	struct spsc *commands;		/* control -> thread */
	struct spsc *datagrams_used;	/* thread -> control */
	struct spsc *events;		/* thread -> control */
	struct spsc *reports_free;	/* control -> thread */
	/* control */
	uint32_t *free_seats;
	uint32_t n_free;
	uint32_t n_waiting, handshakes_max;
	struct datagram **free_datagrams;
	uint32_t n_free_datagrams;
	/* the thread's */
	struct seat *timed;
	struct report *held[HELD_MAX];	/* datagrams of this turn */
	unsigned int n_held;
	bool reported;			/* since control was woken last */
	int wake_fd;			/* control writes: commands, stop */
	int event_fd;			/* the thread writes: events */
	_Atomic bool stop;		/* release by dtls_stop(), acquire in the thread */
	pthread_t thread;
	bool running;
};

static void
fd_signal(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)	/* EAGAIN: it is signalled already */
		log_error("dtls", "wake_failed", "errno=%d", errno);
}

static void
fd_drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_error("dtls", "wake_failed", "errno=%d", errno);
}

/* ---- the thread: reports ---- */

static bool
is_stopping(struct dtls *d)
{
	return atomic_load_explicit(&d->stop, memory_order_acquire);	/* pairs with dtls_stop() */
}

/* NULL: the process stops. Control gives reports back each time it polls, so this wait is short. */
static struct report *
report_await(struct dtls *d)
{
	const struct timespec pause = { .tv_nsec = WAIT_NS };
	struct report *r = spsc_pop(d->reports_free);

	while (r == NULL && !is_stopping(d)) {
		fd_signal(d->event_fd);
		(void)nanosleep(&pause, NULL);
		r = spsc_pop(d->reports_free);
	}
	return r;
}

static void
report_push(struct dtls *d, struct report *r)
{
	bool pushed = spsc_push(d->events, r);

	srs_assert(pushed);	/* the ring is as large as the pool */
	d->reported = true;
}

static void
held_push(struct dtls *d)
{
	for (unsigned int i = 0; i < d->n_held; i++)
		report_push(d, d->held[i]);
	d->n_held = 0;
}

/* Datagrams wait for the end of the turn, so that keys go before the Finished that lets the peer use them: the first
 * packet of media may be on its way as soon as that arrives. */
static void
report_hold(struct dtls *d, struct report *r)
{
	if (d->n_held == HELD_MAX)
		held_push(d);
	d->held[d->n_held++] = r;
}

static void
text_keep(struct report *r, const char *text)
{
	(void)snprintf(r->detail, sizeof(r->detail), "%s", text);
}

/* dtls_on_event of every association: copy what it points to. @thread dtls */
static void
on_association_event(void *ctx, const struct dtls_event *e)
{
	struct seat *seat = ctx;
	struct dtls *d = seat->dtls;
	struct report *r;

	if (e->kind != DTLS_EVENT_SEND)
		r = report_await(d);
	else
		r = e->u.datagram.len <= DTLS_DATAGRAM_MAX ? spsc_pop(d->reports_free) : NULL;
	if (r == NULL) {
		if (e->kind == DTLS_EVENT_SEND)
			dtls_floor_count(d->floor, DTLS_UNSENT);
		return;
	}
	r->seat_i = (uint32_t)(seat - d->seats);
	r->event = *e;
	r->event.cookie = seat->cookie;
	switch (e->kind) {
	case DTLS_EVENT_SEND:
		memcpy(r->bytes, e->u.datagram.bytes, e->u.datagram.len);
		r->event.u.datagram = span_of(r->bytes, e->u.datagram.len);
		break;
	case DTLS_EVENT_KEYS:
		r->keys = *e->u.keys;
		r->event.u.keys = &r->keys;
		break;
	case DTLS_EVENT_FAILED:
		text_keep(r, e->u.failed.detail);
		r->event.u.failed.detail = r->detail;
		break;
	case DTLS_EVENT_ENDED:
		text_keep(r, e->u.ended);
		r->event.u.ended = r->detail;
		break;
	}
	if (e->kind == DTLS_EVENT_SEND)
		report_hold(d, r);
	else
		report_push(d, r);
}

/* ---- the thread: commands and time ---- */

/* Keep the seat in the list of those with a timer, or out of it. */
static void
seat_time(struct dtls *d, struct seat *seat, uint64_t now)
{
	bool timed = seat->association != NULL && dtls_association_due(seat->association, now) != UINT64_MAX;

	if (timed && seat->back == NULL) {
		seat->next = d->timed;
		seat->back = &d->timed;
		if (d->timed != NULL)
			d->timed->back = &seat->next;
		d->timed = seat;
	} else if (!timed && seat->back != NULL) {
		*seat->back = seat->next;
		if (seat->next != NULL)
			seat->next->back = seat->back;
		seat->back = NULL;
		seat->next = NULL;
	}
}

static void
seat_open(struct dtls *d, struct seat *seat, uint64_t now)
{
	const struct dtls_event failed = {
		.kind = DTLS_EVENT_FAILED,
		.u.failed = { .reason = DTLS_FAILED_MEMORY, .detail = "no memory", .final = true },
	};

	if (dtls_association_create(&seat->association, d->floor, &seat->spec, on_association_event, seat, now))
		on_association_event(seat, &failed);
}

/* The report gives the seat back to control: nothing of it is touched afterwards. */
static void
seat_close(struct dtls *d, struct seat *seat)
{
	struct report *r;

	dtls_association_destroy(seat->association);
	seat->association = NULL;
	seat_time(d, seat, 0);
	r = report_await(d);
	if (r == NULL)
		return;
	r->seat_i = (uint32_t)(seat - d->seats);
	r->closed = true;
	report_push(d, r);
}

static void
datagram_take(struct dtls *d, struct seat *seat, struct datagram *g, uint64_t now)
{
	bool pushed;

	if (seat->association != NULL)
		dtls_association_take(seat->association, &g->from, span_of(g->bytes, g->len), now);
	pushed = spsc_push(d->datagrams_used, g);
	srs_assert(pushed);
}

static void
command_run(struct dtls *d, struct command *c)
{
	struct seat *seat = &d->seats[c->seat_i];
	uint64_t now = reactor_mono_ns();

	switch (c->kind) {
	case COMMAND_OPEN:
		seat_open(d, seat, now);
		seat_time(d, seat, now);
		break;
	case COMMAND_DATAGRAM:
		datagram_take(d, seat, (struct datagram *)c, now);
		seat_time(d, seat, now);
		break;
	case COMMAND_CLOSE:
		seat_close(d, seat);
		break;
	}
	held_push(d);
}

/* Run what is due. @return milliseconds until the next is; -1: none */
static int
time_run(struct dtls *d)
{
	uint64_t now = reactor_mono_ns(), due = UINT64_MAX;
	struct seat *next;

	for (struct seat *seat = d->timed; seat != NULL; seat = next) {
		uint64_t at = dtls_association_due(seat->association, now);

		next = seat->next;
		if (at <= now) {
			dtls_association_on_time(seat->association, now);
			held_push(d);
			seat_time(d, seat, now);
			at = dtls_association_due(seat->association, now);
		}
		due = at < due ? at : due;
	}
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 1 : (int)((due - now) / NS_PER_MS) + 1;
}

static void *
dtls_run(void *arg)
{
	struct dtls *d = arg;
	int wait_ms = -1;

	for (;;) {
		struct pollfd p = { .fd = d->wake_fd, .events = POLLIN };
		struct command *c;

		if (poll(&p, 1, wait_ms) > 0)
			fd_drain(d->wake_fd);
		if (is_stopping(d))
			return NULL;
		while ((c = spsc_pop(d->commands)) != NULL)
			command_run(d, c);
		wait_ms = time_run(d);
		if (d->reported)
			fd_signal(d->event_fd);
		d->reported = false;
	}
}

/* ---- life ---- */

static enum srs_err
rings_make(struct dtls *d)
{
	enum srs_err err = spsc_create(&d->commands, DATAGRAMS_MAX + 2 * d->n_seats);

	if (err == SRS_OK)
		err = spsc_create(&d->datagrams_used, DATAGRAMS_MAX);
	if (err == SRS_OK)
		err = spsc_create(&d->events, REPORTS_MAX);
	if (err == SRS_OK)
		err = spsc_create(&d->reports_free, REPORTS_MAX);
	return err;
}

static enum srs_err
pools_make(struct dtls *d)
{
	d->seats = calloc(d->n_seats, sizeof(*d->seats));
	d->free_seats = calloc(d->n_seats, sizeof(*d->free_seats));
	d->datagrams = calloc(DATAGRAMS_MAX, sizeof(*d->datagrams));
	d->free_datagrams = calloc(DATAGRAMS_MAX, sizeof(struct datagram *));
	d->reports = secret_alloc(REPORTS_MAX * sizeof(*d->reports));
	if (d->seats == NULL || d->free_seats == NULL || d->datagrams == NULL || d->free_datagrams == NULL ||
	    d->reports == NULL)
		return SRS_ERR_NOMEM;
	for (uint32_t i = 0; i < d->n_seats; i++)
		d->free_seats[i] = d->n_seats - 1 - i;
	d->n_free = d->n_seats;
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++)
		d->free_datagrams[i] = &d->datagrams[i];
	d->n_free_datagrams = DATAGRAMS_MAX;
	for (uint32_t i = 0; i < REPORTS_MAX; i++) {
		bool pushed = spsc_push(d->reports_free, &d->reports[i]);

		srs_assert(pushed);
	}
	return SRS_OK;
}

static enum srs_err
fds_make(struct dtls *d)
{
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->wake_fd < 0 || d->event_fd < 0 ? SRS_ERR_IO : SRS_OK;
}

enum srs_err
dtls_create(struct dtls **out, const struct dtls_settings *settings, char *why, size_t why_len)
{
	struct dtls *d = calloc(1, sizeof(*d));
	enum srs_err err = SRS_ERR_NOMEM;

	*out = NULL;
	if (d == NULL)
		goto failed;
	d->wake_fd = d->event_fd = -1;
	d->n_seats = settings->associations_max;
	d->handshakes_max = settings->handshakes_max;
	err = dtls_identity_create(&d->identity, settings->suites, settings->n_suites, why, why_len);
	if (err) {
		dtls_stop(d);
		return err;
	}
	err = dtls_floor_create(&d->floor, d->identity, settings->handshakes_max, DTLS_LIVE_MAX);
	if (err == SRS_OK)
		err = rings_make(d);
	if (err == SRS_OK)
		err = pools_make(d);
	if (err == SRS_OK)
		err = fds_make(d);
	if (err)
		goto failed;
	*out = d;
	return SRS_OK;
failed:
	(void)snprintf(why, why_len, "DTLS cannot be set up (%s): lower limits.streams_max or set srtp.dtls=false",
	               srs_err_name(err));
	dtls_stop(d);
	return err;
}

enum srs_err
dtls_start(struct dtls *d, char *why, size_t why_len)
{
	if (pthread_create(&d->thread, NULL, dtls_run, d) != 0) {
		(void)snprintf(why, why_len, "the DTLS thread cannot start: raise the limit of threads or set srtp.dtls=false");
		return SRS_ERR_IO;
	}
	d->running = true;
	(void)pthread_setname_np(d->thread, "dtls");
	return SRS_OK;
}

void
dtls_stop(struct dtls *d)
{
	if (d == NULL)
		return;
	if (d->running) {
		atomic_store_explicit(&d->stop, true, memory_order_release);	/* pairs with is_stopping() */
		fd_signal(d->wake_fd);
		(void)pthread_join(d->thread, NULL);
	}
	for (uint32_t i = 0; d->seats != NULL && i < d->n_seats; i++)
		dtls_association_destroy(d->seats[i].association);
	dtls_floor_destroy(d->floor);
	dtls_identity_destroy(d->identity);
	spsc_destroy(d->commands);
	spsc_destroy(d->datagrams_used);
	spsc_destroy(d->events);
	spsc_destroy(d->reports_free);
	secret_free(d->reports, REPORTS_MAX * sizeof(*d->reports));
	free(d->datagrams);
	free(d->free_datagrams);
	free(d->free_seats);
	free(d->seats);
	if (d->wake_fd >= 0)
		(void)close(d->wake_fd);
	if (d->event_fd >= 0)
		(void)close(d->event_fd);
	free(d);
}

/* ---- control ---- */

const char *
dtls_fingerprint(const struct dtls *d)
{
	return dtls_identity_fingerprint(d->identity);
}

uint32_t
dtls_room(const struct dtls *d)
{
	uint32_t room = d->handshakes_max > d->n_waiting ? d->handshakes_max - d->n_waiting : 0;

	return room < d->n_free ? room : d->n_free;
}

uint32_t
dtls_waiting(const struct dtls *d)
{
	return d->n_waiting;
}

void
dtls_count_refused(struct dtls *d)
{
	dtls_floor_count(d->floor, DTLS_REFUSED);
}

static void
command_send(struct dtls *d, struct command *c)
{
	bool pushed = spsc_push(d->commands, c);

	srs_assert(pushed);	/* the ring holds every datagram, and both commands of every seat */
	fd_signal(d->wake_fd);
}

static void
seat_settle(struct dtls *d, struct seat *seat)
{
	if (seat->state != SEAT_WAITING)
		return;
	seat->state = SEAT_SETTLED;
	d->n_waiting--;
}

enum srs_err
dtls_open(struct dtls *d, const struct dtls_spec *spec, uint64_t cookie, uint32_t *association)
{
	struct seat *seat;
	uint32_t i;

	*association = DTLS_NONE;
	if (spec->n_prints == 0 || spec->n_prints > DTLS_FINGERPRINTS_MAX ||
	    (spec->role == DTLS_ACTIVE && spec->peer.ip_version == 0))
		return SRS_ERR_INVALID;
	if (dtls_room(d) == 0) {
		dtls_count_refused(d);
		return SRS_ERR_LIMIT;
	}
	i = d->free_seats[--d->n_free];
	seat = &d->seats[i];
	*seat = (struct seat){
		.state = SEAT_WAITING,
		.open = { .kind = COMMAND_OPEN, .seat_i = i },
		.close = { .kind = COMMAND_CLOSE, .seat_i = i },
		.spec = *spec,
		.cookie = cookie,
		.dtls = d,
	};
	d->n_waiting++;
	command_send(d, &seat->open);
	*association = i;
	return SRS_OK;
}

static bool
is_open(const struct dtls *d, uint32_t association)
{
	return association < d->n_seats &&
	       (d->seats[association].state == SEAT_WAITING || d->seats[association].state == SEAT_SETTLED);
}

static struct datagram *
datagram_take_free(struct dtls *d)
{
	struct datagram *g;

	while ((g = spsc_pop(d->datagrams_used)) != NULL)
		d->free_datagrams[d->n_free_datagrams++] = g;
	return d->n_free_datagrams != 0 ? d->free_datagrams[--d->n_free_datagrams] : NULL;
}

void
dtls_datagram(struct dtls *d, uint32_t association, const struct media_address *from, struct span datagram)
{
	struct datagram *g;

	srs_assert(is_open(d, association));
	g = datagram.len <= sizeof(g->bytes) ? datagram_take_free(d) : NULL;
	if (g == NULL) {
		dtls_floor_count(d->floor, DTLS_LOST);
		return;
	}
	g->command = (struct command){ .kind = COMMAND_DATAGRAM, .seat_i = association };
	g->from = *from;
	g->len = (uint16_t)datagram.len;
	if (datagram.len != 0)
		memcpy(g->bytes, datagram.bytes, datagram.len);
	command_send(d, &g->command);
}

void
dtls_close(struct dtls *d, uint32_t association)
{
	struct seat *seat;

	srs_assert(is_open(d, association));
	seat = &d->seats[association];
	seat_settle(d, seat);
	seat->state = SEAT_CLOSING;
	command_send(d, &seat->close);
}

int
dtls_fd(const struct dtls *d)
{
	return d->event_fd;
}

static bool
report_deliver(struct dtls *d, const struct report *r,
               void (*on_event)(void *ctx, uint32_t association, const struct dtls_event *e), void *ctx)
{
	struct seat *seat = &d->seats[r->seat_i];

	if (r->closed) {
		seat->state = SEAT_FREE;
		d->free_seats[d->n_free++] = r->seat_i;
		return false;
	}
	if (seat->state == SEAT_CLOSING)
		return false;
	if (r->event.kind == DTLS_EVENT_KEYS || (r->event.kind == DTLS_EVENT_FAILED && r->event.u.failed.final))
		seat_settle(d, seat);
	on_event(ctx, r->seat_i, &r->event);
	return true;
}

unsigned int
dtls_poll(struct dtls *d, void (*on_event)(void *ctx, uint32_t association, const struct dtls_event *e), void *ctx)
{
	struct report *r;
	unsigned int n = 0;

	fd_drain(d->event_fd);
	while ((r = spsc_pop(d->events)) != NULL) {
		bool pushed;

		n += report_deliver(d, r, on_event, ctx);
		secret_wipe(r, sizeof(*r));
		pushed = spsc_push(d->reports_free, r);
		srs_assert(pushed);
	}
	return n;
}

void
dtls_counters(const struct dtls *d, void (*on_counter)(void *ctx, const struct dataplane_counter *c), void *ctx)
{
#define DTLS_COUNTER_WALK(symbol, cname, cunit, cseverity, csentence) \
	on_counter(ctx, &(struct dataplane_counter){ .name = #cname, .unit = cunit, .severity = cseverity, \
		.sentence = csentence, .value = dtls_floor_counter(d->floor, symbol) });
	DTLS_COUNTER_LIST(DTLS_COUNTER_WALK)
#undef DTLS_COUNTER_WALK
}
