/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_HUB_DOWNLOAD_H
#define VT_HUB_DOWNLOAD_H

#include "hub/hub.h"

struct vt_download {
    const char *url;    /* http or https; from https on, redirects go to https only */
    const char *part;   /* path of the file to write; PART.json beside it says what it is the beginning of */
    const char *name;   /* for the progress */
    const char *sha256; /* "" when unknown */
    uint64_t bytes;     /* 0 when unknown */
    uint64_t limit;     /* in bytes, where they are unknown */
    int stall_seconds;
    const struct vt_hub_events *events;
};

/*
 * Downloads (libcurl) until the file at `part` is complete and, where known, its size and digest are right. Goes on
 * where an earlier call ended, even one of a killed process, if the server can tell that its file is still the same;
 * otherwise starts anew. Tries a few times when the connection breaks. NOT_FOUND where the server has no such file,
 * MISMATCH after a wrong digest or size, UNSUPPORTED in a build without libcurl. On failure what could be continued
 * stays. The caller holds the lock of the file, and removes `part` and the note beside it (vt_download_discard) in the
 * end.
 */
enum vultus_status vt_download(const struct vt_download *download, struct vultus_error *error);

/* Removes the part and its note, as far as they exist; true if there was one. */
bool vt_download_discard(const char *part);

/* Compares a file with what is known of it ("" and 0: nothing). MISMATCH with both digests or sizes in the sentence. */
enum vultus_status vt_check_file(const char *path, const char *what, const char *sha256, uint64_t bytes,
    char digest[VT_SHA256_HEX], struct vultus_error *error);

#endif
