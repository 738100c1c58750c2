/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_HUB_MANIFEST_H
#define VT_HUB_MANIFEST_H

#include "base/arena.h"
#include "base/digest.h"
#include "hub/hub.h"

/* The note beside an installed model: what its file was when it was put there. */
struct vt_manifest {
    char sha256[VT_SHA256_HEX];
    uint64_t bytes;
    enum vt_hub_trust trust; /* VT_HUB_FIRST_USE or VT_HUB_CATALOGUE */
    const char *origin;      /* the address or file it came from */
};

/* Parses JSON; texts are put into the arena. `path` is for error sentences. */
enum vultus_status vt_manifest_parse(const void *text, size_t size, const char *path, struct vt_arena *arena,
    struct vt_manifest *out, struct vultus_error *error);
/* NOT_FOUND when there is none. */
enum vultus_status vt_manifest_read(
    const char *path, struct vt_arena *arena, struct vt_manifest *out, struct vultus_error *error);
enum vultus_status vt_manifest_write(const char *path, const struct vt_manifest *manifest, struct vultus_error *error);

enum { VT_VALIDATOR_TEXT = 256 };

/* The note beside a .part file: what it is the beginning of. */
struct vt_part {
    char url[2048];
    char validator[VT_VALIDATOR_TEXT]; /* for If-Range: a strong entity tag or a date; "" none, so it cannot go on */
    uint64_t total;                    /* bytes of the whole, 0 when the server did not say */
};

enum vultus_status vt_part_parse(
    const void *text, size_t size, const char *path, struct vt_part *out, struct vultus_error *error);
enum vultus_status vt_part_read(const char *path, struct vt_part *out, struct vultus_error *error);
enum vultus_status vt_part_write(const char *path, const struct vt_part *part, struct vultus_error *error);

#endif
