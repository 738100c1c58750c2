/* SPDX-License-Identifier: Apache-2.0
 * How tactics are chosen, with a back end whose clock says what the test wants: the processor's under CUDA's name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/cpu.h"
#include "backend/cuda/cuda.h"
#include "compile/compile.h"
#include "config.h"
#include "onnx/onnx.h"

static struct vt_backend backend;
static struct vt_backend_builder builder;

/* Instead of the program's own. */
const struct vt_backend *vt_backend_cuda(void) { return &backend; }

struct vt_stopwatch {
    int opened;
};
static struct vt_stopwatch watch;
static size_t measured;
static int64_t largest_batch;

/* Which of a step's tactics the clock calls the fastest at a batch: another one at each. */
static const char *favourite(const struct vt_plan *plan, const struct vt_plan_step *step, int64_t batch) {
    const char *names[32], *classes[32];
    size_t n = builder.tactics(plan, step, names, classes, 32);
    return names[batch == 1 ? 0 : batch == 8 ? n / 2 : n - 1];
}

static enum vultus_status open_watch(struct vt_stopwatch **out, struct vultus_error *error) {
    (void)error;
    watch.opened++;
    *out = &watch;
    return VULTUS_OK;
}

static void close_watch(struct vt_stopwatch *w) {
    if (w) w->opened--;
}

static enum vultus_status measure(
    struct vt_stopwatch *w, const struct vt_timing *timing, double *ns, struct vultus_error *error) {
    const struct vt_plan_step *step = &timing->plan->steps[0];
    (void)error;
    assert_ptr_equal(w, &watch);
    assert_int_equal(timing->plan->n_steps, 1);
    assert_int_equal(step->n_choices, 1);
    assert_true(timing->network_weights > 0);
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (step->inputs[i] != VT_PLAN_NONE && timing->plan->values[step->inputs[i]].storage == VT_STORAGE_INPUT)
            assert_non_null(timing->inputs[i]);
    for (size_t b = 0; b < timing->n_batches; b++) {
        bool best = strcmp(favourite(timing->plan, step, timing->batches[b]), step->choices[0].tactic) == 0;
        ns[b] = (best ? 1e3 : 1e4) * (double)timing->batches[b];
        assert_true(timing->fastest[b] == 0 || timing->fastest[b] == ns[b] || timing->fastest[b] * 10 == ns[b] ||
                    timing->fastest[b] == ns[b] * 10);
        if (timing->batches[b] > largest_batch) largest_batch = timing->batches[b];
    }
    measured++;
    return VULTUS_OK;
}

static const struct vt_backend_clock clock_of_the_test = {.open = open_watch, .measure = measure, .close = close_watch};

static struct vt_plan *compile(int64_t max_batch) {
    char path[4096];
    struct vt_mapped_file file;
    struct vt_graph *graph = NULL;
    struct vt_plan *plan = NULL;
    struct vultus_error error = {0};
    measured = 0;
    largest_batch = 0;
    snprintf(path, sizeof path, "%s/models/starter/starter_rec.onnx", VT_SOURCE_DIR);
    struct vt_compile_options options = {.backend = "cuda", .max_batch = max_batch, .threads = 1, .time_tactics = true};
    if (vt_map_file(path, &file, &error) || vt_onnx_read(file.data, file.size, path, NULL, &graph, &error) ||
        vt_compile(graph, &options, NULL, &plan, &error))
        fail_msg("%s", error.text);
    vt_graph_destroy(graph);
    vt_unmap_file(&file);
    assert_int_equal(watch.opened, 0);
    return plan;
}

static const char *class_of(const char *tactic) {
    struct vt_tactic_info info;
    assert_true(vt_backend_cpu.describe_tactic(tactic, &info));
    return info.class;
}

/* Without oneDNN some processors have one way for every step: then there is nothing to time. */
static void need_choices(void) {
    vt_plan_destroy(compile(1));
    if (measured > 0) return;
    print_message("skipped: this build has one tactic for each step of the network\n");
    skip();
}

static size_t tactics_timed(const struct vt_plan *plan, uint32_t step, int64_t batch) {
    size_t n = 0;
    for (uint32_t t = 0; t < plan->n_times; t++) n += plan->times[t].step == step && plan->times[t].batch == batch;
    return n;
}

