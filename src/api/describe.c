/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/api_internal.h"

json_t *vt_api_tensor_json(const char *name, const char *dtype, json_t *shape) {
    return json_pack("{s:o, s:s, s:o}", "name", vt_json_text(name), "dtype", dtype, "shape", shape);
}

enum vultus_status vt_api_finish_json(json_t *object, char **text, struct vultus_error *error) {
    char *dumped = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!dumped)
        return vt_fail(error, VULTUS_ERROR_MEMORY, "the description could not be written as JSON: out of memory");
    *text = dumped;
    return VULTUS_OK;
}

static enum vultus_status describe_plan(const char *path, bool with_graph, json_t **out, struct vultus_error *error) {
    struct vt_plan *plan;
    enum vultus_status status = vt_plan_read(path, &plan, error);
    if (status) return status;
    *out = vt_api_describe_plan(plan, path, with_graph);
    vt_plan_destroy(plan);
    return VULTUS_OK;
}

enum vultus_status vultus_describe(
    struct vultus_runtime *runtime, const char *path, bool with_graph, char **json, struct vultus_error *error) {
    if (!runtime || !path || !json)
        return vt_fail(error, VULTUS_ERROR_INVALID, "vultus_describe needs a runtime, a path and a place for the text");
    struct vt_mapped_file file;
    enum vultus_status status = vt_map_file(path, &file, error);
    if (status) return status;
    bool plan = vt_plan_probe(file.data, file.size);
    vt_unmap_file(&file);
    json_t *description = NULL;
    status = plan ? describe_plan(path, with_graph, &description, error)
                  : vt_api_describe_onnx(runtime, path, with_graph, &description, error);
    return status ? status : vt_api_finish_json(description, json, error);
}
