/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "api/compare.h"
#include "base/checked.h"
#include "base/random.h"
#include "face/network.h"
#include "tensor/npy.h"
#include "tensor/npz.h"

#define RECOGNISER_ITEMS 100
#define OTHER_ITEMS 10
#define LEAST_EMBEDDING 32 /* elements; fewer are scores */

bool vt_items_embedding(const struct vt_plan *plan, uint32_t i) {
    const struct vt_plan_value *v = &plan->values[plan->outputs[i]];
    if (strcmp(plan->model.function, "arcface") == 0 || strcmp(plan->model.function, "adaface") == 0) return i == 0;
    if (*plan->model.function || plan->n_outputs != 1 || v->dtype != VT_DTYPE_F32) return false;
    return v->rank >= 1 && v->rank <= 2 && v->dims[v->rank - 1] >= LEAST_EMBEDDING;
}

/* ------------------------------------------------------------ files */

/* [N] and the item's shape, of the network's own type; or crops uint8 [N,height,width,3] of a network of pictures. */
static enum vultus_status check_given(const struct vt_items *items, const char *path, struct vultus_error *error) {
    const struct vt_tensor *t = &items->given;
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    char have[128], want[128];
    if (plan->n_inputs != 1)
        return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "%s has %u inputs; files of inputs are for networks with one",
            plan->model.name, plan->n_inputs);
    struct vt_tensor wanted = vt_engine_input(items->engine, 0, t->rank > 0 ? t->dims[0] : 1);
    if (t->rank > 0 && t->dims[0] == 0)
        return vt_fail(error, VULTUS_ERROR_INVALID, "%s holds no items: its array is %s", path,
            vt_tensor_describe(t, have, sizeof have));
    if (t->dtype == wanted.dtype && vt_tensor_same_shape(t, &wanted)) return VULTUS_OK;
    if (items->pictures && t->dtype == VT_DTYPE_U8 && t->rank == 4 && t->dims[1] == wanted.dims[2] &&
        t->dims[2] == wanted.dims[3] && t->dims[3] == 3)
        return VULTUS_OK;
    vt_tensor_describe(&wanted, want, sizeof want);
    if (!items->pictures)
        return vt_fail(error, VULTUS_ERROR_INVALID, "%s holds %s; the network takes %s", path,
            vt_tensor_describe(t, have, sizeof have), want);
    return vt_fail(error, VULTUS_ERROR_INVALID,
        "%s holds %s; the network takes %s, or crops as uint8[%lld,%lld,%lld,3], BGR", path,
        vt_tensor_describe(t, have, sizeof have), want, (long long)wanted.dims[0], (long long)wanted.dims[2],
        (long long)wanted.dims[3]);
}

/* Output i under its number; a network's only output may be called embeddings. */
static enum vultus_status read_wanted(
    struct vt_items *items, const char *path, uint32_t i, struct vultus_error *error) {
    struct vt_tensor *t = &items->wanted[i], wanted;
    char name[32], have[128], want[128];
    bool found = false;
    snprintf(name, sizeof name, "output_%u", i);
    enum vultus_status status = vt_npz_read(path, name, &items->arena, t, &found, error);
    if (!status && !found && vt_engine_plan(items->engine)->n_outputs == 1)
        status = vt_npz_read(path, strcpy(name, "embeddings"), &items->arena, t, &found, error);
    if (status) return status;
    if (!found) return vt_fail(error, VULTUS_ERROR_INVALID, "%s has no array %s", path, name);
    int64_t count = t->rank > 0 ? t->dims[0] : 0;
    wanted = vt_engine_output(items->engine, i, count);
    if (count > 0 && t->dtype == wanted.dtype && vt_tensor_bytes(t) == vt_tensor_bytes(&wanted)) return VULTUS_OK;
    return vt_fail(error, VULTUS_ERROR_INVALID, "%s: %s is %s; output %u of the network is %s", path, name,
        vt_tensor_describe(t, have, sizeof have), i, vt_tensor_describe(&wanted, want, sizeof want));
}

static enum vultus_status read_reference(
    struct vt_items *items, const struct vultus_compare_options *o, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    bool found = false;
    enum vultus_status status = vt_npz_read(o->reference, "inputs", &items->arena, &items->given, &found, error);
    if (status) return status;
    if (found && o->inputs)
        return vt_fail(error, VULTUS_ERROR_INVALID, "%s brings inputs of its own, so those of %s are one too many",
            o->reference, o->inputs);
    if (!found && !o->inputs)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%s has no array inputs, and no other file of inputs was given", o->reference);
    items->wanted = vt_arena_alloc_array(&items->arena, plan->n_outputs, sizeof *items->wanted);
    if (!items->wanted) return vt_fail_memory(error, "outputs", plan->n_outputs * sizeof *items->wanted);
    for (uint32_t i = 0; !status && i < plan->n_outputs; i++) status = read_wanted(items, o->reference, i, error);
    return status;
}

