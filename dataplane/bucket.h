/* A token bucket in one number: up to when its tokens are paid for. @thread its owner's */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/** Take a token; the bucket holds `burst` and gets one each `cost_tsc`. A bucket of 0 is full. */
static inline bool
bucket_take(uint64_t *paid_tsc, uint64_t now_tsc, uint64_t cost_tsc, unsigned int burst)
{
	uint64_t floor_tsc = now_tsc - burst * cost_tsc;

	if ((int64_t)(*paid_tsc - floor_tsc) < 0)
		*paid_tsc = floor_tsc;
	if ((int64_t)(now_tsc - *paid_tsc) < (int64_t)cost_tsc)
		return false;
	*paid_tsc += cost_tsc;
	return true;
}

#endif
