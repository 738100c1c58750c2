/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"

/* Arm Architecture Reference Manual, MIDR_EL1. */
struct midr {
    unsigned implementer, variant, part, revision;
};

static struct midr from_register(uint64_t value) {
    return (struct midr){.implementer = value >> 24 & 0xff,
        .variant = value >> 20 & 0xf,
        .part = value >> 4 & 0xfff,
        .revision = value & 0xf};
}

/* The number behind the first "KEY<blanks>: " at the beginning of a line. */
static bool find_number(const char *text, const char *key, unsigned *number) {
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0) continue;
        const char *at = line + length + strspn(line + length, " \t");
        char *end;
        if (*at != ':') continue;
        unsigned long value = strtoul(at + 1, &end, 0);
        if (end == at + 1 || value > UINT32_MAX) return false;
        *number = (unsigned)value;
        return true;
    }
    return false;
}

static bool from_cpuinfo(const char *text, struct midr *m) {
    return find_number(text, "CPU implementer", &m->implementer) && find_number(text, "CPU variant", &m->variant) &&
           find_number(text, "CPU part", &m->part) && find_number(text, "CPU revision", &m->revision);
}

/* Linux, arch/arm64/include/asm/cputype.h. */
static const char *part_name(unsigned implementer, unsigned part) {
    static const struct {
        unsigned implementer, part;
        const char *name;
    } parts[] = {{0x41, 0xd03, "Cortex-A53"}, {0x41, 0xd05, "Cortex-A55"}, {0x41, 0xd07, "Cortex-A57"},
        {0x41, 0xd08, "Cortex-A72"}, {0x41, 0xd0b, "Cortex-A76"}, {0x41, 0xd0c, "Neoverse-N1"},
        {0x41, 0xd40, "Neoverse-V1"}, {0x41, 0xd41, "Cortex-A78"}, {0x41, 0xd42, "Cortex-A78AE"},
        {0x41, 0xd49, "Neoverse-N2"}, {0x41, 0xd4f, "Neoverse-V2"}, {0x4e, 0x003, "Denver 2"}, {0x4e, 0x004, "Carmel"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].implementer == implementer && parts[i].part == part) return parts[i].name;
    return NULL;
}

bool vt_cpu_arm_model(const char *midr, const char *cpuinfo, char *text, size_t size) {
    struct midr m;
    char *end = NULL;
    uint64_t value = midr ? strtoull(midr, &end, 16) : 0;
    if (value != 0 && (*end == '\0' || *end == '\n'))
        m = from_register(value);
    else if (!cpuinfo || !from_cpuinfo(cpuinfo, &m))
        return false;
    const char *name = part_name(m.implementer, m.part);
    if (name)
        snprintf(text, size, "%s r%up%u", name, m.variant, m.revision);
    else
        snprintf(text, size, "Arm implementer 0x%02x part 0x%03x r%up%u", m.implementer, m.part, m.variant, m.revision);
    return true;
}
