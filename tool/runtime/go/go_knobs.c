// SPDX-License-Identifier: Apache-2.0
// Settings of a Go runtime, see go_knobs.h. Tool world; no state.
#include "runtime/go/go_knobs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/go/go_advise.h"
#include "runtime/target.h"

// A name may stand in other texts as well: so many of them are tried.
enum { OCCURRENCES_MAX = 32, KNOB_VALUE_MAX = 1000, KNOB_NAME_MAX = 32 };

// The pair (pointer, length) in the file, for images whose words need no relocation. Only without
// sections is more than the data searched.
static int pair_in_file(const struct image *image, uint64_t string, uint64_t len,
                        uint64_t *ret_entry)
{
    static const char *const sections[] = {".data", ".noptrdata"};
    const uint64_t pair[2] = {string, len};
    uint64_t linked;
    int error = -ENOENT;
    for (size_t i = 0; i < sizeof sections / sizeof sections[0] && error; i++) {
        if (image_section(image, sections[i]))
            error = image_find_bytes(image, sections[i], pair, sizeof pair, 0, &linked);
    }
    if (error && image->section_count == 0)
        error = image_find_bytes(image, NULL, pair, sizeof pair, 0, &linked);
    if (!error)
        *ret_entry = linked;
    return error;
}

// The same in the writable mappings of a relocated image.
static int pair_in_memory(const struct target *target, const struct image *image, uint64_t string,
                          uint64_t len, uint64_t *ret_entry)
{
    enum { STEP_BYTES = 4096, WORDS = STEP_BYTES / 8 };
    // A relocated image's pairs hold run-time addresses, which the file does not know.
    const struct mappings *mappings = target->mappings;
    for (size_t i = mappings_lower_bound(mappings, image->low); i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (mapping->start >= image->high)
            break;
        // A limit, since every word is looked at.
        if (!(mapping->flags & MAPPING_WRITE) || mapping->end - mapping->start > (64u << 20))
            continue;
        for (uint64_t at = mapping->start; at + STEP_BYTES <= mapping->end; at += STEP_BYTES) {
            uint64_t words[WORDS];
            // Pages that are not in memory are passed over: none is brought in.
            if (process_peek(target->process, at, words, sizeof words) != 0)
                continue;
            for (size_t k = 0; k < WORDS; k++) {
                uint64_t pair[2];
                if (words[k] == string &&
                    process_peek(target->process, at + k * 8, pair, sizeof pair) == 0 &&
                    pair[1] == len) {
                    *ret_entry = at + k * 8;
                    return 0;
                }
            }
        }
    }
    return -ENOENT;
}

// Name, length and address again, since an entry may come from an earlier reading.
int go_knob_of_entry(const struct target *target, const struct image *image, const char *name,
                     uint64_t entry, uint64_t *ret_address)
{
    // The pair and the pointer behind it: {name, length, address of the value}.
    uint64_t words[3];
    char text[KNOB_NAME_MAX];
    size_t len = strlen(name);
    int error = image->bias == 0 ? image_read(image, entry, words, sizeof words)
                                 : process_peek(target->process, entry, words, sizeof words);
    if (error)
        return error;
    if (len > sizeof text || words[1] != len ||
        image_read(image, words[0] - image->bias, text, len) != 0 || memcmp(text, name, len) != 0)
        return -ENOENT;
    // An int32 of the image, or it was another pair.
    if (words[2] % 4 != 0 || words[2] < image->low || words[2] >= image->high)
        return -ENOENT;
    *ret_address = words[2];
    return 0;
}

// The name may stand in other texts too; only dbgvars points to it together with its length.
int go_knob_find(const struct target *target, const struct image *image, const char *name,
                 uint64_t *ret_entry)
{
    size_t len = strlen(name);
    uint64_t from = 0, linked;
    const char *section = image->section_count ? ".rodata" : NULL;
    for (unsigned i = 0; i < OCCURRENCES_MAX; i++) {
        int error = image_find_bytes(image, section, name, len, from, &linked);
        if (error)
            return error;
        from = linked + 1;
        uint64_t entry, address;
        error = image->bias == 0 ? pair_in_file(image, linked, len, &entry)
                                 : pair_in_memory(target, image, linked + image->bias, len, &entry);
        if (!error)
            error = go_knob_of_entry(target, image, name, entry, &address);
        if (!error) {
            *ret_entry = entry;
            return 0;
        }
    }
    return -ENOENT;
}

