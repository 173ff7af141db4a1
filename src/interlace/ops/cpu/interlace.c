/* Interlace on a processor: the data is read once and written once. Called through ctypes by _cpu.py.
 *
 * Nothing here knows torch or Python, so one build serves all their versions. The threads are torch's: the
 * caller hands over torch's own parallel_for. */

#include "common.h"

/* The kernels exist once for each kind of x86 processor, and the right one is taken when the library is loaded. */
#if defined(__x86_64__) && defined(__linux__)
#define CHOOSE_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CHOOSE_PROCESSOR
#endif

#define ELEMENT float
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#define LOAD_LANES(p) load_lanes(p)
#define STORE_LANES(p, v) store_lanes(p, v)
#define NAME(f) f##_float32
#include "kernels.h"
#include "conv.h"
#undef ELEMENT
#undef LOAD
#undef STORE
#undef LOAD_LANES
#undef STORE_LANES
#undef NAME

INLINE Lanes bfloat16_load_lanes(const uint16_t *p)
{
    Lanes16 half;
    memcpy(&half, p, sizeof half);
    return (Lanes)(__builtin_convertvector(half, Lanes32) << 16);
}
/* To the nearest, ties to even; a NaN would round to infinity and becomes the quiet one. */
INLINE void bfloat16_store_lanes(uint16_t *p, Lanes v)
{
    const Lanes32 bits = (Lanes32)v, is_nan = (Lanes32)(v != v);
    const Lanes32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Lanes16 half = __builtin_convertvector((rounded & ~is_nan) | (0x7fc0 & is_nan), Lanes16);
    memcpy(p, &half, sizeof half);
}
INLINE float bfloat16_load(const uint16_t *p)
{
    const uint32_t bits = (uint32_t)*p << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
INLINE void bfloat16_store(uint16_t *p, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    *p = value != value ? 0x7fc0 : (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#define ELEMENT uint16_t
#define LOAD(p) bfloat16_load(p)
#define STORE(p, v) bfloat16_store(p, v)
#define LOAD_LANES(p) bfloat16_load_lanes(p)
#define STORE_LANES(p, v) bfloat16_store_lanes(p, v)
#define NAME(f) f##_bfloat16
#include "kernels.h"
#undef ELEMENT
#undef LOAD
#undef STORE
#undef LOAD_LANES
#undef STORE_LANES
#undef NAME

/* Where the processor rounds to bfloat16 itself, the kernels of this type exist once more. It turns results below
 * the smallest normal number, 1.2e-38, into zero. */
#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#define HAS_FAST_BFLOAT16
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,avx512bf16")
#undef CHOOSE_PROCESSOR
#define CHOOSE_PROCESSOR
INLINE void bfloat16_round_lanes(uint16_t *p, Lanes v)
{
    const __m256bh half = _mm512_cvtneps_pbh((__m512)v);
    memcpy(p, &half, sizeof half);
}
#define ELEMENT uint16_t
#define LOAD(p) bfloat16_load(p)
#define STORE(p, v) bfloat16_store(p, v)
#define LOAD_LANES(p) bfloat16_load_lanes(p)
#define STORE_LANES(p, v) bfloat16_round_lanes(p, v)
#define NAME(f) f##_fast_bfloat16
#include "kernels.h"
#undef ELEMENT
#undef LOAD
#undef STORE
#undef LOAD_LANES
#undef STORE_LANES
#undef NAME
#pragma GCC pop_options
#undef CHOOSE_PROCESSOR
#define CHOOSE_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
static int has_fast_bfloat16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

#ifdef __FLT16_MAX__
typedef _Float16 LanesHalf __attribute__((vector_size(2 * LANES)));
INLINE Lanes float16_load_lanes(const _Float16 *p)
{
    LanesHalf half;
    memcpy(&half, p, sizeof half);
    return __builtin_convertvector(half, Lanes);
}
INLINE void float16_store_lanes(_Float16 *p, Lanes v)
{
    const LanesHalf half = __builtin_convertvector(v, LanesHalf);
    memcpy(p, &half, sizeof half);
}
#define ELEMENT _Float16
#define LOAD(p) ((float)*(p))
#define STORE(p, v) (*(p) = (_Float16)(v))
#define LOAD_LANES(p) float16_load_lanes(p)
#define STORE_LANES(p, v) float16_store_lanes(p, v)
#define NAME(f) f##_float16
#include "kernels.h"
#endif

#ifdef __FLT16_MAX__
#define HALF(tasks) tasks
#else
#define HALF(tasks) NULL
#endif

/* The pieces' inner products summed, always in the same order, and from them the gradients of offset and weight. At
 * an integer offset it is the right derivative. */
static void factor_gradients(const Call *c)
{
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t g = 0; g < c->G; g++) {
            const Taps taps = taps_of(c, b, g);
            double grad_offset = 0;
            for (int64_t t = 0; t < c->T; t++) {
                double near = 0, far = 0;
                for (int64_t piece = 0; piece < c->pieces; piece++) {
                    const float *dots = c->dots + (((b * c->pieces + piece) * c->G + g) * c->T + t) * 2;
                    near += dots[0];
                    far += dots[1];
                }
                grad_offset += weight_of(c, b, t, g) * (far - near);
                c->grad_weight[(b * c->T + t) * c->G + g] = (float)((1 - taps.phi) * near + taps.phi * far);
            }
            c->grad_offset[b * c->G + g] = (float)grad_offset;
        }
}

/* dtype: 0 float32, 1 bfloat16, 2 float16. Returns 0, or 1 where the compiler knew no float16. */
int interlace_run(Call *call, int32_t dtype, ParallelFor parallel_for)
{
    Tasks tasks[] = {tasks_float32, tasks_bfloat16, HALF(tasks_float16)};
    if (!tasks[dtype]) return 1;
#ifdef HAS_FAST_BFLOAT16
    if (has_fast_bfloat16()) tasks[1] = tasks_fast_bfloat16;
#endif
    parallel_for(0, call->B * call->pieces, 1, tasks[dtype], call);
    if (call->dots) factor_gradients(call);
    return 0;
}

#include "nets.h"
#include "causal_nets.h"
#include "conv_rows.h"