/* As many outputs as inputs, and a sample of them. */
static enum vultus_status settle_count(
    struct vt_items *items, const struct vultus_compare_options *o, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    items->count = o->samples;
    if (items->given.dtype == VT_DTYPE_NONE) {
        if (!items->count) items->count = vt_items_embedding(plan, 0) ? RECOGNISER_ITEMS : OTHER_ITEMS;
        return VULTUS_OK;
    }
    int64_t count = items->given.dims[0];
    for (uint32_t i = 0; items->wanted && i < plan->n_outputs; i++)
        if (items->wanted[i].dims[0] != count)
            return vt_fail(error, VULTUS_ERROR_INVALID, "%s has %lld items of output %u for %lld of the input",
                o->reference, (long long)items->wanted[i].dims[0], i, (long long)count);
    if (items->count > count)
        return vt_fail(error, VULTUS_ERROR_INVALID, "%lld items were asked for; %s has %lld", (long long)items->count,
            o->inputs ? o->inputs : o->reference, (long long)count);
    if (!items->count) items->count = count;
    return VULTUS_OK;
}

/* A network of pictures whose meaning is known gets pictures. */
static bool takes_pictures(struct vt_items *items) {
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    struct vt_tensor input = vt_engine_input(items->engine, 0, 1);
    return plan->n_inputs == 1 && *plan->model.function && input.dtype == VT_DTYPE_F32 && input.rank == 4 &&
           input.dims[1] == 3 && input.dims[2] <= INT16_MAX && input.dims[3] <= INT16_MAX &&
           !vt_network_normalisation(&plan->model, &items->normalisation, NULL);
}

enum vultus_status vt_items_init(struct vt_items *items, const struct vt_engine *engine,
    const struct vultus_compare_options *options, struct vultus_error *error) {
    *items = (struct vt_items){.engine = engine};
    vt_arena_init(&items->arena, 0);
    items->pictures = takes_pictures(items);
    enum vultus_status status = VULTUS_OK;
    if (options->reference) status = read_reference(items, options, error);
    if (!status && options->inputs) status = vt_npy_read(options->inputs, &items->arena, &items->given, error);
    if (!status && items->given.dtype != VT_DTYPE_NONE)
        status = check_given(items, options->inputs ? options->inputs : options->reference, error);
    return status ? status : settle_count(items, options, error);
}

void vt_items_fini(struct vt_items *items) { vt_arena_fini(&items->arena); }

/* ------------------------------------------------------------ items */

static void crop_to_planes(const struct vt_items *items, const uint8_t *pixels, float *planes) {
    struct vt_tensor input = vt_engine_input(items->engine, 0, 1);
    int width = (int)input.dims[3], height = (int)input.dims[2];
    struct vt_image crop = {(uint8_t *)pixels, width, height, 3 * (size_t)width};
    vt_image_to_planes(&crop, &items->normalisation, planes);
}

/* The golden ratio in 64 bits: neighbours get states far apart, none of them 0. */
#define SEED_STEP 0x9E3779B97F4A7C15u

/* Pixels of every value alike for pictures, normal numbers for other float32 inputs, zeros for other types. */
static enum vultus_status random_item(const struct vt_items *items, int64_t item, uint32_t input,
    const struct vt_plan_value *v, void *target, struct vultus_error *error) {
    uint64_t state = SEED_STEP * ((uint64_t)item * vt_engine_plan(items->engine)->n_inputs + input + 1);
    memset(target, 0, v->bytes);
    if (!items->pictures) {
        if (v->dtype == VT_DTYPE_F32) vt_random_normal(&state, target, v->bytes / sizeof(float));
        return VULTUS_OK;
    }
    struct vt_image picture = {0};
    enum vultus_status status = vt_image_create((int)v->dims[3], (int)v->dims[2], &picture, error);
    if (status) return status;
    for (int y = 0; y < picture.height; y++)
        for (int x = 0; x < 3 * picture.width; x++)
            picture.pixels[(size_t)y * picture.stride + (size_t)x] = (uint8_t)(vt_random_bits(&state) >> 56);
    vt_image_to_planes(&picture, &items->normalisation, target);
    vt_image_release(&picture);
    return VULTUS_OK;
}

static enum vultus_status fill_item(
    const struct vt_items *items, int64_t item, uint32_t input, uint8_t *target, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    const struct vt_plan_value *v = &plan->values[plan->inputs[input]];
    const uint8_t *given = items->given.data;
    if (!given) return random_item(items, item, input, v, target, error);
    if (items->given.dtype == v->dtype)
        memcpy(target, given + (uint64_t)item * v->bytes, v->bytes);
    else
        crop_to_planes(items, given + (uint64_t)item * (v->bytes / sizeof(float)), (float *)target);
    return VULTUS_OK;
}

enum vultus_status vt_items_inputs(
    const struct vt_items *items, int64_t first, int64_t count, void *const *inputs, struct vultus_error *error) {
    const struct vt_plan *plan = vt_engine_plan(items->engine);
    enum vultus_status status = VULTUS_OK;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        uint64_t bytes = plan->values[plan->inputs[i]].bytes;
        for (int64_t k = 0; !status && k < count; k++)
            status = fill_item(items, first + k, i, (uint8_t *)inputs[i] + (uint64_t)k * bytes, error);
    }
    return status;
}
