/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VULTUS_STATUS_H
#define VULTUS_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* What every function that can fail returns: 0 for success, a negative kind of failure otherwise. */
enum vultus_status {
    VULTUS_OK = 0,
    VULTUS_ERROR_INVALID = -1,     /* an argument, an option or an input breaks a rule */
    VULTUS_ERROR_FORMAT = -2,      /* bytes of a file break its format */
    VULTUS_ERROR_UNSUPPORTED = -3, /* well formed, but not something this build can do */
    VULTUS_ERROR_IO = -4,          /* the operating system refused to read, write or lock */
    VULTUS_ERROR_NOT_FOUND = -5,   /* a file, model or plan is missing */
    VULTUS_ERROR_MEMORY = -6,      /* an allocation failed */
    VULTUS_ERROR_LIMIT = -7,       /* a size is over a configured limit */
    VULTUS_ERROR_MISMATCH = -8,    /* a plan does not fit this machine, model or library */
    VULTUS_ERROR_BACKEND = -9      /* a library or device failed while running */
};

/* Room for one sentence. */
#define VULTUS_ERROR_TEXT 512

/*
 * Why a call failed, in one sentence with the values and the rule they broke.
 * The caller owns it and may pass NULL wherever one is taken. It is written only on failure.
 */
struct vultus_error {
    enum vultus_status status;
    char text[VULTUS_ERROR_TEXT];
};

#ifdef __cplusplus
}
#endif
#endif
