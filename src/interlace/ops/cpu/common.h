/* What the kernels share: tensors by strides, the two taps of an offset, and vectors of LANES floats. */

#ifndef INTERLACE_COMMON_H
#define INTERLACE_COMMON_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Lanes32 __attribute__((vector_size(4 * LANES)));
typedef uint16_t Lanes16 __attribute__((vector_size(2 * LANES)));

/* A tensor (B, T, C, H, W). Contiguous: a frame is one row of C*H*W elements. Channels-last: H*W rows of C. */
typedef struct {
    void *data;
    int64_t sample, frame, row; /* strides in elements */
} Operand;

typedef struct {
    Operand x, grad, out;  /* grad.data is NULL in the forward */
    Operand kept;          /* in place, where out is x: for what moved as it was, all of its G * segment; else NULL */
    const Operand *past;   /* forward: what moves, in the `reach` frames before the clip, the latest first */
    int64_t reach;
    const float *offset;   /* (B, G) */
    const float *weight;   /* (B, T, G) */
    float *dots;           /* backward: (B * pieces, G, T, 2), zeros; NULL if these gradients are not wanted */
    float *grad_offset, *grad_weight;
    int64_t B, T, G;
    int64_t rows;          /* of a frame */
    int64_t segment, rest; /* elements of a row that belong to one group; to the channels that pass */
    int64_t pieces;        /* into which the rows of a sample are cut; where a frame is one row, its elements */
} Call;

/* The descriptor of each clip, and the two nets of TemporalInterlace on it. */
typedef struct {
    Operand x;
    const float *conv, *conv_bias;               /* (1, F, 3), (1): from the descriptor to one number a frame */
    const float *fc1, *fc1_bias, *fc2, *fc2_bias; /* (T, T), (T), (groups, T), (groups) */
    const float *weight_conv, *weight_conv_bias; /* (groups, F, 3), (groups) */
    float *z;                                    /* (B, T, F) */
    float *offset, *weight;                      /* (B, G), (B, T, G), where G = groups or, mirrored, 2 * groups */
    int64_t B, T, F, P, groups;
    float offset_range;
    int32_t mirrored, channels_last;
} Nets;

/* The gradients of the nets: of each parameter, in the order of Nets, and of the descriptor; all begin as zeros. */
typedef struct {
    Nets nets; /* after the forward */
    const float *grad_offset, *grad_weight;
    float *conv, *conv_bias, *fc1, *fc1_bias, *fc2, *fc2_bias, *weight_conv, *weight_conv_bias, *z;
} NetsBack;

/* Part of a sample: some rows, of each the n elements from `element` on. */
typedef struct {
    int64_t b, row, rows, element, n;
} Block;

typedef struct {
    int64_t k;
    float phi;
} Taps;

INLINE int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Where part i of n begins, on a cache line of any type. */
INLINE int64_t share(int64_t total, int64_t i, int64_t n) { return i == n ? total : total * i / n / 32 * 32; }

/* What a task has of n elements of every row. */
INLINE Block block_of(const Call *c, int64_t task, int64_t element, int64_t n)
{
    const int64_t b = task / c->pieces, piece = task % c->pieces;
    if (c->rows > 1) {
        const int64_t row = c->rows * piece / c->pieces;
        return (Block){b, row, c->rows * (piece + 1) / c->pieces - row, element, n};
    }
    const int64_t begin = share(n, piece, c->pieces);
    return (Block){b, 0, 1, element + begin, share(n, piece + 1, c->pieces) - begin};
}

/* k = floor(offset), phi = offset - k. From T frames (and those of the past) on nothing is left, so k may stop
 * there, and phi with it; a NaN stays visible through phi. */
INLINE Taps taps_of(const Call *c, int64_t b, int64_t g)
{
    const float offset = c->offset[b * c->G + g], bound = (float)(c->T + c->reach) + 1;
    if (isnan(offset)) return (Taps){0, offset};
    const float k = fminf(fmaxf(floorf(offset), -bound), bound);
    return (Taps){(int64_t)k, fabsf(offset) <= bound ? offset - k : 0};
}

INLINE float weight_of(const Call *c, int64_t b, int64_t t, int64_t g) { return c->weight[(b * c->T + t) * c->G + g]; }

INLINE Lanes load_lanes(const float *p)
{
    Lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store_lanes(float *p, Lanes v) { memcpy(p, &v, sizeof v); }

#if defined(__x86_64__) && defined(__linux__)
/* What arch=x86-64-v4 asks for. */
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}
#endif

typedef void (*Tasks)(int64_t begin, int64_t end, void *context);
typedef int32_t (*ParallelFor)(int64_t begin, int64_t end, int64_t grain, Tasks tasks, void *context);

#endif
