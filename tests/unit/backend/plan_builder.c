/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_builder.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"
#include "sparse.h"

const struct vt_backend *tested_backend(void) { return vt_backend_find(test_target.backend); }

bool leave_out_repetitions(void) { return test_target.slow || sparse() > 1; }

void builder_init(struct plan_builder *b) {
    struct vultus_error error;
    *b = (struct plan_builder){.seed = 1};
    vt_arena_init(&b->arena, 0);
    assert_int_equal(vt_plan_create(&b->plan, &error), VULTUS_OK);
    struct vt_plan *p = b->plan;
    p->values = vt_arena_alloc_array(&p->arena, MAX_VALUES, sizeof *p->values);
    p->steps = vt_arena_alloc_array(&p->arena, MAX_STEPS, sizeof *p->steps);
    p->inputs = vt_arena_alloc_array(&p->arena, MAX_VALUES, sizeof *p->inputs);
    p->outputs = vt_arena_alloc_array(&p->arena, MAX_VALUES, sizeof *p->outputs);
    p->output_has_batch_axis = vt_arena_alloc_array(&p->arena, MAX_VALUES, sizeof *p->output_has_batch_axis);
    assert_non_null(p->output_has_batch_axis);
    strcpy(p->key.backend, test_target.backend);
    p->max_batch = 8;
}

void builder_fini(struct plan_builder *b) {
    vt_plan_destroy(b->plan);
    vt_arena_fini(&b->arena);
    free(b->weights);
}

static uint32_t add_value(struct plan_builder *b, struct vt_plan_value v) {
    struct vt_plan *p = b->plan;
    uint32_t id = p->n_values++;
    assert_true(id < MAX_VALUES);
    v.name = vt_arena_printf(&p->arena, "v%u", id);
    if (!v.bytes) assert_true(vt_plan_value_bytes(&v, &v.bytes));
    if (v.storage == VT_STORAGE_INPUT) {
        v.offset = p->n_inputs;
        p->inputs[p->n_inputs++] = id;
    } else if (v.storage == VT_STORAGE_OUTPUT) {
        v.offset = p->n_outputs;
        p->output_has_batch_axis[p->n_outputs] = v.dims[0] == 1;
        p->outputs[p->n_outputs++] = id;
    } else if (v.storage == VT_STORAGE_ARENA) {
        v.bytes = vt_round_up(v.bytes, VT_PLAN_ALIGNMENT);
    }
    p->values[id] = v;
    return id;
}

uint32_t builder_plain(struct plan_builder *b, enum vt_storage storage, int rank, const int64_t *dims) {
    struct vt_plan_value v = {.dtype = VT_DTYPE_F32, .storage = storage, .rank = rank, .border = VT_PLAN_NONE};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    return add_value(b, v);
}

uint32_t builder_blocked(struct plan_builder *b, enum vt_storage storage, const int64_t size[3], int block,
    const int32_t *pad, const float *border) {
    bool is_short = block == SHORT_BLOCK;
    struct vt_plan_value v = {.dtype = is_short ? test_target.short_dtype : VT_DTYPE_F32,
        .layout = test_target.planes,
        .storage = storage,
        .rank = 4,
        .dims = {1, size[0], size[1], size[2]},
        .block = is_short ? test_target.short_block : block,
        .border = VT_PLAN_NONE};
    if (pad) memcpy(v.pad, pad, sizeof v.pad);
    if (border) {
        size_t lanes = vt_round_up((size_t)size[0], (size_t)v.block);
        float *padded = vt_arena_alloc_array(&b->arena, lanes, sizeof *padded);
        assert_non_null(padded);
        memcpy(padded, border, (size_t)size[0] * sizeof *padded);
        v.border = builder_constant(b, padded, lanes);
    }
    return add_value(b, v);
}

