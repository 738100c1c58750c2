/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_PLAN_FORMAT_H
#define VT_PLAN_FORMAT_H

#include <stddef.h>

#include "plan/plan.h"

/* The bytes of a plan file, as docs/plan-format.md specifies them. Little-endian; records are copied, never cast. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "plan files are little-endian and so are their weights"
#endif

#define VT_PLAN_MAGIC "VULTPLAN"
#define VT_PLAN_MAGIC_BYTES 8
#define VT_PLAN_SECTION_ALIGNMENT 64
#define VT_PLAN_WEIGHTS_ALIGNMENT 4096

/* X(enumerator, name, record bytes; 1: bytes without records). In the order of the file. */
#define VT_PLAN_SECTIONS(X)                                                                                            \
    X(INFO, "info", 1)                                                                                                 \
    X(PROGRAM, "program", sizeof(struct vt_file_program))                                                              \
    X(STRINGS, "strings", 1)                                                                                           \
    X(VALUES, "values", sizeof(struct vt_file_value))                                                                  \
    X(BINDINGS, "bindings", sizeof(struct vt_file_binding))                                                            \
    X(STEPS, "steps", sizeof(struct vt_file_step))                                                                     \
    X(LINKS, "links", sizeof(uint32_t))                                                                                \
    X(ATTRIBUTES, "attributes", sizeof(struct vt_file_attribute))                                                      \
    X(DATA, "data", 8)                                                                                                 \
    X(TIMES, "times", sizeof(struct vt_file_time))                                                                     \
    X(WEIGHTS, "weights", VT_PLAN_ALIGNMENT)

enum vt_plan_section {
#define X(e, name, bytes) VT_PLAN_SECTION_##e,
    VT_PLAN_SECTIONS(X)
#undef X
        VT_PLAN_SECTION_COUNT
};

struct vt_file_section {
    uint32_t type, reserved;
    uint64_t offset, size, checksum;
};

struct vt_file_header {
    uint8_t magic[VT_PLAN_MAGIC_BYTES];
    uint32_t version, n_sections;
    uint64_t checksum; /* of everything behind it up to the end of the table */
    uint64_t file_bytes;
    struct vt_file_section sections[VT_PLAN_SECTION_COUNT];
};
#define VT_PLAN_CHECKSUM_START 24 /* the header's bytes before this are not covered by its checksum */

struct vt_file_program {
    uint32_t n_inputs, n_outputs, required_features, reserved;
    int64_t max_batch;
    uint64_t arena_bytes;
};

struct vt_file_value {
    uint32_t name;
    uint8_t dtype, layout, storage, rank;
    int64_t dims[VT_MAX_RANK];
    int32_t block, pad[4];
    uint32_t border;
    uint64_t offset, bytes;
};

struct vt_file_binding {
    uint32_t value, has_batch_axis;
};

struct vt_file_choice {
    int64_t max_batch;
    uint32_t tactic, packed;
};

struct vt_file_step {
    uint32_t kind, name, op;
    uint32_t n_inputs, n_outputs, n_attributes, n_choices;
    uint32_t flags;
    int64_t kernel[2], stride[2], dilation[2], pad[4], group;
    uint32_t act1, act2;
    float act1_alpha, act1_beta, act2_alpha, act2_beta;
    int32_t mode, groups;
    float epsilon;
    int32_t perm_rank, perm[VT_MAX_RANK];
    struct vt_file_choice choices[VT_PLAN_MAX_CHOICES];
};
#define VT_FILE_CEIL_MODE 1u
#define VT_FILE_COUNT_INCLUDE_PAD 2u

/* `payload` is the integer, the float's bits, the string, or the offset in the data section. */
struct vt_file_attribute {
    uint32_t name, kind;
    uint64_t count, payload;
};

/* Precedes a tensor's elements in the data section. */
struct vt_file_tensor {
    uint32_t dtype, rank;
    int64_t dims[VT_MAX_RANK];
};

struct vt_file_time {
    uint32_t step, tactic;
    int64_t batch;
    float microseconds;
    uint32_t chosen;
};

_Static_assert(sizeof(struct vt_file_section) == 32, "no padding");
_Static_assert(sizeof(struct vt_file_header) == 32 + VT_PLAN_SECTION_COUNT * 32, "no padding");
_Static_assert(offsetof(struct vt_file_header, file_bytes) == VT_PLAN_CHECKSUM_START, "as specified");
_Static_assert(sizeof(struct vt_file_program) == 32, "no padding");
_Static_assert(sizeof(struct vt_file_value) == 112, "no padding");
_Static_assert(sizeof(struct vt_file_binding) == 8, "no padding");
_Static_assert(sizeof(struct vt_file_step) == 256, "no padding");
_Static_assert(sizeof(struct vt_file_attribute) == 24, "no padding");
_Static_assert(sizeof(struct vt_file_tensor) == 72, "no padding");
_Static_assert(sizeof(struct vt_file_time) == 24, "no padding");

const char *vt_plan_section_name(enum vt_plan_section section);
size_t vt_plan_section_record(enum vt_plan_section section); /* bytes that the section's size is a multiple of */
/* Where the section starts when the one before it ends at `end`. */
size_t vt_plan_section_start(enum vt_plan_section section, size_t end);
/* The header's own checksum. */
uint64_t vt_plan_header_checksum(const struct vt_file_header *header);

/*
 * The info section (info.c): key, model and build time as JSON. Writing gives malloc'd text. Reading takes strings from
 * the arena; `model` may be NULL when only the key matters.
 */
enum vultus_status vt_plan_info_write(const struct vt_plan *plan, char **text, struct vultus_error *error);
enum vultus_status vt_plan_info_read(const char *text, size_t size, struct vt_plan_key *key,
    struct vt_plan_model *model, float *build_seconds, struct vt_arena *arena, struct vultus_error *error);

/*
 * The rule of its kind that a step breaks (check_steps.c), NULL when none. Its values are checked already, and its
 * inputs and outputs are values of the plan.
 */
const char *vt_plan_step_rule_broken(const struct vt_plan *plan, const struct vt_plan_step *step);

#endif
