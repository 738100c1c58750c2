/* SPDX-License-Identifier: Apache-2.0
 * Plan files: what is written comes back, and no damage to a file goes unnoticed or does harm.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "plan/format.h"
#include "plan_fixture.h"

static char directory[] = "/tmp/vultus-plan-XXXXXX";
static char path[64];

static int make_directory(void **state) {
    (void)state;
    if (!mkdtemp(directory)) return -1;
    snprintf(path, sizeof path, "%s/sample.plan", directory);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    unlink(path);
    return rmdir(directory);
}

/* The sample's file in aligned memory; the caller frees it with vt_free_aligned. */
static uint8_t *sample_file(size_t *size) {
    struct vultus_error error;
    struct vt_plan *plan = sample_plan();
    struct vt_mapped_file file;
    if (vt_plan_write(plan, path, &error) || vt_map_file(path, &file, &error)) fail_msg("%s", error.text);
    uint8_t *bytes = vt_alloc_aligned(file.size);
    assert_non_null(bytes);
    memcpy(bytes, file.data, *size = file.size);
    vt_unmap_file(&file);
    vt_plan_destroy(plan);
    return bytes;
}

/* ------------------------------------------------------------ what is written comes back */

static void assert_same_value(const struct vt_plan_value *a, const struct vt_plan_value *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->layout, b->layout);
    assert_int_equal(a->storage, b->storage);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, sizeof a->dims);
    assert_int_equal(a->block, b->block);
    assert_memory_equal(a->pad, b->pad, sizeof a->pad);
    assert_int_equal(a->border, b->border);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->bytes, b->bytes);
}

static void assert_same_attr(const struct vt_attr *a, const struct vt_attr *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->count, b->count);
    switch (a->kind) {
    case VT_ATTR_INT: assert_int_equal(a->i, b->i); break;
    case VT_ATTR_FLOAT: assert_memory_equal(&a->f, &b->f, sizeof a->f); break;
    case VT_ATTR_STRING: assert_string_equal(a->s, b->s); break;
    case VT_ATTR_INTS: assert_memory_equal(a->ints, b->ints, a->count * sizeof *a->ints); break;
    case VT_ATTR_FLOATS: assert_memory_equal(a->floats, b->floats, a->count * sizeof *a->floats); break;
    case VT_ATTR_TENSOR:
        assert_int_equal(a->tensor->dtype, b->tensor->dtype);
        assert_true(vt_tensor_same_shape(a->tensor, b->tensor));
        assert_memory_equal(a->tensor->data, b->tensor->data, vt_tensor_bytes(a->tensor));
        break;
    }
}

static void assert_same_params(const struct vt_step_params *a, const struct vt_step_params *b) {
    assert_memory_equal(a->window.kernel, b->window.kernel, sizeof a->window.kernel);
    assert_memory_equal(a->window.stride, b->window.stride, sizeof a->window.stride);
    assert_memory_equal(a->window.dilation, b->window.dilation, sizeof a->window.dilation);
    assert_memory_equal(a->window.pad, b->window.pad, sizeof a->window.pad);
    assert_int_equal(a->window.group, b->window.group);
    assert_int_equal(a->window.ceil_mode, b->window.ceil_mode);
    assert_int_equal(a->window.count_include_pad, b->window.count_include_pad);
    assert_memory_equal(&a->tail, &b->tail, sizeof a->tail);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->groups, b->groups);
    assert_memory_equal(&a->epsilon, &b->epsilon, sizeof a->epsilon);
    assert_int_equal(a->perm_rank, b->perm_rank);
    assert_memory_equal(a->perm, b->perm, sizeof a->perm);
}

static void assert_same_step(const struct vt_plan_step *a, const struct vt_plan_step *b) {
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_inputs, b->n_inputs);
    assert_int_equal(a->n_outputs, b->n_outputs);
    assert_memory_equal(a->inputs, b->inputs, a->n_inputs * sizeof *a->inputs);
    assert_memory_equal(a->outputs, b->outputs, a->n_outputs * sizeof *a->outputs);
    assert_same_params(&a->params, &b->params);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->attrs.count, b->attrs.count);
    for (size_t i = 0; i < a->attrs.count; i++) assert_same_attr(&a->attrs.items[i], &b->attrs.items[i]);
    assert_int_equal(a->n_choices, b->n_choices);
    for (uint32_t i = 0; i < a->n_choices; i++) {
        assert_int_equal(a->choices[i].max_batch, b->choices[i].max_batch);
        assert_string_equal(a->choices[i].tactic, b->choices[i].tactic);
        assert_int_equal(a->choices[i].packed, b->choices[i].packed);
    }
}

