/* The offset net and the weight net of TemporalInterlace (TIN, equations 1 to 3), and their gradients: dozens of
 * operators on tensors of a few numbers cost more to call than to compute. */

INLINE float sigmoid(float v) { return 1 / (1 + expf(-v)); }

/* A convolution along time, kernel 3 and padding 1, of the descriptor z (T, F) at frame t: taps (3, F) */
INLINE float along_time(const Nets *v, const float *z, int64_t t, const float *taps, float bias)
{
    float sum = bias;
    for (int64_t j = 0; j < 3; j++) {
        const int64_t s = t + j - 1;
        if (s >= 0 && s < v->T) sum += dot_float32(taps + j * v->F, 0, z + s * v->F, 0, 1, v->F);
    }
    return sum;
}

/* The numbers before and after the ReLU: s = conv(z), hidden = relu(fc1(s)) */
INLINE void hidden_of(const Nets *v, const float *z, const float *taps, float *s, float *hidden)
{
    for (int64_t t = 0; t < v->T; t++) s[t] = along_time(v, z, t, taps, v->conv_bias[0]);
    for (int64_t i = 0; i < v->T; i++) {
        float sum = v->fc1_bias[i];
        for (int64_t t = 0; t < v->T; t++) sum += v->fc1[i * v->T + t] * s[t];
        hidden[i] = sum < 0 ? 0 : sum; /* a NaN stays one */
    }
}

/* offset = 2 * range * (sigmoid(fc2(relu(fc1(conv(z))))) - 0.5), weight = 2 * sigmoid(weight_conv(z)) */
CHOOSE_PROCESSOR static void nets_of_sample(const Nets *v, int64_t b, const float *taps, float *s)
{
    const int64_t T = v->T, G = v->mirrored ? 2 * v->groups : v->groups;
    const float *z = v->z + b * T * v->F;
    float *hidden = s + T, *offset = v->offset + b * G, *weight = v->weight + b * T * G;
    hidden_of(v, z, taps, s, hidden);
    for (int64_t t = 0; t < T; t++)
        for (int64_t g = 0; g < v->groups; g++)
            weight[t * G + g] = 2 * sigmoid(along_time(v, z, t, taps + (g + 1) * 3 * v->F, v->weight_conv_bias[g]));
    for (int64_t g = 0; g < v->groups; g++) {
        float sum = v->fc2_bias[g];
        for (int64_t t = 0; t < T; t++) sum += v->fc2[g * T + t] * hidden[t];
        offset[g] = 2 * v->offset_range * (sigmoid(sum) - 0.5f);
    }
    for (int64_t g = v->groups; g < G; g++) {
        offset[g] = -offset[g - v->groups];
        for (int64_t t = 0; t < T; t++) weight[t * G + g] = weight[t * G + g - v->groups];
    }
}

/* The kernels (F, 3) of both convolutions to (3, F), so that the sums run over consecutive numbers. */
static void transpose_taps(const Nets *v, float *taps)
{
    for (int64_t row = 0; row <= v->groups; row++, taps += 3 * v->F) {
        const float *from = row ? v->weight_conv + (row - 1) * 3 * v->F : v->conv;
        for (int64_t i = 0; i < 3 * v->F; i++) taps[i % 3 * v->F + i / 3] = from[i];
    }
}

/* What takes the means of an element type; NULL where the compiler knew it not. */
static Tasks means_of(int32_t dtype)
{
    Tasks means[] = {means_float32, means_bfloat16, HALF(means_float16)};
#ifdef HAS_FAST_BFLOAT16
    if (has_fast_bfloat16()) means[1] = means_fast_bfloat16;
#endif
    return means[dtype];
}

int interlace_nets(Nets *nets, int32_t dtype, ParallelFor parallel_for)
{
    const Tasks means = means_of(dtype);
    const int64_t taps = 3 * nets->F, rows = nets->groups + 1;
    float *scratch = malloc((rows * taps + 2 * nets->T) * sizeof(float));
    if (!means || !scratch) {
        free(scratch);
        return 1;
    }
    transpose_taps(nets, scratch);
    parallel_for(0, nets->B * nets->T, 1, means, nets);
    for (int64_t b = 0; b < nets->B; b++) nets_of_sample(nets, b, scratch, scratch + rows * taps);
    free(scratch);
    return 0;
}

