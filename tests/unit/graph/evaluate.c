/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct parser {
    const char *at;
    const struct binding *bindings;
    size_t n_bindings;
};

static int64_t parse_sum(struct parser *parser);

static void skip_spaces(struct parser *parser) { parser->at += strspn(parser->at, " "); }

static bool accept(struct parser *parser, const char *text) {
    skip_spaces(parser);
    if (strncmp(parser->at, text, strlen(text)) != 0) return false;
    parser->at += strlen(text);
    return true;
}

static void expect(struct parser *parser, const char *text) {
    if (!accept(parser, text)) fail_msg("expected '%s' at '%s'", text, parser->at);
}

static int64_t floor_division(int64_t a, int64_t b) {
    assert_int_not_equal(b, 0);
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t parse_factor(struct parser *parser) {
    if (accept(parser, "floor(")) {
        bool is_sum = accept(parser, "(");
        int64_t numerator = is_sum ? parse_sum(parser) : parse_factor(parser);
        if (is_sum) expect(parser, ")");
        while (accept(parser, "*")) numerator *= parse_factor(parser);
        expect(parser, "/");
        bool in_parentheses = accept(parser, "(");
        int64_t denominator = in_parentheses ? parse_sum(parser) : parse_factor(parser);
        if (in_parentheses) expect(parser, ")");
        expect(parser, ")");
        return floor_division(numerator, denominator);
    }
    skip_spaces(parser);
    if (isdigit((unsigned char)*parser->at)) return (int64_t)strtoll(parser->at, (char **)&parser->at, 10);
    for (size_t i = 0; i < parser->n_bindings; ++i)
        if (accept(parser, parser->bindings[i].name)) return parser->bindings[i].value;
    fail_msg("no number and no known symbol at '%s'", parser->at);
    return 0;
}

static int64_t parse_product(struct parser *parser) {
    int64_t product = parse_factor(parser);
    while (accept(parser, "*")) product *= parse_factor(parser);
    return product;
}

static int64_t parse_sum(struct parser *parser) {
    int64_t sum = accept(parser, "-") ? -parse_product(parser) : parse_product(parser);
    for (;;) {
        if (accept(parser, "+"))
            sum += parse_product(parser);
        else if (accept(parser, "-"))
            sum -= parse_product(parser);
        else
            return sum;
    }
}

int64_t evaluate_dim(const struct vt_dim *dim, const struct binding *bindings, size_t n_bindings) {
    char text[8192];
    struct parser parser = {
        .at = vt_dim_format(dim, text, sizeof text), .bindings = bindings, .n_bindings = n_bindings};
    assert_non_null(dim);
    int64_t value = parse_sum(&parser);
    if (*parser.at) fail_msg("'%s' is left of '%s'", parser.at, text);
    return value;
}
