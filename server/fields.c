/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Types and sentences are those of pydantic, which clients of InsightFace-REST may know. */

enum { MOST_PROBLEMS = 32 };

void vt_problem(struct vt_problems *problems, const char *type, const char *place, const char *sentence,
    const struct vt_value *input) {
    if (problems->count++ >= MOST_PROBLEMS) return;
    struct vt_strbuf *out = &problems->json;
    vt_strbuf_printf(out, "%s{\"type\":\"%s\",\"loc\":[\"body\"%s%s],\"msg\":\"%s\",\"input\":", out->length ? "," : "",
        type, *place ? "," : "", place, sentence);
    static const struct vt_value nothing = {.kind = VT_VALUE_NULL};
    vt_value_echo(input ? input : &nothing, out);
    vt_strbuf_puts(out, "}");
}

/* A short text without blanks around it, for reading numbers; false: too long. */
static bool copy_text(const struct vt_value *value, char *out, size_t size) {
    const char *begin = value->text.bytes, *end = begin + value->text.length;
    while (begin < end && isspace((unsigned char)*begin)) begin++;
    while (begin < end && isspace((unsigned char)end[-1])) end--;
    size_t length = (size_t)(end - begin);
    if (length == 0 || length >= size || memchr(begin, 0, length)) return false;
    memcpy(out, begin, length);
    out[length] = '\0';
    return true;
}

static bool is_text(const struct vt_value *value) {
    return value->kind == VT_VALUE_TEXT || value->kind == VT_VALUE_BYTES;
}

/* ---------------------------------------------------------------- switches */

static bool switch_of_text(const struct vt_value *value, bool *out) {
    static const char *const words[2][6] = {
        {"false", "f", "no", "n", "off", "0"}, {"true", "t", "yes", "y", "on", "1"}};
    char text[16];
    if (!copy_text(value, text, sizeof text)) return false;
    for (int truth = 0; truth < 2; truth++)
        for (int i = 0; i < 6; i++)
            if (strcasecmp(text, words[truth][i]) == 0) {
                *out = truth;
                return true;
            }
    return false;
}

bool vt_read_switch(const struct vt_value *value, const char *place, bool fallback, struct vt_problems *problems) {
    bool truth;
    if (value->kind == VT_VALUE_BOOL) return value->truth;
    if (value->kind == VT_VALUE_INTEGER && (value->integer == 0 || value->integer == 1)) return value->integer == 1;
    if (value->kind == VT_VALUE_FLOAT && (value->number == 0 || value->number == 1)) return value->number == 1;
    if (is_text(value) && switch_of_text(value, &truth)) return truth;
    bool scalar = is_text(value) || value->kind == VT_VALUE_INTEGER || value->kind == VT_VALUE_FLOAT;
    vt_problem(problems, scalar ? "bool_parsing" : "bool_type", place,
        scalar ? "Input should be a valid boolean, unable to interpret input" : "Input should be a valid boolean",
        value);
    return fallback;
}

/* ---------------------------------------------------------------- numbers */

/* Larger ones mean the same: no limit. */
static const double most_integer = 1e15;

static bool number_of_text(const struct vt_value *value, double *out) {
    char text[64], *end;
    if (!copy_text(value, text, sizeof text)) return false;
    if (strpbrk(text, "xXpP")) return false;
    *out = strtod(text, &end);
    return end != text && !*end;
}

double vt_read_number(const struct vt_value *value, const char *place, double fallback, struct vt_problems *problems) {
    double number = NAN;
    bool read = true;
    switch (value->kind) {
    case VT_VALUE_FLOAT: number = value->number; break;
    case VT_VALUE_INTEGER: number = (double)value->integer; break;
    case VT_VALUE_BOOL: number = value->truth; break;
    case VT_VALUE_TEXT:
    case VT_VALUE_BYTES: read = number_of_text(value, &number); break;
    default: vt_problem(problems, "float_type", place, "Input should be a valid number", value); return fallback;
    }
    if (read && !isnan(number)) return number;
    vt_problem(
        problems, "float_parsing", place, "Input should be a valid number, unable to parse string as a number", value);
    return fallback;
}

/* Digits with a sign, and a fraction of zeros if there is one. What does not fit becomes the next that does. */
static bool integer_of_text(const struct vt_value *value, int64_t *out) {
    char text[64], *end;
    if (!copy_text(value, text, sizeof text)) return false;
    *out = strtoll(text, &end, 10);
    if (end == text) return false;
    if (*end == '.') end += 1 + strspn(end + 1, "0");
    return !*end;
}

int64_t vt_read_integer(
    const struct vt_value *value, const char *place, int64_t fallback, struct vt_problems *problems) {
    int64_t integer;
    switch (value->kind) {
    case VT_VALUE_INTEGER: return value->integer;
    case VT_VALUE_BOOL: return value->truth;
    case VT_VALUE_FLOAT:
        if (value->number == trunc(value->number) && isfinite(value->number))
            return (int64_t)fmax(fmin(value->number, most_integer), -most_integer);
        vt_problem(problems, "int_from_float", place,
            "Input should be a valid integer, got a number with a fractional part", value);
        return fallback;
    case VT_VALUE_TEXT:
    case VT_VALUE_BYTES:
        if (integer_of_text(value, &integer)) return integer;
        vt_problem(problems, "int_parsing", place,
            "Input should be a valid integer, unable to parse string as an integer", value);
        return fallback;
    default: vt_problem(problems, "int_type", place, "Input should be a valid integer", value); return fallback;
    }
}

/* ---------------------------------------------------------------- by name */

/* NULL when the field is missing or null. */
static const struct vt_value *find(const struct vt_value *body, const char *name, char *place, size_t size) {
    const struct vt_value *value = vt_value_get(body, name);
    if (!value || value->kind == VT_VALUE_NULL) return NULL;
    snprintf(place, size, "\"%s\"", name);
    return value;
}

bool vt_field_switch(const struct vt_value *body, const char *name, bool fallback, struct vt_problems *problems) {
    char place[64];
    const struct vt_value *value = vt_value_get(body, name);
    if (value && value->kind == VT_VALUE_NULL) return false; /* null acts as false, whatever the default */
    value = find(body, name, place, sizeof place);
    return value ? vt_read_switch(value, place, fallback, problems) : fallback;
}

int64_t vt_field_integer(
    const struct vt_value *body, const char *name, int64_t fallback, struct vt_problems *problems) {
    char place[64];
    const struct vt_value *value = find(body, name, place, sizeof place);
    return value ? vt_read_integer(value, place, fallback, problems) : fallback;
}

double vt_field_number(const struct vt_value *body, const char *name, double fallback, struct vt_problems *problems) {
    char place[64];
    const struct vt_value *value = find(body, name, place, sizeof place);
    return value ? vt_read_number(value, place, fallback, problems) : fallback;
}
