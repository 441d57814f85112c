#include "lib/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41 reflected */

/* table[0] steps a state by one byte, table[k] by k more zero bytes: eight bytes a turn. */
static uint32_t table[8][256];

static void
table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t state = i;

		for (int bit = 0; bit < 8; bit++)
			state = state >> 1 ^ (state & 1 ? POLYNOMIAL : 0);
		table[0][i] = state;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t i = 0; i < 256; i++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

static uint32_t
step(uint32_t state, const uint8_t *at, size_t len)
{
	for (; len >= 8; at += 8, len -= 8) {
		state ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		state = table[7][state & 0xff] ^ table[6][state >> 8 & 0xff] ^ table[5][state >> 16 & 0xff]
		        ^ table[4][state >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]]
		        ^ table[0][at[7]];
	}
	for (; len != 0; at++, len--)
		state = state >> 8 ^ table[0][(state ^ *at) & 0xff];
	return state;
}

uint32_t
crc32c_portable(uint32_t crc, const void *bytes, size_t len)
{
	return ~step(~crc, bytes, len);
}

/* Three of these nearly fill a slot. */
#define LANE_SIZE 1360

static uint32_t lane_table[4][256]; /* a state after LANE_SIZE zero bytes, by each of its bytes */

static void
lane_table_fill(void)
{
	uint32_t of_bit[32];

	for (int bit = 0; bit < 32; bit++) {
		uint32_t state = UINT32_C(1) << bit;

		for (int i = 0; i < LANE_SIZE; i++)
			state = state >> 8 ^ table[0][state & 0xff];
		of_bit[bit] = state;
	}
	for (int k = 0; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++) {
			lane_table[k][i] = 0;
			for (int bit = 0; bit < 8; bit++)
				if (i >> bit & 1)
					lane_table[k][i] ^= of_bit[8 * k + bit];
		}
}

static uint32_t
lane_skip(uint32_t state)
{
	return lane_table[0][state & 0xff] ^ lane_table[1][state >> 8 & 0xff] ^ lane_table[2][state >> 16 & 0xff]
	       ^ lane_table[3][state >> 24];
}

/* A crc is linear: what stands before moves on by as many zeros, what follows is added. */
uint32_t
crc32c_join(uint32_t first, uint32_t second, size_t second_len)
{
	static const uint8_t zeros[LANE_SIZE];

	for (; second_len >= LANE_SIZE; second_len -= LANE_SIZE)
		first = lane_skip(first);
	return step(first, zeros, second_len) ^ second;
}

#ifdef __x86_64__

#include <nmmintrin.h>

static int has_sse42;

static inline uint64_t
load(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* The crc32 instruction takes one operand a cycle but needs three for its result, so three lanes run side by side
 * and are joined by stepping the earlier ones over the later ones' length. */
__attribute__((target("sse4.2"))) static uint32_t
step_sse42(uint32_t start, const uint8_t *at, size_t len)
{
	uint64_t state = start;

	for (; len >= (size_t)3 * LANE_SIZE; at += 3 * LANE_SIZE, len -= (size_t)3 * LANE_SIZE) {
		uint64_t second = 0, third = 0;

		for (size_t i = 0; i < LANE_SIZE; i += 8) {
			state = _mm_crc32_u64(state, load(at + i));
			second = _mm_crc32_u64(second, load(at + LANE_SIZE + i));
			third = _mm_crc32_u64(third, load(at + (size_t)2 * LANE_SIZE + i));
		}
		state = lane_skip((uint32_t)(lane_skip((uint32_t)state) ^ second)) ^ third;
	}
	for (; len >= 8; at += 8, len -= 8)
		state = _mm_crc32_u64(state, load(at));
	for (; len != 0; at++, len--)
		state = _mm_crc32_u8((uint32_t)state, *at);
	return (uint32_t)state;
}

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t len)
{
	return ~(has_sse42 ? step_sse42(~crc, bytes, len) : step(~crc, bytes, len));
}

#else

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t len)
{
	return crc32c_portable(crc, bytes, len);
}

#endif

/* Before main(), so that no thread ever sees half a table. */
__attribute__((constructor)) static void
crc32c_init(void)
{
	table_fill();
	lane_table_fill();
#ifdef __x86_64__
	__builtin_cpu_init();
	has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
#endif
}
