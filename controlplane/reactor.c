#include "controlplane/reactor.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000ull

#define PULSE_MS     100

struct reactor {
	struct event_base *base;
	struct timer pulse;
	uint64_t pulse_due_ns;
	uint32_t late_ms[2];	/* the last pulse, and the one before */
};

static void pulse_arm(struct reactor *r);

static void
pulse(void *ctx)
{
	struct reactor *r = ctx;
	uint64_t now = reactor_mono_ns();

	r->late_ms[1] = r->late_ms[0];
	r->late_ms[0] = now > r->pulse_due_ns ? (uint32_t)((now - r->pulse_due_ns) / 1000000) : 0;
	pulse_arm(r);
}

static void
pulse_arm(struct reactor *r)
{
	r->pulse_due_ns = reactor_mono_ns() + PULSE_MS * UINT64_C(1000000);
	if (timer_arm(r, &r->pulse, PULSE_MS))
		r->late_ms[0] = r->late_ms[1] = 0;
}

uint32_t
reactor_lag_ms(const struct reactor *r)
{
	return r->late_ms[0] < r->late_ms[1] ? r->late_ms[0] : r->late_ms[1];
}

enum srs_err
reactor_create(struct reactor **out)
{
	struct reactor *r = calloc(1, sizeof(*r));
	struct event_config *how = event_config_new();

	if (r == NULL || how == NULL)
		goto failed;
	/* Timers run SIP's retransmissions: the coarse clock and the time cached per turn would make them early. */
	if (event_config_set_flag(how, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME) != 0)
		goto failed;
	r->base = event_base_new_with_config(how);
	if (r->base == NULL)
		goto failed;
	event_config_free(how);
	timer_init(&r->pulse, pulse, r);
	*out = r;
	return SRS_OK;
failed:
	if (how != NULL)
		event_config_free(how);
	free(r);
	return SRS_ERR_NOMEM;
}

void
reactor_destroy(struct reactor *r)
{
	if (r == NULL)
		return;
	timer_release(&r->pulse);
	event_base_free(r->base);
	free(r);
}

struct event_base *
reactor_base(struct reactor *r)
{
	return r->base;
}

void
reactor_run(struct reactor *r)
{
	pulse_arm(r);
	event_base_loop(r->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void
reactor_stop(struct reactor *r)
{
	event_base_loopbreak(r->base);
}

static uint64_t
clock_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
reactor_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
reactor_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void
timer_init(struct timer *t, void (*on_due)(void *ctx), void *ctx)
{
	*t = (struct timer){ .on_due = on_due, .ctx = ctx };
}

static void
timer_due(evutil_socket_t fd, short what, void *ctx)
{
	struct timer *t = ctx;

	(void)fd;
	(void)what;
	t->on_due(t->ctx);	/* may release the timer: nothing is touched after it */
}

enum srs_err
timer_arm(struct reactor *r, struct timer *t, uint64_t after_ms)
{
	return timer_arm_us(r, t, after_ms * 1000);
}

enum srs_err
timer_arm_us(struct reactor *r, struct timer *t, uint64_t after_us)
{
	struct timeval after = { .tv_sec = (time_t)(after_us / 1000000),
		                 .tv_usec = (suseconds_t)(after_us % 1000000) };

	if (t->event == NULL)
		t->event = evtimer_new(r->base, timer_due, t);
	if (t->event == NULL || evtimer_add(t->event, &after) != 0)
		return SRS_ERR_NOMEM;
	return SRS_OK;
}

void
timer_disarm(struct timer *t)
{
	if (t->event != NULL)
		evtimer_del(t->event);
}

bool
timer_is_armed(const struct timer *t)
{
	return t->event != NULL && evtimer_pending(t->event, NULL) != 0;
}

void
timer_release(struct timer *t)
{
	if (t->event == NULL)
		return;
	event_free(t->event);
	t->event = NULL;
}
