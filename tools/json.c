/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "common.h"

/* Any float is told apart from its neighbours by 9 digits, so printing 9 of a number that was cut to fewer prints just
 * those. */
#define FLOAT_DIGITS 9
#define FORMAT JSON_REAL_PRECISION(FLOAT_DIGITS)

/* The decimal of that many digits next to `value`, as a double, where powers of ten and the digits are exact in one. */
static bool shorten(double value, int digits, double *decimal) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int shift = digits - 1 - (int)floor(log10(fabs(value)));
    if (shift < 0 || shift > 22) return false;
    *decimal = round(value * powers[shift]) / powers[shift];
    return true;
}

/* Most numbers of an embedding need 8 or 9 digits, so the search begins there. */
json_t *vt_cli_json_float(float value) {
    if (!isfinite(value)) return json_null();
    double shortest = value, decimal;
    for (int digits = FLOAT_DIGITS; digits > 0 && value != 0; digits--) {
        if (!shorten(value, digits, &decimal)) {
            char text[32];
            snprintf(text, sizeof text, "%.*g", digits, (double)value);
            decimal = strtod(text, NULL);
        }
        if ((float)decimal != value) break;
        shortest = decimal;
    }
    return json_real(shortest);
}

json_t *vt_cli_json_rounded(double value, int decimals) {
    if (!isfinite(value)) return json_null();
    double unit = pow(10, decimals);
    return json_real(round(value * unit) / unit);
}

