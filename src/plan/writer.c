/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/strbuf.h"
#include "plan/format.h"

/* The sections but the weights, growing; what fails is noticed at the end. */
struct writer {
    const struct vt_plan *plan;
    struct vt_strbuf sections[VT_PLAN_SECTION_WEIGHTS];
    bool too_large;
};

/* A section's offsets are 32 bits wide. */
static uint32_t section_end(struct writer *w, enum vt_plan_section section) {
    w->too_large = w->too_large || w->sections[section].length > UINT32_MAX;
    return (uint32_t)w->sections[section].length;
}

static void append(struct writer *w, enum vt_plan_section section, const void *bytes, size_t size) {
    vt_strbuf_append(&w->sections[section], bytes, size);
}

static uint32_t put_string(struct writer *w, const char *text) {
    uint32_t offset = section_end(w, VT_PLAN_SECTION_STRINGS);
    append(w, VT_PLAN_SECTION_STRINGS, text, strlen(text) + 1);
    return offset;
}

/* Tactic names repeat hundreds of times, so they come first in the strings and are found again. */
static uint32_t put_tactic(struct writer *w, const char *name) {
    const struct vt_strbuf *strings = &w->sections[VT_PLAN_SECTION_STRINGS];
    for (size_t at = 0; at < strings->length; at += strlen(strings->text + at) + 1)
        if (strcmp(strings->text + at, name) == 0) return (uint32_t)at;
    return put_string(w, name);
}

static void put_times(struct writer *w) {
    for (uint32_t i = 0; i < w->plan->n_times; i++) {
        const struct vt_tactic_time *t = &w->plan->times[i];
        struct vt_file_time record = {.step = t->step,
            .tactic = put_tactic(w, t->tactic),
            .batch = t->batch,
            .microseconds = t->microseconds,
            .chosen = t->chosen};
        append(w, VT_PLAN_SECTION_TIMES, &record, sizeof record);
    }
}

static void put_program(struct writer *w) {
    const struct vt_plan *plan = w->plan;
    struct vt_file_program record = {.n_inputs = plan->n_inputs,
        .n_outputs = plan->n_outputs,
        .required_features = plan->required_features,
        .max_batch = plan->max_batch,
        .arena_bytes = plan->arena_bytes};
    append(w, VT_PLAN_SECTION_PROGRAM, &record, sizeof record);
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        struct vt_file_binding binding = {.value = plan->inputs[i]};
        append(w, VT_PLAN_SECTION_BINDINGS, &binding, sizeof binding);
    }
    for (uint32_t i = 0; i < plan->n_outputs; i++) {
        struct vt_file_binding binding = {plan->outputs[i], plan->output_has_batch_axis[i]};
        append(w, VT_PLAN_SECTION_BINDINGS, &binding, sizeof binding);
    }
}

static void put_values(struct writer *w) {
    for (uint32_t i = 0; i < w->plan->n_values; i++) {
        const struct vt_plan_value *v = &w->plan->values[i];
        struct vt_file_value record = {.name = put_string(w, v->name),
            .dtype = (uint8_t)v->dtype,
            .layout = (uint8_t)v->layout,
            .storage = (uint8_t)v->storage,
            .rank = (uint8_t)v->rank,
            .block = v->block,
            .border = v->border,
            .offset = v->offset,
            .bytes = v->bytes};
        memcpy(record.dims, v->dims, sizeof record.dims);
        memcpy(record.pad, v->pad, sizeof record.pad);
        append(w, VT_PLAN_SECTION_VALUES, &record, sizeof record);
    }
}

/* Bytes into the data section, padded to its unit; returns their offset. */
static uint64_t put_data(struct writer *w, const void *bytes, size_t size) {
    static const char zeros[8];
    size_t unit = vt_plan_section_record(VT_PLAN_SECTION_DATA), offset = w->sections[VT_PLAN_SECTION_DATA].length;
    append(w, VT_PLAN_SECTION_DATA, bytes, size);
    append(w, VT_PLAN_SECTION_DATA, zeros, vt_round_up(size, unit) - size);
    return offset;
}

static uint64_t put_tensor(struct writer *w, const struct vt_tensor *tensor) {
    struct vt_file_tensor record = {.dtype = tensor->dtype, .rank = (uint32_t)tensor->rank};
    memcpy(record.dims, tensor->dims, (size_t)tensor->rank * sizeof *record.dims);
    uint64_t offset = put_data(w, &record, sizeof record);
    put_data(w, tensor->data, vt_tensor_bytes(tensor));
    return offset;
}

static void put_attribute(struct writer *w, const struct vt_attr *a) {
    struct vt_file_attribute record = {.name = put_string(w, a->name), .kind = a->kind};
    switch (a->kind) {
    case VT_ATTR_INT: record.payload = (uint64_t)a->i; break;
    case VT_ATTR_FLOAT: memcpy(&record.payload, &a->f, sizeof a->f); break;
    case VT_ATTR_STRING: record.payload = put_string(w, a->s); break;
    case VT_ATTR_INTS:
        record.count = a->count;
        record.payload = put_data(w, a->ints, a->count * sizeof *a->ints);
        break;
    case VT_ATTR_FLOATS:
        record.count = a->count;
        record.payload = put_data(w, a->floats, a->count * sizeof *a->floats);
        break;
    case VT_ATTR_TENSOR: record.payload = put_tensor(w, a->tensor); break;
    }
    append(w, VT_PLAN_SECTION_ATTRIBUTES, &record, sizeof record);
}

