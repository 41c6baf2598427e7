// SPDX-License-Identifier: Apache-2.0
// What runtimes whose inside cannot be read have in common, see opaque.h. Tool world; no state.
#include "runtime/opaque.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "runtime/ask.h"
#include "runtime/locate.h"

// Whatever a reader cannot take apart later is held by the runtime, never hidden.
void opaque_name(struct runtime_report *report, const char *name, const struct image *image,
                 const char *version)
{
    text_copy(text_of(name), report->name, sizeof report->name);
    text_copy(text_of(version), report->version, sizeof report->version);
    text_copy(text_of(image ? image->path : ""), report->place, sizeof report->place);
    report->rest_row = ROW_HELD;
}

// They come later in the table of readers, so their reports cannot be asked.
bool opaque_has_managed(const struct target *target)
{
    return jvm_reader.find(target) || v8_reader.find(target) || dotnet_reader.find(target);
}

static int add_closed(struct runtime_report *report, const char *needs)
{
    char what[96];
    snprintf(what, sizeof what, "the inside of %s's memory", report->name);
    return report_add_unread(report, what, needs);
}

// A claim on everything left is a strong one: it needs a malloc that serves the whole program.
// `needs` either says what helps, or begins with "nothing" and says why; NULL: nothing is said yet.
static int claim_malloc(const struct target *target, const struct image *image, const char *library,
                        struct runtime_report *report, bool with_brk, const char *needs)
{
    report->facts |= FACT_OPAQUE;
    bool is_malloc =
        image->is_main || strncmp(locate_file_name(image->path), library, strlen(library)) == 0;
    bool has_managed = is_malloc && opaque_has_managed(target);
    if (!is_malloc)
        needs = "nothing that is known: this copy serves the library that it is in";
    else if (has_managed)
        needs = "nothing: what both hold stands under the managed runtime in this process";
    int error = needs ? add_closed(report, needs) : 0;
    if (error || !is_malloc || has_managed)
        return error;
    return target_claim_rest(target, report, with_brk);
}

int opaque_claim_malloc(const struct target *target, const struct image *image, const char *library,
                        struct runtime_report *report, bool with_brk)
{
    report->facts |= FACT_ASK;
    // Where it will be asked, what the answer lacks is said then.
    return claim_malloc(target, image, library, report, with_brk,
                        target->ask ? NULL
                                    : "asking it, by a call in the target: "
                                      "ebb explain --ask");
}

int opaque_claim_silent(const struct target *target, const struct image *image, const char *library,
                        struct runtime_report *report, const char *needs)
{
    return claim_malloc(target, image, library, report, false, needs);
}

int opaque_ask_malloc(const struct target *target, const struct image *image, opaque_ask *ask,
                      struct runtime_report *report)
{
    if (!target->ask || !(report->facts & FACT_ASK) || report->claim_count == 0)
        return 0;
    int error = ask(target, image, report);
    if (error == -ENOMEM)
        return error;
    // The words say what would help; to ask once more would not, unless its threads were busy.
    if (error != -EAGAIN)
        report->facts &= ~(uint32_t)FACT_ASK;
    if (error == -ENOENT)
        return add_closed(report, "nothing: its functions are not among its symbols");
    if (error == -EBADMSG)
        return add_closed(report, "nothing: its answers contradict each other");
    if (error) {
        char what[96];
        snprintf(what, sizeof what, "the inside of %s's memory", report->name);
        return ask_add_unread(target, report, what, error);
    }
    report->facts &= ~(uint32_t)FACT_OPAQUE;
    return 0;
}

bool opaque_environment_is_lost(const struct target *target)
{
    struct text rest = target->environ_text, entry;
    // What is written over it, a title or NULs, has no NAME=VALUE in the first entry.
    return !text_next_field(&rest, '\0', &entry) || !text_contains(entry, "=");
}

int opaque_add_lost_environment(const struct target *target, struct runtime_report *report)
{
    if (!opaque_environment_is_lost(target))
        return 0;
    char what[96];
    snprintf(what, sizeof what, "%s's settings in the environment: defaults may not hold",
             report->name);
    return report_add_unread(report, what,
                             "/proc/PID/environ, which this program has overwritten or hides");
}

int opaque_add_environment(const struct target *target, struct runtime_report *report,
                           const char *variable)
{
    struct text value;
    if (!proc_environ_find(target->environ_text, variable, &value))
        return 0;
    char copy[96], source[96];
    text_copy(value, copy, sizeof copy);
    snprintf(source, sizeof source, "environment %s", variable);
    return report_add_setting(report, variable, copy, source);
}
