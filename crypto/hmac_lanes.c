#include "crypto/hmac_lanes.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "crypto/secret.h"
#include "lib/srs_assert.h"

#define LANES	   HMAC_LANES_WIDE
#define BLOCK	   64
#define TAG_SIZE   20
#define LENGTH_END 9 /* the bit behind a message, and its length in 8 bytes */

struct hmac_lanes {
	bool wide; /* AVX-512 */
	IMB_MGR *mgr;
	IMB_JOB job[HMAC_LANES_MAX];
	uint8_t tag[HMAC_LANES_MAX][TAG_SIZE];
};

/* ---- sixteen at once. Every vector holds one word of each of the sixteen lanes. ---- */

#define WIDE static inline __attribute__((always_inline, target("avx512f,avx512bw")))

/* Sixteen rows of sixteen words become sixteen columns. */
WIDE void
transpose(__m512i r[LANES])
{
	__m512i t[LANES];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < LANES; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < LANES; i += 4) {
		r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < 4; i++) {
		__m512i even_low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
		__m512i odd_low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
		__m512i even_high = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
		__m512i odd_high = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);

		t[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
		t[i + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
		t[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < LANES; i++)
		r[i] = t[i];
}

WIDE __m512i
swap_bytes(__m512i x)
{
	const __m512i order = _mm512_broadcast_i32x4(
	        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));

	return _mm512_shuffle_epi8(x, order);
}

/* Ternary logic tables of SHA-1's round functions. @see FIPS 180-4 §4.1.1 */
#define CHOOSE	 0xca
#define PARITY	 0x96
#define MAJORITY 0xe8

#define SCHEDULE(w, i) \
	(w)[(i) & 15] = _mm512_rol_epi32(_mm512_xor_si512(_mm512_ternarylogic_epi32((w)[(i) & 15], \
	        (w)[((i) + 2) & 15], (w)[((i) + 8) & 15], PARITY), (w)[((i) + 13) & 15]), 1)

#define ROUND(i, table) do { \
	__m512i sum = _mm512_add_epi32(_mm512_add_epi32(e, k), \
	        _mm512_add_epi32(w[(i) & 15], _mm512_ternarylogic_epi32(b, c, d, table))); \
	__asm__("" : "+v"(sum));	/* the new a waits for this sum and the old a, in that order only */ \
	e = d; \
	d = c; \
	c = _mm512_rol_epi32(b, 30); \
	b = a; \
	a = _mm512_add_epi32(sum, _mm512_rol_epi32(a, 5)); \
} while (0)

/* One block of every lane; the schedule is worked out in `w`. @see FIPS 180-4 §6.1.2 */
WIDE void
sha1_block(__m512i state[5], __m512i w[LANES])
{
	__m512i a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	__m512i k = _mm512_set1_epi32(0x5a827999);

#pragma GCC unroll 20
	for (int i = 0; i < 20; i++) {
		if (i >= 16)
			SCHEDULE(w, i);
		ROUND(i, CHOOSE);
	}
	k = _mm512_set1_epi32(0x6ed9eba1);
#pragma GCC unroll 20
	for (int i = 20; i < 40; i++) {
		SCHEDULE(w, i);
		ROUND(i, PARITY);
	}
	k = _mm512_set1_epi32((int)0x8f1bbcdc);
#pragma GCC unroll 20
	for (int i = 40; i < 60; i++) {
		SCHEDULE(w, i);
		ROUND(i, MAJORITY);
	}
	k = _mm512_set1_epi32((int)0xca62c1d6);
#pragma GCC unroll 20
	for (int i = 60; i < 80; i++) {
		SCHEDULE(w, i);
		ROUND(i, PARITY);
	}
	state[0] = _mm512_add_epi32(state[0], a);
	state[1] = _mm512_add_epi32(state[1], b);
	state[2] = _mm512_add_epi32(state[2], c);
	state[3] = _mm512_add_epi32(state[3], d);
	state[4] = _mm512_add_epi32(state[4], e);
}

/* 64 bytes of a message from `at`: what is behind its end reads as the padding bit and zeros. */
WIDE __m512i
block_load(const struct hmac_lane *lane, uint32_t at)
{
	const __m512i bit = _mm512_set1_epi8((char)0x80);
	uint32_t left = lane->len - at;

	if (lane->len < at)
		return _mm512_setzero_si512();
	if (left >= BLOCK)
		return _mm512_loadu_si512(lane->bytes + at);
	return _mm512_mask_mov_epi8(_mm512_maskz_loadu_epi8((1ull << left) - 1, lane->bytes + at), 1ull << left, bit);
}

static inline uint32_t
blocks_of(uint32_t len)
{
	return (len + LENGTH_END + BLOCK - 1) / BLOCK;
}

/* ipad and opad of each lane: ten words of its keys' first line. */
#define IPAD_WORD (offsetof(struct unprotect_ctx, key.cm.ipad) / 4)
#define OPAD_WORD (offsetof(struct unprotect_ctx, key.cm.opad) / 4)
static_assert(OPAD_WORD + 5 <= LANES, "both stand in the first line");

WIDE void
states_load(const struct hmac_lane lane[LANES], __m512i inner[5], __m512i outer[5])
{
	__m512i line[LANES];

#pragma GCC unroll 16
	for (unsigned int i = 0; i < LANES; i++)
		line[i] = _mm512_loadu_si512(lane[i].keys);
	transpose(line);
#pragma GCC unroll 16
	for (unsigned int i = 0; i < 5; i++) {
		inner[i] = line[IPAD_WORD + i];
		outer[i] = line[OPAD_WORD + i];
	}
}