static void assert_same_texts(const struct vt_plan *a, const struct vt_plan *b) {
    const char *text_a, *text_b;
    assert_null(vt_plan_key_difference(&a->key, &b->key, &text_a, &text_b));
    assert_string_equal(a->model.name, b->model.name);
    assert_string_equal(a->model.function, b->model.function);
    assert_string_equal(a->model.origin, b->model.origin);
    assert_string_equal(a->model.licence, b->model.licence);
    assert_string_equal(a->model.channels, b->model.channels);
    assert_memory_equal(a->model.mean, b->model.mean, sizeof a->model.mean);
    assert_memory_equal(a->model.std, b->model.std, sizeof a->model.std);
    assert_memory_equal(&a->build_seconds, &b->build_seconds, sizeof a->build_seconds);
}

static void assert_same_plan(const struct vt_plan *a, const struct vt_plan *b) {
    assert_same_texts(a, b);
    assert_int_equal(a->required_features, b->required_features);
    assert_int_equal(a->max_batch, b->max_batch);
    assert_int_equal(a->arena_bytes, b->arena_bytes);
    assert_int_equal(a->n_values, b->n_values);
    for (uint32_t i = 0; i < a->n_values; i++) assert_same_value(&a->values[i], &b->values[i]);
    assert_int_equal(a->n_steps, b->n_steps);
    for (uint32_t i = 0; i < a->n_steps; i++) assert_same_step(&a->steps[i], &b->steps[i]);
    assert_int_equal(a->n_inputs, b->n_inputs);
    assert_int_equal(a->n_outputs, b->n_outputs);
    assert_memory_equal(a->inputs, b->inputs, a->n_inputs * sizeof *a->inputs);
    assert_memory_equal(a->outputs, b->outputs, a->n_outputs * sizeof *a->outputs);
    for (uint32_t i = 0; i < a->n_outputs; i++)
        assert_int_equal(a->output_has_batch_axis[i], b->output_has_batch_axis[i]);
    assert_int_equal(a->weights_bytes, b->weights_bytes);
    assert_memory_equal(a->weights, b->weights, a->weights_bytes);
    assert_int_equal(a->n_times, b->n_times);
    for (uint32_t i = 0; i < a->n_times; i++) {
        assert_int_equal(a->times[i].step, b->times[i].step);
        assert_int_equal(a->times[i].batch, b->times[i].batch);
        assert_string_equal(a->times[i].tactic, b->times[i].tactic);
        assert_true(a->times[i].microseconds == b->times[i].microseconds);
        assert_int_equal(a->times[i].chosen, b->times[i].chosen);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_plan *written = sample_plan(), *read = NULL;
    if (vt_plan_write(written, path, &error) || vt_plan_read(path, &read, &error)) fail_msg("%s", error.text);
    assert_same_plan(written, read);
    assert_int_equal((uintptr_t)read->weights % VT_PLAN_WEIGHTS_ALIGNMENT, 0);
    vt_plan_destroy(read);
    vt_plan_destroy(written);
}

static void test_plans_of_one_file_share_its_weights(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_plan *plan = sample_plan(), *first = NULL, *second = NULL;
    if (vt_plan_write(plan, path, &error) || vt_plan_read(path, &first, &error) || vt_plan_read(path, &second, &error))
        fail_msg("%s", error.text);
    assert_ptr_equal(first->weights, second->weights);
    vt_plan_destroy(first);
    assert_memory_equal(second->weights, plan->weights, plan->weights_bytes);
    vt_plan_destroy(second);
    vt_plan_destroy(plan);
}

static void test_equal_plans_give_equal_files(void **state) {
    (void)state;
    size_t size, size_again;
    uint8_t *bytes = sample_file(&size), *again = sample_file(&size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, again, size);
    vt_free_aligned(bytes);
    vt_free_aligned(again);
}

/* The bytes at the offsets that docs/plan-format.md gives, read without the room's own structs. */
static void test_file_is_as_specified(void **state) {
    (void)state;
    static const uint32_t records[] = {1, 32, 1, 112, 8, 256, 4, 24, 8, 24, 64};
    size_t size;
    uint32_t word;
    uint64_t wide, offset, length, end = 384;
    uint8_t *bytes = sample_file(&size);
    assert_memory_equal(bytes, "VULTPLAN\x01\0\0\0\x0b\0\0\0", 16);
    memcpy(&wide, bytes + 24, 8);
    assert_int_equal(wide, size);
    for (uint32_t i = 0; i < 11; i++) {
        memcpy(&word, bytes + 32 + 32 * i, 4);
        memcpy(&offset, bytes + 32 + 32 * i + 8, 8);
        memcpy(&length, bytes + 32 + 32 * i + 16, 8);
        uint64_t unit = i == 10 ? 4096 : 64;
        assert_int_equal(word, i);
        assert_int_equal(offset, (end + unit - 1) / unit * unit);
        assert_int_equal(length % records[i], 0);
        end = offset + length;
    }
    assert_int_equal(end, size);
    vt_free_aligned(bytes);
}

static void test_key_alone(void **state) {
    (void)state;
    size_t size;
    struct vultus_error error;
    struct vt_plan_key key;
    uint8_t *bytes = sample_file(&size);
    struct vt_plan *plan = sample_plan();
    const char *text_a, *text_b;
    bytes[size - 1] ^= 1; /* weights are not looked at */
    if (vt_write_file_atomically(path, bytes, size, &error) || vt_plan_read_key(path, &key, &error))
        fail_msg("%s", error.text);
    assert_null(vt_plan_key_difference(&key, &plan->key, &text_a, &text_b));
    struct vt_plan *damaged;
    assert_int_equal(vt_plan_read(path, &damaged, &error), VULTUS_ERROR_FORMAT);
    assert_non_null(strstr(error.text, "weights section is damaged"));
    vt_plan_destroy(plan);
    vt_free_aligned(bytes);
}

static void test_unwritable_plans(void **state) {
    (void)state;
    struct vultus_error error;
    struct vt_plan *plan = sample_plan();
    unlink(path);
    plan->model.name = "latin\xe9";
    assert_int_equal(vt_plan_write(plan, path, &error), VULTUS_ERROR_INVALID);
    plan->model.name = "model";
    plan->model.std[1] = NAN;
    assert_int_equal(vt_plan_write(plan, path, &error), VULTUS_ERROR_INVALID);
    plan->model.std[1] = 1;
    plan->steps[0].n_choices = 0;
    assert_int_equal(vt_plan_write(plan, path, &error), VULTUS_ERROR_INVALID);
    assert_false(vt_path_exists(path));
    plan->steps[0].n_choices = 2;
    assert_int_equal(vt_plan_write(plan, "/nowhere/at/all.plan", &error), VULTUS_ERROR_NOT_FOUND);
    vt_plan_destroy(plan);
}

/* ------------------------------------------------------------ hostile bytes */

/* Every byte of every constant and name of a plan that was accepted. */
static uint64_t touch(const struct vt_plan *plan) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct vt_plan_value *v = &plan->values[i];
        sum += strlen(v->name);
        if (v->storage == VT_STORAGE_CONSTANT) sum += vt_checksum64(plan->weights + v->offset, v->bytes);
    }
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct vt_plan_step *s = &plan->steps[i];
        sum += strlen(s->name) + strlen(vt_step_name(s->kind)) + strlen(s->choices[0].tactic);
        for (size_t a = 0; a < s->attrs.count; a++) {
            const struct vt_attr *attr = &s->attrs.items[a];
            sum += strlen(attr->name);
            if (attr->kind == VT_ATTR_TENSOR) sum += vt_checksum64(attr->tensor->data, vt_tensor_bytes(attr->tensor));
            if (attr->kind == VT_ATTR_INTS) sum += vt_checksum64(attr->ints, attr->count * sizeof *attr->ints);
        }
    }
    return sum;
}

