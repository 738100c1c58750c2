/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "plan/format.h"

#define LARGEST_BLOCK 64
#define LARGEST_PAD (1 << 20)

static enum vultus_status bad_value(
    const struct vt_plan *plan, uint32_t i, const char *rule, struct vultus_error *error) {
    const struct vt_plan_value *v = &plan->values[i];
    return vt_fail(error, VULTUS_ERROR_INVALID, "value %" PRIu32 " (%.64s, offset %" PRIu64 ", %" PRIu64 " bytes): %s",
        i, v->name ? v->name : "?", v->offset, v->bytes, rule);
}

/* ------------------------------------------------------------ values */

/* The constant that fills the border of a blocked value. */
static bool border_fits(const struct vt_plan *plan, const struct vt_plan_value *v) {
    if (v->border == VT_PLAN_NONE) return true;
    if (v->border >= plan->n_values) return false;
    const struct vt_plan_value *border = &plan->values[v->border];
    int64_t channels = ((v->dims[1] - 1) / v->block + 1) * v->block;
    return border->storage == VT_STORAGE_CONSTANT && border->layout == VT_LAYOUT_PLAIN &&
           border->dtype == VT_DTYPE_F32 && border->bytes / sizeof(float) >= (uint64_t)channels;
}

static const char *planes_rule_broken(const struct vt_plan *plan, const struct vt_plan_value *v) {
    if (v->dtype != VT_DTYPE_F32 && v->dtype != VT_DTYPE_F16 && v->dtype != VT_DTYPE_BF16)
        return "a blocked value must be float32, float16 or bfloat16";
    if (v->block > LARGEST_BLOCK || (v->block & (v->block - 1))) return "blocks must be powers of two up to 64";
    for (int i = 0; i < 4; i++)
        if (v->pad[i] > LARGEST_PAD) return "a border must be at most 2^20 wide";
    if (!border_fits(plan, v)) return "its border must be a float32 constant of all its blocks' channels";
    return v->storage == VT_STORAGE_ARENA || v->storage == VT_STORAGE_CONSTANT ? NULL
                                                                               : "inputs and outputs must be plain";
}

static const char *plain_rule_broken(const struct vt_plan_value *v) {
    bool blank = v->block == 0 && v->border == VT_PLAN_NONE;
    for (int i = 0; i < 4; i++) blank = blank && v->pad[i] == 0;
    return blank ? NULL : "a plain value must have no block, pad and border";
}

/* Every value lies where it says; `needed` is what its shape takes. */
static const char *place_rule_broken(const struct vt_plan *plan, const struct vt_plan_value *v, uint64_t needed) {
    switch (v->storage) {
    case VT_STORAGE_INPUT:
    case VT_STORAGE_OUTPUT: {
        bool input = v->storage == VT_STORAGE_INPUT;
        if (v->offset >= (input ? plan->n_inputs : plan->n_outputs)) return "no input or output has that number";
        uint64_t whole;
        uint32_t owner = (input ? plan->inputs : plan->outputs)[v->offset];
        if (!vt_plan_value_bytes(&plan->values[owner], &whole)) return "its input or output makes no sense";
        return v->bytes == needed && v->bytes == whole
                   ? NULL
                   : "its bytes must be those of its shape and of its input or output";
    }
    case VT_STORAGE_ARENA:
        if (v->offset % VT_PLAN_ALIGNMENT || v->bytes % VT_PLAN_ALIGNMENT) return "it must be aligned to 64 bytes";
        if (v->bytes < needed) return "its bytes must hold its shape";
        return vt_range_inside(v->offset, v->bytes, plan->arena_bytes) ? NULL : "it must lie inside the arena";
    case VT_STORAGE_CONSTANT:
        if (v->offset % VT_PLAN_ALIGNMENT) return "it must be aligned to 64 bytes";
        if (v->bytes != needed) return "its bytes must be those of its shape";
        /* Up to whole alignment units, so that vector loads may read past the end. */
        return vt_range_inside(v->offset, vt_round_up(needed, VT_PLAN_ALIGNMENT), plan->weights_bytes)
                   ? NULL
                   : "it must lie inside the weights";
    }
    return NULL;
}