static uint32_t add_constant(struct plan_builder *b, enum vt_dtype dtype, const void *bytes, size_t size) {
    struct vt_plan_value v = {.dtype = dtype,
        .storage = VT_STORAGE_CONSTANT,
        .rank = 1,
        .dims = {(int64_t)(size / vt_dtype_size(dtype))},
        .border = VT_PLAN_NONE,
        .offset = b->weights_bytes};
    size_t total = b->weights_bytes + vt_round_up(size, VT_PLAN_ALIGNMENT);
    b->weights = realloc(b->weights, total);
    assert_non_null(b->weights);
    memset(b->weights + b->weights_bytes, 0, total - b->weights_bytes);
    memcpy(b->weights + b->weights_bytes, bytes, size);
    b->weights_bytes = total;
    return add_value(b, v);
}

uint32_t builder_constant(struct plan_builder *b, const float *values, size_t count) {
    return add_constant(b, VT_DTYPE_F32, values, count * sizeof *values);
}

uint32_t builder_random_constant(struct plan_builder *b, size_t count, float low, float high) {
    return builder_constant(b, random_floats(&b->arena, &b->seed, count, low, high), count);
}

struct vt_plan_step *builder_step(
    struct plan_builder *b, enum vt_step kind, const uint32_t *inputs, uint32_t n_inputs, uint32_t output) {
    struct vt_plan *p = b->plan;
    assert_true(p->n_steps < MAX_STEPS);
    struct vt_plan_step *step = &p->steps[p->n_steps++];
    *step = (struct vt_plan_step){.kind = kind,
        .name = vt_arena_printf(&p->arena, "step%u", p->n_steps),
        .inputs = vt_arena_alloc_array(&p->arena, n_inputs + 1, sizeof *inputs),
        .outputs = vt_arena_alloc_array(&p->arena, 1, sizeof output),
        .n_inputs = n_inputs,
        .n_outputs = 1};
    memcpy(step->inputs, inputs, n_inputs * sizeof *inputs);
    step->outputs[0] = output;
    return step;
}

void builder_choose(
    struct plan_builder *b, struct vt_plan_step *step, const char *tactic, int64_t max_batch, const float *weights) {
    const struct vt_backend_builder *builder = tested_backend()->builder;
    const char *names[16], *classes[16];
    if (!tactic) {
        assert_true(builder->tactics(b->plan, step, names, classes, 16) > 0);
        tactic = names[0];
    }
    struct vt_tactic_choice choice = {
        .max_batch = max_batch, .tactic = vt_arena_strdup(&b->plan->arena, tactic), .packed = VT_PLAN_NONE};
    size_t bytes = weights ? builder->packed_bytes(b->plan, step, tactic) : 0;
    if (bytes) {
        struct vultus_error error;
        uint8_t *packed = vt_alloc_aligned(bytes);
        assert_non_null(packed);
        memset(packed, 0, bytes);
        assert_int_equal(builder->pack(b->plan, step, tactic, weights, packed, &error), VULTUS_OK);
        choice.packed = add_constant(b, VT_DTYPE_U8, packed, bytes);
        vt_free_aligned(packed);
    }
    step->choices[step->n_choices++] = choice;
    b->plan->required_features |= builder->required_features(tactic);
}

void builder_finish(struct plan_builder *b) {
    struct vt_plan *p = b->plan;
    for (uint32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].n_choices == 0) builder_choose(b, &p->steps[i], NULL, p->max_batch, NULL);
    p->arena_bytes = 0;
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].storage != VT_STORAGE_ARENA) continue;
        p->values[i].offset = p->arena_bytes;
        p->arena_bytes += p->values[i].bytes;
    }
    p->owned_weights = vt_alloc_aligned(b->weights_bytes + VT_PLAN_ALIGNMENT);
    assert_non_null(p->owned_weights);
    if (b->weights_bytes) memcpy(p->owned_weights, b->weights, b->weights_bytes);
    p->weights = p->owned_weights;
    p->weights_bytes = b->weights_bytes;
}

/* ------------------------------------------------------------ data */

float *random_floats(struct vt_arena *arena, uint32_t *seed, size_t count, float low, float high) {
    float *values = vt_arena_alloc_array(arena, count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        values[i] = low + (high - low) * (float)(*seed >> 8) * 0x1p-24f;
    }
    return values;
}

size_t value_count(const struct vt_plan_value *v) {
    size_t count = 1;
    for (int i = 0; i < v->rank; i++) count *= (size_t)v->dims[i];
    return count;
}

