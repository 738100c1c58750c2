/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/checked.h"
#include "compile/lowering.h"

/* Doubles an array in the plan's arena when it is full. */
static bool grow(struct vt_arena *arena, void **array, size_t element, uint32_t count, uint32_t *capacity) {
    if (count < *capacity) return true;
    uint32_t wanted = *capacity ? *capacity * 2 : 64;
    void *larger = vt_arena_alloc_array(arena, wanted, element);
    if (!larger) return false;
    if (count) memcpy(larger, *array, count * element);
    *array = larger;
    *capacity = wanted;
    return true;
}

static uint32_t new_buffer(struct vt_lowering *l, enum vt_storage storage, uint64_t bytes) {
    if (!grow(&l->plan->arena, (void **)&l->buffers, sizeof *l->buffers, l->n_buffers, &l->buffers_capacity))
        return VT_PLAN_NONE;
    l->buffers[l->n_buffers] = (struct vt_buffer){.storage = storage, .bytes = bytes, .first = UINT32_MAX};
    return l->n_buffers++;
}

/* The two arrays of values grow together. */
static bool grow_values(struct vt_lowering *l) {
    uint32_t capacity = l->values_capacity;
    return grow(&l->plan->arena, (void **)&l->value_notes, sizeof *l->value_notes, l->plan->n_values, &capacity) &&
           grow(&l->plan->arena, (void **)&l->plan->values, sizeof *l->plan->values, l->plan->n_values,
               &l->values_capacity);
}

uint32_t vt_lower_new_value(struct vt_lowering *l, const struct vt_plan_value *description, uint32_t buffer) {
    struct vt_plan_value v = *description;
    if (!grow_values(l)) return VT_PLAN_NONE;
    if (!vt_plan_value_bytes(&v, &v.bytes)) {
        vt_fail(l->error, VULTUS_ERROR_LIMIT, "value %s is too large to address", v.name);
        return VT_PLAN_NONE;
    }
    if (v.storage != VT_STORAGE_CONSTANT && buffer == VT_PLAN_NONE) {
        buffer = new_buffer(l, v.storage, vt_round_up(v.bytes, VT_PLAN_ALIGNMENT));
        if (buffer == VT_PLAN_NONE) return VT_PLAN_NONE;
    }
    l->plan->values[l->plan->n_values] = v;
    l->value_notes[l->plan->n_values] = (struct vt_value_note){.buffer = buffer};
    return l->plan->n_values++;
}

uint32_t vt_lower_new_constant(
    struct vt_lowering *l, const char *name, enum vt_dtype dtype, int rank, const int64_t *dims, const void *content) {
    struct vt_plan_value v = {.name = vt_arena_strdup(&l->plan->arena, name),
        .dtype = dtype,
        .rank = rank,
        .storage = VT_STORAGE_CONSTANT,
        .border = VT_PLAN_NONE};
    if (!v.name) return VT_PLAN_NONE;
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    uint32_t id = vt_lower_new_value(l, &v, VT_PLAN_NONE);
    if (id != VT_PLAN_NONE) l->value_notes[id].constant = content;
    return id;
}

uint32_t vt_lower_channel_constant(struct vt_lowering *l, const char *name, const float *content, int64_t count) {
    int64_t padded = (int64_t)vt_round_up((size_t)count, (size_t)l->block);
    float *copy = vt_arena_alloc_array(&l->plan->arena, (size_t)padded, sizeof *copy);
    if (!copy) return VT_PLAN_NONE;
    memcpy(copy, content, (size_t)count * sizeof *copy);
    return vt_lower_new_constant(l, name, VT_DTYPE_F32, 1, &padded, copy);
}

/* A step reads `inputs` and writes `output`: extends the lifetimes of what they live in. */
static void touch(struct vt_lowering *l, uint32_t value, uint32_t step) {
    if (value == VT_PLAN_NONE || l->value_notes[value].buffer == VT_PLAN_NONE) return;
    struct vt_buffer *b = &l->buffers[l->value_notes[value].buffer];
    if (b->first == UINT32_MAX) b->first = step;
    b->last = step;
}

