/* SPDX-License-Identifier: Apache-2.0 */
#include "config/nearest.h"

#include <limits.h>
#include <string.h>

/* Edit distance (Levenshtein 1966) of short words; longer ones count as far. */
static int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 32 };
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return INT_MAX;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[m];
}

bool vt_is_nearer(const char *typed, const char *candidate, int *best) {
    int distance = edit_distance(typed, candidate), allowed = strlen(candidate) > 5 ? 3 : 2;
    if (distance > allowed || distance >= *best || (size_t)distance >= strlen(candidate)) return false;
    *best = distance;
    return true;
}
