/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "plan/format.h"

/* A file whose sections are where the header says. */
struct reader {
    const uint8_t *bytes;
    struct vt_file_header header;
    struct vt_arena *arena;
    struct vultus_error *error; /* sentences without the file's name */
};

static enum vultus_status broken(struct reader *r, const char *rule) {
    return vt_fail(r->error, VULTUS_ERROR_FORMAT, "%s", rule);
}

static size_t section_size(const struct reader *r, enum vt_plan_section section) {
    return r->header.sections[section].size;
}

static size_t section_count(const struct reader *r, enum vt_plan_section section) {
    return section_size(r, section) / vt_plan_section_record(section);
}

/* ------------------------------------------------------------ frame */

static bool all_zero(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) return false;
    return true;
}

/* Sections follow each other in their order, as closely as their alignment lets them, with zeros between. */
static enum vultus_status check_frame(struct reader *r, size_t size) {
    size_t end = sizeof r->header;
    for (int i = 0; i < VT_PLAN_SECTION_COUNT; i++) {
        const struct vt_file_section *s = &r->header.sections[i];
        const char *name = vt_plan_section_name(i);
        size_t start = vt_plan_section_start(i, end);
        if (s->type != (uint32_t)i || s->reserved || s->offset != start)
            return vt_fail(r->error, VULTUS_ERROR_FORMAT,
                "entry %d of the section table must be the %s section at offset %zu, not type %u at %llu", i, name,
                start, s->type, (unsigned long long)s->offset);
        if (!vt_range_inside(start, s->size, size) || s->size % vt_plan_section_record(i))
            return vt_fail(r->error, VULTUS_ERROR_FORMAT,
                "the %s section's %llu bytes do not fit into the file's %zu, or are no multiple of %zu", name,
                (unsigned long long)s->size, size, vt_plan_section_record(i));
        if (!all_zero(r->bytes + end, start - end))
            return vt_fail(r->error, VULTUS_ERROR_FORMAT, "the bytes before the %s section must be zero", name);
        end = start + s->size;
    }
    if (end == size) return VULTUS_OK;
    return vt_fail(r->error, VULTUS_ERROR_FORMAT, "the sections end at %zu, the file at %zu", end, size);
}

static enum vultus_status open_frame(struct reader *r, size_t size) {
    if (!vt_plan_probe(r->bytes, size)) return broken(r, "it does not start with a plan's magic");
    if (size < VT_PLAN_CHECKSUM_START) return broken(r, "it ends inside the header");
    memcpy(&r->header, r->bytes, VT_PLAN_CHECKSUM_START);
    if (r->header.version != VT_PLAN_FORMAT_VERSION)
        return vt_fail(r->error, VULTUS_ERROR_UNSUPPORTED, "it has format version %u; this build reads version %d",
            r->header.version, VT_PLAN_FORMAT_VERSION);
    if (size < sizeof r->header) return broken(r, "it ends inside the header");
    memcpy(&r->header, r->bytes, sizeof r->header);
    if (r->header.n_sections != VT_PLAN_SECTION_COUNT || r->header.checksum != vt_plan_header_checksum(&r->header))
        return broken(r, "the header is damaged: its checksum or its number of sections is wrong");
    if (r->header.file_bytes != size)
        return vt_fail(r->error, VULTUS_ERROR_FORMAT, "it has %zu bytes, but was written with %llu", size,
            (unsigned long long)r->header.file_bytes);
    return check_frame(r, size);
}

static enum vultus_status check_section(struct reader *r, enum vt_plan_section section, const void *bytes) {
    const struct vt_file_section *s = &r->header.sections[section];
    if (vt_checksum64(bytes, s->size) == s->checksum) return VULTUS_OK;
    return vt_fail(r->error, VULTUS_ERROR_FORMAT, "the %s section is damaged: its checksum is wrong",
        vt_plan_section_name(section));
}

/* A private copy, so that nothing that was checked changes afterwards; NULL with an error. */
static const void *copy_section(struct reader *r, enum vt_plan_section section, enum vultus_status *status) {
    size_t size = section_size(r, section);
    void *copy = *status ? NULL : vt_arena_alloc_aligned(r->arena, size, VT_PLAN_SECTION_ALIGNMENT);
    if (!copy) {
        if (!*status) *status = vt_fail_memory(r->error, "a plan's section", size);
        return NULL;
    }
    if (size) memcpy(copy, r->bytes + r->header.sections[section].offset, size);
    *status = check_section(r, section, copy);
    return *status ? NULL : copy;
}