struct vt_plan_step *vt_lower_new_step(struct vt_lowering *l, enum vt_step kind, const char *name,
    const uint32_t *inputs, uint32_t n_inputs, uint32_t output) {
    struct vt_plan *plan = l->plan;
    uint32_t capacity = l->steps_capacity;
    if (!grow(&plan->arena, (void **)&l->step_notes, sizeof *l->step_notes, plan->n_steps, &capacity) ||
        !grow(&plan->arena, (void **)&plan->steps, sizeof *plan->steps, plan->n_steps, &l->steps_capacity))
        return NULL;
    struct vt_plan_step *step = &plan->steps[plan->n_steps];
    *step = (struct vt_plan_step){.kind = kind,
        .name = vt_arena_strdup(&plan->arena, name ? name : ""),
        .inputs = vt_arena_alloc_array(&plan->arena, n_inputs + 1, sizeof(uint32_t)),
        .outputs = vt_arena_alloc_array(&plan->arena, 1, sizeof(uint32_t)),
        .n_inputs = n_inputs,
        .n_outputs = 1};
    if (!step->name || !step->inputs || !step->outputs) return NULL;
    for (uint32_t i = 0; i < n_inputs; i++) touch(l, step->inputs[i] = inputs[i], plan->n_steps);
    touch(l, step->outputs[0] = output, plan->n_steps);
    l->step_notes[plan->n_steps] = (struct vt_step_note){0};
    plan->n_steps++;
    return step;
}

bool vt_lower_add_output(struct vt_lowering *l, uint32_t output) {
    uint32_t last = l->plan->n_steps - 1;
    struct vt_plan_step *step = &l->plan->steps[last];
    uint32_t *outputs = vt_arena_alloc_array(&l->plan->arena, step->n_outputs + 1, sizeof *outputs);
    if (!outputs || output == VT_PLAN_NONE) return false;
    memcpy(outputs, step->outputs, step->n_outputs * sizeof *outputs);
    touch(l, outputs[step->n_outputs] = output, last);
    step->outputs = outputs;
    step->n_outputs++;
    return true;
}

bool vt_lower_can_block(const struct vt_value *value) {
    int64_t dims[VT_MAX_RANK];
    return value->dtype == VT_DTYPE_F32 && value->rank == 4 && vt_value_static_dims(value, dims) && dims[0] == 1 &&
           dims[1] > 0 && dims[2] > 0 && dims[3] > 0;
}

bool vt_lower_has_blocked(const struct vt_lowering *l, const struct vt_value *value) {
    return l->representations[value->index].n_blocked > 0;
}

static struct vt_plan_value describe(struct vt_lowering *l, const struct vt_value *value, enum vt_layout layout) {
    struct vt_plan_value v = {.name = vt_arena_strdup(&l->plan->arena, value->name),
        .dtype = value->dtype,
        .layout = layout,
        .storage = VT_STORAGE_ARENA,
        .rank = value->rank,
        .border = VT_PLAN_NONE};
    vt_value_static_dims(value, v.dims);
    if (layout != VT_LAYOUT_PLAIN) {
        v.dtype = l->representations[value->index].float32 ? VT_DTYPE_F32 : l->blocked_dtype;
        v.block = l->block;
    }
    return v;
}

uint32_t vt_lower_new_plain(struct vt_lowering *l, const struct vt_value *value) {
    struct vt_plan_value v = describe(l, value, VT_LAYOUT_PLAIN);
    uint32_t id = v.name ? vt_lower_new_value(l, &v, VT_PLAN_NONE) : VT_PLAN_NONE;
    if (id != VT_PLAN_NONE) l->representations[value->index].plain = id;
    return id;
}

uint32_t vt_lower_view(struct vt_lowering *l, const struct vt_value *value, uint32_t source) {
    struct vt_plan_value v = describe(l, value, VT_LAYOUT_PLAIN);
    uint32_t buffer = l->value_notes[source].buffer;
    uint32_t id = v.name ? vt_lower_new_value(l, &v, buffer) : VT_PLAN_NONE;
    if (id != VT_PLAN_NONE) l->representations[value->index].plain = id;
    return id;
}

