/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/dim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

/* Past these an expression becomes "unknown": they bound the cost of every operation, whatever a model asks for. */
#define MAX_TERMS 16
#define MAX_FACTORS 8
#define MAX_WEIGHT 256
#define MAX_DIVISION_STEPS 32

/* A symbol, or floor(numerator / denominator). */
struct atom {
    const char *symbol;
    const struct vt_dim *numerator, *denominator;
};

/* coefficient * product of factors; the factors are sorted, none for a constant. */
struct term {
    int64_t coefficient;
    size_t n_factors;
    const struct atom *const *factors;
};

/* Terms are sorted by compare_monomials, their monomials differ, no coefficient is 0. No terms: the number 0. */
struct vt_dim {
    size_t n_terms;
    size_t weight; /* nodes of the expression written out as a tree */
    struct term terms[];
};

/* A sum under construction. */
struct sum {
    struct term terms[MAX_TERMS];
    size_t n_terms;
    bool failed;
};

static int compare_dims(const struct vt_dim *a, const struct vt_dim *b);

static int compare_atoms(const struct atom *a, const struct atom *b) {
    if (a == b) return 0;
    if (a->symbol && b->symbol) return strcmp(a->symbol, b->symbol);
    if (a->symbol || b->symbol) return a->symbol ? -1 : 1;
    int order = compare_dims(a->numerator, b->numerator);
    return order ? order : compare_dims(a->denominator, b->denominator);
}

/* Higher degrees first, so that the constant is the last term. */
static int compare_monomials(const struct term *a, const struct term *b) {
    if (a->n_factors != b->n_factors) return a->n_factors > b->n_factors ? -1 : 1;
    for (size_t i = 0; i < a->n_factors; ++i) {
        int order = compare_atoms(a->factors[i], b->factors[i]);
        if (order) return order;
    }
    return 0;
}

static int compare_dims(const struct vt_dim *a, const struct vt_dim *b) {
    if (a == b) return 0;
    if (a->n_terms != b->n_terms) return a->n_terms < b->n_terms ? -1 : 1;
    for (size_t i = 0; i < a->n_terms; ++i) {
        int order = compare_monomials(&a->terms[i], &b->terms[i]);
        if (order) return order;
        if (a->terms[i].coefficient != b->terms[i].coefficient)
            return a->terms[i].coefficient < b->terms[i].coefficient ? -1 : 1;
    }
    return 0;
}

static void sum_add_term(struct sum *sum, struct term term) {
    if (sum->failed || !term.coefficient) return;
    size_t at = 0;
    int order = -1;
    while (at < sum->n_terms && (order = compare_monomials(&sum->terms[at], &term)) < 0) ++at;
    if (at < sum->n_terms && order == 0) {
        int64_t *coefficient = &sum->terms[at].coefficient;
        if (!vt_add_i64(*coefficient, term.coefficient, coefficient)) sum->failed = true;
        if (*coefficient) return;
        --sum->n_terms;
        memmove(&sum->terms[at], &sum->terms[at + 1], (sum->n_terms - at) * sizeof sum->terms[0]);
        return;
    }
    if (sum->n_terms == MAX_TERMS) {
        sum->failed = true;
        return;
    }
    memmove(&sum->terms[at + 1], &sum->terms[at], (sum->n_terms - at) * sizeof sum->terms[0]);
    sum->terms[at] = term;
    ++sum->n_terms;
}

static void sum_add_constant(struct sum *sum, int64_t value) { sum_add_term(sum, (struct term){.coefficient = value}); }

/* sum += scale * dim */
static void sum_add_scaled(struct sum *sum, const struct vt_dim *dim, int64_t scale) {
    for (size_t i = 0; i < dim->n_terms; ++i) {
        struct term term = dim->terms[i];
        if (!vt_mul_i64(term.coefficient, scale, &term.coefficient)) sum->failed = true;
        sum_add_term(sum, term);
    }
}

static size_t atom_weight(const struct atom *atom) {
    return atom->symbol ? 1 : 1 + atom->numerator->weight + atom->denominator->weight;
}

static const struct vt_dim *sum_finish(struct vt_arena *arena, const struct sum *sum) {
    if (sum->failed) return NULL;
    size_t weight = 1;
    for (size_t i = 0; i < sum->n_terms; ++i) {
        ++weight;
        for (size_t k = 0; k < sum->terms[i].n_factors; ++k) weight += atom_weight(sum->terms[i].factors[k]);
    }
    if (weight > MAX_WEIGHT) return NULL;
    struct vt_dim *dim = vt_arena_alloc(arena, sizeof *dim + sum->n_terms * sizeof sum->terms[0]);
    if (!dim) return NULL;
    dim->n_terms = sum->n_terms;
    dim->weight = weight;
    memcpy(dim->terms, sum->terms, sum->n_terms * sizeof sum->terms[0]);
    return dim;
}