// The value of one knob, by the struct's offsets or by its name.
static int knob_read(const struct target *target, const struct image *image,
                     const struct go_runtime *runtime, const char *name, enum go_field_id id,
                     int32_t *ret_value)
{
    uint64_t address = id < GO_FIELD_COUNT ? go_field_address(runtime, id) : 0, entry;
    // GO_FIELD_COUNT stands for a knob without a place in the table.
    bool is_known = address != 0;
    // What was found of an image before saves a search through all of its constants.
    if (!is_known && id == GO_DEBUG_MADVDONTNEED && runtime->knob_entry)
        is_known = go_knob_of_entry(target, image, name, runtime->knob_entry, &address) == 0;
    if (!is_known) {
        int error = go_knob_find(target, image, name, &entry);
        if (!error)
            error = go_knob_of_entry(target, image, name, entry, &address);
        if (error)
            return error;
    }
    int32_t value;
    int error = go_memory_read(&runtime->memory, address, &value, sizeof value);
    if (error)
        return error;
    // GODEBUG's knobs are small numbers: anything else was not a knob.
    if (value < -1 || value > KNOB_VALUE_MAX)
        return -EBADMSG;
    *ret_value = value;
    return 0;
}

// What GODEBUG in the environment says of a knob; false when it is not there.
static bool knob_in_environment(const struct target *target, const char *name, int32_t *ret_value)
{
    // As parsegodebug() reads it, which knows no blanks.
    struct text list, item;
    if (!proc_environ_find(target->environ_text, "GODEBUG", &list))
        return false;
    bool found = false;
    while (text_next_field(&list, ',', &item)) {
        int64_t value;
        // The last one wins.
        if (text_take_prefix(&item, name) && text_take_prefix(&item, "=") &&
            text_take_i64(&item, &value) && value >= INT32_MIN && value <= INT32_MAX) {
            *ret_value = (int32_t)value;
            found = true;
        }
    }
    return found;
}

// Values are text in a report, as users write them in the environment.
static int add_number(struct runtime_report *report, const char *name, int64_t value,
                      const char *source)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return report_add_setting(report, name, text, source);
}

// Without madvdontneed the advice decides, where somebody may have changed it: the kernel's refusal
// or `ebb tune`, from 1.26 on. A failure to find it means that nobody changed it.
static bool advises_at_once(const struct target *target, const struct image *image,
                            const struct go_runtime *runtime)
{
    // Cheap ways first: only from 1.26 on does the advice change what the knob says.
    uint64_t entry, knob, address;
    uint32_t advice;
    return runtime->version.minor >= GO_MINOR_KNOWS_ZERO &&
           go_knob_find(target, image, "madvdontneed", &entry) == 0 &&
           go_knob_of_entry(target, image, "madvdontneed", entry, &knob) == 0 &&
           go_advise_find(target, image, knob, &address) == 0 &&
           process_peek_u32(target->process, address, &advice) == 0 && advice == GO_ADVISE_DONTNEED;
}