/* ------------------------------------------------------------ records */

struct sections {
    const char *strings;
    const struct vt_file_program *program;
    const struct vt_file_value *values;
    const struct vt_file_binding *bindings;
    const struct vt_file_step *steps;
    const uint32_t *links;
    const struct vt_file_attribute *attributes;
    const uint8_t *data;
    const struct vt_file_time *times;
    size_t strings_bytes, data_bytes;
};

static enum vultus_status copy_sections(struct reader *r, struct sections *s) {
    enum vultus_status status = VULTUS_OK;
    s->program = copy_section(r, VT_PLAN_SECTION_PROGRAM, &status);
    s->strings = copy_section(r, VT_PLAN_SECTION_STRINGS, &status);
    s->values = copy_section(r, VT_PLAN_SECTION_VALUES, &status);
    s->bindings = copy_section(r, VT_PLAN_SECTION_BINDINGS, &status);
    s->steps = copy_section(r, VT_PLAN_SECTION_STEPS, &status);
    s->links = copy_section(r, VT_PLAN_SECTION_LINKS, &status);
    s->attributes = copy_section(r, VT_PLAN_SECTION_ATTRIBUTES, &status);
    s->data = copy_section(r, VT_PLAN_SECTION_DATA, &status);
    s->times = copy_section(r, VT_PLAN_SECTION_TIMES, &status);
    if (status) return status;
    s->strings_bytes = section_size(r, VT_PLAN_SECTION_STRINGS);
    s->data_bytes = section_size(r, VT_PLAN_SECTION_DATA);
    if (section_count(r, VT_PLAN_SECTION_PROGRAM) != 1) return broken(r, "the program section must hold one record");
    if (s->strings_bytes && s->strings[s->strings_bytes - 1]) return broken(r, "the strings must end with a NUL");
    for (int i = 0; i < VT_PLAN_SECTION_WEIGHTS; i++)
        if (section_count(r, i) >= VT_PLAN_NONE) return broken(r, "a section has too many records");
    return VULTUS_OK;
}

/* The string at `offset`, which must be the start of one. */
static bool get_string(const struct sections *s, uint64_t offset, const char **text) {
    if (offset >= s->strings_bytes || (offset > 0 && s->strings[offset - 1])) return false;
    *text = s->strings + offset;
    return true;
}

static void *new_array(struct reader *r, size_t count, size_t element_bytes, enum vultus_status *status) {
    void *array = vt_arena_alloc_array(r->arena, count, element_bytes);
    if (!array) *status = vt_fail_memory(r->error, "a plan's table", (unsigned long long)count * element_bytes);
    return array;
}

static enum vultus_status read_program(struct reader *r, const struct sections *s, struct vt_plan *plan) {
    const struct vt_file_program *p = s->program;
    size_t n = section_count(r, VT_PLAN_SECTION_BINDINGS);
    enum vultus_status status = VULTUS_OK;
    if (p->reserved) return broken(r, "a reserved field of the program is not 0");
    if ((uint64_t)p->n_inputs + p->n_outputs != n)
        return broken(r, "the inputs and outputs must be those of the bindings section");
    plan->required_features = p->required_features;
    plan->max_batch = p->max_batch;
    plan->arena_bytes = p->arena_bytes;
    plan->n_inputs = p->n_inputs;
    plan->n_outputs = p->n_outputs;
    plan->inputs = new_array(r, n, sizeof *plan->inputs, &status);
    plan->output_has_batch_axis = new_array(r, p->n_outputs, sizeof *plan->output_has_batch_axis, &status);
    if (status) return status;
    plan->outputs = plan->inputs + p->n_inputs;
    for (size_t i = 0; i < n; i++) {
        plan->inputs[i] = s->bindings[i].value;
        if (s->bindings[i].has_batch_axis > (i >= p->n_inputs))
            return broken(r, "a binding's batch axis must be 0 or, of an output, 1");
        if (i >= p->n_inputs) plan->output_has_batch_axis[i - p->n_inputs] = s->bindings[i].has_batch_axis;
    }
    return VULTUS_OK;
}

