/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_internal.h"

/* What a build without the compiler answers where an ONNX file would have to be read. */
static enum vultus_status no_compiler(const char *path, struct vultus_error *error) {
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
        "%s is not a plan, and this build has no compiler: build the plan with a vultus that has one", path);
}

enum vultus_status vultus_build(struct vultus_runtime *runtime, const char *model_path,
    const struct vultus_build_options *options, struct vultus_build_result *result, struct vultus_error *error) {
    (void)runtime, (void)options, (void)result;
    return no_compiler(model_path, error);
}

enum vultus_status vt_api_describe_onnx(
    struct vultus_runtime *runtime, const char *path, bool with_graph, json_t **out, struct vultus_error *error) {
    (void)runtime, (void)with_graph, (void)out;
    return no_compiler(path, error);
}
