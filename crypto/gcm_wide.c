#include "crypto/gcm_wide.h"

#include <cpuid.h>
#include <immintrin.h>

#define BLOCK	     16
#define GROUP	     64 /* bytes of a register: four blocks */
#define AT_ONCE	     4	/* registers whose key stream is made side by side: texts of up to 240 bytes */
#define COUNTER_BYTE 24 /* shift of a big-endian counter below 256 within its word */
#define TARGET	     "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmul,bmi2"
#define WIDE	     static inline __attribute__((always_inline, target(TARGET)))
#define WIDE_CALL    __attribute__((target(TARGET)))

/* clang 14 does not know the names of the last two, so the leaf is read that has them. @see Intel SDM, CPUID leaf 7 */
bool
gcm_wide_runs(void)
{
	unsigned int a, b, c, d;

	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("bmi2") || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0)
		return false;
	return (c & bit_VAES) != 0 && (c & bit_VPCLMULQDQ) != 0;
}

/* ---- GHASH, worked out as POLYVAL on reversed blocks (RFC 8452 Appendix A) ---- */

WIDE __m512i
reverse(__m512i x)
{
	return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(
	        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

WIDE __m128i
reverse_one(__m128i x)
{
	return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* The upper half of x^128 + x^127 + x^126 + x^121 + 1. */
#define POLY 0xc200000000000000ull

struct product {
	__m512i low, high;
};

/* Carry-less products lane by lane. */
WIDE struct product
multiply(__m512i a, __m512i b)
{
	__m512i middle = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10));

	return (struct product){
		.low = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x00), _mm512_bslli_epi128(middle, 8)),
		.high = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x11), _mm512_bsrli_epi128(middle, 8)),
	};
}

/* Montgomery's reduction: the low half is folded into the high one, 64 bits at a time. */
WIDE __m512i
reduce(struct product p)
{
	const __m512i poly = _mm512_set1_epi64((long long)POLY);
	__m512i fold = _mm512_xor_si512(_mm512_shuffle_epi32(p.low, 0x4e), _mm512_clmulepi64_epi128(p.low, poly, 0x00));

	return _mm512_ternarylogic_epi64(p.high, _mm512_shuffle_epi32(fold, 0x4e),
	                                 _mm512_clmulepi64_epi128(fold, poly, 0x00), 0x96);
}

WIDE __m128i
reduce_one(__m128i low, __m128i high)
{
	const __m128i poly = _mm_set1_epi64x((long long)POLY);
	__m128i fold = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, poly, 0x00));

	return _mm_ternarylogic_epi64(high, _mm_shuffle_epi32(fold, 0x4e), _mm_clmulepi64_si128(fold, poly, 0x00), 0x96);
}

WIDE __m128i
multiply_one(__m128i a, __m128i b)
{
	__m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));

	return reduce_one(_mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x00), _mm_bslli_si128(middle, 8)),
	                  _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x11), _mm_bsrli_si128(middle, 8)));
}

/* The sum over the four lanes. */
WIDE __m128i
sum_lanes(__m512i x)
{
	__m256i half = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* AAD as one block, reversed: all but its last block are hashed. An RTP header is one block, seldom more. */
WIDE __m128i
aad_block(const struct gcm_wide_key *key, const uint8_t *aad, uint32_t len)
{
	__m128i sum = _mm_setzero_si128();

	for (; __builtin_expect(len > BLOCK, 0); aad += BLOCK, len -= BLOCK)
		sum = multiply_one(_mm_xor_si128(sum, reverse_one(_mm_loadu_si128((const __m128i *)aad))),
		                   _mm_loadu_si128((const __m128i *)key->power[3]));
	return _mm_xor_si128(sum, reverse_one(_mm_maskz_loadu_epi8((__mmask16)_bzhi_u32(0xffff, len), aad)));
}

/* The row of blocks AAD, cipher text, lengths, behind as many zero blocks (which are nothing to GHASH) as fill whole
 * groups. The first and the last group are loaded under masks, so that nothing outside the text is read. */
WIDE __m128i
ghash(const struct gcm_wide_key *key, const uint8_t *aad, uint32_t aad_len, const uint8_t *bytes, uint32_t len)
{
	const __m512i powers = _mm512_loadu_si512(key->power);
	const __m512i fourth = _mm512_shuffle_i32x4(powers, powers, 0x00);
	uint32_t n_blocks = (len + BLOCK - 1) / BLOCK + 2, n_groups = (n_blocks + 3) / 4, pad = 4 * n_groups - n_blocks;
	const uint8_t *at = bytes - BLOCK * (pad + 1);
	int64_t left = (int64_t)len + BLOCK * (pad + 1); /* to the text's end, from `at` */
	uint64_t text = pad == 3 ? 0 : ~0ull << BLOCK * (pad + 1);
	__m512i sum, x;
	struct product last;

	x = reverse(_mm512_maskz_loadu_epi8(text & _bzhi_u64(~0ull, left < GROUP ? (uint32_t)left : GROUP), at));
	sum = _mm512_mask_broadcast_i32x4(x, (__mmask16)(0xf << 4 * pad), aad_block(key, aad, aad_len));
	for (uint32_t g = 1; g < n_groups; g++) {
		at += GROUP;
		left -= GROUP;
		x = _mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, left < 0 ? 0 : left < GROUP ? (uint32_t)left : GROUP), at);
		sum = _mm512_xor_si512(reduce(multiply(sum, fourth)), reverse(x));
	}
	/* the last lane is the lengths', and still zero: no text reaches there */
	x = _mm512_maskz_broadcast_i32x4(0xf000, _mm_set_epi64x((long long)aad_len * 8, (long long)len * 8));
	last = multiply(_mm512_xor_si512(sum, x), powers);
	return reduce_one(sum_lanes(last.low), sum_lanes(last.high));
}