static enum vultus_status check_value(const struct vt_plan *plan, uint32_t i, struct vultus_error *error) {
    const struct vt_plan_value *v = &plan->values[i];
    uint64_t needed;
    if (!v->name) return bad_value(plan, i, "it must have a name", error);
    if ((unsigned)v->layout > VT_LAYOUT_CHANNELS_LAST) return bad_value(plan, i, "its layout is unknown", error);
    if ((unsigned)v->storage > VT_STORAGE_CONSTANT) return bad_value(plan, i, "its storage is unknown", error);
    if (v->dtype == VT_DTYPE_NONE || (unsigned)v->dtype >= VT_DTYPE_COUNT || !vt_plan_value_bytes(v, &needed))
        return bad_value(plan, i, "its element type, dims, block and pads must describe addressable memory", error);
    for (int d = v->rank; d < VT_MAX_RANK; d++)
        if (v->dims[d] != 0) return bad_value(plan, i, "dims past its rank must be 0", error);
    const char *rule = v->layout == VT_LAYOUT_PLAIN ? plain_rule_broken(v) : planes_rule_broken(plan, v);
    if (!rule) rule = place_rule_broken(plan, v, needed);
    return rule ? bad_value(plan, i, rule, error) : VULTUS_OK;
}

/* Input or output `i` of the whole plan. */
static enum vultus_status check_binding(
    const struct vt_plan *plan, uint32_t i, bool input, struct vultus_error *error) {
    uint32_t id = (input ? plan->inputs : plan->outputs)[i];
    const struct vt_plan_value *v = &plan->values[id];
    if (v->storage != (input ? VT_STORAGE_INPUT : VT_STORAGE_OUTPUT) || v->offset != i)
        return bad_value(plan, id, "an input or output of the plan must be stored as one, under its own number", error);
    /* Otherwise the batch becomes one more axis. */
    bool has_batch_axis = v->rank > 0 && v->dims[0] == 1;
    if (!input && plan->output_has_batch_axis[i] && !has_batch_axis)
        return bad_value(plan, id, "an output whose first axis is the batch must have 1 there", error);
    if (!input) has_batch_axis = plan->output_has_batch_axis[i];
    if (!has_batch_axis && v->rank >= VT_MAX_RANK)
        return bad_value(plan, id, "there must be room for a batch axis", error);
    size_t bytes;
    if (!vt_mul_size(v->bytes, (size_t)plan->max_batch, &bytes) || bytes > PTRDIFF_MAX)
        return bad_value(plan, id, "a whole batch must be addressable", error);
    return VULTUS_OK;
}

static enum vultus_status check_counts(const struct vt_plan *plan, struct vultus_error *error) {
    size_t bytes;
    if (plan->n_inputs == 0 || plan->n_outputs == 0 || plan->n_inputs > plan->n_values ||
        plan->n_outputs > plan->n_values)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "%" PRIu32 " inputs and %" PRIu32 " outputs among %" PRIu32 " values: a plan needs at least one of each",
            plan->n_inputs, plan->n_outputs, plan->n_values);
    if (plan->max_batch < 1 || plan->max_batch > VT_PLAN_MAX_BATCH)
        return vt_fail(error, VULTUS_ERROR_INVALID, "a largest batch of %" PRId64 " is not in 1 to %d", plan->max_batch,
            VT_PLAN_MAX_BATCH);
    if (!vt_mul_size(plan->arena_bytes, (size_t)plan->max_batch, &bytes) || bytes > PTRDIFF_MAX)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "%" PRIu64 " bytes of arena for each of %" PRId64 " items cannot be addressed", plan->arena_bytes,
            plan->max_batch);
    if (plan->weights_bytes % VT_PLAN_ALIGNMENT || (uintptr_t)plan->weights % VT_PLAN_ALIGNMENT)
        return vt_fail(error, VULTUS_ERROR_INVALID,
            "%" PRIu64 " bytes of weights: size and address must be multiples of %d", plan->weights_bytes,
            VT_PLAN_ALIGNMENT);
    for (uint32_t i = 0; i < plan->n_inputs + plan->n_outputs; i++) {
        uint32_t id = i < plan->n_inputs ? plan->inputs[i] : plan->outputs[i - plan->n_inputs];
        if (id >= plan->n_values)
            return vt_fail(
                error, VULTUS_ERROR_INVALID, "an input or output is value %" PRIu32 " of %" PRIu32, id, plan->n_values);
    }
    return VULTUS_OK;
}

