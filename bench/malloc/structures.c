// SPDX-License-Identifier: Apache-2.0
// Data structures of one thread: numbers of many digits, strings, trees.
//
//   bench_malloc_structures numbers|strings|trees [PERCENT]
#include "bench.h"

// A number of `length` digits of 32 bits, the lowest first; never changed once made.
struct number {
    uint32_t length;
    uint32_t digits[];
};

static struct number *number_new(uint32_t length)
{
    struct number *number = malloc(sizeof *number + length * sizeof *number->digits);
    number->length = length;
    memset(number->digits, 0, length * sizeof *number->digits);
    return number;
}

static struct number *number_multiply(const struct number *a, const struct number *b)
{
    struct number *product = number_new(a->length + b->length);
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < b->length; k++) {
            carry += (uint64_t)a->digits[i] * b->digits[k] + product->digits[i + k];
            product->digits[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digits[i + b->length] = (uint32_t)carry;
    }
    return product;
}

static struct number *number_add(const struct number *a, const struct number *b)
{
    uint32_t length = a->length > b->length ? a->length : b->length;
    struct number *sum = number_new(length + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i <= length; i++) {
        carry += (i < a->length ? a->digits[i] : 0) + (uint64_t)(i < b->length ? b->digits[i] : 0);
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return sum;
}

static struct number *number_part(const struct number *whole, uint32_t from, uint32_t length)
{
    uint32_t left = whole->length > from ? whole->length - from : 0;
    struct number *part = number_new(left < length ? left : length);
    memcpy(part->digits, whole->digits + from, part->length * sizeof *part->digits);
    return part;
}

// Modulo 2^160 - 47, at most one above: high * 2^160 + low is high * 47 + low. Ends `whole`.
static struct number *number_reduce(struct number *whole, const struct number *excess)
{
    while (whole->length > 5 && whole->digits[whole->length - 1] == 0)
        whole->length--;
    while (whole->length > 5) {
        struct number *low = number_part(whole, 0, 5);
        struct number *high = number_part(whole, 5, whole->length);
        struct number *folded = number_multiply(high, excess);
        free(whole);
        whole = number_add(low, folded);
        free(low);
        free(high);
        free(folded);
        while (whole->length > 5 && whole->digits[whole->length - 1] == 0)
            whole->length--;
    }
    return whole;
}

// The walk of a factorisation, x = x * x + c, in the manner of cfrac: a dozen short-lived numbers a
// step, one in sixteen kept for long.
static void run_numbers(long percent)
{
    enum { KEPT = 4096 };
    static struct number *kept[KEPT];
    struct number *excess = number_new(1), *constant = number_new(1), *x = number_new(1);
    excess->digits[0] = 47;
    constant->digits[0] = 3;
    x->digits[0] = 2;
    for (long step = 0; step < 10000 * percent; step++) {
        struct number *square = number_multiply(x, x);
        struct number *sum = number_add(square, constant);
        free(square);
        if (step % 16 == 0) {
            struct number **old = &kept[step / 16 % KEPT];
            free(*old);
            *old = x;
        } else {
            free(x);
        }
        x = number_reduce(sum, excess);
    }
    for (int i = 0; i < KEPT; i++)
        free(kept[i]);
    free(excess);
    free(constant);
    free(x);
}

#define BUCKETS 16384

struct entry {
    struct entry *next;
    char *word;
    long count;
};

static char *word_random(uint64_t *random)
{
    char text[32];
    size_t length = 2 + random_below(random, 4) + random_below(random, 12);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + random_below(random, i < 3 ? 26 : 4));
    text[length] = '\0';
    return strdup(text);
}

// A line of words, grown by concatenation.
static char *line_random(uint64_t *random)
{
    size_t length = 0, count = 4 + random_below(random, 24);
    char *line = calloc(1, 1);
    for (size_t i = 0; i < count; i++) {
        char *word = word_random(random);
        size_t more = strlen(word);
        line = realloc(line, length + more + 2);
        memcpy(line + length, word, more);
        memcpy(line + length + more, " ", 2);
        length += more + 1;
        free(word);
    }
    return line;
}

// Counts a word; takes it over.
static void table_count(struct entry **table, char *word)
{
    size_t hash = 5381;
    for (char *at = word; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    struct entry **place = &table[hash % BUCKETS];
    for (struct entry *entry = *place; entry; entry = entry->next)
        if (strcmp(entry->word, word) == 0) {
            entry->count++;
            free(word);
            return;
        }
    struct entry *entry = malloc(sizeof *entry);
    *entry = (struct entry){*place, word, 1};
    *place = entry;
}

static void table_empty(struct entry **table)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (table[i]) {
            struct entry *entry = table[i];
            table[i] = entry->next;
            free(entry->word);
            free(entry);
        }
}

// Lines are built, cut into words again, and the words counted; the table is dropped now and then.
static void run_strings(long percent)
{
    static struct entry *table[BUCKETS];
    uint64_t random = SEED;
    for (long number = 0; number < 800 * percent; number++) {
        char *line = line_random(&random);
        for (char *from = line, *to; (to = strchr(from, ' ')) != NULL; from = to + 1)
            table_count(table, strndup(from, (size_t)(to - from)));
        free(line);
        if (number % 5000 == 4999)
            table_empty(table);
    }
    table_empty(table);
}

struct tree {
    struct tree *left, *right;
};

static struct tree *tree_grow(int depth)
{
    struct tree *tree = malloc(sizeof *tree);
    tree->left = depth > 0 ? tree_grow(depth - 1) : NULL;
    tree->right = depth > 0 ? tree_grow(depth - 1) : NULL;
    return tree;
}

static long tree_count(const struct tree *tree)
{
    return tree->left ? 1 + tree_count(tree->left) + tree_count(tree->right) : 1;
}

static void tree_fell(struct tree *tree)
{
    if (tree->left) {
        tree_fell(tree->left);
        tree_fell(tree->right);
    }
    free(tree);
}

// The binary trees of the Benchmarks Game, depth 16: one that lives on, many that do not.
static void run_trees(long percent)
{
    enum { LEAST = 4, MOST = 16 };
    struct tree *lasting = tree_grow(MOST);
    for (int depth = LEAST; depth <= MOST; depth += 2)
        for (long i = 0; i < (percent << (MOST - depth + LEAST)) / 100; i++) {
            struct tree *tree = tree_grow(depth);
            if (tree_count(tree) != (2L << depth) - 1)
                fail("a tree has lost nodes");
            tree_fell(tree);
        }
    if (tree_count(lasting) != (2L << MOST) - 1)
        fail("the lasting tree has lost nodes");
    tree_fell(lasting);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"numbers", run_numbers}, {"strings", run_strings}, {"trees", run_trees}};
    return bench_main(argc, argv, modes, sizeof modes / sizeof *modes);
}