static __attribute__((target("avx512f,avx512bw"))) void
sixteen(const struct hmac_lane lane[LANES], uint32_t *tag0, uint32_t *tag1, uint32_t *tag2)
{
	alignas(BLOCK) uint32_t n_blocks[LANES], bits[LANES];
	uint32_t most = 0;
	__m512i inner[5], outer[5], w[LANES], last, length;

	for (unsigned int i = 0; i < LANES; i++) {
		n_blocks[i] = blocks_of(lane[i].len);
		bits[i] = (BLOCK + lane[i].len) * 8; /* the padded key stands before the message */
		most = n_blocks[i] > most ? n_blocks[i] : most;
	}
	last = _mm512_load_si512(n_blocks);
	length = _mm512_load_si512(bits);
	states_load(lane, inner, outer);
	for (uint32_t b = 0; b < most; b++) {
		__mmask16 running = _mm512_cmpgt_epu32_mask(last, _mm512_set1_epi32((int)b));
		__mmask16 ending = _mm512_cmpeq_epu32_mask(last, _mm512_set1_epi32((int)b + 1));
		__m512i before[5];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < LANES; i++)
			w[i] = swap_bytes(block_load(&lane[i], b * BLOCK));
		transpose(w);
		w[15] = _mm512_mask_mov_epi32(w[15], ending, length);
#pragma GCC unroll 16
		for (unsigned int i = 0; i < 5; i++)
			before[i] = inner[i];
		sha1_block(inner, w);
		if (__builtin_expect(running != 0xffff, 0))
#pragma GCC unroll 16
			for (unsigned int i = 0; i < 5; i++)
				inner[i] = _mm512_mask_mov_epi32(before[i], running, inner[i]);
	}
#pragma GCC unroll 16
	for (unsigned int i = 0; i < 5; i++)
		w[i] = inner[i];
	w[5] = _mm512_set1_epi32((int)0x80000000);
#pragma GCC unroll 16
	for (unsigned int i = 6; i < 15; i++)
		w[i] = _mm512_setzero_si512();
	w[15] = _mm512_set1_epi32((BLOCK + TAG_SIZE) * 8);
	sha1_block(outer, w);
	_mm512_store_si512(tag0, swap_bytes(outer[0]));
	_mm512_store_si512(tag1, swap_bytes(outer[1]));
	_mm512_store_si512(tag2, swap_bytes(outer[2]));
}

static void
run_wide(const struct hmac_lane lane[], unsigned int n, struct hmac_tags *tags)
{
	for (unsigned int at = 0; at < n; at += LANES) {
		struct hmac_lane some[LANES];
		const struct hmac_lane *sixteen_of = &lane[at];

		if (n - at < LANES) { /* lanes that nobody needs repeat the first one */
			for (unsigned int i = 0; i < LANES; i++)
				some[i] = lane[at + i < n ? at + i : at];
			sixteen_of = some;
		}
		sixteen(sixteen_of, &tags->words[0][at], &tags->words[1][at], &tags->words[2][at]);
	}
}

/* ---- by ipsec-mb ---- */

static void
run_portable(struct hmac_lanes *h, const struct hmac_lane lane[], unsigned int n, struct hmac_tags *tags)
{
	for (unsigned int i = 0; i < n; i++) {
		IMB_JOB *job = &h->job[i];

		job->src = lane[i].bytes;
		job->msg_len_to_hash_in_bytes = lane[i].len;
		job->u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)lane[i].keys->key.cm.ipad;
		job->u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)lane[i].keys->key.cm.opad;
	}
	IMB_SUBMIT_HASH_BURST_NOCHECK(h->mgr, h->job, n, IMB_AUTH_HMAC_SHA_1);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int w = 0; w < HMAC_TAG_WORDS; w++)
			memcpy(&tags->words[w][i], h->tag[i] + 4 * w, 4);
}

void
hmac_lanes_run(struct hmac_lanes *h, const struct hmac_lane lane[], unsigned int n, struct hmac_tags *tags)
{
	srs_assert_hot(n <= HMAC_LANES_MAX);
	if (h->wide)
		run_wide(lane, n, tags);
	else
		run_portable(h, lane, n, tags);
}

/* ---- life ---- */

struct hmac_lanes *
hmac_lanes_create(void)
{
	struct hmac_lanes *h = calloc(1, sizeof(*h));
	IMB_ARCH arch;

	if (h == NULL)
		return NULL;
	h->wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
	h->mgr = alloc_mb_mgr(0);
	if (h->mgr == NULL) {
		free(h);
		return NULL;
	}
	init_mb_mgr_auto(h->mgr, &arch);
	if (imb_get_errno(h->mgr) != 0) {
		free_mb_mgr(h->mgr);
		free(h);
		return NULL;
	}
	for (unsigned int i = 0; i < HMAC_LANES_MAX; i++) {
		/* what is the same in every burst */
		h->job[i].auth_tag_output = h->tag[i];
		h->job[i].auth_tag_output_len_in_bytes = TAG_SIZE; /* 12 or 20, nothing else */
		h->job[i].hash_alg = IMB_AUTH_HMAC_SHA_1;
	}
	return h;
}

void
hmac_lanes_portable(struct hmac_lanes *h)
{
	h->wide = false;
}

void
hmac_lanes_destroy(struct hmac_lanes *h)
{
	if (h == NULL)
		return;
	secret_wipe(h->mgr, imb_get_mb_mgr_size()); /* lanes keep bytes of packets */
	free_mb_mgr(h->mgr);
	secret_wipe(h, sizeof(*h));
	free(h);
}
