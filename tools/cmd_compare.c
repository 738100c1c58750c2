/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "common.h"

/* As diff and grep have it: 1 is an answer, 2 that there is none. */
enum { FAILED = 1, COULD_NOT_RUN = VT_EXIT_NOT_COMPARED };

static const char *const verdicts[] = {
    [VULTUS_VERDICT_PASS] = "PASS", [VULTUS_VERDICT_WARN] = "WARN", [VULTUS_VERDICT_FAIL] = "FAIL"};

static const struct {
    const char *title;
    bool more_is_better;
} metrics[] = {
    [VULTUS_METRIC_COSINE_MEAN] = {"cosine similarity (mean)", true},
    [VULTUS_METRIC_COSINE_MIN] = {"cosine similarity (min)", true},
    [VULTUS_METRIC_L2_MEAN] = {"L2 distance (mean)", false},
    [VULTUS_METRIC_RELATIVE_L2] = {"relative L2 (largest)", false},
    [VULTUS_METRIC_MAX_ABS] = {"max abs / largest element", false},
};
#define N_METRICS (sizeof metrics / sizeof *metrics)

/* ---------------------------------------------------------------- thresholds */

static bool wrong_threshold(const char *text) {
    vt_cli_say(
        "--threshold takes METRIC=PASS,FAIL, which may begin with a precision and a colon, not \"%s\"; the metrics "
        "are %s, %s, %s, %s, %s",
        text, vultus_metric_name(0), vultus_metric_name(1), vultus_metric_name(2), vultus_metric_name(3),
        vultus_metric_name(4));
    return false;
}

/* "bf16:cosine-mean=0.995,0.99". */
static bool parse_threshold(const char *text, struct vultus_threshold *out) {
    static const char *const precisions[] = {"fp32", "tf32", "fp16", "bf16"};
    const char *name = text, *equals = strchr(text, '=');
    *out = (struct vultus_threshold){0};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        size_t length = strlen(precisions[i]);
        if (strncmp(text, precisions[i], length) != 0 || text[length] != ':') continue;
        out->precision = precisions[i];
        name += length + 1;
    }
    size_t length = (size_t)(equals - name), metric = 0;
    for (; metric < N_METRICS; metric++) {
        const char *known = vultus_metric_name((enum vultus_metric)metric);
        if (equals > name && strlen(known) == length && strncmp(known, name, length) == 0) break;
    }
    if (metric == N_METRICS) return wrong_threshold(text);
    out->metric = (enum vultus_metric)metric;
    char *end, *last;
    out->pass = strtod(equals + 1, &end);
    if (end == equals + 1 || *end != ',') return wrong_threshold(text);
    out->fail = strtod(end + 1, &last);
    return last != end + 1 && !*last ? true : wrong_threshold(text);
}

/* ---------------------------------------------------------------- results */

static void print_measure(const struct vultus_output_comparison *output, const struct vultus_measure *m) {
    char name[25];
    bool more = metrics[m->metric].more_is_better;
    snprintf(name, sizeof name, "%s", output->name);
    vt_cli_print_clean(name);
    printf(more ? "%*s  %-25s %12.9f   %s %-8g %s %-8g %s\n" : "%*s  %-25s %12.3e   %s %-8g %s %-8g %s\n",
        (int)(sizeof name - 1 - strlen(name)), "", metrics[m->metric].title, m->value, more ? ">=" : "< ", m->pass,
        more ? "<" : ">", m->fail, verdicts[m->verdict]);
}

static void print_for_people(const struct vultus_comparison *c) {
    bool random = strcmp(c->inputs, "random") == 0;
    printf("%s (%s) against %s%s, %lld %s %s\n\n", c->plan, c->precision, c->reference,
        c->interpreted ? " by the interpreter" : "", (long long)c->samples, random ? "random" : "items of",
        random ? "items" : c->inputs);
    printf("%-24s  %-25s %12s   %-11s %-10s %s\n", "output", "metric", "value", "passes", "fails", "verdict");
    for (size_t i = 0; i < c->n_outputs; i++)
        for (int m = 0; m < c->outputs[i].n_measures; m++) print_measure(&c->outputs[i], &c->outputs[i].measures[m]);
    printf("\n%s\n", verdicts[c->verdict]);
}

