/* Random choices of the differential tests, all from one seed that is printed: a finding can be made again. */
#ifndef DICE_H
#define DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t
dice_roll(struct dice *d)	/* splitmix64 */
{
	uint64_t x = d->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/** 0 to n - 1 */
static inline uint32_t
dice_below(struct dice *d, uint32_t n)
{
	return (uint32_t)(dice_roll(d) % n);
}

static inline uint32_t
dice_between(struct dice *d, uint32_t low, uint32_t high)
{
	return low + dice_below(d, high - low + 1);
}

static inline bool
dice_permille(struct dice *d, uint32_t chance)
{
	return dice_below(d, 1000) < chance;
}

static inline void
dice_fill(struct dice *d, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)dice_roll(d);
}

#endif
