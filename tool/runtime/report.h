// SPDX-License-Identifier: Apache-2.0
// What one runtime in a target says of itself, and which memory is its own. Tool world; pure data.
//
// A runtime here is whatever hands memory to the program: a language's runtime or a malloc. Its
// reader fills in a report; the account turns claims and parts into rows that sum to RSS. One
// report per runtime found.
#ifndef EBB_RUNTIME_REPORT_H
#define EBB_RUNTIME_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Rows of the account, in the order in which they are printed.
enum account_row {
    ROW_IN_USE,
    ROW_SLACK,
    ROW_KEPT,
    ROW_LAZY,
    ROW_METADATA,
    ROW_STACKS,
    ROW_CODE_FILES,
    ROW_SHARED,
    ROW_HELD, // memory of a runtime whose inside could not be read
    ROW_UNEXPLAINED,
    ROW_COUNT
};

// Resident memory that belongs to this runtime. A claim never reaches beyond one mapping: a reader
// that owns part of a mapping claims that part. Sizes come from runtime_add_claim().
struct runtime_claim {
    uint64_t start, end;
    uint64_t rss_bytes;   // resident in [start, end)
    uint64_t lazy_bytes;  // of which lazily freed
    uint64_t error_bytes; // of lazy_bytes, and so of what is not lazy
};

// Resident, not lazily freed bytes inside the claims, by row. What the parts leave of a runtime's
// claims goes to `rest_row`; parts that sum to more than is resident are cut there first, then in
// ROW_IN_USE, with the error said.
struct runtime_part {
    enum account_row row;
    uint64_t bytes;
    uint64_t error_bytes;
    const char *source; // static text: "mheap_.pages bitmaps x pagemap"
};

struct runtime_setting {
    char name[48]; // as users know it: "GOGC", "muzzy_decay_ms", "GODEBUG madvdontneed"
    char value[96];
    char source[96]; // "runtime.debug", "environment MALLOC_CONF", "default of 5.3"
};

enum figure_unit { FIGURE_BYTES, FIGURE_COUNT, FIGURE_NANOSECONDS, FIGURE_RATIO };

// One number from the runtime's ledger, under the runtime's own name ("HeapReleased", "uordblks").
struct runtime_figure {
    char name[32];
    enum figure_unit unit;
    uint64_t value; // bytes, count, nanoseconds
    double ratio;   // for FIGURE_RATIO
    uint64_t error; // how far it may be off, same unit; 0 exact
};

// Something that could not be read, and what would help. Renderers make a sentence of the two,
// "WHAT. What would help: NEEDS." or, where nothing helps, "WHAT. NEEDS.": so `needs` is a noun, or
// begins with "nothing" and may say why behind a colon.
struct runtime_unread {
    char what[240];  // "arena 3 of glibc"
    char needs[240]; // "ptrace read access: run as root or the target's user"
};

// What is known of the runtime's way to give memory back; drives verdict, traps and next steps.
enum runtime_fact {
    FACT_GO = 1 << 0,
    FACT_GIVES_LAZILY = 1 << 1,    // purges with MADV_FREE as it is set now
    FACT_GO_1_12_TO_1_15 = 1 << 2, // MADV_FREE is the default of this version
    FACT_RACE_DETECTOR = 1 << 3,
    FACT_JEMALLOC_MUZZY = 1 << 4, // muzzy_decay_ms is not 0
    FACT_MANY_ARENAS = 1 << 5,    // glibc: arenas but the main one have 16 MiB free and resident
    FACT_OPAQUE = 1 << 6,         // found and named, its inside cannot be read
    FACT_MANAGED = 1 << 7,        // JVM, V8, CPython, .NET
    FACT_ASK = 1 << 8,            // a call in the target could tell more
    FACT_GROUND = 1 << 9,         // no runtime: what kernel and ELF files tell (.bss, stacks)
};

struct runtime_report {
    char name[32];    // "Go", "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", "JVM", "V8",
                      // "CPython", ".NET", "libebb"
    char version[64]; // "1.24.4", "" unknown
    char place[160];  // where it was found: a path, escaped by renderers
    char method[64];  // how its ledger was found; "" where there is but one way, or none was read
    uint32_t facts;   // enum runtime_fact
    enum account_row
        rest_row;     // ROW_UNEXPLAINED, ROW_HELD or ROW_IN_USE: where the rest of the claims goes
    bool approximate; // the ledger did not stand still while it was read
    struct runtime_claim *claims;
    size_t claim_count, claim_capacity;
    struct runtime_part *parts;
    size_t part_count, part_capacity;
    struct runtime_setting *settings;
    size_t setting_count, setting_capacity;
    struct runtime_figure *figures;
    size_t figure_count, figure_capacity;
    struct runtime_unread *unread;
    size_t unread_count, unread_capacity;
};

void runtime_report_free(struct runtime_report *report);

// All of these copy their arguments and return 0 or -ENOMEM. Overlong text is cut.
int report_add_part(struct runtime_report *report, enum account_row row, uint64_t bytes,
                    uint64_t error_bytes, const char *static_source);
int report_add_setting(struct runtime_report *report, const char *name, const char *value,
                       const char *source);
int report_add_bytes(struct runtime_report *report, const char *name, uint64_t bytes);
int report_add_count(struct runtime_report *report, const char *name, uint64_t count);
int report_add_figure(struct runtime_report *report, const char *name, enum figure_unit unit,
                      uint64_t value, uint64_t error);
int report_add_ratio(struct runtime_report *report, const char *name, double ratio);
int report_add_unread(struct runtime_report *report, const char *what, const char *needs);

// The figure with this name, or NULL. Borrowed: the next figure added may move it.
const struct runtime_figure *report_figure(const struct runtime_report *report, const char *name);

#endif
