/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_SERVER_H
#define VT_SERVER_SERVER_H

#include "config/keys.h"
#include "vultus/vultus.h"

/* What models are for, in the order of the keys det, rec, genderage, mask_detector, liveness. */
enum vt_role { VT_ROLE_DETECTOR, VT_ROLE_RECOGNISER, VT_ROLE_GENDERAGE, VT_ROLE_MASK, VT_ROLE_LIVENESS, VT_ROLES };

/* What the program does for the server, from any thread but one at a time. */
struct vt_serve_host {
    void *context;
    /* The settings as they are now; *out is released by the caller. */
    enum vultus_status (*read_configuration)(void *context, struct vt_configuration *out, struct vultus_error *error);
    /* The malloc'd path of the model of that name, or path, "" for the role's default. */
    enum vultus_status (*find_model)(
        void *context, enum vt_role role, const char *name, char **path, struct vultus_error *error);
};

/*
 * Serves until SIGTERM or SIGINT, then lets requests in work end, for as long as drain_timeout says. SIGHUP has the
 * settings read again, of which those of requests and models take effect. To be called before other threads are
 * started.
 */
enum vultus_status vt_serve(
    const struct vt_configuration *configuration, const struct vt_serve_host *host, struct vultus_error *error);

#endif
