/* A 1x1 convolution of interlaced frames, channels-last: a row is a pixel with all its channels.
 *
 *   out[row, k] = activation(bias[k] + sum_c moved[row, c] * kernel[k, c])
 *
 * Only the channels that move are packed, for a block of rows at a time; the others are read where they are. The
 * kernel is packed into panels of up to 4 vectors of outputs, for each channel (bfloat16: each pair of channels)
 * one after the other. */

#define PANEL (4 * LANES)
#define TALL 6 /* rows at a time with 4 vectors each: 24 sums, as many as the registers hold */

typedef struct {
    Call move;          /* x, offset, weight and sizes */
    const void *packed; /* by interlace_pack */
    const float *bias;  /* (K), or NULL */
    void *out;          /* (B * T * P, K) */
    int64_t C, K, P, rows;
    int64_t rows_per_task; /* a multiple of TALL */
    float lowest, highest; /* the activation: values are cut to these; infinities leave them as they are */
} RowsConv;

/* The moved channels of n rows from `first` on, (n, fold). Rows that follow each other may belong to two frames. */
#define PACK_ROWS(type, fast)                                                                                        \
    INLINE void pack_rows_##type(const RowsConv *v, ROW_##type *panel, int64_t first, int64_t n)                     \
    {                                                                                                                \
        const Call *c = &v->move;                                                                                    \
        const int64_t fold = c->G * c->segment;                                                                      \
        for (int64_t at = 0, m; at < n; at += m) {                                                                   \
            const int64_t frame = (first + at) / v->P, p = (first + at) % v->P, b = frame / c->T, t = frame % c->T;  \
            m = min(n - at, v->P - p);                                                                               \
            for (int64_t g = 0; g < c->G; g++) {                                                                     \
                const Taps taps = taps_of(c, b, g);                                                                  \
                const Block block = {b, p, m, g * c->segment, c->segment};                                           \
                const float weight = weight_of(c, b, t, g);                                                          \
                blend_##fast##type(panel + at * fold + g * c->segment, fold,                                         \
                             shown_##fast##type(&c->x, c, &block, t - taps.k), weight * (1 - taps.phi),              \
                             shown_##fast##type(&c->x, c, &block, t - taps.k - 1), weight * taps.phi, m,             \
                             c->segment);                                                                            \
            }                                                                                                        \
        }                                                                                                            \
    }
typedef float ROW_float32;
typedef uint16_t ROW_bfloat16;
PACK_ROWS(float32, )

/* Cut to [lowest, highest]; a NaN compares as false and stays. */
INLINE Lanes cut(const RowsConv *v, Lanes x)
{
    const Lanes lowest = v->lowest + (Lanes){0}, highest = v->highest + (Lanes){0};
    const Lanes32 below = (Lanes32)(x < lowest), above = (Lanes32)(x > highest);
    return (Lanes)(((Lanes32)x & ~below & ~above) | ((Lanes32)lowest & below) | ((Lanes32)highest & above));
}

/* sums += rows (height, n channels, `row` apart) x panel; returns where the panel goes on. */
INLINE const float *add_float32(Lanes sum[TALL][4], const float *x, int64_t row, int64_t n, const float *panel,
                                const int height, const int vectors)
{
    for (int64_t c = 0; c < n; c++, panel += vectors * LANES) {
        Lanes w[4];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) w[j] = load_lanes(panel + j * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < height; i++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) sum[i][j] += x[i * row + c] * w[j];
    }
    return panel;
}