static void fill_params(struct vt_file_step *record, const struct vt_step_params *p) {
    memcpy(record->kernel, p->window.kernel, sizeof record->kernel);
    memcpy(record->stride, p->window.stride, sizeof record->stride);
    memcpy(record->dilation, p->window.dilation, sizeof record->dilation);
    memcpy(record->pad, p->window.pad, sizeof record->pad);
    memcpy(record->perm, p->perm, sizeof record->perm);
    record->group = p->window.group;
    record->flags =
        (p->window.ceil_mode ? VT_FILE_CEIL_MODE : 0) | (p->window.count_include_pad ? VT_FILE_COUNT_INCLUDE_PAD : 0);
    record->act1 = p->tail.act1;
    record->act2 = p->tail.act2;
    record->act1_alpha = p->tail.act1_alpha;
    record->act1_beta = p->tail.act1_beta;
    record->act2_alpha = p->tail.act2_alpha;
    record->act2_beta = p->tail.act2_beta;
    record->mode = p->mode;
    record->groups = p->groups;
    record->epsilon = p->epsilon;
    record->perm_rank = p->perm_rank;
}

static void put_steps(struct writer *w) {
    for (uint32_t i = 0; i < w->plan->n_steps; i++) {
        const struct vt_plan_step *s = &w->plan->steps[i];
        struct vt_file_step record = {.kind = s->kind,
            .name = put_string(w, s->name),
            .op = s->op,
            .n_inputs = s->n_inputs,
            .n_outputs = s->n_outputs,
            .n_attributes = (uint32_t)s->attrs.count,
            .n_choices = s->n_choices};
        fill_params(&record, &s->params);
        for (uint32_t c = 0; c < s->n_choices; c++)
            record.choices[c] = (struct vt_file_choice){
                s->choices[c].max_batch, put_tactic(w, s->choices[c].tactic), s->choices[c].packed};
        append(w, VT_PLAN_SECTION_STEPS, &record, sizeof record);
        append(w, VT_PLAN_SECTION_LINKS, s->inputs, s->n_inputs * sizeof *s->inputs);
        append(w, VT_PLAN_SECTION_LINKS, s->outputs, s->n_outputs * sizeof *s->outputs);
        for (size_t a = 0; a < s->attrs.count; a++) put_attribute(w, &s->attrs.items[a]);
    }
}

static enum vultus_status fill_sections(struct writer *w, struct vultus_error *error) {
    char *info;
    enum vultus_status status = vt_plan_info_write(w->plan, &info, error);
    if (status) return status;
    append(w, VT_PLAN_SECTION_INFO, info, strlen(info));
    free(info);
    put_times(w);
    put_program(w);
    put_values(w);
    put_steps(w);
    for (int i = 0; i < VT_PLAN_SECTION_WEIGHTS; i++)
        if (w->sections[i].failed) return vt_fail_memory(error, "writing a plan", w->sections[i].length);
    if (w->too_large) return vt_fail(error, VULTUS_ERROR_LIMIT, "the plan's texts take more than 4 GiB");
    return VULTUS_OK;
}

static const void *section_bytes(const struct writer *w, int section, size_t *size) {
    bool weights = section == VT_PLAN_SECTION_WEIGHTS;
    *size = weights ? w->plan->weights_bytes : w->sections[section].length;
    return weights ? (const void *)w->plan->weights : w->sections[section].text;
}

static void fill_header(const struct writer *w, struct vt_file_header *header) {
    *header = (struct vt_file_header){.version = VT_PLAN_FORMAT_VERSION, .n_sections = VT_PLAN_SECTION_COUNT};
    memcpy(header->magic, VT_PLAN_MAGIC, sizeof header->magic);
    size_t end = sizeof *header;
    for (int i = 0; i < VT_PLAN_SECTION_COUNT; i++) {
        size_t size, start = vt_plan_section_start(i, end);
        const void *bytes = section_bytes(w, i, &size);
        header->sections[i] = (struct vt_file_section){
            .type = (uint32_t)i, .offset = start, .size = size, .checksum = vt_checksum64(bytes, size)};
        end = start + size;
    }
    header->file_bytes = end;
    header->checksum = vt_plan_header_checksum(header);
}

static enum vultus_status write_file(const struct writer *w, struct vt_atomic_file *file, struct vultus_error *error) {
    static const char zeros[VT_PLAN_WEIGHTS_ALIGNMENT];
    struct vt_file_header header;
    fill_header(w, &header);
    enum vultus_status status = vt_atomic_file_write(file, &header, sizeof header, error);
    size_t end = sizeof header;
    for (int i = 0; !status && i < VT_PLAN_SECTION_COUNT; i++) {
        size_t size;
        const void *bytes = section_bytes(w, i, &size);
        status = vt_atomic_file_write(file, zeros, header.sections[i].offset - end, error);
        if (!status) status = vt_atomic_file_write(file, bytes, size, error);
        end = header.sections[i].offset + size;
    }
    return status;
}

enum vultus_status vt_plan_write(const struct vt_plan *plan, const char *path, struct vultus_error *error) {
    struct writer w = {.plan = plan};
    struct vt_atomic_file file;
    enum vultus_status status = vt_plan_check(plan, error);
    if (!status) status = fill_sections(&w, error);
    if (!status) status = vt_atomic_file_open(path, &file, error);
    if (!status) {
        status = write_file(&w, &file, error);
        if (status)
            vt_atomic_file_discard(&file);
        else
            status = vt_atomic_file_commit(&file, error);
    }
    for (int i = 0; i < VT_PLAN_SECTION_WEIGHTS; i++) vt_strbuf_fini(&w.sections[i]);
    return status;
}
