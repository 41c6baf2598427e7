// SPDX-License-Identifier: Apache-2.0
// What a mistyped word was probably meant to be. Tool world; pure, no state.
//
// Only ever a proposal: what was typed is refused all the same. A command line that means something
// else after an update of ebb would be worse than one that fails.
#include "cmd/options.h"

#include <string.h>

enum { WORD_MAX = 32 };

// Of two counts of slips.
static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Edit distance where swapping two neighbours counts as one slip (optimal string alignment).
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    // Three rows of the table are enough: a swap looks back two.
    size_t rows[3][WORD_MAX + 1];
    // From nothing to the first j letters takes j slips.
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    // Row i: from the first i letters of `a` to each beginning of `b`.
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *last = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            // Change a letter, drop or add one, or swap two: whatever costs least.
            size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = smaller(change, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

// The first of the nearest wins: tables list the frequent words first.
const char *options_nearest(const char *typed, const char *const *words)
{
    const char *best = NULL;
    size_t len = strlen(typed);
    // One slip for every three letters: more is another word.
    size_t best_distance = len / 3 + 1;
    if (len < 2 || len > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t word_len = strlen(*words);
        if (word_len > WORD_MAX)
            continue;
        // A beginning of three letters or more is meant as an abbreviation.
        bool begins = len >= 3 && strncmp(*words, typed, len) == 0;
        size_t slips = begins ? 0 : distance(typed, len, *words, word_len);
        if (slips < best_distance) {
            best = *words;
            best_distance = slips;
        }
    }
    return best;
}