/* What a gradient at frame t of a convolution along time does to its taps (3, F) and to the descriptor. */
INLINE void along_time_back(const Nets *v, const float *z, int64_t t, const float *taps, float grad, float *grad_taps,
                            float *grad_z)
{
    for (int64_t j = 0; j < 3; j++) {
        const int64_t s = t + j - 1;
        if (s < 0 || s >= v->T) continue;
        for (int64_t f = 0; f < v->F; f++) {
            grad_taps[j * v->F + f] += grad * z[s * v->F + f];
            grad_z[s * v->F + f] += grad * taps[j * v->F + f];
        }
    }
}

/* scratch: 4 T numbers. A sigmoid that became 2 * range * (sigma - 0.5) or 2 * sigma says itself what sigma was. */
CHOOSE_PROCESSOR static void nets_back_of_sample(const NetsBack *back, int64_t b, const float *taps, float *grad_taps,
                                                 float *scratch)
{
    const Nets *v = &back->nets;
    const int64_t T = v->T, G = v->mirrored ? 2 * v->groups : v->groups;
    const float *z = v->z + b * T * v->F, *offset = v->offset + b * G, *weight = v->weight + b * T * G;
    const float *grad_offset = back->grad_offset + b * G, *grad_weight = back->grad_weight + b * T * G;
    float *grad_z = back->z + b * T * v->F;
    float *s = scratch, *hidden = s + T, *grad_s = hidden + T, *grad_hidden = grad_s + T;
    hidden_of(v, z, taps, s, hidden);
    memset(grad_s, 0, 2 * T * sizeof(float));
    for (int64_t g = 0; g < v->groups; g++) {
        const float sigma = offset[g] / (2 * v->offset_range) + 0.5f;
        float grad = grad_offset[g] - (v->mirrored ? grad_offset[g + v->groups] : 0);
        grad *= 2 * v->offset_range * sigma * (1 - sigma);
        back->fc2_bias[g] += grad;
        for (int64_t t = 0; t < T; t++) {
            back->fc2[g * T + t] += grad * hidden[t];
            grad_hidden[t] += grad * v->fc2[g * T + t];
        }
    }
    for (int64_t i = 0; i < T; i++) {
        const float grad = hidden[i] <= 0 ? 0 : grad_hidden[i];
        back->fc1_bias[i] += grad;
        for (int64_t t = 0; t < T; t++) {
            back->fc1[i * T + t] += grad * s[t];
            grad_s[t] += grad * v->fc1[i * T + t];
        }
    }
    for (int64_t t = 0; t < T; t++) {
        back->conv_bias[0] += grad_s[t];
        along_time_back(v, z, t, taps, grad_s[t], grad_taps, grad_z);
        for (int64_t g = 0; g < v->groups; g++) {
            const float w = weight[t * G + g];
            float grad = grad_weight[t * G + g] + (v->mirrored ? grad_weight[t * G + g + v->groups] : 0);
            grad *= w * (1 - w / 2);
            back->weight_conv_bias[g] += grad;
            along_time_back(v, z, t, taps + (g + 1) * 3 * v->F, grad, grad_taps + (g + 1) * 3 * v->F, grad_z);
        }
    }
}

/* Samples one after the other: the sums have one order. */
int interlace_nets_back(NetsBack *back)
{
    const Nets *v = &back->nets;
    const int64_t taps = 3 * v->F * (v->groups + 1);
    float *scratch = calloc(2 * taps + 4 * v->T, sizeof(float)), *grad_taps = scratch + taps;
    if (!scratch) return 1;
    transpose_taps(v, scratch);
    for (int64_t b = 0; b < v->B; b++) nets_back_of_sample(back, b, scratch, grad_taps, scratch + 2 * taps);
    for (int64_t row = 0; row <= v->groups; row++, grad_taps += 3 * v->F) {
        float *to = row ? back->weight_conv + (row - 1) * 3 * v->F : back->conv;
        for (int64_t i = 0; i < 3 * v->F; i++) to[i] = grad_taps[i % 3 * v->F + i / 3];
    }
    free(scratch);
    return 0;
}