static enum vultus_status read_values(struct reader *r, const struct sections *s, struct vt_plan *plan) {
    enum vultus_status status = VULTUS_OK;
    plan->n_values = (uint32_t)section_count(r, VT_PLAN_SECTION_VALUES);
    plan->values = new_array(r, plan->n_values, sizeof *plan->values, &status);
    for (uint32_t i = 0; !status && i < plan->n_values; i++) {
        const struct vt_file_value *f = &s->values[i];
        struct vt_plan_value *v = &plan->values[i];
        *v = (struct vt_plan_value){.dtype = f->dtype,
            .layout = f->layout,
            .storage = f->storage,
            .rank = f->rank,
            .block = f->block,
            .border = f->border,
            .offset = f->offset,
            .bytes = f->bytes};
        memcpy(v->dims, f->dims, sizeof v->dims);
        memcpy(v->pad, f->pad, sizeof v->pad);
        if (!get_string(s, f->name, &v->name)) return broken(r, "a value's name is no string of the strings section");
    }
    return status;
}

/* ------------------------------------------------------------ attributes */

/* `count` elements in the data section; `alignment` is that of the section's unit. */
static const void *get_data(const struct sections *s, uint64_t offset, uint64_t count, size_t element_bytes) {
    size_t bytes;
    if (offset % 8 || !vt_mul_size(count, element_bytes, &bytes) || !vt_range_inside(offset, bytes, s->data_bytes))
        return NULL;
    return s->data + offset;
}

static const struct vt_tensor *get_tensor(
    struct reader *r, const struct sections *s, uint64_t offset, enum vultus_status *status) {
    const struct vt_file_tensor *f = get_data(s, offset, 1, sizeof *f);
    int64_t count;
    if (!f || f->rank > VT_MAX_RANK || f->dtype >= VT_DTYPE_COUNT ||
        !vt_dims_valid((int)f->rank, f->dims, f->dtype, &count))
        return NULL;
    const void *elements = get_data(s, offset + sizeof *f, (uint64_t)count, vt_dtype_size(f->dtype));
    if (!elements) return NULL;
    struct vt_tensor *tensor = new_array(r, 1, sizeof *tensor, status);
    if (!tensor) return NULL;
    *tensor = (struct vt_tensor){.dtype = f->dtype, .rank = (int)f->rank, .data = (void *)elements};
    memcpy(tensor->dims, f->dims, f->rank * sizeof *tensor->dims);
    return tensor;
}

static enum vultus_status read_attribute(
    struct reader *r, const struct sections *s, const struct vt_file_attribute *f, struct vt_attr *a) {
    enum vultus_status status = VULTUS_OK;
    uint32_t float_bits = (uint32_t)f->payload;
    bool good = get_string(s, f->name, &a->name) && f->kind <= VT_ATTR_TENSOR;
    a->kind = (enum vt_attr_kind)f->kind;
    bool list = f->kind == VT_ATTR_INTS || f->kind == VT_ATTR_FLOATS;
    a->count = list ? f->count : 0;
    good = good && a->count == f->count;
    if (good) switch (a->kind) {
        case VT_ATTR_INT: a->i = (int64_t)f->payload; break;
        case VT_ATTR_FLOAT: memcpy(&a->f, &float_bits, sizeof a->f); break;
        case VT_ATTR_STRING: good = get_string(s, f->payload, &a->s); break;
        case VT_ATTR_INTS: good = (a->ints = get_data(s, f->payload, f->count, sizeof *a->ints)); break;
        case VT_ATTR_FLOATS: good = (a->floats = get_data(s, f->payload, f->count, sizeof *a->floats)); break;
        case VT_ATTR_TENSOR: good = (a->tensor = get_tensor(r, s, f->payload, &status)); break;
        }
    if (status || good) return status;
    return broken(r, "an attribute's name, kind, count or payload is out of range");
}

/* ------------------------------------------------------------ steps */

