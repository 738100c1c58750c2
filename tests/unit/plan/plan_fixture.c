/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "plan/format.h"

#define BLOCK 16

/* The fixture is for tests: what cannot fail there stops the program. */
static void *must(void *memory) {
    if (!memory) abort();
    return memory;
}

static struct vt_plan_value *describe(struct vt_plan *plan, enum sample_value id, const char *name, enum vt_dtype dtype,
    enum vt_storage storage, int rank, const int64_t *dims) {
    struct vt_plan_value *v = &plan->values[id];
    *v = (struct vt_plan_value){.name = name, .dtype = dtype, .storage = storage, .rank = rank, .border = VT_PLAN_NONE};
    memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    return v;
}

/* Places a described value behind those of its storage before. */
static void place(struct vt_plan *plan, struct vt_plan_value *v) {
    if (!vt_plan_value_bytes(v, &v->bytes)) abort();
    if (v->storage == VT_STORAGE_CONSTANT) {
        v->offset = plan->weights_bytes;
        plan->weights_bytes += vt_round_up(v->bytes, VT_PLAN_ALIGNMENT);
    } else if (v->storage == VT_STORAGE_ARENA) {
        v->bytes = vt_round_up(v->bytes, VT_PLAN_ALIGNMENT);
        v->offset = plan->arena_bytes;
        plan->arena_bytes += v->bytes;
    }
}

static void vector(struct vt_plan *plan, enum sample_value id, const char *name, enum vt_dtype dtype, int64_t count) {
    place(plan, describe(plan, id, name, dtype, VT_STORAGE_CONSTANT, 1, &count));
}

static void plane(
    struct vt_plan *plan, enum sample_value id, const char *name, int64_t channels, int64_t side, int32_t pad) {
    struct vt_plan_value *v =
        describe(plan, id, name, VT_DTYPE_F32, VT_STORAGE_ARENA, 4, (int64_t[]){1, channels, side, side});
    v->layout = VT_LAYOUT_BLOCKED;
    v->block = BLOCK;
    for (int i = 0; i < 4; i++) v->pad[i] = pad;
    if (pad) v->border = SAMPLE_CONV_BORDER;
    place(plan, v);
}

static void plain(struct vt_plan *plan, enum sample_value id, const char *name, enum vt_storage storage,
    uint64_t offset, int rank, const int64_t *dims) {
    struct vt_plan_value *v = describe(plan, id, name, VT_DTYPE_F32, storage, rank, dims);
    v->offset = offset;
    place(plan, v);
}