/* The product of two monomials; n_factors beyond MAX_FACTORS or no memory: false. */
static bool multiply_terms(struct vt_arena *arena, const struct term *a, const struct term *b, struct term *out) {
    size_t n = a->n_factors + b->n_factors;
    if (n > MAX_FACTORS || !vt_mul_i64(a->coefficient, b->coefficient, &out->coefficient)) return false;
    out->n_factors = n;
    out->factors = a->n_factors ? a->factors : b->factors;
    if (!a->n_factors || !b->n_factors) return true;
    const struct atom **factors = vt_arena_alloc_array(arena, n, sizeof *factors);
    if (!factors) return false;
    for (size_t i = 0, j = 0, k = 0; k < n; ++k) {
        bool from_a = j == b->n_factors || (i < a->n_factors && compare_atoms(a->factors[i], b->factors[j]) <= 0);
        factors[k] = from_a ? a->factors[i++] : b->factors[j++];
    }
    out->factors = factors;
    return true;
}

/* a / b when that is a monomial with an integer coefficient. */
static bool divide_terms(struct vt_arena *arena, const struct term *a, const struct term *b, struct term *out) {
    if (b->n_factors > a->n_factors || (b->coefficient == -1 && a->coefficient == INT64_MIN)) return false;
    if (a->coefficient % b->coefficient) return false;
    const struct atom *rest[MAX_FACTORS];
    size_t n = 0, j = 0;
    for (size_t i = 0; i < a->n_factors; ++i) {
        if (j < b->n_factors && compare_atoms(a->factors[i], b->factors[j]) == 0)
            ++j;
        else
            rest[n++] = a->factors[i];
    }
    if (j != b->n_factors) return false;
    *out = (struct term){.coefficient = a->coefficient / b->coefficient, .n_factors = n};
    if (!n) return true;
    const struct atom **factors = vt_arena_alloc_array(arena, n, sizeof *factors);
    if (!factors) return false;
    memcpy(factors, rest, n * sizeof *factors);
    out->factors = factors;
    return true;
}

const struct vt_dim *vt_dim_constant(struct vt_arena *arena, int64_t value) {
    struct sum sum = {0};
    sum_add_constant(&sum, value);
    return sum_finish(arena, &sum);
}

static const struct vt_dim *dim_of_atom(struct vt_arena *arena, struct atom content) {
    struct atom *atom = vt_arena_alloc(arena, sizeof *atom);
    const struct atom **factors = vt_arena_alloc(arena, sizeof *factors);
    if (!atom || !factors) return NULL;
    *atom = content;
    factors[0] = atom;
    struct sum sum = {0};
    sum_add_term(&sum, (struct term){.coefficient = 1, .n_factors = 1, .factors = factors});
    return sum_finish(arena, &sum);
}

const struct vt_dim *vt_dim_symbol(struct vt_arena *arena, const char *name) {
    char *copy = vt_arena_strdup(arena, name);
    return copy ? dim_of_atom(arena, (struct atom){.symbol = copy}) : NULL;
}

const struct vt_dim *vt_dim_add(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    if (!a || !b) return NULL;
    struct sum sum = {0};
    sum_add_scaled(&sum, a, 1);
    sum_add_scaled(&sum, b, 1);
    return sum_finish(arena, &sum);
}

const struct vt_dim *vt_dim_sub(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    if (!a || !b) return NULL;
    struct sum sum = {0};
    sum_add_scaled(&sum, a, 1);
    sum_add_scaled(&sum, b, -1);
    return sum_finish(arena, &sum);
}

const struct vt_dim *vt_dim_mul(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    if (!a || !b) return NULL;
    struct sum sum = {0};
    for (size_t i = 0; i < a->n_terms && !sum.failed; ++i) {
        for (size_t j = 0; j < b->n_terms; ++j) {
            struct term product;
            if (!multiply_terms(arena, &a->terms[i], &b->terms[j], &product)) return NULL;
            sum_add_term(&sum, product);
        }
    }
    return sum_finish(arena, &sum);
}

