// SPDX-License-Identifier: Apache-2.0
// jemalloc's options, see jemalloc_settings.h. Tool world; pure, no state.
#include "runtime/allocators/jemalloc_settings.h"

#include <stdio.h>
#include <string.h>

enum option_kind { OPTION_DECAY, OPTION_BOOL, OPTION_COUNT, OPTION_WORD };

struct option {
    const char *name;
    enum option_kind kind;
};

// Printed always, with the version's default.
// The two decay times are the answer to "when does memory go back": dirty pages become muzzy (or
// go), muzzy ones go. Before 5.0 a ratio of dirty to active pages stood in their place.
static const struct option main_options[] = {
    {"dirty_decay_ms", OPTION_DECAY},
    {"muzzy_decay_ms", OPTION_DECAY},
    {"background_thread", OPTION_BOOL},
    {"narenas", OPTION_COUNT},
    {"retain", OPTION_BOOL},
    {"lg_dirty_mult", OPTION_DECAY},
};
// Printed where they are set: they change how much stays resident.
static const struct option other_options[] = {
    {"tcache", OPTION_BOOL},
    {"tcache_max", OPTION_COUNT},
    {"lg_tcache_max", OPTION_COUNT},
    {"percpu_arena", OPTION_WORD},
    {"thp", OPTION_WORD},
    {"metadata_thp", OPTION_WORD},
    {"oversize_threshold", OPTION_COUNT},
    {"hpa", OPTION_BOOL},
    {"dss", OPTION_WORD},
    {"prof", OPTION_BOOL},
    {"decay_time", OPTION_DECAY},
    {"purge", OPTION_WORD},
    {"zero", OPTION_BOOL},
    {"junk", OPTION_WORD},
};

// Would jemalloc take this value? What it does not take it leaves as it was.
// Source: the CONF_HANDLE_ macros of malloc_conf_init_helper(), src/jemalloc.c. A bad value is
// reported on stderr and skipped; reading goes on behind it.
static bool value_is_valid(enum option_kind kind, struct text value)
{
    int64_t number;
    bool flag;
    switch (kind) {
    case OPTION_DECAY:
        // -1: never, 0: at once.
        return setting_number(value, &number) && number >= -1;
    case OPTION_COUNT:
        return text_equals(value, "default") || (setting_number(value, &number) && number >= 0);
    case OPTION_BOOL:
        return setting_conf_bool(value, &flag);
    case OPTION_WORD:
        break;
    }
    return value.len > 0;
}

struct found_value {
    struct text value;
    const char *source; // NULL: not set
};

// The last valid setting of an option over all sources.
// Sources and pairs are few, so that each option reads all of them again rather than keep a table.
static struct found_value find_value(const struct option *option,
                                     const struct jemalloc_source *sources, size_t count)
{
    struct found_value found = {0};
    for (size_t i = 0; i < count; i++) {
        struct text rest = sources[i].text, key, value;
        bool malformed;
        while (conf_next_pair(&rest, &key, &value, &malformed))
            if (text_equals(key, option->name) && value_is_valid(option->kind, value))
                found = (struct found_value){value, sources[i].name};
    }
    return found;
}

// The default of that version, or NULL where the option does not exist or the version is not known.
static const char *default_value(const struct option *option, const struct setting_version *version)
{
    // "0.0.0" is a build outside of git, of any version.
    if (!version || version->major == 0)
        return NULL;
    // malloc_ncpus() << 2, unless there is one processor.
    if (strcmp(option->name, "narenas") == 0)
        return "4 per processor";
    if (strcmp(option->name, "lg_dirty_mult") == 0)
        return version->major < 5 ? (setting_version_from(version, 3, 2) ? "3" : "5") : NULL;
    if (version->major < 5)
        return NULL;
    if (strcmp(option->name, "dirty_decay_ms") == 0)
        return "10000";
    // This default is why RSS of the same program differs between jemalloc 5.1 and 5.2.
    if (strcmp(option->name, "muzzy_decay_ms") == 0)
        return setting_version_from(version, 5, 2) ? "0" : "10000";
    if (strcmp(option->name, "background_thread") == 0)
        return "false";
    return strcmp(option->name, "retain") == 0 ? "true" : NULL;
}

// What is set stands before the version's default; an unknown default is left out, not guessed.
static int add_option(struct runtime_report *report, const struct option *option,
                      const struct setting_version *version, const struct found_value *found)
{
    char value[96], source[96];
    const char *fallback = default_value(option, version);
    if (found->source) {
        text_copy(found->value, value, sizeof value);
        text_copy(text_of(found->source), source, sizeof source);
    } else if (fallback) {
        text_copy(text_of(fallback), value, sizeof value);
        snprintf(source, sizeof source, "default of %u.%u", version->major, version->minor);
    } else {
        return 0;
    }
    return report_add_setting(report, option->name, value, source);
}

// A string that jemalloc stops reading half way is a trap of its own: say so.
// A blank behind a comma is the common case: jemalloc says so on stderr, where nobody looks.
static int add_malformed(struct runtime_report *report, const struct jemalloc_source *source)
{
    struct text rest = source->text, key, value;
    bool malformed;
    while (conf_next_pair(&rest, &key, &value, &malformed))
        ;
    if (!malformed)
        return 0;
    char what[96];
    text_copy(rest, what, sizeof what);
    return report_add_setting(report, "not read by jemalloc", what, source->name);
}

// Before 5.0 there was no muzzy state: pages were given back at once.
// A muzzy page was purged with MADV_FREE where the kernel has it, and stays resident until its time
// is over or somebody needs it.
static void set_facts(struct runtime_report *report, const struct setting_version *version,
                      const struct found_value *found)
{
    int64_t muzzy_ms = 0;
    const char *fallback = default_value(&main_options[1], version);
    struct text value = found->source ? found->value : text_of(fallback ? fallback : "0");
    if (setting_number(value, &muzzy_ms) && muzzy_ms != 0 &&
        !(version && version->major > 0 && version->major < 5))
        report->facts |= FACT_JEMALLOC_MUZZY | FACT_GIVES_LAZILY;
}

// The order of the report is that of the tables, whatever the order in the strings.
int jemalloc_settings_add(struct runtime_report *report, const struct setting_version *version,
                          const struct jemalloc_source *sources, size_t count)
{
    int error = 0;
    for (size_t i = 0; i < sizeof main_options / sizeof main_options[0] && !error; i++) {
        struct found_value found = find_value(&main_options[i], sources, count);
        if (i == 1)
            set_facts(report, version, &found);
        error = add_option(report, &main_options[i], version, &found);
    }
    for (size_t i = 0; i < sizeof other_options / sizeof other_options[0] && !error; i++) {
        struct found_value found = find_value(&other_options[i], sources, count);
        if (found.source)
            error = add_option(report, &other_options[i], version, &found);
    }
    for (size_t i = 0; i < count && !error; i++)
        error = add_malformed(report, &sources[i]);
    return error;
}