static enum vultus_status check_values(const struct vt_plan *plan, struct vultus_error *error) {
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; !status && i < plan->n_values; i++) status = check_value(plan, i, error);
    for (uint32_t i = 0; !status && i < plan->n_inputs; i++) status = check_binding(plan, i, true, error);
    for (uint32_t i = 0; !status && i < plan->n_outputs; i++) status = check_binding(plan, i, false, error);
    return status;
}

/* ------------------------------------------------------------ what any step obeys */

static enum vultus_status bad_step(
    const struct vt_plan *plan, const struct vt_plan_step *step, const char *rule, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_INVALID, "step %zu (%s %.64s): %s", (size_t)(step - plan->steps),
        vt_step_name(step->kind), step->name ? step->name : "?", rule);
}

static bool is_constant(const struct vt_plan *plan, uint32_t id) {
    return id < plan->n_values && plan->values[id].storage == VT_STORAGE_CONSTANT;
}

static const char *choices_rule_broken(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->n_choices < 1 || step->n_choices > VT_PLAN_MAX_CHOICES) return "it must have 1 to 4 tactics";
    int64_t covered = 0;
    for (uint32_t i = 0; i < step->n_choices; i++) {
        const struct vt_tactic_choice *c = &step->choices[i];
        if (!c->tactic || !*c->tactic) return "a tactic must have a name";
        if (c->max_batch <= covered) return "its tactics must be in the order of their batches";
        covered = c->max_batch;
        if (c->packed != VT_PLAN_NONE && !is_constant(plan, c->packed))
            return "what a tactic packed must be a constant";
    }
    return covered >= plan->max_batch ? NULL : "its tactics must cover the largest batch";
}

