/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/archive.h"

#define LIMIT ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unpacks into memory what it can. */
static void unpack(struct vt_archive *archive) {
    struct vt_member member;
    struct vultus_error error;
    bool found;
    while (!vt_archive_next(archive, &member, &found, &error) && found) {
        if (strchr(member.name, '/') || !strcmp(member.name, "..") || !*member.name) abort();
        struct vt_atomic_file file = {.descriptor = memfd_create("member", MFD_CLOEXEC)};
        struct stat about;
        enum vultus_status status = vt_archive_extract(archive, LIMIT, &file, &error);
        if (fstat(file.descriptor, &about) != 0 || (uint64_t)about.st_size > LIMIT) abort();
        if (!status && (uint64_t)about.st_size != member.bytes) abort();
        close(file.descriptor);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int descriptor = memfd_create("input", MFD_CLOEXEC);
    char path[64];
    struct vt_archive *archive;
    struct vultus_error error;
    if (descriptor < 0) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    if (write(descriptor, data, size) == (ssize_t)size && !vt_archive_open(path, &archive, &error)) {
        unpack(archive);
        vt_archive_close(archive);
    }
    close(descriptor);
    return 0;
}
