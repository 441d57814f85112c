/* A bounded ring of pointers between exactly one producer thread and one consumer thread. It carries every
 * hand-over of the recorder: commands, events, chunks, notes. Ownership of what a pointer names moves with it;
 * the mover forgets it. A ring is at least as large as the pool behind it, so that a push fails only by a bug
 * or by a named admission limit.
 *
 * Both ends are bounded and wait-free. A ring is created at start and destroyed at the end of the process. */
#ifndef SPSC_H
#define SPSC_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/srs_err.h"

#define SRS_CACHE_LINE 64

struct spsc {
	/* line 0: written by the producer */
	alignas(SRS_CACHE_LINE) _Atomic uint32_t head; /* next to fill; release, paired with spsc_pop's acquire */
	uint32_t tail_seen;                            /* the producer's last view of tail */
	/* line 1: written by the consumer */
	alignas(SRS_CACHE_LINE) _Atomic uint32_t tail; /* next to take; release, paired with spsc_push's acquire */
	uint32_t head_seen;                            /* the consumer's last view of head */
	/* line 2: constant */
	alignas(SRS_CACHE_LINE) uint32_t mask;
	void **slots;
};

/** Make a ring of at least `len_min` places (rounded up to a power of two). @return NOMEM, or OK */
SRS_MUST_CHECK enum srs_err spsc_create(struct spsc **out, uint32_t len_min);

/** Free the ring, not what it still holds. Accepts NULL. */
void spsc_destroy(struct spsc *ring);

/** Places in use, as either side sees it; exact only on that side. @thread producer or consumer */
static inline uint32_t
spsc_len(const struct spsc *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire) -
	       atomic_load_explicit(&ring->tail, memory_order_acquire);
}

/** Hand over one pointer. @return false when the ring is full: the caller still owns it @thread producer */
static inline bool
spsc_push(struct spsc *ring, void *item)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - ring->tail_seen > ring->mask) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head - ring->tail_seen > ring->mask)
			return false;
	}
	ring->slots[head & ring->mask] = item;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

/** Take one pointer, NULL when there is none. @thread consumer */
static inline void *
spsc_pop(struct spsc *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	void *item;

	if (tail == ring->head_seen) {
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail == ring->head_seen)
			return NULL;
	}
	item = ring->slots[tail & ring->mask];
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return item;
}

#endif
