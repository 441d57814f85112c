/* The control thread's loop on libevent: file descriptors and timers. A timer is an object of its owner's; the loop
 * never allocates one. @thread control */
#ifndef REACTOR_H
#define REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/srs_err.h"

struct event_base;
struct event;
struct reactor;

SRS_MUST_CHECK enum srs_err reactor_create(struct reactor **out);
void reactor_destroy(struct reactor *r);	/* accepts NULL */
struct event_base *reactor_base(struct reactor *r);
/** Run until reactor_stop(). */
void reactor_run(struct reactor *r);
void reactor_stop(struct reactor *r);	/* also from a signal handler of the loop */
/** How late the loop was for a timer of its own, the better of the last two times (it asks itself ten times a second): one
 * long pause does not count, work that never gets done does. 0 while the loop does not run. */
uint32_t reactor_lag_ms(const struct reactor *r);

/** Monotonic nanoseconds, fresh; and the wall clock. @thread any */
uint64_t reactor_mono_ns(void);
uint64_t reactor_wall_ns(void);

struct timer {
	struct event *event;	/* made on first use */
	void (*on_due)(void *ctx);
	void *ctx;
};
void timer_init(struct timer *t, void (*on_due)(void *ctx), void *ctx);
/** (Re)arm. @return NOMEM */
SRS_MUST_CHECK enum srs_err timer_arm(struct reactor *r, struct timer *t, uint64_t after_ms);
SRS_MUST_CHECK enum srs_err timer_arm_us(struct reactor *r, struct timer *t, uint64_t after_us);
void timer_disarm(struct timer *t);
bool timer_is_armed(const struct timer *t);
void timer_release(struct timer *t);	/* disarm and free what timer_arm made */

#endif