static void fill_values(struct vt_plan *plan) {
    plain(plan, SAMPLE_PICTURE, "picture", VT_STORAGE_INPUT, 0, 4, (int64_t[]){1, 3, 8, 8});
    vector(plan, SAMPLE_CONV_BIAS, "conv.bias", VT_DTYPE_F32, 32);
    vector(plan, SAMPLE_CONV_SLOPE, "conv.slope", VT_DTYPE_F32, 32);
    vector(plan, SAMPLE_CONV_PACKED, "conv", VT_DTYPE_U8, 96);
    vector(plan, SAMPLE_CONV_BORDER, "bn.border", VT_DTYPE_F32, 32);
    plane(plan, SAMPLE_CONV, "conv", 20, 8, 1);
    plane(plan, SAMPLE_POOLED, "pool", 20, 4, 0);
    plane(plan, SAMPLE_UPSAMPLED, "up", 20, 8, 0);
    vector(plan, SAMPLE_SCALE, "scale", VT_DTYPE_F32, 32);
    vector(plan, SAMPLE_SHIFT, "shift", VT_DTYPE_F32, 32);
    plane(plan, SAMPLE_NORMED, "norm", 20, 8, 0);
    plane(plan, SAMPLE_AFFINE, "affine", 20, 8, 0);
    plane(plan, SAMPLE_AVERAGE, "average", 20, 1, 0);
    plane(plan, SAMPLE_PRODUCT, "product", 20, 8, 0);
    vector(plan, SAMPLE_LARGER_PACKED, "larger", VT_DTYPE_U8, 80);
    plane(plan, SAMPLE_LARGER, "larger", 20, 8, 0);
    plane(plan, SAMPLE_FIRST, "first", 12, 8, 0);
    plane(plan, SAMPLE_REST, "rest", 8, 8, 0);
    plane(plan, SAMPLE_JOINED, "joined", 20, 8, 0);
    plain(plan, SAMPLE_TRANSPOSED, "transposed", VT_STORAGE_ARENA, 0, 4, (int64_t[]){1, 8, 8, 20});
    plan->values[SAMPLE_FLAT] = plan->values[SAMPLE_TRANSPOSED];
    plan->values[SAMPLE_FLAT].name = "flat";
    plan->values[SAMPLE_FLAT].rank = 2;
    memcpy(plan->values[SAMPLE_FLAT].dims, (int64_t[VT_MAX_RANK]){8, 160}, sizeof plan->values->dims);
    vector(plan, SAMPLE_GEMM_PACKED, "fc", VT_DTYPE_U8, 70);
    vector(plan, SAMPLE_GEMM_BIAS, "fc.bias", VT_DTYPE_F32, 16);
    plain(plan, SAMPLE_GEMM, "scores", VT_STORAGE_OUTPUT, 0, 2, (int64_t[]){8, 5});
    plain(plan, SAMPLE_SOFTMAX, "softmax", VT_STORAGE_OUTPUT, 1, 3, (int64_t[]){1, 8, 5});
}

#define MOST_OPERANDS 8

/* inputs end with -1; -2 is a missing one. */
static struct vt_plan_step *add_step(
    struct vt_plan *plan, enum vt_step kind, const char *name, const int *inputs, uint32_t output, const char *tactic) {
    struct vt_plan_step *s = &plan->steps[plan->n_steps++];
    *s = (struct vt_plan_step){.kind = kind, .name = name, .n_outputs = 1, .n_choices = 1};
    s->inputs = must(vt_arena_alloc_array(&plan->arena, MOST_OPERANDS, sizeof *s->inputs));
    s->outputs = must(vt_arena_alloc_array(&plan->arena, 2, sizeof *s->outputs));
    for (; inputs[s->n_inputs] != -1; s->n_inputs++)
        s->inputs[s->n_inputs] = inputs[s->n_inputs] < 0 ? VT_PLAN_NONE : (uint32_t)inputs[s->n_inputs];
    s->outputs[0] = output;
    s->choices[0] = (struct vt_tactic_choice){plan->max_batch, tactic, VT_PLAN_NONE};
    return s;
}

static void fill_window(struct vt_plan_step *s, int64_t kernel, int64_t stride, int64_t pad) {
    s->params.window = (struct vt_window){.kernel = {kernel, kernel},
        .stride = {stride, stride},
        .dilation = {1, 1},
        .pad = {pad, pad, pad, pad},
        .group = 1};
}

static void fill_attributes(struct vt_plan *plan, struct vt_plan_step *s) {
    static const int64_t ints[] = {INT64_MIN, 0, INT64_MAX};
    static const float floats[] = {-1.5f, 0, 0x1p-149f};
    static const double elements[] = {3.25, -1e300};
    struct vt_tensor *tensor = must(vt_arena_alloc(&plan->arena, sizeof *tensor));
    *tensor = (struct vt_tensor){.dtype = VT_DTYPE_F64, .rank = 2, .dims = {1, 2}, .data = (void *)elements};
    struct vt_attr *a = must(vt_arena_alloc_array(&plan->arena, 6, sizeof *a));
    a[0] = (struct vt_attr){.name = "axis", .kind = VT_ATTR_INT, .i = -1};
    a[1] = (struct vt_attr){.name = "alpha", .kind = VT_ATTR_FLOAT, .f = 0.1f};
    a[2] = (struct vt_attr){.name = "mode", .kind = VT_ATTR_STRING, .s = "nearest"};
    a[3] = (struct vt_attr){.name = "pads", .kind = VT_ATTR_INTS, .count = 3, .ints = ints};
    a[4] = (struct vt_attr){.name = "scales", .kind = VT_ATTR_FLOATS, .count = 3, .floats = floats};
    a[5] = (struct vt_attr){.name = "value", .kind = VT_ATTR_TENSOR, .tensor = tensor};
    s->attrs = (struct vt_attrs){a, 6};
}

