// SPDX-License-Identifier: Apache-2.0
// The lever that changes a running runtime's policy: Go's knobs by one aligned store, the settings
// of mallocs by a call in the target. Tool world; one thread, since calls are bound to it.
//
// What is changed lasts until the process ends; every change is read back, and the command that
// undoes it is in the report. A value that is not what it must be is never written over.
#ifndef EBB_LEVER_TUNE_TUNE_H
#define EBB_LEVER_TUNE_TUNE_H

#include "lever/lever.h"

enum { TUNE_SETTINGS_MAX = 16, TUNE_NAME_MAX = 64 };

enum tune_switch { TUNE_KEEP, TUNE_ON, TUNE_OFF };

struct tune_number {
    bool is_given;
    int64_t value;
};

// NAME=VALUE, as glibc, mimalloc and tcmalloc call them.
struct tune_setting {
    char name[TUNE_NAME_MAX];
    int64_t value;
};

struct tune_settings {
    struct tune_setting items[TUNE_SETTINGS_MAX];
    size_t count;
};

// What shall be changed; zeros: nothing.
struct tune_request {
    enum tune_switch madv_free;                        // Go, jemalloc, mimalloc, libebb
    struct tune_number gogc;                           // Go: percent, -1 off
    struct tune_number memory_limit;                   // Go: bytes, INT64_MAX off
    struct tune_number dirty_decay_ms, muzzy_decay_ms; // jemalloc: -1 never
    enum tune_switch background_thread;                // jemalloc
    struct tune_settings mallopt;                      // glibc
    struct tune_settings options;                      // mimalloc, tcmalloc
    unsigned policy;                                   // libebb: enum wire_policy
    uint32_t return_within_ms;                         // libebb: 0 as it is
    bool is_forced;                                    // although it makes the target slow
};

// The context of tune_lever, for one target. 0 with one that tune_free() frees; -ENOMEM.
struct tune;
int tune_new(const struct tune_request *request, struct tune **ret_tune);
void tune_free(struct tune *tune);
extern const struct lever tune_lever;

// The names that mallopt(3) knows, as GLIBC_TUNABLES writes them, NULL-terminated.
extern const char *const tune_mallopt_names[];
// The number that mallopt(3) gives to one, and whether it takes the value. 0; -ENOENT; -ERANGE.
// Pure.
int tune_mallopt_check(const struct tune_setting *setting, int *ret_parameter);

// One thing that could be tuned, and its present value.
struct tune_item {
    char option[48];  // "--gogc=N|off"
    char runtime[96]; // "Go 1.24.4"
    char value[96];   // "" unknown
    char source[96];  // where the value was read
    bool is_possible;
    char why[LEVER_WHAT_MAX], needs[LEVER_WHAT_MAX]; // why not, and what would help
};

struct tune_list {
    int pid;
    char name[64]; // comm; raw
    struct tune_item *items;
    size_t count, capacity;
};

// Reads what can be tuned, and changes nothing. 0 with a list that tune_list_free() frees; -errno
// as survey_take(); -ENOTSUP for a 32-bit program. Cost: as `ebb explain`.
int tune_list_read(struct process *process, struct tune_list *ret_list);
void tune_list_free(struct tune_list *list);

#endif