json_t *vt_cli_json_floats(const float *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < count; i++)
        if (json_array_append_new(array, vt_cli_json_float(values[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

const char *vt_cli_pass_name(enum vultus_pass pass) {
    return pass == VULTUS_PASS_MARGIN ? "margin" : pass == VULTUS_PASS_TILE ? "tile" : "plain";
}

json_t *vt_cli_json_face(const struct vultus_face *face, int dimension) {
    json_t *landmarks = json_array();
    for (int i = 0; i < VULTUS_LANDMARKS; i++)
        if (json_array_append_new(landmarks, vt_cli_json_floats(face->landmarks[i], 2)) < 0) {
            json_decref(landmarks);
            landmarks = NULL;
        }
    json_t *record = json_pack("{s:o, s:o, s:o, s:s, s:i}", "bbox", vt_cli_json_floats(face->box, 4), "score",
        vt_cli_json_float(face->score), "landmarks", landmarks, "pass", vt_cli_pass_name(face->pass), "turn",
        face->turn);
    int failed = 0;
    if (face->embedding) {
        failed |= json_object_set_new(record, "norm", vt_cli_json_float(face->norm));
        failed |= json_object_set_new(record, "embedding", vt_cli_json_floats(face->embedding, (size_t)dimension));
    } else if (face->failure) {
        failed |= json_object_set_new(record, "failure", vt_json_text(face->failure));
    }
    if (face->attributes.present)
        failed |= json_object_set_new(record, "attributes", vt_cli_json_attributes(&face->attributes));
    if (!failed) return record;
    json_decref(record);
    return NULL;
}

json_t *vt_cli_json_error(const char *file, const char *sentence) {
    return json_pack("{s:o, s:o}", "file", vt_json_text(file), "error", vt_json_text(sentence));
}

bool vt_cli_json_print(json_t *value, bool indented) {
    bool fine = value && json_dumpf(value, stdout, FORMAT | (indented ? JSON_INDENT(2) : 0)) == 0;
    if (indented) putchar('\n');
    json_decref(value);
    return fine;
}

char *vt_cli_json_line(const json_t *value, bool newline) {
    char *text = json_dumps(value, FORMAT), *line = NULL;
    if (!text || !newline) return text;
    size_t length = strlen(text);
    line = realloc(text, length + 2);
    if (!line) {
        free(text);
        return NULL;
    }
    strcpy(line + length, "\n");
    return line;
}

/* ---------------------------------------------------------------- records */

void vt_cli_records_begin(struct vt_cli_records *records, const struct vt_options *options) {
    *records = (struct vt_cli_records){.json = options->json && !options->ndjson, .ndjson = options->ndjson};
    if (records->json) fputs("[", stdout);
}

bool vt_cli_records_wanted(const struct vt_cli_records *records) { return records->json || records->ndjson; }

void vt_cli_records_add_line(struct vt_cli_records *records, const char *line) {
    if (records->json) fputs(records->count ? ",\n" : "\n", stdout);
    records->count++;
    fputs(line, stdout);
    if (records->ndjson) putchar('\n');
    fflush(stdout);
}

bool vt_cli_records_add(struct vt_cli_records *records, json_t *record) {
    char *line = record ? vt_cli_json_line(record, false) : NULL;
    json_decref(record);
    if (!line) return false;
    vt_cli_records_add_line(records, line);
    free(line);
    return true;
}

void vt_cli_records_end(struct vt_cli_records *records) {
    if (records->json) fputs("\n]\n", stdout);
}

/* ---------------------------------------------------------------- for people */

static void print_value(const json_t *value, int depth);

static bool is_flat(const json_t *value) { return !json_is_object(value) && !json_is_array(value); }

static void print_clean(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) putchar((unsigned char)text[i] < ' ' || text[i] == 0x7F ? '?' : text[i]);
}

void vt_cli_print_clean(const char *text) { print_clean(text, strlen(text)); }

static void print_scalar(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING: print_clean(json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: printf("%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: printf("%.6g", json_real_value(value)); break;
    case JSON_TRUE: fputs("yes", stdout); break;
    case JSON_FALSE: fputs("no", stdout); break;
    default: fputs("-", stdout); break;
    }
}

/* "float32 [1, 3, 112, 112]": a list of scalars in brackets. */
static bool print_flat_list(const json_t *array) {
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!is_flat(json_array_get(array, i))) return false;
    putchar('[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i) fputs(", ", stdout);
        print_scalar(json_array_get(array, i));
    }
    putchar(']');
    return true;
}

/* An object of scalars and flat lists on one line, "name conv_1  ms 0.31". */
static bool print_one_line(const json_t *object, int depth) {
    const char *key;
    json_t *item;
    size_t i;
    json_object_foreach((json_t *)object, key, item) {
        if (json_is_object(item)) return false;
        if (json_is_array(item))
            for (i = 0; i < json_array_size(item); i++)
                if (!is_flat(json_array_get(item, i))) return false;
    }
    printf("%*s- ", 2 * depth, "");
    i = 0;
    json_object_foreach((json_t *)object, key, item) {
        printf("%s%s ", i++ ? "  " : "", key);
        if (is_flat(item))
            print_scalar(item);
        else
            print_flat_list(item);
    }
    putchar('\n');
    return true;
}

static void print_items(const json_t *array, int depth) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)array, i, item) {
        if (json_is_object(item) && print_one_line(item, depth)) continue;
        printf("%*s-\n", 2 * depth, "");
        print_value(item, depth + 1);
    }
}

/* A text of several lines keeps them, indented. */
static void print_block(const char *text, int depth) {
    putchar('\n');
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, "\n");
        printf("%*s", 2 * depth, "");
        print_clean(text, (size_t)(end - text));
        putchar('\n');
    }
}

static void print_members(const json_t *object, int depth) {
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)object, key, item) {
        printf("%*s%s: ", 2 * depth, "", key);
        if (json_is_string(item) && strchr(json_string_value(item), '\n')) {
            print_block(json_string_value(item), depth + 1);
        } else if (is_flat(item)) {
            print_scalar(item);
            putchar('\n');
        } else if (json_is_array(item) && print_flat_list(item)) {
            putchar('\n');
        } else {
            putchar('\n');
            print_value(item, depth + 1);
        }
    }
}

static void print_value(const json_t *value, int depth) {
    if (json_is_object(value)) {
        print_members(value, depth);
    } else if (json_is_array(value)) {
        print_items(value, depth);
    } else {
        printf("%*s", 2 * depth, "");
        print_scalar(value);
        putchar('\n');
    }
}

void vt_cli_json_for_people(const json_t *value) { print_value(value ? value : json_null(), 0); }