static float get_element(enum vt_dtype dtype, const void *at, int64_t i) {
    struct vt_tensor t = {.dtype = dtype, .rank = 1, .dims = {i + 1}, .data = (void *)at};
    return (float)vt_tensor_get(&t, i);
}

static void set_element(enum vt_dtype dtype, void *at, int64_t i, float value) {
    struct vt_tensor t = {.dtype = dtype, .rank = 1, .dims = {i + 1}, .data = at};
    vt_tensor_set(&t, i, (double)value);
}

/* Calls for every element of the item with its channel, row and column (outside [0, size) in the border). */
typedef void visitor(void *context, float *at, int64_t channel, int64_t row, int64_t column);

static void visit(const struct vt_plan_value *v, void *item, visitor *visitor, void *context) {
    int64_t rows = v->pad[0] + v->dims[2] + v->pad[2], columns = v->pad[1] + v->dims[3] + v->pad[3];
    int64_t lanes = vt_div_up(v->dims[1], v->block) * v->block;
    bool last = v->layout == VT_LAYOUT_CHANNELS_LAST;
    for (int64_t channel = 0; channel < lanes; channel++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) {
                int64_t pixel = row * columns + column, block = channel / v->block, lane = channel % v->block;
                int64_t i = last ? pixel * lanes + channel : (block * rows * columns + pixel) * v->block + lane;
                float value = get_element(v->dtype, item, i);
                visitor(context, &value, channel, row - v->pad[0], column - v->pad[1]);
                set_element(v->dtype, item, i, value);
            }
}

float rounded(const struct vt_plan_value *v, float value) {
    uint64_t bits = 0;
    set_element(v->dtype, &bits, 0, value);
    return get_element(v->dtype, &bits, 0);
}

float rounded_weight(int block, float value) {
    struct vt_plan_value v = {.dtype = block == SHORT_BLOCK ? test_target.short_dtype : VT_DTYPE_F32};
    return rounded(&v, value);
}

struct transfer {
    const struct vt_plan *plan;
    const struct vt_plan_value *v;
    float *plain;
    float border_value, spare_value;
};

static bool in_border(const struct vt_plan_value *v, int64_t row, int64_t column) {
    return row < 0 || row >= v->dims[2] || column < 0 || column >= v->dims[3];
}

static float *plain_at(const struct transfer *t, int64_t channel, int64_t row, int64_t column) {
    return t->plain + (channel * t->v->dims[2] + row) * t->v->dims[3] + column;
}

static void put(void *context, float *at, int64_t channel, int64_t row, int64_t column) {
    const struct transfer *t = context;
    *at = in_border(t->v, row, column) ? t->border_value
          : channel >= t->v->dims[1]   ? t->spare_value
                                       : *plain_at(t, channel, row, column);
}

static void get(void *context, float *at, int64_t channel, int64_t row, int64_t column) {
    const struct transfer *t = context;
    if (!in_border(t->v, row, column) && channel < t->v->dims[1]) *plain_at(t, channel, row, column) = *at;
}

static void check_border(void *context, float *at, int64_t channel, int64_t row, int64_t column) {
    const struct transfer *t = context;
    if (in_border(t->v, row, column)) {
        float wanted = rounded(t->v, t->plain ? t->plain[channel] : 0);
        if (*at != wanted)
            fail_msg("border of channel %lld at row %lld, column %lld is %g, not %g", (long long)channel,
                (long long)row, (long long)column, (double)*at, (double)wanted);
    } else if (!isfinite(*at)) {
        fail_msg("channel %lld at row %lld, column %lld is not finite", (long long)channel, (long long)row,
            (long long)column);
    }
}

void to_blocked(const struct vt_plan_value *v, const float *plain, float *item, float border_value, float spare_value) {
    struct transfer t = {.v = v, .plain = (float *)plain, .border_value = border_value, .spare_value = spare_value};
    visit(v, item, put, &t);
}

void from_blocked(const struct vt_plan_value *v, const float *item, float *plain) {
    struct transfer t = {.v = v, .plain = plain};
    visit(v, (float *)item, get, &t);
}