/* Enough digits to tell a cosine from 1. */
#define DECIMALS 12

static json_t *measures_json(const struct vultus_output_comparison *output) {
    json_t *list = json_array();
    for (int m = 0; m < output->n_measures; m++) {
        const struct vultus_measure *measure = &output->measures[m];
        json_array_append_new(list,
            json_pack("{s:s, s:o, s:o, s:o, s:s}", "metric", vultus_metric_name(measure->metric), "value",
                vt_cli_json_rounded(measure->value, DECIMALS), "pass", vt_cli_json_rounded(measure->pass, DECIMALS),
                "fail", vt_cli_json_rounded(measure->fail, DECIMALS), "verdict", verdicts[measure->verdict]));
    }
    return list;
}

static bool print_json(const struct vultus_comparison *c) {
    json_t *outputs = json_array();
    for (size_t i = 0; i < c->n_outputs; i++) {
        const struct vultus_output_comparison *output = &c->outputs[i];
        json_array_append_new(
            outputs, json_pack("{s:o, s:b, s:o, s:o, s:o}", "name", vt_json_text(output->name), "embedding",
                         (int)output->embedding, "largest_difference",
                         vt_cli_json_rounded(output->largest_difference, DECIMALS), "largest_element",
                         vt_cli_json_rounded(output->largest_element, DECIMALS), "metrics", measures_json(output)));
    }
    return vt_cli_json_print(json_pack("{s:o, s:s, s:o, s:b, s:o, s:I, s:s, s:o}", "file", vt_json_text(c->plan),
                                 "precision", c->precision, "reference", vt_json_text(c->reference), "interpreted",
                                 (int)c->interpreted, "inputs", vt_json_text(c->inputs), "samples",
                                 (json_int_t)c->samples, "verdict", verdicts[c->verdict], "outputs", outputs),
        true);
}

static bool print_comparison(const struct vultus_comparison *c, bool json) {
    if (json) return print_json(c);
    print_for_people(c);
    return true;
}

/* ---------------------------------------------------------------- the command */

static int compare(const struct vt_options *options, const struct vultus_threshold *thresholds) {
    struct vultus_runtime *runtime = vt_cli_runtime(options);
    if (!runtime) return COULD_NOT_RUN;
    struct vt_cli_progress building = {0},
                           comparing = {.doing = "comparing", .model = vt_path_basename(options->operands[0])};
    struct vultus_compare_options wanted = {
        .model = options->model,
        .inputs = options->inputs_file,
        .reference = options->reference,
        .samples = options->samples,
        .build = vt_cli_build_options(options, options->operands[0], &building),
        .thresholds = thresholds,
        .n_thresholds = options->thresholds.count,
        .progress = vt_cli_progress_show,
        .progress_context = &comparing,
    };
    struct vultus_comparison *comparison = NULL;
    struct vultus_error error;
    enum vultus_status status = vultus_compare(runtime, options->operands[0], &wanted, &comparison, &error);
    vt_cli_progress_end(&building);
    vt_cli_progress_end(&comparing);
    int code = COULD_NOT_RUN;
    if (status < 0)
        vt_cli_fail(&error);
    else if (print_comparison(comparison, options->json))
        code = comparison->verdict == VULTUS_VERDICT_FAIL ? FAILED : VT_EXIT_OK;
    else
        vt_cli_fail_memory();
    vultus_comparison_free(comparison);
    vultus_runtime_destroy(runtime);
    return code;
}

int vt_cli_compare(const struct vt_options *options) {
    struct vultus_threshold thresholds[VT_MAX_LIST];
    for (size_t i = 0; i < options->thresholds.count; i++)
        if (!parse_threshold(options->thresholds.items[i], &thresholds[i])) return COULD_NOT_RUN;
    return compare(options, thresholds);
}