/* A blocked value with this border, added to the value's representations. */
static uint32_t add_blocked(
    struct vt_lowering *l, const struct vt_value *value, const int32_t pad[4], const struct vt_value *border) {
    struct vt_representation *r = &l->representations[value->index];
    struct vt_plan_value v = describe(l, value, l->backend->builder->planes);
    if (!v.name || r->n_blocked == VT_MAX_BLOCKED) return VT_PLAN_NONE;
    memcpy(v.pad, pad, sizeof v.pad);
    if (border) {
        v.border = vt_lower_channel_constant(l, border->name, border->constant->data, v.dims[1]);
        if (v.border == VT_PLAN_NONE) return VT_PLAN_NONE;
    }
    uint32_t id = vt_lower_new_value(l, &v, VT_PLAN_NONE);
    if (id != VT_PLAN_NONE) r->blocked[r->n_blocked++] = id;
    return id;
}

uint32_t vt_lower_new_blocked(struct vt_lowering *l, const struct vt_value *value) {
    const struct vt_representation *r = &l->representations[value->index];
    return add_blocked(l, value, r->pad, r->border);
}

/* Whether plan value `v` may be read with this border. */
static bool border_serves(
    const struct vt_lowering *l, const struct vt_plan_value *v, const int64_t pad[4], const struct vt_value *border) {
    if (!pad || (pad[0] | pad[1] | pad[2] | pad[3]) == 0) return true;
    for (int i = 0; i < 4; i++)
        if (v->pad[i] < pad[i]) return false;
    if (!border) return v->border == VT_PLAN_NONE;
    if (v->border == VT_PLAN_NONE) return false;
    const float *filled = l->value_notes[v->border].constant;
    return memcmp(filled, border->constant->data, (size_t)v->dims[1] * sizeof *filled) == 0;
}

uint32_t vt_lower_blocked(
    struct vt_lowering *l, const struct vt_value *value, const int64_t pad[4], const struct vt_value *border) {
    const struct vt_representation *r = &l->representations[value->index];
    for (size_t i = 0; i < r->n_blocked; i++)
        if (border_serves(l, &l->plan->values[r->blocked[i]], pad, border)) return r->blocked[i];
    uint32_t source = r->n_blocked ? r->blocked[0] : r->plain, target;
    if (r->n_blocked == 0) {
        target = vt_lower_new_blocked(l, value);
        if (target != VT_PLAN_NONE && !border_serves(l, &l->plan->values[target], pad, border)) {
            if (!vt_lower_new_step(l, VT_STEP_CONVERT, value->name, &source, 1, target)) return VT_PLAN_NONE;
            return vt_lower_blocked(l, value, pad, border);
        }
    } else {
        int32_t wanted[4] = {0};
        for (int i = 0; pad && i < 4; i++) wanted[i] = (int32_t)pad[i];
        target = add_blocked(l, value, wanted, border);
    }
    if (target == VT_PLAN_NONE) return VT_PLAN_NONE;
    return vt_lower_new_step(l, VT_STEP_CONVERT, value->name, &source, 1, target) ? target : VT_PLAN_NONE;
}

uint32_t vt_lower_plain(struct vt_lowering *l, const struct vt_value *value) {
    const struct vt_representation *r = &l->representations[value->index];
    if (r->plain != VT_PLAN_NONE) return r->plain;
    if (value->constant) {
        const struct vt_tensor *c = value->constant;
        uint32_t id = vt_lower_new_constant(l, value->name, c->dtype, c->rank, c->dims, c->data);
        l->representations[value->index].plain = id;
        return id;
    }
    if (r->n_blocked == 0) {
        vt_fail(l->error, VULTUS_ERROR_INVALID, "value %s is used before anything computes it", value->name);
        return VT_PLAN_NONE;
    }
    uint32_t source = r->blocked[0], target = vt_lower_new_plain(l, value);
    if (target == VT_PLAN_NONE) return VT_PLAN_NONE;
    return vt_lower_new_step(l, VT_STEP_CONVERT, value->name, &source, 1, target) ? target : VT_PLAN_NONE;
}