/* For each batch the favourite, whatever its class; the largest batch of the plan beyond the largest timed one. */
static void test_mixing(void **state) {
    (void)state;
    need_choices();
    builder.classes_may_mix = true;
    struct vt_plan *plan = compile(64);
    static const int64_t batches[] = {1, 8, 32};
    size_t mixed = 0, wanted = 0;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct vt_plan_step *step = &plan->steps[i];
        if (tactics_timed(plan, i, 1) == 0) continue;
        for (size_t b = 0; b < 3; b++)
            assert_string_equal(
                step->choices[vt_plan_step_choice(step, batches[b])].tactic, favourite(plan, step, batches[b]));
        assert_int_equal(step->choices[step->n_choices - 1].max_batch, 64);
        for (size_t b = 1; b < 3; b++)
            wanted += strcmp(class_of(favourite(plan, step, batches[b])), class_of(favourite(plan, step, 1))) != 0;
        for (uint32_t c = 1; c < step->n_choices; c++)
            mixed += strcmp(class_of(step->choices[c].tactic), class_of(step->choices[0].tactic)) != 0;
    }
    assert_int_equal(mixed > 0, wanted > 0);
    assert_int_equal(largest_batch, 32);
    vt_plan_destroy(plan);
}

/* Without mixing every step keeps to one class. */
static void test_one_class(void **state) {
    (void)state;
    builder.classes_may_mix = false;
    struct vt_plan *plan = compile(32);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        for (uint32_t c = 1; c < plan->steps[i].n_choices; c++)
            assert_string_equal(class_of(plan->steps[i].choices[c].tactic), class_of(plan->steps[i].choices[0].tactic));
    vt_plan_destroy(plan);
}

static bool same_value(const struct vt_plan *plan, uint32_t a, uint32_t b) {
    if (a == VT_PLAN_NONE || b == VT_PLAN_NONE) return a == b;
    const struct vt_plan_value *v = &plan->values[a], *w = &plan->values[b];
    return v->layout == w->layout && v->rank == w->rank && memcmp(v->dims, w->dims, sizeof v->dims) == 0 &&
           memcmp(v->pad, w->pad, sizeof v->pad) == 0;
}

/* Whether a later step is of the same kind and parameters, on operands of the same sizes. */
static bool comes_again(const struct vt_plan *plan, uint32_t step) {
    const struct vt_plan_step *a = &plan->steps[step];
    for (uint32_t i = step + 1; i < plan->n_steps; i++) {
        const struct vt_plan_step *b = &plan->steps[i];
        bool same = a->kind == b->kind && a->n_inputs == b->n_inputs &&
                    memcmp(&a->params, &b->params, sizeof a->params) == 0 &&
                    same_value(plan, a->outputs[0], b->outputs[0]);
        for (uint32_t o = 0; same && o < a->n_inputs; o++) same = same_value(plan, a->inputs[o], b->inputs[o]);
        if (same) return true;
    }
    return false;
}

/* The clock was asked for fewer tactics than the plan tells times of: those of equal steps were taken over. */
static void test_equal_steps(void **state) {
    (void)state;
    need_choices();
    builder.classes_may_mix = true;
    struct vt_plan *plan = compile(32);
    size_t told = 0, again = 0;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        again += tactics_timed(plan, i, 1) > 0 && comes_again(plan, i);
        told += tactics_timed(plan, i, 1);
        assert_int_equal(tactics_timed(plan, i, 1), tactics_timed(plan, i, 32));
    }
    assert_true(measured > 0 && (again > 0 ? measured < told : measured == told));
    vt_plan_destroy(plan);
}

/* What a plan cannot run is not timed. */
static void test_small_batches(void **state) {
    (void)state;
    need_choices();
    struct vt_plan *plan = compile(5);
    assert_int_equal(largest_batch, 5);
    for (uint32_t i = 0; i < plan->n_steps; i++) assert_int_equal(tactics_timed(plan, i, 8), 0);
    vt_plan_destroy(plan);
    plan = compile(1);
    assert_int_equal(largest_batch, 1);
    vt_plan_destroy(plan);
}

/* Tactics that want the same packed weights have one constant. */
static void test_packed_once(void **state) {
    (void)state;
    builder.classes_may_mix = true;
    struct vt_plan *plan = compile(32);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        for (uint32_t c = 1; c < plan->steps[i].n_choices; c++) {
            uint32_t a = plan->steps[i].choices[c - 1].packed, b = plan->steps[i].choices[c].packed;
            if (a == VT_PLAN_NONE || b == VT_PLAN_NONE || a == b) continue;
            const struct vt_plan_value *v = &plan->values[a], *w = &plan->values[b];
            assert_true(
                v->bytes != w->bytes || memcmp(plan->weights + v->offset, plan->weights + w->offset, v->bytes) != 0);
        }
    vt_plan_destroy(plan);
}

int main(void) {
    builder = *vt_backend_cpu.builder;
    memcpy(builder.batches, (int64_t[]){1, 8, 32, 0}, 4 * sizeof(int64_t));
    builder.clock = &clock_of_the_test;
    backend = vt_backend_cpu;
    backend.name = "cuda";
    backend.builder = &builder;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixing),
        cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_equal_steps),
        cmocka_unit_test(test_small_batches),
        cmocka_unit_test(test_packed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
