/* The kernels for one element type. Included once for each, with
 *   ELEMENT                           the type in memory
 *   LOAD(p), STORE(p, v)              *p as float, *p = v
 *   LOAD_LANES(p), STORE_LANES(p, v)  the same for LANES elements
 *   NAME(f)                           f with the type's suffix
 * A block is `rows` rows of n elements, `row` elements apart. All is inlined into the functions that exist once
 * for each kind of processor: means, tasks, and the convolutions in conv.h and conv_rows.h. */

/* For each row: whole vectors, and what is left of n. */
#define EACH_ROW(lanes, single)                                                  \
    for (int64_t r = 0; r < rows; r++, dst += dst_row, a += a_row, b += b_row) { \
        int64_t i = 0;                                                           \
        for (; i + LANES <= n; i += LANES) STORE_LANES(dst + i, lanes);          \
        for (; i < n; i++) STORE(dst + i, single);                               \
    }

/* Where a block lies in memory. */
typedef struct {
    const ELEMENT *data;
    int64_t row;
} NAME(Place);

/* dst = near * near_place + far * far_place, either of which may be missing: where nothing was there are zeros. */
INLINE void NAME(blend)(ELEMENT *dst, int64_t dst_row, NAME(Place) near_place, float near, NAME(Place) far_place,
                        float far, int64_t rows, int64_t n)
{
    const ELEMENT *a = near_place.data, *b = far_place.data;
    int64_t a_row = near_place.row, b_row = far_place.row;
    if (!a && !b) {
        for (int64_t r = 0; r < rows; r++, dst += dst_row) memset(dst, 0, n * sizeof(ELEMENT));
        return;
    }
    if (a && b && near != 0.0f && far != 0.0f) {
        EACH_ROW(near * LOAD_LANES(a + i) + far * LOAD_LANES(b + i), near * LOAD(a + i) + far * LOAD(b + i))
        return;
    }
    if (!a || (b && near == 0.0f)) { a = b; a_row = b_row; near = far; }
    if (near == 1.0f) { /* bit for bit */
        if (dst == a) return;
        for (int64_t r = 0; r < rows; r++, dst += dst_row, a += a_row) {
            int64_t i = 0;
            for (; i + LANES <= n; i += LANES) memcpy(dst + i, a + i, LANES * sizeof(ELEMENT));
            for (; i < n; i++) dst[i] = a[i];
        }
        return;
    }
    b = a;
    b_row = a_row;
    EACH_ROW(near * LOAD_LANES(a + i), near * LOAD(a + i))
}

/* sum += g * a, in lanes and chains of their own: the order of the sum does not hang on the compiler. */
INLINE float NAME(dot)(const ELEMENT *g, int64_t g_row, const ELEMENT *a, int64_t row, int64_t rows, int64_t n)
{
    Lanes chains[4] = {0};
    float sum = 0;
    for (int64_t r = 0; r < rows; r++, g += g_row, a += row) {
        int64_t i = 0;
        for (; i + 4 * LANES <= n; i += 4 * LANES)
            for (int j = 0; j < 4; j++) chains[j] += LOAD_LANES(g + i + j * LANES) * LOAD_LANES(a + i + j * LANES);
        for (; i + LANES <= n; i += LANES) chains[r % 4] += LOAD_LANES(g + i) * LOAD_LANES(a + i);
        for (; i < n; i++) sum += LOAD(g + i) * LOAD(a + i);
    }
    const Lanes lanes = (chains[0] + chains[1]) + (chains[2] + chains[3]);
    for (int l = 0; l < LANES; l++) sum += lanes[l];
    return sum;
}

/* The first element of a block in frame t; NULL outside the clip. */
INLINE ELEMENT *NAME(frame)(const Operand *x, const Call *c, const Block *at, int64_t t)
{
    if (t < 0 || t >= c->T) return NULL;
    return (ELEMENT *)x->data + at->b * x->sample + t * x->frame + at->row * x->row + at->element;
}

/* The same of what the frames show: before the clip come those of the past. */
INLINE NAME(Place) NAME(shown)(const Operand *x, const Call *c, const Block *at, int64_t t)
{
    if (t >= 0 || -t > c->reach) return (NAME(Place)){NAME(frame)(x, c, at, t), x->row};
    x = c->past - t - 1;
    return (NAME(Place)){(ELEMENT *)x->data + at->b * x->sample + at->row * x->row + at->element, x->row};
}

/* A block of one group, in all frames: out[t] = weight[t] * ((1 - phi) * x[t - k] + phi * x[t - k - 1]) */
INLINE void NAME(move)(const Call *c, const Operand *x, const Block *at, int64_t g)
{
    const Taps taps = taps_of(c, at->b, g);
    for (int64_t t = 0; t < c->T; t++) {
        const float weight = weight_of(c, at->b, t, g);
        NAME(blend)(NAME(frame)(&c->out, c, at, t), c->out.row,
                    NAME(shown)(x, c, at, t - taps.k), weight * (1 - taps.phi),
                    NAME(shown)(x, c, at, t - taps.k - 1), weight * taps.phi, at->rows, at->n);
    }
}