// As it is in force: it may have been changed since the start, which the environment does not
// show.
static int report_madvdontneed(const struct target *target, const struct image *image,
                               const struct go_runtime *runtime, struct runtime_report *report)
{
    unsigned minor = runtime->version.minor;
    // MADV_FREE came with 1.12.
    if (minor < 12)
        return 0;
    int32_t value;
    const char *source = "runtime.debug";
    if (knob_read(target, image, runtime, "madvdontneed", GO_DEBUG_MADVDONTNEED, &value) != 0) {
        source = "environment GODEBUG";
        if (!knob_in_environment(target, "madvdontneed", &value)) {
            // 1.16 made MADV_DONTNEED the default again.
            value = minor >= 16;
            source = "default of the version";
        }
    }
    // 1.12-1.15 and whoever asks for it: MADV_FREE (sysUnused, runtime/mem_linux.go).
    int error = add_number(report, "GODEBUG madvdontneed", value, source);
    if (error || value != 0)
        return error;
    if (advises_at_once(target, image, runtime))
        return report_add_setting(report, "adviseUnused", "MADV_DONTNEED", "runtime");
    report->facts |= FACT_GIVES_LAZILY;
    return 0;
}

// Off unless it is asked for, so it is looked for only then.
static int report_harddecommit(const struct target *target, const struct image *image,
                               const struct go_runtime *runtime, struct runtime_report *report)
{
    int32_t asked, value;
    if (!knob_in_environment(target, "harddecommit", &asked))
        return 0;
    if (knob_read(target, image, runtime, "harddecommit", GO_FIELD_COUNT, &value) != 0)
        return 0;
    return add_number(report, "GODEBUG harddecommit", value, "runtime.debug");
}

// From the pacer, or from the variable of 1.16 and older; the environment has only the start
// value.
static int report_percent(const struct target *target, const struct go_runtime *runtime,
                          const struct go_ledger *ledger, struct runtime_report *report)
{
    static const struct {
        enum go_field_id id;
        const char *source;
    } fields[] = {
        {GO_CONTROLLER_GC_PERCENT, "runtime.gcController.gcPercent"},
        {GO_GCPERCENT, "runtime.gcpercent"},
    };
    for (size_t i = 0; ledger && i < sizeof fields / sizeof fields[0]; i++) {
        if (go_field_address(runtime, fields[i].id) == 0)
            continue;
        int32_t percent = (int32_t)(uint32_t)ledger->values[fields[i].id];
        // readGOGC: "off" is -1.
        if (percent < 0)
            return report_add_setting(report, "GOGC", "off", fields[i].source);
        return add_number(report, "GOGC", percent, fields[i].source);
    }
    // Up to 1.16 a goal that is out of reach is how the collector is turned off.
    if (ledger && go_has(runtime, GO_MEMSTATS_NEXT_GC) &&
        ledger->values[GO_MEMSTATS_NEXT_GC] == UINT64_MAX)
        return report_add_setting(report, "GOGC", "off", "runtime.memstats.next_gc");
    struct text value;
    char text[32] = "100";
    bool is_set = proc_environ_find(target->environ_text, "GOGC", &value) && value.len > 0;
    if (is_set)
        text_copy(value, text, sizeof text);
    return report_add_setting(report, "GOGC", text,
                              is_set ? "environment GOGC (may have been changed since)"
                                     : "default (may have been changed since)");
}

// GOMEMLIMIT came with 1.19; the largest number stands for no limit.
static int report_limit(const struct go_runtime *runtime, const struct go_ledger *ledger,
                        struct runtime_report *report)
{
    if (!ledger || go_field_address(runtime, GO_CONTROLLER_MEMORY_LIMIT) == 0)
        return 0;
    uint64_t limit = ledger->values[GO_CONTROLLER_MEMORY_LIMIT];
    static const char source[] = "runtime.gcController.memoryLimit";
    if (limit >= INT64_MAX)
        return report_add_setting(report, "GOMEMLIMIT", "off", source);
    return add_number(report, "GOMEMLIMIT", (int64_t)limit, source);
}

// Settings are told even when the ledger is refused.
int go_knobs_report(const struct target *target, const struct image *image,
                    const struct go_runtime *runtime, const struct go_ledger *ledger,
                    struct runtime_report *report)
{
    int error = report_madvdontneed(target, image, runtime, report);
    if (!error)
        error = report_harddecommit(target, image, runtime, report);
    if (!error)
        error = report_percent(target, runtime, ledger, report);
    if (!error)
        error = report_limit(runtime, ledger, report);
    return error;
}
