// SPDX-License-Identifier: Apache-2.0
// The reader of .NET (CoreCLR): version and the settings of its collector; its memory is held. Tool
// world; no state.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/opaque.h"

static const struct locate_rule dotnet_rule = {.names = {"libcoreclr.so"}};

// Every host loads the runtime as this library. Programs compiled ahead of time carry another
// runtime inside and are not named.
static bool dotnet_find(const struct target *target)
{
    return locate_by_name(target, &dotnet_rule) != NULL;
}

// The runtime lies in ".../Microsoft.NETCore.App/8.0.4/libcoreclr.so"; a self-contained program
// says it inside.
// Source: the sccsid string that every native library of the runtime carries.
static void read_version(const struct image *image, char *ret_version, size_t size)
{
    static const char folder[] = "/Microsoft.NETCore.App/";
    static const struct locate_marker marker = {"@(#)", "Version "};
    const char *at = strstr(image->path, folder);
    uint64_t address;
    ret_version[0] = '\0';
    if (at) {
        at += sizeof folder - 1;
        text_copy((struct text){at, strcspn(at, "/")}, ret_version, size);
    } else if (locate_string(image, ".rodata", marker, 0, &address) == 0 &&
               locate_read_string(image, address + strlen("@(#)Version "), ret_version, size) ==
                   0) {
        ret_version[strcspn(ret_version, " ")] = '\0';
    }
}

// Settings of runtimeconfig.json are not read: the environment stands before them.
// Source: clrconfig.h and gcconfig.h: GC settings are hexadecimal numbers, shown as they were
// written. The collector's regions and segments have no form that proves itself.
static int dotnet_read(const struct target *target, struct runtime_report *ret_report)
{
    static const char *const settings[] = {
        "gcServer",         "gcConcurrent", "GCHeapHardLimit", "GCHeapHardLimitPercent",
        "GCConserveMemory", "GCHeapCount",  "GCRetainVM",      "TieredCompilation"};
    const struct image *image = locate_by_name(target, &dotnet_rule);
    if (!image)
        return -ENOENT;
    char version[64];
    read_version(image, version, sizeof version);
    opaque_name(ret_report, ".NET", image, version);
    ret_report->facts |= FACT_MANAGED;
    int error = 0;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && !error; i++) {
        // Both spellings are read by the runtime; the newer one wins.
        // DOTNET_ came with .NET 6.
        char variable[64];
        struct text ignored;
        snprintf(variable, sizeof variable, "DOTNET_%s", settings[i]);
        if (!proc_environ_find(target->environ_text, variable, &ignored))
            snprintf(variable, sizeof variable, "COMPlus_%s", settings[i]);
        error = opaque_add_environment(target, ret_report, variable);
    }
    ret_report->facts |= FACT_OPAQUE;
    return error ? error : target_claim_rest(target, ret_report, false);
}

const struct runtime_reader dotnet_reader = {".NET", dotnet_find, dotnet_read};
