/* The offset net and the weight net of CausalInterlace, for one frame of each stream. As in nets.h, the operators
 * would cost more to call than to compute. */

typedef struct {
    Nets pool;           /* x, T = 1, F, P, and z (B, F) for the descriptor of the frame */
    const float *before; /* (B, window - 1, F): the descriptors of the frames before */
    const float *conv, *conv_bias, *last, *last_bias; /* (hidden, F, window), (hidden), (G, hidden), (G) */
    const float *weight_conv, *weight_conv_bias;      /* (G, F, window), (G) */
    float *after;                                     /* as before, for the next frame */
    float *offset, *weight;                           /* (B, G) */
    int64_t window, hidden, G;
    float offset_range;
} CausalNets;

/* The window of descriptors as a kernel lies in memory, (F, window); and that of the next frame. */
INLINE void gather_window(const CausalNets *v, int64_t b, float *descriptors)
{
    const int64_t F = v->pool.F, earlier = v->window - 1;
    const float *before = v->before + b * earlier * F, *z = v->pool.z + b * F;
    float *after = v->after + b * earlier * F;
    for (int64_t w = 0; w < v->window; w++) {
        const float *frame = w < earlier ? before + w * F : z;
        for (int64_t f = 0; f < F; f++) descriptors[f * v->window + w] = frame[f];
        if (w > 0) memcpy(after + (w - 1) * F, frame, F * sizeof(float));
    }
}

/* offset = range * sigmoid(last(relu(conv(window)))), weight = 2 * sigmoid(weight_conv(window)) */
CHOOSE_PROCESSOR static void causal_nets_of_sample(const CausalNets *v, int64_t b, float *scratch)
{
    const int64_t n = v->pool.F * v->window, G = v->G;
    float *descriptors = scratch, *hidden = scratch + n;
    gather_window(v, b, descriptors);
    for (int64_t i = 0; i < v->hidden; i++) {
        const float sum = v->conv_bias[i] + dot_float32(v->conv + i * n, 0, descriptors, 0, 1, n);
        hidden[i] = sum < 0 ? 0 : sum; /* a NaN stays one */
    }
    for (int64_t g = 0; g < G; g++) {
        float sum = v->last_bias[g];
        for (int64_t i = 0; i < v->hidden; i++) sum += v->last[g * v->hidden + i] * hidden[i];
        v->offset[b * G + g] = v->offset_range * sigmoid(sum);
        sum = v->weight_conv_bias[g] + dot_float32(v->weight_conv + g * n, 0, descriptors, 0, 1, n);
        v->weight[b * G + g] = 2 * sigmoid(sum);
    }
}

int interlace_causal_nets(CausalNets *nets, int32_t dtype, ParallelFor parallel_for)
{
    const Tasks means = means_of(dtype);
    float *scratch = malloc((nets->pool.F * nets->window + nets->hidden) * sizeof(float));
    if (!means || !scratch) {
        free(scratch);
        return 1;
    }
    parallel_for(0, nets->pool.B, 1, means, &nets->pool);
    for (int64_t b = 0; b < nets->pool.B; b++) causal_nets_of_sample(nets, b, scratch);
    free(scratch);
    return 0;
}
