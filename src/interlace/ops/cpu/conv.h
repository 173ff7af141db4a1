/* A 1x1 convolution of interlaced frames, float32 and contiguous: a matrix product whose operand is interlaced
 * while it is packed, so that the interlaced frames are never written to memory.
 *
 *   out[b, t, k, p] = bias[k] + sum_c kernel[k, c] * moved[b, t, c, p]
 *
 * The pixels p of all frames are the columns of the product. A panel is COLUMNS of them with all their channels;
 * it stays in the cache while all rows of the kernel run over it. */

#define VECTORS 3
#define COLUMNS (VECTORS * LANES)

typedef struct {
    Call move;           /* x, offset, weight and sizes */
    const float *kernel; /* (K, C) */
    const float *bias;   /* (K), or NULL */
    float *out;          /* (B, T, K, P) */
    int64_t C, K, P;
    int64_t channels;    /* of one group */
    int64_t parts;       /* into which the rows of the kernel are cut, where there are few panels */
    int32_t relu;
} Conv;

/* n columns from pixel p of frame t on, into the panel (C, COLUMNS) from the column that `panel` points at. */
INLINE void pack(const Conv *v, float *panel, int64_t b, int64_t t, int64_t p, int64_t n)
{
    const Call *c = &v->move;
    for (int64_t g = 0; g < c->G; g++, panel += v->channels * COLUMNS) {
        const Taps taps = taps_of(c, b, g);
        const Block at = {b, 0, 1, g * v->channels * v->P + p, n};
        const float weight = weight_of(c, b, t, g);
        Place_float32 near = shown_float32(&c->x, c, &at, t - taps.k), far = shown_float32(&c->x, c, &at, t - taps.k - 1);
        near.row = far.row = v->P; /* here a row is a channel */
        blend_float32(panel, COLUMNS, near, weight * (1 - taps.phi), far, weight * taps.phi, v->channels, n);
    }
    const Block at = {b, 0, 1, c->G * v->channels * v->P + p, n};
    const float *x = frame_float32(&c->x, c, &at, t);
    for (int64_t i = c->G * v->channels; i < v->C; i++, panel += COLUMNS, x += v->P)
        if (n == COLUMNS)
            for (int j = 0; j < VECTORS; j++) store_lanes(panel + j * LANES, load_lanes(x + j * LANES));
        else
            memcpy(panel, x, n * sizeof(float));
}

/* tile (height, COLUMNS) = height rows of the kernel x panel, `vectors` vectors of columns at a time: as many sums
 * as the processor has registers. */
INLINE void multiply(const float *kernel, const float *panel, int64_t C, float *tile, const int height, const int vectors)
{
    for (int first = 0; first < VECTORS; first += vectors) {
        Lanes sum[8][VECTORS], x[VECTORS];
        for (int i = 0; i < height; i++)
            for (int j = 0; j < vectors; j++) sum[i][j] = (Lanes){0};
        for (int64_t c = 0; c < C; c++) {
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) x[j] = load_lanes(panel + c * COLUMNS + (first + j) * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < height; i++)
#pragma GCC unroll 8
                for (int j = 0; j < vectors; j++) sum[i][j] += kernel[i * C + c] * x[j];
        }
        for (int i = 0; i < height; i++)
            for (int j = 0; j < vectors; j++) store_lanes(tile + i * COLUMNS + (first + j) * LANES, sum[i][j]);
    }
}

/* One row of the tile, with bias and ReLU, to n pixels of the output. */
INLINE void finish(const Conv *v, const float *row, int64_t k, float *out, int64_t n)
{
    const float bias = v->bias ? v->bias[k] : 0;
    for (int64_t i = 0; i < n; i++) {
        const float value = row[i] + bias;
        out[i] = v->relu && value < 0 ? 0 : value;
    }
}

/* Tasks [begin, end): a part of the kernel's rows over one panel each. */
INLINE void convolve(const Conv *v, int64_t begin, int64_t end, const int height, const int vectors)
{
    const int64_t T = v->move.T, columns = v->move.B * T * v->P;
    float *panel = aligned_alloc(64, v->C * COLUMNS * sizeof(float));
    float tile[8 * COLUMNS];
    for (int64_t task = begin, packed = -1; task < end; task++) {
        const int64_t first = task / v->parts * COLUMNS, part = task % v->parts;
        const int64_t n = min(COLUMNS, columns - first);
        if (packed != first) { /* a panel may end in the next frame, or beyond the last one */
            for (int64_t at = 0, m; at < n; at += m) {
                const int64_t frame = (first + at) / v->P, p = (first + at) % v->P;
                m = min(n - at, v->P - p);
                pack(v, panel + at, frame / T, frame % T, p, m);
            }
            for (int64_t c = 0; n < COLUMNS && c < v->C; c++)
                memset(panel + c * COLUMNS + n, 0, (COLUMNS - n) * sizeof(float));
            packed = first;
        }
        const int64_t last_row = v->K * (part + 1) / v->parts;
        for (int64_t k = v->K * part / v->parts, rows; k < last_row; k += rows) {
            rows = last_row - k < height ? 1 : height;
            if (rows == 1)
                multiply(v->kernel + k * v->C, panel, v->C, tile, 1, VECTORS);
            else
                multiply(v->kernel + k * v->C, panel, v->C, tile, height, vectors);
            for (int64_t at = 0, m; at < n; at += m) {
                const int64_t frame = (first + at) / v->P, p = (first + at) % v->P;
                m = min(n - at, v->P - p);
                for (int64_t i = 0; i < rows; i++)
                    finish(v, tile + i * COLUMNS + at, k + i, v->out + (frame * v->K + k + i) * v->P + p, m);
            }
        }
    }
    free(panel);
}

/* 32 registers of 16 floats; 16 of 8; 32 of 4. */
#if defined(__x86_64__) && defined(__linux__)
__attribute__((target("arch=x86-64-v4"))) static void convolve_wide(int64_t begin, int64_t end, void *conv)
{
    convolve(conv, begin, end, 8, 3);
}
__attribute__((target("arch=x86-64-v3"))) static void convolve_narrow(int64_t begin, int64_t end, void *conv)
{
    convolve(conv, begin, end, 6, 1);
}
static Tasks convolution(void)
{
    if (has_avx512()) return convolve_wide;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? convolve_narrow : NULL;
}
#elif defined(__aarch64__)
static void convolve_narrow(int64_t begin, int64_t end, void *conv) { convolve(conv, begin, end, 6, 1); }
static Tasks convolution(void) { return convolve_narrow; }
#else
static Tasks convolution(void) { return NULL; }
#endif

/* Returns 1 where there is no such kernel for the processor; with parallel_for NULL it only tells. */
int interlace_conv1x1(Conv *conv, ParallelFor parallel_for)
{
    const Tasks tasks = convolution();
    if (!tasks) return 1;
    if (!parallel_for) return 0;
    const int64_t panels = (conv->move.B * conv->move.T * conv->P + COLUMNS - 1) / COLUMNS;
    conv->parts = panels < 64 && conv->K >= 64 ? 2 : 1;
    parallel_for(0, panels * conv->parts, conv->parts, tasks, conv);
    return 0;
}