static void read_params(const struct vt_file_step *f, struct vt_step_params *p) {
    *p = (struct vt_step_params){.window.group = f->group,
        .window.ceil_mode = f->flags & VT_FILE_CEIL_MODE,
        .window.count_include_pad = f->flags & VT_FILE_COUNT_INCLUDE_PAD,
        .tail.act1 = f->act1,
        .tail.act2 = f->act2,
        .tail.act1_alpha = f->act1_alpha,
        .tail.act1_beta = f->act1_beta,
        .tail.act2_alpha = f->act2_alpha,
        .tail.act2_beta = f->act2_beta,
        .mode = f->mode,
        .groups = f->groups,
        .epsilon = f->epsilon,
        .perm_rank = f->perm_rank};
    memcpy(p->window.kernel, f->kernel, sizeof f->kernel);
    memcpy(p->window.stride, f->stride, sizeof f->stride);
    memcpy(p->window.dilation, f->dilation, sizeof f->dilation);
    memcpy(p->window.pad, f->pad, sizeof f->pad);
    memcpy(p->perm, f->perm, sizeof f->perm);
}

static enum vultus_status read_choices(
    struct reader *r, const struct sections *s, const struct vt_file_step *f, struct vt_plan_step *step) {
    step->n_choices = f->n_choices;
    if (f->n_choices > VT_PLAN_MAX_CHOICES) return broken(r, "a step has more than 4 tactics");
    for (uint32_t c = 0; c < f->n_choices; c++) {
        step->choices[c] =
            (struct vt_tactic_choice){.max_batch = f->choices[c].max_batch, .packed = f->choices[c].packed};
        if (!get_string(s, f->choices[c].tactic, &step->choices[c].tactic))
            return broken(r, "a tactic's name is no string of the strings section");
    }
    return VULTUS_OK;
}

static enum vultus_status read_attributes(
    struct reader *r, const struct sections *s, const struct vt_file_step *f, size_t first, struct vt_plan_step *step) {
    enum vultus_status status = VULTUS_OK;
    struct vt_attr *items = new_array(r, f->n_attributes, sizeof *items, &status);
    for (size_t a = 0; !status && a < f->n_attributes; a++)
        status = read_attribute(r, s, &s->attributes[first + a], &items[a]);
    step->attrs = (struct vt_attrs){items, f->n_attributes};
    return status;
}

/* Steps take their links and attributes one after the other. */
static enum vultus_status read_steps(struct reader *r, const struct sections *s, struct vt_plan *plan) {
    enum vultus_status status = VULTUS_OK;
    size_t n_links = section_count(r, VT_PLAN_SECTION_LINKS), link = 0;
    size_t n_attributes = section_count(r, VT_PLAN_SECTION_ATTRIBUTES), attribute = 0;
    plan->n_steps = (uint32_t)section_count(r, VT_PLAN_SECTION_STEPS);
    plan->steps = new_array(r, plan->n_steps, sizeof *plan->steps, &status);
    uint32_t *links = new_array(r, n_links, sizeof *links, &status);
    if (status) return status;
    if (n_links) memcpy(links, s->links, n_links * sizeof *links);
    for (uint32_t i = 0; !status && i < plan->n_steps; i++) {
        const struct vt_file_step *f = &s->steps[i];
        struct vt_plan_step *step = &plan->steps[i];
        if (f->n_inputs > n_links - link || f->n_outputs > n_links - link - f->n_inputs ||
            f->n_attributes > n_attributes - attribute)
            return broken(r, "the steps take more links or attributes than there are");
        if (f->flags & ~(VT_FILE_CEIL_MODE | VT_FILE_COUNT_INCLUDE_PAD)) return broken(r, "a step has unknown flags");
        *step = (struct vt_plan_step){.kind = f->kind, .op = f->op, .n_inputs = f->n_inputs, .n_outputs = f->n_outputs};
        step->inputs = links + link;
        step->outputs = step->inputs + f->n_inputs;
        if (!get_string(s, f->name, &step->name)) return broken(r, "a step's name is no string of the strings section");
        read_params(f, &step->params);
        status = read_choices(r, s, f, step);
        if (!status) status = read_attributes(r, s, f, attribute, step);
        link += (size_t)f->n_inputs + f->n_outputs;
        attribute += f->n_attributes;
    }
    if (!status && (link != n_links || attribute != n_attributes))
        return broken(r, "links or attributes belong to no step");
    return status;
}

