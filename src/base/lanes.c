/* lanes.c -- Philox in vector lanes, built for each level; see lanes.h.
 *
 * No contraction to fused multiply-add, no approximate instructions: every
 * level rounds alike. */
#include "base/lanes.h"

#include <immintrin.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define PASTE2(name, level) name##_##level
#define PASTE(name, level) PASTE2(name, level)
#define FN(name) PASTE(name, LEVEL)

#define LEVEL base
#define ISA
#define BYTES 16
#define MUL(a, b) _mm_mul_epu32((__m128i)(a), (__m128i)(b))
#define HIGH(a) _mm_shuffle_epi32((__m128i)(a), 0xf5)   /* of each 64 bits */
#define SQRT32(a) _mm_sqrt_ps((__m128)(a))
#define SQRT64(a) _mm_sqrt_pd((__m128d)(a))
#define LANES 0, 1
#define ZIP64(a, b) __builtin_shufflevector(a, b, 0, 2), __builtin_shufflevector(a, b, 1, 3)
#define ZIP32(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5), \
                    __builtin_shufflevector(a, b, 2, 6, 3, 7)
#include "base/lanes_level.h"

#define LEVEL v3
#define ISA __attribute__((target("avx2")))
#define BYTES 32
#define MUL(a, b) _mm256_mul_epu32((__m256i)(a), (__m256i)(b))
#define HIGH(a) _mm256_shuffle_epi32((__m256i)(a), 0xf5)
#define SQRT32(a) _mm256_sqrt_ps((__m256)(a))
#define SQRT64(a) _mm256_sqrt_pd((__m256d)(a))
#define LANES 0, 1, 2, 3
#define ZIP64(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5), \
                    __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define ZIP32(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11), \
                    __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#include "base/lanes_level.h"

#define LEVEL v4
#define ISA __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl")))
#define BYTES 64
#define MUL(a, b) _mm512_mul_epu32((__m512i)(a), (__m512i)(b))
#define HIGH(a) _mm512_shuffle_epi32((__m512i)(a), (_MM_PERM_ENUM)0xf5)
#define SQRT32(a) _mm512_sqrt_ps((__m512)(a))
#define SQRT64(a) _mm512_sqrt_pd((__m512d)(a))
#define LANES 0, 1, 2, 3, 4, 5, 6, 7
#define ZIP64(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11), \
                    __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define ZIP32(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#include "base/lanes_level.h"

#define ROW(level) { words_##level, uniform32_##level, uniform64_##level, \
                     normal32_##level, normal64_##level }
fov_Lanes *const fov_lanes[FOV_NISA][FOV_NDRAW] = { ROW(base), ROW(v3), ROW(v4) };