/* `height` rows times one panel of `vectors` vectors */
#define TILE(type, attributes, store)                                                                                \
    attributes static inline __attribute__((always_inline)) void tile_##type(                                        \
        const RowsConv *v, const ROW_##type *moved, int64_t first, const ROW_##type *panel, int64_t k,               \
        const int height, const int vectors)                                                                         \
    {                                                                                                                \
        const int64_t fold = v->move.G * v->move.segment, row = v->move.x.row;                                       \
        Lanes sum[TALL][4];                                                                                          \
        for (int i = 0; i < height; i++)                                                                             \
            for (int j = 0; j < vectors; j++) sum[i][j] = (Lanes){0};                                                \
        panel = add_##type(sum, moved, fold, fold, panel, height, vectors);                                          \
        const ROW_##type *x = (const ROW_##type *)v->move.x.data + first * row + fold;                               \
        add_##type(sum, x, row, v->C - fold, panel, height, vectors);                                                \
        ROW_##type *out = (ROW_##type *)v->out + first * v->K + k;                                                   \
        for (int j = 0; j < vectors; j++) {                                                                          \
            const Lanes bias = v->bias ? load_lanes(v->bias + k + j * LANES) : (Lanes){0};                           \
            for (int i = 0; i < height; i++) store(out + i * v->K + j * LANES, cut(v, sum[i][j] + bias));            \
        }                                                                                                            \
    }                                                                                                                \
    attributes static inline __attribute__((always_inline)) void rows_##type(                                        \
        const RowsConv *v, const ROW_##type *moved, int64_t first, int64_t n, const ROW_##type *panel, int64_t k,    \
        const int height, const int vectors)                                                                         \
    {                                                                                                                \
        const int64_t fold = v->move.G * v->move.segment;                                                            \
        int64_t i = 0;                                                                                               \
        for (; i + height <= n; i += height) tile_##type(v, moved + i * fold, first + i, panel, k, height, vectors); \
        for (; i + 2 <= n; i += 2) tile_##type(v, moved + i * fold, first + i, panel, k, 2, vectors);                \
        for (; i < n; i++) tile_##type(v, moved + i * fold, first + i, panel, k, 1, vectors);                        \
    }                                                                                                                \
    attributes static inline __attribute__((always_inline)) void convolve_rows_##type(                               \
        const RowsConv *v, int64_t begin, int64_t end, const int wide)                                               \
    {                                                                                                                \
        const int64_t fold = v->move.G * v->move.segment, most = v->rows_per_task;                            \
        ROW_##type *moved = aligned_alloc(64, (most * fold * sizeof(ROW_##type) + 63) / 64 * 64);                    \
        for (int64_t task = begin; task < end; task++) {                                                             \
            const int64_t first = task * most, n = min(most, v->rows - first);                                       \
            pack_rows_##type(v, moved, first, n);                                                                    \
            for (int64_t k = 0; k < v->K;) {                                                                         \
                const ROW_##type *panel = (const ROW_##type *)v->packed + k * v->C;                                  \
                if (v->K - k >= PANEL && wide) {                                                                     \
                    rows_##type(v, moved, first, n, panel, k, TALL, 4);                                              \
                    k += PANEL;                                                                                      \
                } else {                                                                                             \
                    rows_##type(v, moved, first, n, panel, k, TALL, 1);                                              \
                    k += LANES;                                                                                      \
                }                                                                                                    \
            }                                                                                                        \
        }                                                                                                            \
        free(moved);                                                                                                 \
    }

TILE(float32, , store_lanes)

#if defined(__x86_64__) && defined(__linux__)
#define WITH_BF16 __attribute__((target("arch=x86-64-v4,avx512bf16")))

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,avx512bf16")
PACK_ROWS(bfloat16, fast_)
#pragma GCC pop_options
WITH_BF16 static inline __attribute__((always_inline)) const uint16_t *add_bfloat16(
    Lanes sum[TALL][4], const uint16_t *x, int64_t row, int64_t n, const uint16_t *panel, const int height,
    const int vectors)
{
    for (int64_t c = 0; c < n; c += 2, panel += 2 * vectors * LANES) {
        __m512bh w[4];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) w[j] = (__m512bh)_mm512_loadu_si512(panel + j * 2 * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < height; i++) {
            int32_t pair;
            memcpy(&pair, x + i * row + c, sizeof pair);
            const __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) sum[i][j] = (Lanes)_mm512_dpbf16_ps((__m512)sum[i][j], both, w[j]);
        }
    }
    return panel;
}
TILE(bfloat16, WITH_BF16, bfloat16_round_lanes)