static enum vultus_status read_times(struct reader *r, const struct sections *s, struct vt_plan *plan) {
    enum vultus_status status = VULTUS_OK;
    plan->n_times = (uint32_t)section_count(r, VT_PLAN_SECTION_TIMES);
    plan->times = new_array(r, plan->n_times, sizeof *plan->times, &status);
    for (uint32_t i = 0; !status && i < plan->n_times; i++) {
        const struct vt_file_time *f = &s->times[i];
        plan->times[i] = (struct vt_tactic_time){
            .step = f->step, .batch = f->batch, .microseconds = f->microseconds, .chosen = f->chosen == 1};
        if (!get_string(s, f->tactic, &plan->times[i].tactic) || f->chosen > 1)
            return broken(r, "a timing's tactic is no string of the strings section, or its mark is not 0 or 1");
    }
    return status;
}

/* ------------------------------------------------------------ whole plans */

static enum vultus_status read_plan(struct reader *r, size_t size, struct vt_plan *plan) {
    struct sections s = {0};
    enum vultus_status status = open_frame(r, size);
    const char *info = copy_section(r, VT_PLAN_SECTION_INFO, &status);
    if (!status)
        status = vt_plan_info_read(info, section_size(r, VT_PLAN_SECTION_INFO), &plan->key, &plan->model,
            &plan->build_seconds, r->arena, r->error);
    if (!status) status = copy_sections(r, &s);
    if (!status) status = read_program(r, &s, plan);
    if (!status) status = read_values(r, &s, plan);
    if (!status) status = read_steps(r, &s, plan);
    if (!status) status = read_times(r, &s, plan);
    if (status) return status;
    plan->weights = r->bytes + r->header.sections[VT_PLAN_SECTION_WEIGHTS].offset;
    plan->weights_bytes = section_size(r, VT_PLAN_SECTION_WEIGHTS);
    status = vt_plan_check(plan, r->error);
    if (status == VULTUS_ERROR_INVALID) status = VULTUS_ERROR_FORMAT;
    return status ? status : check_section(r, VT_PLAN_SECTION_WEIGHTS, plan->weights);
}

enum vultus_status vt_plan_parse(
    const uint8_t *bytes, size_t size, const char *name, struct vt_plan **out, struct vultus_error *error) {
    struct vultus_error failure = {VULTUS_OK, ""};
    struct vt_plan *plan;
    if ((uintptr_t)bytes % VT_PLAN_ALIGNMENT)
        return vt_fail(
            error, VULTUS_ERROR_INVALID, "%s: a plan in memory must be aligned to %d bytes", name, VT_PLAN_ALIGNMENT);
    enum vultus_status status = vt_plan_create(&plan, error);
    if (status) return status;
    struct reader r = {.bytes = bytes, .arena = &plan->arena, .error = &failure};
    status = read_plan(&r, size, plan);
    if (status) {
        vt_plan_destroy(plan);
        return vt_fail(error, status, "%s: %s", name, failure.text);
    }
    *out = plan;
    return VULTUS_OK;
}

enum vultus_status vt_plan_read(const char *path, struct vt_plan **out, struct vultus_error *error) {
    struct vt_mapped_file file;
    enum vultus_status status = vt_share_file(path, &file, error);
    if (status) return status;
    status = vt_plan_parse(file.data, file.size, path, out, error);
    if (status)
        vt_unshare_file(&file);
    else
        (*out)->file = file;
    return status;
}

enum vultus_status vt_plan_read_key(const char *path, struct vt_plan_key *key, struct vultus_error *error) {
    struct vultus_error failure = {VULTUS_OK, ""};
    struct vt_mapped_file file;
    struct vt_arena arena;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    vt_arena_init(&arena, 0);
    struct reader r = {.bytes = file.data, .arena = &arena, .error = &failure};
    status = open_frame(&r, file.size);
    const char *info = copy_section(&r, VT_PLAN_SECTION_INFO, &status);
    if (!status)
        status = vt_plan_info_read(info, section_size(&r, VT_PLAN_SECTION_INFO), key, NULL, NULL, NULL, &failure);
    vt_arena_fini(&arena);
    vt_unmap_file(&file);
    return status ? vt_fail(error, status, "%s: %s", path, failure.text) : VULTUS_OK;
}