INLINE void NAME(copy)(const Call *c, const Operand *from, const Operand *to, const Block *at)
{
    if (from->data == to->data || at->n == 0) return;
    for (int64_t t = 0; t < c->T; t++)
        for (int64_t r = 0; r < at->rows; r++)
            memcpy(NAME(frame)(to, c, at, t) + r * to->row, NAME(frame)(from, c, at, t) + r * from->row,
                   at->n * sizeof(ELEMENT));
}

/* The adjoint, and the inner products of each target's gradient with the two frames that it shows. Frame s went
 * to the targets s + k and s + k + 1, with the factors of those targets. out may be grad itself: no frame is
 * written before it has been read for the last time. */
INLINE void NAME(move_back)(const Call *c, const Block *at, int64_t g, float *dots)
{
    const Taps taps = taps_of(c, at->b, g);
    for (int64_t t = 0; dots && t < c->T; t++) {
        const ELEMENT *grad = NAME(frame)(&c->grad, c, at, t);
        const ELEMENT *near = NAME(frame)(&c->x, c, at, t - taps.k), *far = NAME(frame)(&c->x, c, at, t - taps.k - 1);
        if (near) dots[2 * t] += NAME(dot)(grad, c->grad.row, near, c->x.row, at->rows, at->n);
        if (far) dots[2 * t + 1] += NAME(dot)(grad, c->grad.row, far, c->x.row, at->rows, at->n);
    }
    for (int64_t i = 0; i < c->T; i++) {
        const int64_t s = taps.k < 0 ? c->T - 1 - i : i, t = s + taps.k;
        const ELEMENT *near = NAME(frame)(&c->grad, c, at, t), *far = NAME(frame)(&c->grad, c, at, t + 1);
        NAME(blend)(NAME(frame)(&c->out, c, at, s), c->out.row,
                    (NAME(Place)){near, c->grad.row}, near ? weight_of(c, at->b, t, g) * (1 - taps.phi) : 0,
                    (NAME(Place)){far, c->grad.row}, far ? weight_of(c, at->b, t + 1, g) * taps.phi : 0,
                    at->rows, at->n);
    }
}

/* Tasks [begin, end), a frame each: the mean over the pixels of each channel that moves. */
CHOOSE_PROCESSOR static void NAME(means)(int64_t begin, int64_t end, void *context)
{
    const Nets *v = context;
    const Operand *x = &v->x;
    for (int64_t task = begin; task < end; task++) {
        const ELEMENT *frame = (const ELEMENT *)x->data + task / v->T * x->sample + task % v->T * x->frame;
        float *z = v->z + task * v->F;
        if (v->channels_last) {
            float block[v->F]; /* sums of a few pixels, so that small numbers are not added to large ones */
            memset(z, 0, v->F * sizeof(float));
            for (int64_t p = 0; p < v->P; p++, frame += x->row) {
                int64_t f = 0;
                if (p % 32 == 0) memset(block, 0, v->F * sizeof(float));
                for (; f + LANES <= v->F; f += LANES) store_lanes(block + f, load_lanes(block + f) + LOAD_LANES(frame + f));
                for (; f < v->F; f++) block[f] += LOAD(frame + f);
                if (p % 32 == 31 || p == v->P - 1)
                    for (f = 0; f < v->F; f++) z[f] += block[f];
            }
        } else {
            for (int64_t f = 0; f < v->F; f++, frame += v->P) {
                Lanes chains[2] = {0};
                float sum = 0;
                int64_t p = 0;
                for (; p + 2 * LANES <= v->P; p += 2 * LANES)
                    for (int j = 0; j < 2; j++) chains[j] += LOAD_LANES(frame + p + j * LANES);
                for (; p < v->P; p++) sum += LOAD(frame + p);
                const Lanes lanes = chains[0] + chains[1];
                for (int l = 0; l < LANES; l++) sum += lanes[l];
                z[f] = sum;
            }
        }
        for (int64_t f = 0; f < v->F; f++) z[f] /= v->P;
    }
}

/* Tasks [begin, end): a piece of the pixels of one sample each, of all groups and of the channels that pass. */
CHOOSE_PROCESSOR static void NAME(tasks)(int64_t begin, int64_t end, void *context)
{
    const Call *c = context;
    const int backward = c->grad.data != NULL, in_place = c->kept.data != NULL;
    for (int64_t task = begin; task < end; task++) {
        for (int64_t g = 0; g < c->G; g++) {
            const Block at = block_of(c, task, g * c->segment, c->segment);
            if (in_place) NAME(copy)(c, &c->x, &c->kept, &at);
            if (backward)
                NAME(move_back)(c, &at, g, c->dots ? c->dots + (task * c->G + g) * c->T * 2 : NULL);
            else
                NAME(move)(c, in_place ? &c->kept : &c->x, &at, g);
        }
        const Block at = block_of(c, task, c->G * c->segment, c->rest);
        NAME(copy)(c, backward ? &c->grad : &c->x, &c->out, &at);
    }
}

#undef EACH_ROW