/* Parses a private copy of exactly `size` bytes, so that sanitizers see every byte read past them. */
static enum vultus_status parse_copy(const uint8_t *bytes, size_t size, bool sealed) {
    static volatile uint64_t sink;
    struct vultus_error error = {VULTUS_OK, ""};
    struct vt_plan *plan = NULL;
    uint8_t *copy;
    if (posix_memalign((void **)&copy, VT_PLAN_ALIGNMENT, size ? size : 1)) return VULTUS_ERROR_MEMORY;
    if (size) memcpy(copy, bytes, size);
    if (sealed) seal_plan(copy, size);
    enum vultus_status status = vt_plan_parse(copy, size, "hostile", &plan, &error);
    if (status) {
        assert_null(plan);
        assert_true(strncmp(error.text, "hostile: ", 9) == 0 && error.text[9]);
    } else {
        assert_int_equal(vt_plan_check(plan, &error), VULTUS_OK);
        sink = sink + touch(plan);
        vt_plan_destroy(plan);
    }
    free(copy);
    return status;
}

static void test_every_changed_byte_is_noticed(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    assert_int_equal(parse_copy(bytes, size, false), VULTUS_OK);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x10;
        if (parse_copy(bytes, size, false) == VULTUS_OK) fail_msg("byte %zu changed unnoticed", i);
        bytes[i] ^= 0x10;
    }
    vt_free_aligned(bytes);
}

