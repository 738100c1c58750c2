/* SPDX-License-Identifier: Apache-2.0
 * A back end that computes elsewhere: the processor's under CUDA's name, with two devices.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "backend/cpu/cpu.h"
#include "backend/cuda/cuda.h"
#include "exec/session.h"
#include "plan_builder.h"

enum { COUNT = 16 };

static struct vt_backend backend;
const struct vt_backend *vt_backend_cuda(void) { return &backend; }

static int devices(void) { return 2; }

/* Every run waits for another one beside it. */
static pthread_barrier_t both;
static atomic_int created[2];

static enum vultus_status create(const struct vt_plan *plan, struct vt_pool *pool, int device,
    struct vt_executable **out, struct vultus_error *error) {
    atomic_fetch_add(&created[device], 1);
    return vt_backend_cpu.create(plan, pool, device, out, error);
}

static enum vultus_status run(struct vt_executable *executable, const void *const *inputs, void *const *outputs,
    int64_t batch, struct vt_step_profile *profile, struct vultus_error *error) {
    pthread_barrier_wait(&both);
    return vt_backend_cpu.run(executable, inputs, outputs, batch, profile, error);
}

struct caller {
    struct vt_engine *engine;
    enum vultus_status status;
    float out[COUNT];
    pthread_t thread;
};

static const float numbers[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -8};

static void *call(void *context) {
    struct caller *c = context;
    c->status = vt_engine_run(c->engine, (const void *[]){numbers}, (void *[]){c->out}, 1, NULL, NULL);
    return NULL;
}

/* With one place for threads that compute, two runs meet only because who waits for a device gives the place away. */
static void runs_meet(bool shared) {
    struct plan_builder b;
    struct vt_pool *pool;
    struct vt_engine *engine;
    struct vultus_error error = {0};
    struct caller callers[2];
    builder_init(&b);
    uint32_t x = builder_plain(&b, VT_STORAGE_INPUT, 2, (const int64_t[]){1, COUNT});
    uint32_t y = builder_plain(&b, VT_STORAGE_OUTPUT, 2, (const int64_t[]){1, COUNT});
    builder_choose(&b, builder_step(&b, VT_STEP_CONVERT, &x, 1, y), NULL, 32, NULL);
    builder_finish(&b);
    snprintf(b.plan->key.backend, sizeof b.plan->key.backend, "cuda");
    created[0] = created[1] = 0;
    if (vt_pool_create(1, &pool, &error) || vt_engine_create(b.plan, pool, &engine, &error)) fail_msg("%s", error.text);
    b.plan = NULL;
    if (shared && vt_engine_share_batches(engine, 1, 0, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < 2; i++) {
        callers[i] = (struct caller){.engine = engine};
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    }
    for (int i = 0; i < 2; i++) pthread_join(callers[i].thread, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(callers[i].status, VULTUS_OK);
        assert_memory_equal(callers[i].out, numbers, sizeof numbers);
    }
    /* One on each device: the second run took the one that was free. */
    assert_int_equal(created[0], 1);
    assert_int_equal(created[1], 1);
    vt_engine_destroy(engine);
    vt_pool_destroy(pool);
    builder_fini(&b);
}

static void test_alone(void **state) {
    (void)state;
    runs_meet(false);
}

static void test_in_batches(void **state) {
    (void)state;
    runs_meet(true);
}

int main(void) {
    backend = vt_backend_cpu;
    backend.name = "cuda";
    backend.elsewhere = true;
    backend.devices = devices;
    backend.create = create;
    backend.run = run;
    pthread_barrier_init(&both, NULL, 2);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone), cmocka_unit_test(test_in_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
