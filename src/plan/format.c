/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/format.h"

#include "base/checked.h"

static const struct {
    const char *name;
    size_t record;
} sections[VT_PLAN_SECTION_COUNT] = {
#define X(e, name, bytes) [VT_PLAN_SECTION_##e] = {name, bytes},
    VT_PLAN_SECTIONS(X)
#undef X
};

const char *vt_plan_section_name(enum vt_plan_section section) { return sections[section].name; }

size_t vt_plan_section_record(enum vt_plan_section section) { return sections[section].record; }

size_t vt_plan_section_start(enum vt_plan_section section, size_t end) {
    return vt_round_up(end, section == VT_PLAN_SECTION_WEIGHTS ? VT_PLAN_WEIGHTS_ALIGNMENT : VT_PLAN_SECTION_ALIGNMENT);
}

uint64_t vt_plan_header_checksum(const struct vt_file_header *header) {
    return vt_checksum64((const uint8_t *)header + VT_PLAN_CHECKSUM_START, sizeof *header - VT_PLAN_CHECKSUM_START);
}
