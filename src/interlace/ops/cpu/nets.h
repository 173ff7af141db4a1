/* The offset net and the weight net of TemporalInterlace (TIN, equations 1 to 3), for inference: a dozen operators
 * on tensors of a few numbers cost more to call than to compute. */

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

/* offset = 2 * range * (sigmoid(fc2(relu(fc1(conv(z))))) - 0.5), weight = 2 * sigmoid(weight_conv(z)) */
CHOOSE_PROCESSOR static void nets_of_sample(const Nets *v, int64_t b, const float *taps, float *s)
{
    const int64_t T = v->T, G = v->mirrored ? 2 * v->groups : v->groups;
    const float *z = v->z + b * T * v->F;
    float *hidden = s + T, *offset = v->offset + b * G, *weight = v->weight + b * T * G;
    for (int64_t t = 0; t < T; t++) {
        s[t] = along_time(v, z, t, taps, v->conv_bias[0]);
        for (int64_t g = 0; g < v->groups; g++)
            weight[t * G + g] = 2 * sigmoid(along_time(v, z, t, taps + (g + 1) * 3 * v->F, v->weight_conv_bias[g]));
    }
    for (int64_t i = 0; i < T; i++) {
        float sum = v->fc1_bias[i];
        for (int64_t t = 0; t < T; t++) sum += v->fc1[i * T + t] * s[t];
        hidden[i] = sum < 0 ? 0 : sum; /* a NaN stays one */
    }
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

int interlace_nets(Nets *nets, int32_t dtype, ParallelFor parallel_for)
{
    Tasks means[] = {means_float32, means_bfloat16, HALF(means_float16)};
#ifdef HAS_FAST_BFLOAT16
    if (has_fast_bfloat16()) means[1] = means_fast_bfloat16;
#endif
    const int64_t taps = 3 * nets->F, rows = nets->groups + 1;
    float *scratch = malloc((rows * taps + 2 * nets->T) * sizeof(float));
    if (!means[dtype] || !scratch) {
        free(scratch);
        return 1;
    }
    for (int64_t row = 0; row < rows; row++) { /* (F, 3) to (3, F), so that the sums run over consecutive numbers */
        const float *from = row ? nets->weight_conv + (row - 1) * taps : nets->conv;
        for (int64_t i = 0; i < taps; i++) scratch[row * taps + i % 3 * nets->F + i / 3] = from[i];
    }
    parallel_for(0, nets->B * nets->T, 1, means[dtype], nets);
    for (int64_t b = 0; b < nets->B; b++) nets_of_sample(nets, b, scratch, scratch + rows * taps);
    free(scratch);
    return 0;
}