static void fill_steps(struct vt_plan *plan) {
    struct vt_plan_step *s = add_step(plan, VT_STEP_CONV, "conv",
        (int[]){SAMPLE_PICTURE, SAMPLE_CONV_BIAS, SAMPLE_CONV_SLOPE, -2, -1}, SAMPLE_CONV, "conv:direct:avx512");
    fill_window(s, 3, 1, 1);
    s->params.tail = (struct vt_tail){.act1 = VT_ACT_PRELU, .act2 = VT_ACT_CLIP, .act2_alpha = -1, .act2_beta = 6};
    s->choices[0] = (struct vt_tactic_choice){1, "conv:direct:avx512", SAMPLE_CONV_PACKED};
    s->choices[1] = (struct vt_tactic_choice){plan->max_batch, "conv:direct8:avx512", SAMPLE_CONV_PACKED};
    s->n_choices = 2;
    s = add_step(plan, VT_STEP_POOL, "pool", (int[]){SAMPLE_CONV, -1}, SAMPLE_POOLED, "pool");
    fill_window(s, 3, 2, 1);
    s->params.window.count_include_pad = true;
    s->params.mode = VT_POOL_AVERAGE;
    add_step(plan, VT_STEP_UPSAMPLE, "up", (int[]){SAMPLE_POOLED, SAMPLE_CONV, -1}, SAMPLE_UPSAMPLED, "upsample");
    s = add_step(plan, VT_STEP_GROUP_NORM, "norm", (int[]){SAMPLE_UPSAMPLED, SAMPLE_SCALE, SAMPLE_SHIFT, -1},
        SAMPLE_NORMED, "group_norm");
    s->params.groups = 4;
    s->params.epsilon = 1e-5f;
    s = add_step(plan, VT_STEP_AFFINE, "affine", (int[]){SAMPLE_NORMED, SAMPLE_SCALE, SAMPLE_SHIFT, -2, -1},
        SAMPLE_AFFINE, "affine");
    s->params.tail.act1 = VT_ACT_SIGMOID;
    s = add_step(plan, VT_STEP_POOL, "average", (int[]){SAMPLE_AFFINE, -1}, SAMPLE_AVERAGE, "pool");
    s->params.mode = VT_POOL_GLOBAL_AVERAGE;
    s = add_step(plan, VT_STEP_BINARY, "mul", (int[]){SAMPLE_AFFINE, SAMPLE_AVERAGE, -1}, SAMPLE_PRODUCT, "binary");
    s->params.mode = VT_BINARY_MUL;
    s = add_step(plan, VT_STEP_CONV_TRANSPOSE, "larger",
        (int[]){SAMPLE_POOLED, SAMPLE_CONV_BIAS, -2, SAMPLE_PRODUCT, -1}, SAMPLE_LARGER, "conv_transpose:avx512");
    fill_window(s, 2, 2, 0);
    s->params.tail.act2 = VT_ACT_HARD_SWISH;
    s->choices[0].packed = SAMPLE_LARGER_PACKED;
    s = add_step(plan, VT_STEP_SPLIT, "split", (int[]){SAMPLE_LARGER, -1}, SAMPLE_FIRST, "split");
    s->outputs[s->n_outputs++] = SAMPLE_REST;
    add_step(plan, VT_STEP_CONCAT, "concat", (int[]){SAMPLE_REST, SAMPLE_FIRST, -1}, SAMPLE_JOINED, "concat");
    s = add_step(plan, VT_STEP_CONVERT, "nhwc", (int[]){SAMPLE_JOINED, -1}, SAMPLE_TRANSPOSED, "convert");
    s->params.perm_rank = 4;
    memcpy(s->params.perm, (int32_t[VT_MAX_RANK]){0, 2, 3, 1}, sizeof s->params.perm);
    s = add_step(plan, VT_STEP_GEMM, "fc", (int[]){SAMPLE_FLAT, SAMPLE_GEMM_BIAS, -2, -2, -1}, SAMPLE_GEMM, "gemm");
    s->choices[0].packed = SAMPLE_GEMM_PACKED;
    s = add_step(plan, VT_STEP_REFERENCE, "softmax", (int[]){SAMPLE_GEMM, -1}, SAMPLE_SOFTMAX, "reference");
    s->op = VT_OP_SOFTMAX;
    fill_attributes(plan, s);
}

