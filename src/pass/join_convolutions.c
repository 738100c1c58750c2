/* SPDX-License-Identifier: Apache-2.0
 *
 * The heads of a detector's level read the same map with the same window and have 2, 8 and 20 channels: three times the
 * input's transform, and blocks of channels that stay half empty. As one convolution they cost about as much as the
 * widest.
 */
#include <string.h>

#include "pass/pass.h"
#include "pass/rewrite.h"

/* From this width on a convolution fills the blocks of every back end by itself. */
#define MOST_CHANNELS 32
/* Heads of a level stand together; looking further would make long graphs slow to compile. */
#define LONGEST_DISTANCE 64

enum { MOST_MEMBERS = 16 };

struct group {
    struct vt_node *members[MOST_MEMBERS]; /* the first in the list first */
    size_t count;
    int64_t channels; /* of all */
};

static int64_t channels_of(const struct vt_node *conv) { return conv->inputs[1]->constant->dims[0]; }

/* No tail but a sigmoid, which stays behind as a node of its own. */
static bool is_narrow(const struct vt_node *node) {
    if (node->op != VT_OP_FUSED_CONV || vt_attr_int(&node->attrs, "group", 1) != 1) return false;
    const struct vt_tensor *weights = vt_rewrite_f32(node->inputs[1]);
    struct vt_tail tail = vt_tail_from_attrs(&node->attrs);
    int64_t dims[VT_MAX_RANK];
    return weights && weights->rank == 4 && weights->dims[0] < MOST_CHANNELS && !vt_rewrite_input(node, 4) &&
           !vt_rewrite_input(node, 5) && (tail.act1 == VT_ACT_NONE || tail.act1 == VT_ACT_SIGMOID) &&
           tail.act2 == VT_ACT_NONE &&
           (!vt_rewrite_input(node, 2) || vt_rewrite_f32_count(node->inputs[2], weights->dims[0])) &&
           node->inputs[0]->rank == 4 && vt_value_static_dims(node->inputs[0], dims);
}

static bool resolve_window(const struct vt_node *conv, struct vt_window *window) {
    int64_t dims[VT_MAX_RANK], out[2];
    return vt_value_static_dims(conv->inputs[0], dims) &&
           !vt_window_resolve(&conv->attrs, conv->inputs[1]->constant->dims, dims + 2, window, out, NULL);
}

static bool same_windows(const struct vt_node *a, const struct vt_node *b) {
    struct vt_window of_a, of_b;
    return resolve_window(a, &of_a) && resolve_window(b, &of_b) &&
           memcmp(of_a.kernel, of_b.kernel, sizeof of_a.kernel) == 0 &&
           memcmp(of_a.stride, of_b.stride, sizeof of_a.stride) == 0 &&
           memcmp(of_a.dilation, of_b.dilation, sizeof of_a.dilation) == 0 &&
           memcmp(of_a.pad, of_b.pad, sizeof of_a.pad) == 0;
}

/* Joined before, or by whoever made the network. */
static bool is_split(const struct vt_graph *graph, const struct vt_node *conv) {
    const struct vt_node *user = vt_value_only_user(graph, conv->outputs[0]);
    return user && user->op == VT_OP_SPLIT;
}

static bool are_siblings(const struct vt_graph *graph, const struct vt_node *a, const struct vt_node *b) {
    return is_narrow(a) && !is_split(graph, a) && a->inputs[0] == b->inputs[0] &&
           vt_rewrite_input(a, 3) == vt_rewrite_input(b, 3) && same_windows(a, b);
}

static bool has_sibling_behind(const struct vt_graph *graph, const struct vt_node *conv) {
    int steps = 0;
    for (const struct vt_node *n = conv->next; n && steps < LONGEST_DISTANCE; n = n->next, steps++)
        if (are_siblings(graph, n, conv)) return true;
    return false;
}

/* `last` and its siblings before it; nothing when more are to come and there is room for them. */
static struct group find_group(const struct vt_graph *graph, struct vt_node *last) {
    struct vt_node *found[MOST_MEMBERS] = {last};
    size_t count = 1;
    int steps = 0;
    for (struct vt_node *n = last->previous; n && steps < LONGEST_DISTANCE && count < MOST_MEMBERS;
         n = n->previous, steps++)
        if (are_siblings(graph, n, last)) found[count++] = n;
    struct group group = {.count = 0};
    if (count < MOST_MEMBERS && has_sibling_behind(graph, last)) return group;
    for (; group.count < count; group.count++) {
        group.members[group.count] = found[count - 1 - group.count];
        group.channels += channels_of(group.members[group.count]);
    }
    return group;
}

