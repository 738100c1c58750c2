/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <inttypes.h>

#define MOST_ELEMENTS 16
#define DIM_TEXT 256

static void put_value_type(struct vt_strbuf *buffer, const struct vt_value *value) {
    vt_strbuf_printf(buffer, "%s[", vt_dtype_name(value->dtype));
    if (value->rank < 0) vt_strbuf_puts(buffer, "...");
    for (int i = 0; i < value->rank; ++i) {
        char text[DIM_TEXT];
        vt_strbuf_printf(buffer, "%s%s", i ? "," : "", vt_dim_format(value->dims[i], text, sizeof text));
    }
    vt_strbuf_puts(buffer, "]");
}

static void put_element(struct vt_strbuf *buffer, const struct vt_tensor *tensor, int64_t i) {
    bool is_real = tensor->dtype == VT_DTYPE_F32 || tensor->dtype == VT_DTYPE_F64 || tensor->dtype == VT_DTYPE_F16 ||
                   tensor->dtype == VT_DTYPE_BF16;
    if (is_real)
        vt_strbuf_printf(buffer, "%g", vt_tensor_get(tensor, i));
    else
        vt_strbuf_printf(buffer, "%" PRId64, vt_tensor_get_int(tensor, i));
}

/* The content of small constants and shape tensors. */
static void put_content(struct vt_strbuf *buffer, const struct vt_value *value) {
    if (value->constant) {
        int64_t count = vt_tensor_count(value->constant);
        if (count > MOST_ELEMENTS) return;
        vt_strbuf_puts(buffer, " {");
        for (int64_t i = 0; i < count; ++i) {
            if (i) vt_strbuf_puts(buffer, ", ");
            put_element(buffer, value->constant, i);
        }
        vt_strbuf_puts(buffer, "}");
    } else if (value->elements && value->n_elements <= MOST_ELEMENTS) {
        vt_strbuf_puts(buffer, " = {");
        for (size_t i = 0; i < value->n_elements; ++i) {
            char text[DIM_TEXT];
            vt_strbuf_printf(buffer, "%s%s", i ? ", " : "", vt_dim_format(value->elements[i], text, sizeof text));
        }
        vt_strbuf_puts(buffer, "}");
    }
}

static void put_attr(struct vt_strbuf *buffer, const struct vt_attr *attr) {
    vt_strbuf_printf(buffer, "%s=", attr->name);
    switch (attr->kind) {
    case VT_ATTR_INT: vt_strbuf_printf(buffer, "%" PRId64, attr->i); return;
    case VT_ATTR_FLOAT: vt_strbuf_printf(buffer, "%g", attr->f); return;
    case VT_ATTR_STRING: vt_strbuf_printf(buffer, "\"%s\"", attr->s); return;
    case VT_ATTR_TENSOR: {
        char text[128];
        vt_strbuf_puts(buffer, vt_tensor_describe(attr->tensor, text, sizeof text));
        return;
    }
    case VT_ATTR_INTS:
    case VT_ATTR_FLOATS: break;
    }
    size_t shown = attr->count < MOST_ELEMENTS ? attr->count : MOST_ELEMENTS;
    vt_strbuf_puts(buffer, "[");
    for (size_t i = 0; i < shown; ++i) {
        if (i) vt_strbuf_puts(buffer, ",");
        if (attr->kind == VT_ATTR_INTS)
            vt_strbuf_printf(buffer, "%" PRId64, attr->ints[i]);
        else
            vt_strbuf_printf(buffer, "%g", attr->floats[i]);
    }
    vt_strbuf_puts(buffer, shown < attr->count ? ",...]" : "]");
}

static void put_input(struct vt_strbuf *buffer, const struct vt_value *value) {
    if (!value) {
        vt_strbuf_puts(buffer, "-");
        return;
    }
    vt_strbuf_puts(buffer, value->name);
    if (!value->constant) return;
    vt_strbuf_puts(buffer, ":");
    put_value_type(buffer, value);
    put_content(buffer, value);
}

static void put_node(struct vt_strbuf *buffer, const struct vt_node *node) {
    for (size_t i = 0; i < node->n_outputs; ++i)
        vt_strbuf_printf(buffer, "%s%s", i ? ", " : "", node->outputs[i]->name);
    vt_strbuf_printf(buffer, " = %s(", vt_op_info(node->op)->name);
    for (size_t i = 0; i < node->n_inputs; ++i) {
        if (i) vt_strbuf_puts(buffer, ", ");
        put_input(buffer, node->inputs[i]);
    }
    vt_strbuf_puts(buffer, ")");
    for (size_t i = 0; i < node->attrs.count; ++i) {
        vt_strbuf_puts(buffer, i ? ", " : " {");
        put_attr(buffer, &node->attrs.items[i]);
    }
    if (node->attrs.count) vt_strbuf_puts(buffer, "}");
    for (size_t i = 0; i < node->n_outputs; ++i) {
        vt_strbuf_puts(buffer, i ? ", " : " : ");
        put_value_type(buffer, node->outputs[i]);
        put_content(buffer, node->outputs[i]);
    }
    vt_strbuf_puts(buffer, "\n");
}

void vt_graph_dump(const struct vt_graph *graph, struct vt_strbuf *buffer) {
    for (size_t i = 0; i < graph->n_inputs; ++i) {
        vt_strbuf_printf(buffer, "input %s : ", graph->inputs[i]->name);
        put_value_type(buffer, graph->inputs[i]);
        vt_strbuf_puts(buffer, "\n");
    }
    for (size_t i = 0; i < graph->n_outputs; ++i) {
        vt_strbuf_printf(buffer, "output %s : ", graph->outputs[i]->name);
        put_value_type(buffer, graph->outputs[i]);
        vt_strbuf_puts(buffer, "\n");
    }
    for (const struct vt_node *node = graph->first; node; node = node->next) put_node(buffer, node);
}