static void fill_texts(struct vt_plan *plan) {
    struct vt_plan_key *key = &plan->key;
#define X(field) strcpy(key->field, "the " #field);
    VT_PLAN_KEY_FIELDS(X)
#undef X
    strcpy(key->model_sha256, "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f");
    plan->model = (struct vt_plan_model){.name = "m\xc3\xb6"
                                                 "del \"1\"",
        .function = "arcface",
        .origin = "catalogue",
        .licence = "",
        .mean = {127.5f, 0.1f, -3},
        .std = {128, 0.0039215689f, 1},
        .channels = "bgr"};
    plan->build_seconds = 12.34f;
    plan->required_features = 7;
}

struct vt_plan *sample_plan(void) {
    struct vt_plan *plan;
    if (vt_plan_create(&plan, NULL)) abort();
    struct vt_arena *arena = &plan->arena;
    plan->max_batch = 32;
    plan->n_values = SAMPLE_VALUES;
    plan->n_inputs = 1;
    plan->n_outputs = 2;
    plan->values = must(vt_arena_alloc_array(arena, SAMPLE_VALUES, sizeof *plan->values));
    plan->steps = must(vt_arena_alloc_array(arena, SAMPLE_STEPS, sizeof *plan->steps));
    plan->inputs = must(vt_arena_alloc_array(arena, 1, sizeof *plan->inputs));
    plan->outputs = must(vt_arena_alloc_array(arena, 2, sizeof *plan->outputs));
    plan->output_has_batch_axis = must(vt_arena_alloc_array(arena, 2, sizeof *plan->output_has_batch_axis));
    plan->times = must(vt_arena_alloc_array(arena, 2, sizeof *plan->times));
    plan->inputs[0] = SAMPLE_PICTURE;
    plan->outputs[0] = SAMPLE_GEMM;
    plan->outputs[1] = SAMPLE_SOFTMAX;
    plan->output_has_batch_axis[1] = true;
    fill_texts(plan);
    fill_values(plan);
    fill_steps(plan);
    plan->times[plan->n_times++] = (struct vt_tactic_time){SAMPLE_STEP_CONV, 8, "conv:direct8:avx512", 17.5f, true};
    plan->times[plan->n_times++] = (struct vt_tactic_time){SAMPLE_STEP_CONV, 8, "conv:winograd4:avx512", 18.25f, false};
    plan->owned_weights = must(vt_alloc_aligned(plan->weights_bytes));
    for (uint64_t i = 0; i < plan->weights_bytes; i++) plan->owned_weights[i] = (uint8_t)(i * 7 + i / 256);
    plan->weights = plan->owned_weights;
    return plan;
}

void seal_plan(uint8_t *bytes, size_t size) {
    struct vt_file_header header;
    if (size < sizeof header) return;
    memcpy(&header, bytes, sizeof header);
    for (int i = 0; i < VT_PLAN_SECTION_COUNT; i++) {
        struct vt_file_section *s = &header.sections[i];
        if (vt_range_inside(s->offset, s->size, size)) s->checksum = vt_checksum64(bytes + s->offset, s->size);
    }
    header.checksum = vt_plan_header_checksum(&header);
    memcpy(bytes, &header, sizeof header);
}