void expect_border(const struct vt_plan *plan, const struct vt_plan_value *v, const float *item) {
    struct transfer t = {.v = v};
    if (v->border != VT_PLAN_NONE) t.plain = (float *)(plan->weights + plan->values[v->border].offset);
    visit(v, (float *)item, check_border, &t);
}

/* ------------------------------------------------------------ checks */

struct vt_tensor run_operator(struct plan_builder *b, enum vt_op op, struct vt_attrs attrs,
    const struct vt_tensor *const *inputs, size_t n_inputs) {
    struct vt_tensor out = {0};
    struct vultus_error error = {0};
    struct vt_op_call call = {.op = op,
        .attrs = attrs,
        .inputs = inputs,
        .n_inputs = n_inputs,
        .outputs = &out,
        .n_outputs = 1,
        .arena = &b->arena};
    if (vt_op_run(&call, &error)) fail_msg("%s: %s", vt_op_info(op)->name, error.text);
    return out;
}

enum { ITEMS = 5 };

/* All items of every input, plain and in the value's layout. */
struct data {
    float *plain[MAX_VALUES][ITEMS];
    void *inputs[MAX_VALUES];
    struct vt_tensor expected[ITEMS];
};

static void put_border(void *context, float *at, int64_t channel, int64_t row, int64_t column) {
    const struct transfer *t = context;
    if (in_border(t->v, row, column)) *at = t->plain[channel];
}

static void fill_border_from_constant(const struct vt_plan *plan, const struct vt_plan_value *v, void *item) {
    struct transfer t = {.v = v, .plain = (float *)(plan->weights + plan->values[v->border].offset)};
    visit(v, item, put_border, &t);
}

static void make_inputs(struct plan_builder *b, const struct check *check, struct data *d) {
    float low = check->low, high = check->high;
    if (low == 0 && high == 0) low = -(high = 1);
    for (uint32_t i = 0; i < b->plan->n_inputs; i++) {
        const struct vt_plan_value *v = &b->plan->values[b->plan->inputs[i]];
        d->inputs[i] = vt_alloc_aligned(v->bytes * ITEMS); /* not the arena's, so that sanitizers see its ends */
        assert_non_null(d->inputs[i]);
        for (int item = 0; item < ITEMS; item++) {
            float *plain = random_floats(&b->arena, &b->seed, value_count(v), low, high);
            for (size_t k = 0; k < value_count(v); k++) plain[k] = rounded(v, plain[k]);
            float *target = (float *)((uint8_t *)d->inputs[i] + (size_t)item * v->bytes);
            d->plain[b->plan->inputs[i]][item] = plain;
            if (v->layout != VT_LAYOUT_PLAIN)
                to_blocked(v, plain, target, check->zero_border ? 0 : check->input_border, i == 0 ? 0.25f : 0);
            else
                memcpy(target, plain, v->bytes);
            if (v->layout != VT_LAYOUT_PLAIN && v->border != VT_PLAN_NONE)
                fill_border_from_constant(b->plan, v, target);
        }
    }
}

static void compute_expected(struct plan_builder *b, const struct check *check, struct data *d) {
    for (int item = 0; item < ITEMS; item++) {
        struct vt_tensor values[MAX_VALUES] = {{0}};
        for (uint32_t i = 0; i < b->plan->n_values; i++) {
            const struct vt_plan_value *v = &b->plan->values[i];
            enum vt_dtype dtype = vt_dtype_is_float(v->dtype) ? VT_DTYPE_F32 : v->dtype;
            values[i] = (struct vt_tensor){.dtype = dtype, .rank = v->rank, .data = d->plain[i][item]};
            memcpy(values[i].dims, v->dims, sizeof v->dims);
            if (v->storage == VT_STORAGE_CONSTANT) values[i].data = (void *)(b->plan->weights + v->offset);
        }
        d->expected[item] = check->expect(b, values, check->context);
    }
}