/* The members' weights or biases, one behind the other. */
static void append(float **to, const struct vt_value *part, int64_t count) {
    if (part) memcpy(*to, part->constant->data, (size_t)count * sizeof **to);
    *to += count;
}

static struct vt_node *add_joined(struct vt_rewrite *rewrite, const struct group *group) {
    struct vt_node *first = group->members[0];
    const struct vt_tensor *like = first->inputs[1]->constant;
    int64_t dims[4] = {group->channels, like->dims[1], like->dims[2], like->dims[3]};
    struct vt_value *weights = vt_rewrite_new_f32(rewrite, first->inputs[1]->name, 4, dims);
    struct vt_value *bias = vt_rewrite_new_f32(rewrite, "bias", 1, &group->channels);
    if (!weights || !bias) return NULL;
    float *to_weights = weights->constant->data, *to_bias = bias->constant->data;
    for (size_t i = 0; i < group->count; i++) {
        const struct vt_node *member = group->members[i];
        append(&to_weights, member->inputs[1], vt_tensor_count(member->inputs[1]->constant));
        append(&to_bias, vt_rewrite_input(member, 2), channels_of(member));
    }
    struct vt_value *inputs[4] = {first->inputs[0], weights, bias, vt_rewrite_input(first, 3)};
    struct vt_node *joined = vt_graph_add_node(
        rewrite->graph, first, first->op, first->name, inputs, 4, NULL, 1, first->attrs.items, first->attrs.count);
    struct vt_attr none = {.name = "act1", .kind = VT_ATTR_INT, .i = VT_ACT_NONE};
    return joined && vt_node_set_attr(rewrite->graph, joined, none) ? joined : NULL;
}

static struct vt_node *add_split(struct vt_rewrite *rewrite, const struct group *group, struct vt_value *whole) {
    int64_t sizes[MOST_MEMBERS];
    for (size_t i = 0; i < group->count; i++) sizes[i] = channels_of(group->members[i]);
    struct vt_attr axis = {.name = "axis", .kind = VT_ATTR_INT, .i = 1};
    struct vt_value *inputs[2] = {whole, vt_graph_add_i64(rewrite->graph, "sizes", sizes, group->count)};
    if (!inputs[1]) return NULL;
    return vt_graph_add_node(
        rewrite->graph, group->members[0], VT_OP_SPLIT, NULL, inputs, 2, NULL, group->count, &axis, 1);
}

/* What a member gave, `part` gives; its sigmoid becomes a node in the member's place. */
static bool replace_member(struct vt_rewrite *rewrite, struct vt_node *member, struct vt_value *part) {
    struct vt_graph *graph = rewrite->graph;
    struct vt_value *result = part;
    if (vt_tail_from_attrs(&member->attrs).act1 == VT_ACT_SIGMOID) {
        struct vt_node *sigmoid =
            vt_graph_add_node(graph, member, VT_OP_SIGMOID, member->name, &part, 1, NULL, 1, NULL, 0);
        if (!sigmoid) return false;
        result = sigmoid->outputs[0];
    }
    vt_rewrite_copy_type(part, member->outputs[0]);
    vt_rewrite_copy_type(result, member->outputs[0]);
    vt_graph_replace_uses(graph, member->outputs[0], result);
    vt_graph_remove_node(graph, member);
    return true;
}

static enum vultus_status join(struct vt_rewrite *rewrite, struct vt_node *node) {
    if (!is_narrow(node) || is_split(rewrite->graph, node) || node->inputs[0]->uses < 2) return VULTUS_OK;
    struct group group = find_group(rewrite->graph, node);
    if (group.count < 2) return VULTUS_OK;
    struct vt_node *joined = add_joined(rewrite, &group);
    struct vt_node *split = joined ? add_split(rewrite, &group, joined->outputs[0]) : NULL;
    if (!split) return vt_rewrite_no_memory(rewrite);
    for (size_t i = 0; i < group.count; i++)
        if (!replace_member(rewrite, group.members[i], split->outputs[i])) return vt_rewrite_no_memory(rewrite);
    rewrite->changed++;
    return VULTUS_OK;
}

enum vultus_status vt_pass_join_convolutions(struct vt_graph *graph, size_t *changed, struct vultus_error *error) {
    return vt_rewrite_graph(graph, join, changed, error);
}
