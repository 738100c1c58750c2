/* SPDX-License-Identifier: Apache-2.0 */
#include "api/compare.h"

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

enum vultus_status vt_oracle_open(const char *path, const struct vt_plan *plan, struct vt_pool *pool,
    struct vt_oracle **out, struct vultus_error *error) {
    (void)plan, (void)pool, (void)out;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED,
        "%s cannot be interpreted: this build reads no ONNX models; compare with a file of reference outputs", path);
}

void vt_oracle_close(struct vt_oracle *oracle) { (void)oracle; }

enum vultus_status vt_oracle_run(struct vt_oracle *oracle, const void *const *inputs, void *const *outputs,
    int64_t count, struct vultus_error *error) {
    (void)oracle, (void)inputs, (void)outputs, (void)count;
    return vt_fail(error, VULTUS_ERROR_UNSUPPORTED, "this build has no interpreter");
}