static void compare_item(struct plan_builder *b, const struct check *check, const struct vt_plan_value *v,
    const float *item, const struct vt_tensor *expected) {
    size_t count = value_count(v);
    assert_int_equal((size_t)vt_tensor_count(expected), count);
    float *plain = random_floats(&b->arena, &b->seed, count, 0, 0);
    if (v->layout != VT_LAYOUT_PLAIN) {
        from_blocked(v, item, plain);
        expect_border(b->plan, v, item);
    } else {
        memcpy(plain, item, count * sizeof *plain);
    }
    const float *wanted = expected->data;
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(wanted[i]));
    /* An exact result of two bytes is the float32 one rounded; another may be rounded the other way, by half of a unit.
     */
    float unit = v->dtype == VT_DTYPE_BF16 ? 0x1p-8f : v->dtype == VT_DTYPE_F16 ? 0x1p-11f : 0;
    for (size_t i = 0; i < count; i++) {
        float target = check->tolerance == 0 ? rounded(v, wanted[i]) : wanted[i];
        float rounding = check->tolerance > 0 ? unit * fabsf(target) : 0;
        if (!(fabsf(plain[i] - target) <= check->tolerance * largest + rounding))
            fail_msg("%s: element %zu of %zu is %.9g, not %.9g (largest %g)", b->plan->steps[0].choices[0].tactic, i,
                count, (double)plain[i], (double)target, (double)largest);
    }
}

static void run_batch(
    struct vt_executable *executable, const struct data *d, int64_t batch, uint8_t *out, size_t out_bytes) {
    struct vultus_error error = {0};
    memset(out, 0xff, out_bytes);
    if (tested_backend()->run(executable, (const void *const *)d->inputs, (void *const[]){out}, batch, NULL, &error))
        fail_msg("%s", error.text);
}

/* Every batch gives the bytes of `reference`, growing and shrinking. */
static void expect_equal_bytes(
    struct plan_builder *b, const struct data *d, int threads, const uint8_t *reference, uint8_t *out) {
    static const int batches[] = {1, 2, ITEMS, 1};
    const struct vt_backend *backend = tested_backend();
    const struct vt_plan_value *v = &b->plan->values[b->plan->outputs[0]];
    struct vt_pool *pool = NULL;
    struct vt_executable *executable = NULL;
    struct vultus_error error = {0};
    if (threads > 1) assert_int_equal(vt_pool_create(threads, &pool, &error), VULTUS_OK);
    if (backend->create(b->plan, pool, 0, &executable, &error)) fail_msg("%s", error.text);
    for (size_t i = 0; i < (leave_out_repetitions() ? 2 : sizeof batches / sizeof *batches); i++) {
        run_batch(executable, d, batches[i], out, v->bytes * ITEMS);
        assert_memory_equal(out, reference, v->bytes * (size_t)batches[i]);
    }
    backend->destroy(executable);
    vt_pool_destroy(pool);
}

void builder_check(struct plan_builder *b, const struct check *check) {
    const struct vt_backend *backend = tested_backend();
    struct vt_executable *executable = NULL;
    struct vultus_error error = {0};
    struct data *d = vt_arena_alloc(&b->arena, sizeof *d);
    assert_non_null(d);
    builder_finish(b);
    assert_int_equal(b->plan->n_outputs, 1);
    make_inputs(b, check, d);
    compute_expected(b, check, d);
    const struct vt_plan_value *v = &b->plan->values[b->plan->outputs[0]];
    uint8_t *reference = vt_arena_alloc(&b->arena, v->bytes * ITEMS), *out = vt_alloc_aligned(v->bytes * ITEMS);
    assert_true(reference && out);
    if (backend->create(b->plan, NULL, 0, &executable, &error)) fail_msg("%s", error.text);
    run_batch(executable, d, ITEMS, out, v->bytes * ITEMS);
    memcpy(reference, out, v->bytes * ITEMS);
    for (int item = 0; item < ITEMS; item++)
        compare_item(b, check, v, (const float *)(reference + (size_t)item * v->bytes), &d->expected[item]);
    backend->destroy(executable);
    b->checked_output = reference;
    b->checked_output_bytes = v->bytes * ITEMS;
    expect_equal_bytes(b, d, 1, reference, out);
    if (test_target.uses_threads) expect_equal_bytes(b, d, 3, reference, out);
    vt_free_aligned(out);
    for (uint32_t i = 0; i < b->plan->n_inputs; i++) vt_free_aligned(d->inputs[i]);
}