/* Whether two values can occupy the same bytes while a step runs. */
static bool overlap(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    if (a->storage != b->storage) return false;
    if (a->storage != VT_STORAGE_ARENA) return a->offset == b->offset;
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static const char *operands_rule_broken(const struct vt_plan *plan, const struct vt_plan_step *step) {
    if (step->n_outputs < 1) return "it must have an output";
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (step->inputs[i] != VT_PLAN_NONE && step->inputs[i] >= plan->n_values)
            return "an input is no value of the plan";
    for (uint32_t o = 0; o < step->n_outputs; o++) {
        if (step->outputs[o] >= plan->n_values) return "an output is no value of the plan";
        const struct vt_plan_value *y = &plan->values[step->outputs[o]];
        if (y->storage != VT_STORAGE_ARENA && y->storage != VT_STORAGE_OUTPUT)
            return "it may write only arena and outputs";
        for (uint32_t i = 0; i < step->n_inputs; i++)
            if (step->inputs[i] != VT_PLAN_NONE && overlap(y, &plan->values[step->inputs[i]]))
                return "its output must not overlap its inputs";
        for (uint32_t p = 0; p < o; p++)
            if (overlap(y, &plan->values[step->outputs[p]])) return "its outputs must not overlap";
    }
    return NULL;
}

static enum vultus_status check_step(
    const struct vt_plan *plan, const struct vt_plan_step *step, struct vultus_error *error) {
    if (!step->name) return bad_step(plan, step, "it must have a name", error);
    if ((unsigned)step->kind >= VT_STEP_COUNT) return bad_step(plan, step, "its kind is unknown", error);
    if (step->n_inputs > VT_PLAN_MAX_OPERANDS || step->n_outputs > VT_PLAN_MAX_OPERANDS)
        return bad_step(plan, step, "it has too many inputs or outputs", error);
    const char *rule = operands_rule_broken(plan, step);
    if (!rule) rule = choices_rule_broken(plan, step);
    if (!rule) rule = vt_plan_step_rule_broken(plan, step);
    return rule ? bad_step(plan, step, rule, error) : VULTUS_OK;
}

/* ------------------------------------------------------------ what is read was written */

/* Arena and output values at one place are views of each other for as long as their bytes agree. */
struct place {
    const struct vt_plan_value *value;
    uint32_t index;
};

static int by_place(const void *a, const void *b) {
    const struct vt_plan_value *v = ((const struct place *)a)->value, *w = ((const struct place *)b)->value;
    if (v->storage != w->storage) return v->storage < w->storage ? -1 : 1;
    return v->offset < w->offset ? -1 : v->offset > w->offset;
}

/* group[i]: a number that all values at the place of value i share. */
static bool group_by_place(const struct vt_plan *plan, uint32_t *group) {
    struct place *places = malloc(((size_t)plan->n_values + 1) * sizeof *places);
    if (!places) return false;
    for (uint32_t i = 0; i < plan->n_values; i++) places[i] = (struct place){&plan->values[i], i};
    qsort(places, plan->n_values, sizeof *places, by_place);
    for (uint32_t i = 0, number = 0; i < plan->n_values; i++) {
        if (i > 0 && by_place(&places[i - 1], &places[i]) != 0) number = i;
        group[places[i].index] = number;
    }
    free(places);
    return true;
}

/* written[group] is 1 + the bytes of the value last written there, 0 before. */
static enum vultus_status check_flow(
    const struct vt_plan *plan, const uint32_t *group, uint64_t *written, struct vultus_error *error) {
    for (uint32_t i = 0; i < plan->n_values; i++) {
        enum vt_storage storage = plan->values[i].storage;
        if (storage == VT_STORAGE_INPUT) written[group[i]] = 1 + plan->values[i].bytes;
    }
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        const struct vt_plan_step *step = &plan->steps[s];
        for (uint32_t i = 0; i < step->n_inputs; i++) {
            uint32_t id = step->inputs[i];
            if (id == VT_PLAN_NONE || plan->values[id].storage == VT_STORAGE_CONSTANT) continue;
            if (written[group[id]] != 1 + plan->values[id].bytes)
                return bad_step(plan, step, "it reads a value that no step before it wrote", error);
        }
        for (uint32_t o = 0; o < step->n_outputs; o++)
            written[group[step->outputs[o]]] = 1 + plan->values[step->outputs[o]].bytes;
    }
    for (uint32_t i = 0; i < plan->n_outputs; i++)
        if (!written[group[plan->outputs[i]]])
            return bad_value(plan, plan->outputs[i], "no step writes this output", error);
    return VULTUS_OK;
}

static enum vultus_status check_order(const struct vt_plan *plan, struct vultus_error *error) {
    uint32_t *group = malloc(((size_t)plan->n_values + 1) * sizeof *group);
    uint64_t *written = calloc((size_t)plan->n_values + 1, sizeof *written);
    enum vultus_status status = VULTUS_OK;
    if (!group || !written || !group_by_place(plan, group))
        status = vt_fail_memory(error, "checking a plan", plan->n_values * sizeof *written);
    if (!status) status = check_flow(plan, group, written, error);
    free(group);
    free(written);
    return status;
}

/* ------------------------------------------------------------ everything */

static enum vultus_status check_times(const struct vt_plan *plan, struct vultus_error *error) {
    for (uint32_t i = 0; i < plan->n_times; i++) {
        const struct vt_tactic_time *t = &plan->times[i];
        if (t->step >= plan->n_steps || t->batch < 1 || !t->tactic ||
            !(t->microseconds >= 0 && t->microseconds < 1e30f))
            return vt_fail(error, VULTUS_ERROR_INVALID,
                "timing %" PRIu32 " (step %" PRIu32 " of %" PRIu32 ", batch %" PRId64 ", %g us) makes no sense", i,
                t->step, plan->n_steps, t->batch, (double)t->microseconds);
    }
    return VULTUS_OK;
}

enum vultus_status vt_plan_check(const struct vt_plan *plan, struct vultus_error *error) {
    enum vultus_status status = check_counts(plan, error);
    if (!status) status = check_values(plan, error);
    for (uint32_t i = 0; !status && i < plan->n_steps; i++) status = check_step(plan, &plan->steps[i], error);
    if (!status) status = check_order(plan, error);
    return status ? status : check_times(plan, error);
}