static void test_every_truncation_is_noticed(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = sample_file(&size);
    for (size_t length = 0; length < size; length++) {
        if (parse_copy(bytes, length, false) == VULTUS_OK) fail_msg("a cut at %zu went unnoticed", length);
        parse_copy(bytes, length, true);
    }
    vt_free_aligned(bytes);
}

/* Bytes that lie with fitting checksums get to the checks behind them. */
static void test_lies_with_good_checksums(void **state) {
    (void)state;
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    size_t size, accepted = 0, tried = 0;
    uint8_t *bytes = sample_file(&size);
    for (size_t i = VT_PLAN_MAGIC_BYTES; i < size; i++) {
        if (i >= sizeof(struct vt_file_header) && size - i <= 4096) i += 61; /* few of the weights */
        if (i >= size) break;
        for (size_t m = 0; m < sizeof masks; m++, tried++) {
            bytes[i] ^= masks[m];
            accepted += parse_copy(bytes, size, true) == VULTUS_OK;
            bytes[i] ^= masks[m];
        }
    }
    /* Names, numbers without a rule and weights may change; structure may not. */
    assert_in_range(accepted, 1, tried - 1);
    vt_free_aligned(bytes);
}

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Words of typical extremes at random places of the executable sections. */
static void test_random_lies(void **state) {
    (void)state;
    static const uint64_t words[] = {0, 1, 2, 63, 64, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
        0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffc0, 0xffffffffffffffff};
    struct vt_file_header header;
    size_t size;
    uint32_t seed = 1;
    uint8_t *bytes = sample_file(&size), *changed = vt_alloc_aligned(size);
    memcpy(&header, bytes, sizeof header);
    for (int round = 0; round < 20000; round++) {
        memcpy(changed, bytes, size);
        for (uint32_t n = 1 + next_random(&seed) % 3; n > 0; n--) {
            uint32_t section = 1 + next_random(&seed) % (VT_PLAN_SECTION_COUNT - 2);
            const struct vt_file_section *s = &header.sections[section];
            size_t width = next_random(&seed) % 2 ? 4 : 8;
            size_t at = s->offset + next_random(&seed) % (s->size - width + 1) / 4 * 4;
            memcpy(changed + at, &words[next_random(&seed) % (sizeof words / sizeof *words)], width);
        }
        parse_copy(changed, size, true);
    }
    vt_free_aligned(changed);
    vt_free_aligned(bytes);
}

static void test_other_files(void **state) {
    (void)state;
    size_t size;
    struct vultus_error error;
    struct vt_plan *plan;
    struct vt_plan_key key;
    uint8_t *bytes = sample_file(&size);
    assert_true(vt_plan_probe(bytes, size));
    assert_true(vt_plan_probe(bytes, 8));
    assert_false(vt_plan_probe(bytes, 7));
    assert_false(vt_plan_probe((const uint8_t *)"\x08\x07\x12\x07onnx....", 12));
    assert_false(vt_plan_probe(NULL, 0));
    assert_int_equal(vt_plan_parse(bytes + 1, size - 1, "odd", &plan, &error), VULTUS_ERROR_INVALID);
    bytes[8] = 2; /* the version */
    assert_int_equal(vt_plan_parse(bytes, size, "new", &plan, &error), VULTUS_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "format version 2"));
    assert_int_equal(vt_write_file_atomically(path, "", 0, &error), VULTUS_OK);
    assert_int_equal(vt_plan_read(path, &plan, &error), VULTUS_ERROR_FORMAT);
    assert_int_equal(vt_plan_read_key(path, &key, &error), VULTUS_ERROR_FORMAT);
    assert_int_equal(vt_plan_read(directory, &plan, &error), VULTUS_ERROR_INVALID);
    assert_int_equal(vt_plan_read("/nowhere/at/all.plan", &plan, &error), VULTUS_ERROR_NOT_FOUND);
    vt_free_aligned(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_plans_of_one_file_share_its_weights),
        cmocka_unit_test(test_equal_plans_give_equal_files),
        cmocka_unit_test(test_file_is_as_specified),
        cmocka_unit_test(test_key_alone),
        cmocka_unit_test(test_unwritable_plans),
        cmocka_unit_test(test_every_changed_byte_is_noticed),
        cmocka_unit_test(test_every_truncation_is_noticed),
        cmocka_unit_test(test_lies_with_good_checksums),
        cmocka_unit_test(test_random_lies),
        cmocka_unit_test(test_other_files),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