WITH_BF16 static void rows_tasks_bfloat16(int64_t begin, int64_t end, void *conv)
{
    convolve_rows_bfloat16(conv, begin, end, 1);
}
__attribute__((target("arch=x86-64-v4"))) static void rows_tasks_wide(int64_t begin, int64_t end, void *conv)
{
    convolve_rows_float32(conv, begin, end, 1);
}
__attribute__((target("arch=x86-64-v3"))) static void rows_tasks_narrow(int64_t begin, int64_t end, void *conv)
{
    convolve_rows_float32(conv, begin, end, 0);
}
static int is_wide(void) { return convolution() == convolve_wide; }
static Tasks rows_tasks(int32_t dtype)
{
    const int wide = is_wide();
    if (dtype == 1) return has_fast_bfloat16() ? rows_tasks_bfloat16 : NULL;
    if (dtype == 0) return wide ? rows_tasks_wide : convolution() ? rows_tasks_narrow : NULL;
    return NULL;
}
#elif defined(__aarch64__)
static void rows_tasks_narrow(int64_t begin, int64_t end, void *conv) { convolve_rows_float32(conv, begin, end, 0); }
static int is_wide(void) { return 0; }
static Tasks rows_tasks(int32_t dtype) { return dtype == 0 ? rows_tasks_narrow : NULL; }
#else
static int is_wide(void) { return 0; }
static Tasks rows_tasks(int32_t dtype) { return (void)dtype, NULL; }
#endif

typedef struct {
    const void *kernel; /* (K, C) */
    void *packed;
    int64_t K, C;
} Packing;

/* Tasks [begin, end): PANEL rows of the kernel each, in blocks of channels that stay in the cache. */
#define PACK_KERNEL(type, group)                                                                                     \
    static void pack_kernel_##type(int64_t begin, int64_t end, void *packing)                                        \
    {                                                                                                                \
        const Packing *v = packing;                                                                                  \
        for (int64_t first = begin * PANEL; first < min(end * PANEL, v->K);) {                                       \
            const int64_t width = v->K - first >= PANEL && is_wide() ? PANEL : LANES;                                \
            const ROW_##type *kernel = (const ROW_##type *)v->kernel + first * v->C;                                 \
            ROW_##type *packed = (ROW_##type *)v->packed + first * v->C;                                             \
            for (int64_t block = 0; block < v->C; block += 32)                                                       \
                for (int64_t i = 0; i < width; i += 1)                                                               \
                    for (int64_t c = block; c < min(block + 32, v->C); c++)                                          \
                        packed[(c / group * width + i) * group + c % group] = kernel[i * v->C + c];                  \
            first += width;                                                                                          \
        }                                                                                                            \
    }
PACK_KERNEL(float32, 1)
PACK_KERNEL(bfloat16, 2)

/* kernel (K, C) into panels. K is a multiple of LANES; for bfloat16 C and the fold are even. */
void interlace_pack(const void *kernel, void *packed, int64_t K, int64_t C, int32_t dtype, ParallelFor parallel_for)
{
    Packing packing = {kernel, packed, K, C};
    parallel_for(0, (K + PANEL - 1) / PANEL, 1, dtype ? pack_kernel_bfloat16 : pack_kernel_float32, &packing);
}

/* Returns 1 where there is no such kernel for the processor; with parallel_for NULL it only tells. */
int interlace_conv_rows(RowsConv *conv, int32_t dtype, ParallelFor parallel_for)
{
    const Tasks tasks = rows_tasks(dtype);
    if (!tasks) return 1;
    if (!parallel_for) return 0;
    const int64_t about = conv->rows < 96 ? 1 : (conv->rows / 96 + 1) / 2 * 2; /* even: for two threads, or four */
    conv->rows_per_task = ((conv->rows + about - 1) / about + TALL - 1) / TALL * TALL;
    parallel_for(0, (conv->rows + conv->rows_per_task - 1) / conv->rows_per_task, 1, tasks, conv);
    return 0;
}