/* ---- AES-CTR ---- */

WIDE __m512i
round_key(const struct gcm_wide_key *key, unsigned int i)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)key->round[i]));
}

WIDE __m512i
iv_load(struct gcm_wide_iv iv)
{
	return _mm512_broadcast_i32x4(_mm_insert_epi32(
	        _mm_insert_epi32(_mm_cvtsi64_si128((long long)iv.first), (int)iv.last, 2), 0, 3));
}

/* Counters from `from` on in the last word of each lane, big-endian. */
WIDE __m512i
counters(uint32_t from)
{
	return _mm512_set_epi32((int)__builtin_bswap32(from + 3), 0, 0, 0, (int)__builtin_bswap32(from + 2), 0, 0, 0,
	                        (int)__builtin_bswap32(from + 1), 0, 0, 0, (int)__builtin_bswap32(from), 0, 0, 0);
}

/* Counter blocks in x[0..n) become key stream; `n` is a constant. */
WIDE void
encrypt(__m512i x[AT_ONCE], const struct gcm_wide_key *key, unsigned int rounds, unsigned int n)
{
	__m512i k;

#define ROUND(i) do { \
	k = round_key(key, i); \
	for (unsigned int g = 0; g < n; g++) \
		x[g] = _mm512_aesenc_epi128(x[g], k); \
} while (0)
#pragma GCC unroll 9
	for (unsigned int i = 1; i < 10; i++)
		ROUND(i);
	if (rounds == 14) {
#pragma GCC unroll 4
		for (unsigned int i = 10; i < 14; i++)
			ROUND(i);
	}
#undef ROUND
	k = round_key(key, rounds);
	for (unsigned int g = 0; g < n; g++)
		x[g] = _mm512_aesenclast_epi128(x[g], k);
}

/* The last bytes, fewer than 64, in whole blocks as far as they go: a masked store of a register costs several plain ones. */
WIDE void
apply_tail(__m512i x, uint8_t *at, uint32_t len)
{
	__m256i half = _mm512_castsi512_si256(x);
	__m128i block;

	if ((len & 2 * BLOCK) != 0) {
		_mm256_storeu_si256((__m256i *)(void *)at, _mm256_xor_si256(half, _mm256_loadu_si256((const __m256i *)(void *)at)));
		half = _mm512_extracti64x4_epi64(x, 1);
		at += 2 * BLOCK;
	}
	block = _mm256_castsi256_si128(half);
	if ((len & BLOCK) != 0) {
		_mm_storeu_si128((__m128i *)(void *)at, _mm_xor_si128(block, _mm_loadu_si128((const __m128i *)(void *)at)));
		block = _mm256_extracti128_si256(half, 1);
		at += BLOCK;
	}
	if ((len & (BLOCK - 1)) != 0) {
		__mmask16 mask = (__mmask16)_bzhi_u32(0xffff, len & (BLOCK - 1));

		_mm_mask_storeu_epi8(at, mask, _mm_xor_si128(block, _mm_maskz_loadu_epi8(mask, at)));
	}
}

/* ---- packets ---- */

WIDE bool
tag_matches(__m128i hash, __m128i key_stream, const uint8_t *tag)
{
	__m128i differ = _mm_ternarylogic_epi64(reverse_one(hash), key_stream, _mm_loadu_si128((const __m128i *)tag), 0x96);

	return _mm_test_epi64_mask(differ, differ) == 0;
}

