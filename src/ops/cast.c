/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/run.h"

static enum vultus_status convert(const struct vt_op_call *call, enum vt_dtype to, struct vultus_error *error) {
    const struct vt_tensor *x = vt_op_input(call, 0);
    if (to == x->dtype) return vt_run_identity(call, error);
    call->outputs[0] = *x;
    return vt_op_convert(call, to, &call->outputs[0], error);
}

enum vultus_status vt_run_cast(const struct vt_op_call *call, struct vultus_error *error) {
    int64_t number = vt_attr_int(&call->attrs, "to", 0);
    enum vt_dtype to = vt_dtype_from_onnx(number);
    if (to != VT_DTYPE_NONE) return convert(call, to, error);
    return vt_op_fail(
        call, error, VULTUS_ERROR_UNSUPPORTED, "attribute to is %lld, which is no supported type", (long long)number);
}

enum vultus_status vt_run_cast_like(const struct vt_op_call *call, struct vultus_error *error) {
    return convert(call, vt_op_input(call, 1)->dtype, error);
}
