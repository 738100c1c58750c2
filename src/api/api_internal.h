/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_API_API_INTERNAL_H
#define VT_API_API_INTERNAL_H

#include <jansson.h>
#include <pthread.h>

#include "backend/order.h"
#include "base/json.h"
#include "base/pool.h"
#include "catalogue/catalogue.h"
#include "exec/session.h"
#include "image/image.h"
#include "plan/plan.h"
#include "vultus/vultus.h"

struct vultus_runtime {
    struct vt_pool *pool;
    int threads;
    char *plan_directory; /* NULL when none could be found out; building then needs an output directory */
    struct vt_image_limits limits;
    struct vt_backend_order order;
    bool order_is_default, strict;
    pthread_mutex_t choice_lock;
    struct vt_backend_choice choice; /* under the lock; made by the first who asks, then stays */
    bool chosen;
    pthread_mutex_t catalogue_lock;
    struct vt_catalogue *catalogue; /* under the lock; NULL until somebody asks, unless the user named one */
};

/* What the catalogue knows of a model, by its digest or else its name; *entry NULL: nothing. Valid as long as the
 * runtime. */
enum vultus_status vt_api_find_model(struct vultus_runtime *runtime, const char *sha256, const char *name,
    const struct vt_catalogue_entry **entry, struct vultus_error *error);

/*
 * The back ends of the runtime's order tried, once, what was skipped told to the log. `out` has a copy also where
 * UNSUPPORTED says that none is usable, or that a strict runtime's first is not.
 */
enum vultus_status vt_api_choose_backend(
    struct vultus_runtime *runtime, struct vt_backend_choice *out, struct vultus_error *error);

struct vultus_session {
    struct vt_engine *engine;
};

/* Opens a plan, or an ONNX file by way of its plan, as an engine. The caller destroys *out. */
enum vultus_status vt_api_open_engine(struct vultus_runtime *runtime, const char *path,
    const struct vultus_build_options *options, struct vt_engine **out, struct vultus_error *error);

/* INVALID unless the plan runs a batch of that size. */
enum vultus_status vt_api_check_batch(const struct vt_plan *plan, int64_t batch, struct vultus_error *error);

/* "conv", or the ONNX operator of a reference step. */
const char *vt_api_step_op(const struct vt_plan_step *step);
/* Texts are "" for a tactic that this build does not have. */
struct vt_tactic_info vt_api_describe_tactic(const struct vt_plan *plan, const char *tactic);

/* The picture types of both sides have the same fields. */
static inline struct vt_image vt_api_image(const struct vultus_picture *p) {
    return (struct vt_image){p->pixels, p->width, p->height, p->stride};
}
static inline struct vultus_picture vt_api_picture(const struct vt_image *i) {
    return (struct vultus_picture){i->pixels, i->width, i->height, i->stride};
}

/* JSON descriptions (describe_onnx.c, describe_plan.c); NULL when out of memory. */
json_t *vt_api_describe_plan(const struct vt_plan *plan, const char *path, bool with_graph);
enum vultus_status vt_api_describe_onnx(
    struct vultus_runtime *runtime, const char *path, bool with_graph, json_t **out, struct vultus_error *error);
/* Reads an ONNX file; bytes of another kind are called so. In builds with the compiler. */
struct vt_graph;
enum vultus_status vt_api_read_onnx(
    const struct vt_mapped_file *file, const char *path, struct vt_graph **out, struct vultus_error *error);
/* The SHA-256 that plans carry of an ONNX file and of what it keeps in other files. In builds with the compiler. */
enum vultus_status vt_api_digest_onnx(
    const struct vt_mapped_file *file, const char *path, char hex[VT_SHA256_HEX], struct vultus_error *error);
/* {"name", "dtype", "shape"} */
json_t *vt_api_tensor_json(const char *name, const char *dtype, json_t *shape);

/* Parts of what the doctor shows: how back ends were chosen, and what there is of NVIDIA's (nvidia.c). NULL when out of
 * memory. */
json_t *vt_api_order_json(struct vultus_runtime *runtime);
json_t *vt_api_nvidia_json(const struct vultus_runtime *runtime);

/* Serialises and releases `object` (NULL means that it could not be made) into malloc'd text. */
enum vultus_status vt_api_finish_json(json_t *object, char **text, struct vultus_error *error);

#endif