/* Polynomial long division; NULL unless it comes out even. */
static const struct vt_dim *divide_exactly(
    struct vt_arena *arena, const struct vt_dim *dividend, const struct vt_dim *divisor) {
    struct sum rest = {0}, quotient = {0};
    sum_add_scaled(&rest, dividend, 1);
    for (int step = 0; step < MAX_DIVISION_STEPS && rest.n_terms && !rest.failed; ++step) {
        struct term part;
        if (!divide_terms(arena, &rest.terms[0], &divisor->terms[0], &part)) return NULL;
        sum_add_term(&quotient, part);
        for (size_t i = 0; i < divisor->n_terms; ++i) {
            struct term product;
            if (!multiply_terms(arena, &part, &divisor->terms[i], &product)) return NULL;
            if (!vt_mul_i64(product.coefficient, -1, &product.coefficient)) return NULL;
            sum_add_term(&rest, product);
        }
    }
    if (rest.n_terms || rest.failed) return NULL;
    return sum_finish(arena, &quotient);
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool is_constant_term(const struct term *term) { return term->n_factors == 0; }

/* The index of the only term with a floor division if it is 1 * floor(n/d) with a constant d; else n_terms. */
static size_t find_nested_division(const struct sum *sum, int64_t *divisor) {
    size_t found = sum->n_terms;
    for (size_t i = 0; i < sum->n_terms; ++i) {
        const struct term *term = &sum->terms[i];
        for (size_t k = 0; k < term->n_factors; ++k) {
            if (term->factors[k]->symbol) continue;
            if (found != sum->n_terms || term->n_factors != 1 || term->coefficient != 1) return sum->n_terms;
            if (!vt_dim_is_constant(term->factors[k]->denominator, divisor)) return sum->n_terms;
            found = i;
        }
    }
    return found;
}

/* Divides out what all coefficients and the divisor share: floor((g x + c)/(g d)) = floor((x + floor(c/g))/d). */
static void cancel_common_factor(struct sum *numerator, int64_t *divisor) {
    int64_t common = *divisor;
    for (size_t i = 0; i < numerator->n_terms; ++i)
        if (!is_constant_term(&numerator->terms[i]))
            common = greatest_common_divisor(common, numerator->terms[i].coefficient);
    if (common == 1) return;
    struct sum reduced = {0};
    for (size_t i = 0; i < numerator->n_terms; ++i) {
        struct term term = numerator->terms[i];
        term.coefficient /= common;
        sum_add_term(&reduced, term);
    }
    *numerator = reduced;
    *divisor /= common;
}

/*
 * floor(dim / divisor) for divisor > 0 in normal form. Multiples of the divisor leave the floor, so that the remaining
 * coefficients lie in (0, divisor); floor((n + floor(m/d))/divisor) = floor((d n + m)/(d divisor)) flattens chains of
 * strided layers. Each level of recursion consumes one nested floor.
 */
static const struct vt_dim *divide_by_constant(struct vt_arena *arena, const struct vt_dim *dim, int64_t divisor) {
    struct sum whole = {0}, rest = {0};
    bool rest_is_constant = true;
    for (size_t i = 0; i < dim->n_terms; ++i) {
        struct term term = dim->terms[i];
        int64_t remainder = term.coefficient % divisor;
        if (remainder < 0) remainder += divisor;
        struct term multiple = term;
        /* Not (coefficient - remainder) / divisor, which can overflow. */
        multiple.coefficient = term.coefficient / divisor - (term.coefficient % divisor < 0);
        term.coefficient = remainder;
        sum_add_term(&whole, multiple);
        sum_add_term(&rest, term);
        rest_is_constant = rest_is_constant && (!remainder || is_constant_term(&term));
    }
    const struct vt_dim *outside = sum_finish(arena, &whole);
    if (rest_is_constant || !outside) return outside;

    int64_t inner_divisor = 0;
    size_t nested = find_nested_division(&rest, &inner_divisor);
    const struct vt_dim *inside;
    if (nested < rest.n_terms && inner_divisor > 0) {
        int64_t product;
        if (!vt_mul_i64(divisor, inner_divisor, &product)) return NULL;
        const struct vt_dim *inner = rest.terms[nested].factors[0]->numerator;
        struct sum flat = {0};
        sum_add_scaled(&flat, inner, 1);
        for (size_t i = 0; i < rest.n_terms; ++i) {
            struct term term = rest.terms[i];
            if (i == nested) continue;
            if (!vt_mul_i64(term.coefficient, inner_divisor, &term.coefficient)) return NULL;
            sum_add_term(&flat, term);
        }
        const struct vt_dim *numerator = sum_finish(arena, &flat);
        inside = numerator ? divide_by_constant(arena, numerator, product) : NULL;
    } else {
        cancel_common_factor(&rest, &divisor);
        const struct vt_dim *numerator = sum_finish(arena, &rest);
        const struct vt_dim *denominator = vt_dim_constant(arena, divisor);
        if (!numerator || !denominator) return NULL;
        inside = dim_of_atom(arena, (struct atom){.numerator = numerator, .denominator = denominator});
    }
    return vt_dim_add(arena, outside, inside);
}

const struct vt_dim *vt_dim_floor_div(struct vt_arena *arena, const struct vt_dim *a, const struct vt_dim *b) {
    if (!a || !b || !b->n_terms) return NULL;
    const struct vt_dim *exact = divide_exactly(arena, a, b);
    if (exact) return exact;
    int64_t divisor;
    if (!vt_dim_is_constant(b, &divisor)) return dim_of_atom(arena, (struct atom){.numerator = a, .denominator = b});
    if (divisor > 0) return divide_by_constant(arena, a, divisor);
    struct sum negated = {0};
    sum_add_scaled(&negated, a, -1);
    const struct vt_dim *dividend = sum_finish(arena, &negated);
    if (!dividend || divisor == INT64_MIN) return NULL;
    return divide_by_constant(arena, dividend, -divisor);
}

bool vt_dim_equal(const struct vt_dim *a, const struct vt_dim *b) { return a && b && compare_dims(a, b) == 0; }

bool vt_dim_is_constant(const struct vt_dim *dim, int64_t *value) {
    if (!dim || dim->n_terms > 1 || (dim->n_terms == 1 && !is_constant_term(&dim->terms[0]))) return false;
    if (value) *value = dim->n_terms ? dim->terms[0].coefficient : 0;
    return true;
}

const char *vt_dim_symbol_name(const struct vt_dim *dim) {
    if (!dim || dim->n_terms != 1 || dim->terms[0].coefficient != 1 || dim->terms[0].n_factors != 1) return NULL;
    return dim->terms[0].factors[0]->symbol;
}

static bool atom_lower_bound(const struct atom *atom, int64_t *bound) {
    *bound = 1;
    if (atom->symbol) return true;
    int64_t numerator, denominator;
    if (!vt_dim_lower_bound(atom->numerator, &numerator) || numerator < 0) return false;
    if (vt_dim_is_constant(atom->denominator, &denominator)) {
        *bound = denominator > 0 ? numerator / denominator : 0;
        return denominator > 0;
    }
    *bound = 0;
    return vt_dim_lower_bound(atom->denominator, &denominator) && denominator > 0;
}

bool vt_dim_lower_bound(const struct vt_dim *dim, int64_t *bound) {
    if (!dim) return false;
    int64_t total = 0;
    for (size_t i = 0; i < dim->n_terms; ++i) {
        const struct term *term = &dim->terms[i];
        int64_t least = term->coefficient;
        if (term->n_factors && least < 0) return false;
        for (size_t k = 0; k < term->n_factors; ++k) {
            int64_t factor;
            if (!atom_lower_bound(term->factors[k], &factor) || factor < 0) return false;
            if (!vt_mul_i64(least, factor, &least)) return false;
        }
        if (!vt_add_i64(total, least, &total)) return false;
    }
    *bound = total;
    return true;
}

/* Text that is cut where the room ends. */
struct writer {
    char *text;
    size_t size, length;
};

static void __attribute__((format(printf, 2, 3))) put(struct writer *writer, const char *format, ...) {
    if (writer->length + 1 >= writer->size) return;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(writer->text + writer->length, writer->size - writer->length, format, arguments);
    va_end(arguments);
    if (written > 0) writer->length += (size_t)written;
    if (writer->length >= writer->size) writer->length = writer->size - 1;
}

static void put_dim(struct writer *writer, const struct vt_dim *dim);

static void put_atom(struct writer *writer, const struct atom *atom) {
    if (atom->symbol) {
        put(writer, "%s", atom->symbol);
        return;
    }
    bool sum_above = atom->numerator->n_terms > 1;
    bool product_below = atom->denominator->n_terms > 1 || !vt_dim_is_constant(atom->denominator, NULL);
    put(writer, sum_above ? "floor((" : "floor(");
    put_dim(writer, atom->numerator);
    put(writer, sum_above ? ")/" : "/");
    if (product_below) put(writer, "(");
    put_dim(writer, atom->denominator);
    put(writer, product_below ? "))" : ")");
}

static void put_dim(struct writer *writer, const struct vt_dim *dim) {
    if (!dim->n_terms) put(writer, "0");
    for (size_t i = 0; i < dim->n_terms; ++i) {
        const struct term *term = &dim->terms[i];
        uint64_t magnitude = term->coefficient < 0 ? 0 - (uint64_t)term->coefficient : (uint64_t)term->coefficient;
        const char *minus = i ? " - " : "-", *plus = i ? " + " : "";
        put(writer, "%s", term->coefficient < 0 ? minus : plus);
        bool show_number = magnitude != 1 || !term->n_factors;
        if (show_number) put(writer, "%" PRIu64, magnitude);
        for (size_t k = 0; k < term->n_factors; ++k) {
            if (k || show_number) put(writer, "*");
            put_atom(writer, term->factors[k]);
        }
    }
}

char *vt_dim_format(const struct vt_dim *dim, char *text, size_t size) {
    if (!size) return text;
    struct writer writer = {.text = text, .size = size};
    text[0] = '\0';
    if (dim)
        put_dim(&writer, dim);
    else
        put(&writer, "?");
    return text;
}