/* A text that leaves the last lane of `n` groups (a constant) to the tag's key stream. */
WIDE bool
open_short(const struct gcm_wide_key *key, unsigned int rounds, __m512i iv, const uint8_t *aad, uint32_t aad_len,
           uint8_t *bytes, uint32_t len, unsigned int n)
{
	const __m512i first = _mm512_maskz_set1_epi32(0x8000, 1 << COUNTER_BYTE);
	__m512i x[AT_ONCE];

	iv = _mm512_xor_si512(iv, round_key(key, 0));
	for (unsigned int g = 0; g < n; g++)
		x[g] = _mm512_xor_si512(iv, counters(2 + 4 * g));
	x[n - 1] = _mm512_mask_xor_epi32(x[n - 1], 0xf000, iv, first);
	encrypt(x, key, rounds, n);
	if (__builtin_expect(!tag_matches(ghash(key, aad, aad_len, bytes, len), _mm512_extracti32x4_epi32(x[n - 1], 3),
	                                  bytes + len), 0))
		return false;
	for (unsigned int g = 0; g < n; g++, bytes += GROUP, len -= GROUP) {
		if (len < GROUP) {
			apply_tail(x[g], bytes, len);
			break;
		}
		_mm512_storeu_si512(bytes, _mm512_xor_si512(x[g], _mm512_loadu_si512(bytes)));
	}
	return true;
}

WIDE bool
open_long(const struct gcm_wide_key *key, unsigned int rounds, __m512i iv, const uint8_t *aad, uint32_t aad_len,
          uint8_t *bytes, uint32_t len)
{
	__m512i x[AT_ONCE];
	uint32_t from = 2;

	iv = _mm512_xor_si512(iv, round_key(key, 0));
	x[0] = _mm512_xor_si512(iv, _mm512_maskz_set1_epi32(0x0008, 1 << COUNTER_BYTE));
	encrypt(x, key, rounds, 1);
	if (!tag_matches(ghash(key, aad, aad_len, bytes, len), _mm512_castsi512_si128(x[0]), bytes + len))
		return false;
	for (; len >= AT_ONCE * GROUP; len -= AT_ONCE * GROUP, from += AT_ONCE * 4) {
		for (unsigned int g = 0; g < AT_ONCE; g++)
			x[g] = _mm512_xor_si512(iv, counters(from + 4 * g));
		encrypt(x, key, rounds, AT_ONCE);
		for (unsigned int g = 0; g < AT_ONCE; g++, bytes += GROUP)
			_mm512_storeu_si512(bytes, _mm512_xor_si512(x[g], _mm512_loadu_si512(bytes)));
	}
	for (; len != 0; from += 4) {
		x[0] = _mm512_xor_si512(iv, counters(from));
		encrypt(x, key, rounds, 1);
		if (len < GROUP) {
			apply_tail(x[0], bytes, len);
			break;
		}
		_mm512_storeu_si512(bytes, _mm512_xor_si512(x[0], _mm512_loadu_si512(bytes)));
		bytes += GROUP;
		len -= GROUP;
	}
	return true;
}

WIDE_CALL bool
gcm_wide_open(const struct gcm_wide_key *key, unsigned int rounds, struct gcm_wide_iv iv, const uint8_t *aad,
              uint32_t aad_len, uint8_t *bytes, uint32_t len)
{
	__m512i block = iv_load(iv);

	switch ((len + BLOCK + GROUP - 1) / GROUP) {
	case 1: return open_short(key, rounds, block, aad, aad_len, bytes, len, 1);
	case 2: return open_short(key, rounds, block, aad, aad_len, bytes, len, 2);
	case 3: return open_short(key, rounds, block, aad, aad_len, bytes, len, 3);
	case AT_ONCE: return open_short(key, rounds, block, aad, aad_len, bytes, len, AT_ONCE);
	default: return open_long(key, rounds, block, aad, aad_len, bytes, len);
	}
}

/* ---- keys ---- */

WIDE_CALL void
gcm_wide_powers(struct gcm_wide_key *key, unsigned int rounds)
{
	__m128i h = _mm_loadu_si128((const __m128i *)key->round[0]), one, two, three, carry;

	for (unsigned int i = 1; i < rounds; i++)
		h = _mm_aesenc_si128(h, _mm_loadu_si128((const __m128i *)key->round[i]));
	h = reverse_one(_mm_aesenclast_si128(h, _mm_loadu_si128((const __m128i *)key->round[rounds])));
	/* times x, which turns a product of GHASH into one of POLYVAL: what leaves on the left comes back by the polynomial */
	carry = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xff), 31);
	one = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(_mm_srli_epi64(h, 63), 8));
	one = _mm_xor_si128(one, _mm_and_si128(carry, _mm_set_epi64x((long long)POLY, 1)));
	two = multiply_one(one, one);
	three = multiply_one(two, one);
	_mm_storeu_si128((__m128i *)key->power[3], one);
	_mm_storeu_si128((__m128i *)key->power[2], two);
	_mm_storeu_si128((__m128i *)key->power[1], three);
	_mm_storeu_si128((__m128i *)key->power[0], multiply_one(three, one));
}
