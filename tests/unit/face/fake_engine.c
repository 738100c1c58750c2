/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_engine.h"

struct vt_engine fake_engine(int width, int height, int64_t max_batch) {
    return (struct vt_engine){.plan = {.model = {.name = "fake",
                                           .function = "",
                                           .channels = "rgb",
                                           .mean = {127.5f, 127.5f, 127.5f},
                                           .std = {127.5f, 127.5f, 127.5f}},
                                  .n_inputs = 1,
                                  .max_batch = max_batch},
        .input = {.dtype = VT_DTYPE_F32, .rank = 4, .dims = {1, 3, height, width}},
        .batch_axis = true};
}

void fake_output(struct vt_engine *engine, int64_t rows, int64_t columns) {
    struct vt_tensor *output = &engine->outputs[engine->plan.n_outputs++];
    *output = (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = 3, .dims = {1, rows, columns}};
    if (!engine->batch_axis) *output = (struct vt_tensor){.dtype = VT_DTYPE_F32, .rank = 2, .dims = {rows, columns}};
}

const struct vt_plan *vt_engine_plan(const struct vt_engine *engine) { return &engine->plan; }

struct vt_tensor vt_engine_input(const struct vt_engine *engine, uint32_t i, int64_t batch) {
    (void)i;
    struct vt_tensor shape = engine->input;
    shape.dims[0] = batch;
    return shape;
}

struct vt_tensor vt_engine_output(const struct vt_engine *engine, uint32_t i, int64_t batch) {
    struct vt_tensor shape = engine->outputs[i];
    shape.dims[0] *= batch;
    return shape;
}

const struct vt_photo_backend *vt_engine_photos(const struct vt_engine *engine) { return engine->photos; }

int vt_engine_devices(const struct vt_engine *engine) { return engine->photos ? 1 : 0; }

enum vultus_status vt_engine_create_executable(
    const struct vt_engine *engine, int device, struct vt_executable **out, struct vultus_error *error) {
    (void)device, (void)error;
    __atomic_add_fetch(&((struct vt_engine *)engine)->executables, 1, __ATOMIC_RELAXED);
    *out = (struct vt_executable *)engine;
    return VULTUS_OK;
}

void vt_engine_destroy_executable(const struct vt_engine *engine, struct vt_executable *executable) {
    if (executable) __atomic_sub_fetch(&((struct vt_engine *)engine)->executables, 1, __ATOMIC_RELAXED);
}

enum vultus_status vt_engine_run(struct vt_engine *engine, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    (void)profile;
    if (__atomic_add_fetch(&engine->runs, 1, __ATOMIC_RELAXED) == engine->fail_run)
        return vt_fail(error, VULTUS_ERROR_BACKEND, "the fake engine was told to fail");
    __atomic_add_fetch(&engine->items, (int)batch, __ATOMIC_RELAXED);
    int largest = __atomic_load_n(&engine->largest_batch, __ATOMIC_RELAXED);
    if (batch > largest) __atomic_store_n(&engine->largest_batch, (int)batch, __ATOMIC_RELAXED);
    int64_t pixels = vt_tensor_count(&engine->input);
    for (int64_t item = 0; item < batch; item++) {
        float *item_outputs[FAKE_MOST_OUTPUTS] = {0};
        for (uint32_t i = 0; i < engine->plan.n_outputs; i++)
            item_outputs[i] = (float *)outputs[i] + item * vt_tensor_count(&engine->outputs[i]);
        engine->run(engine, (const float *)inputs[0] + item * pixels, item_outputs);
    }
    return VULTUS_OK;
}
