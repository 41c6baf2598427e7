// SPDX-License-Identifier: Apache-2.0
// The reader of CPython: version, settings, and pymalloc's arenas. Tool world; no state.
//
// CPython takes objects of up to 512 bytes from pymalloc; all others come from malloc, which has a
// reader of its own.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/locate.h"
#include "runtime/opaque.h"
#include "runtime/settings.h"
#include "runtime/managed/cpython_arenas.h"

static const struct locate_rule library_rule = {.names = {"libpython3.", "libpython2.7"}};

// The interpreter's image: a shared library, or the program when it exports Python's interface.
// Both names are in every version from 2.7 on, and exported for extension modules, so that
// stripping leaves them.
static const struct image *cpython_image(const struct target *target)
{
    static const char *const names[] = {"Py_Main", "PyEval_EvalFrameEx"};
    const struct image *library = locate_by_name(target, &library_rule);
    const struct image *main_image = target->images ? images_main(target->images) : NULL;
    if (library || !main_image || strncmp(locate_file_name(main_image->path), "python", 6) != 0)
        return library;
    struct image_symbol symbols[2];
    return image_find_symbols(main_image, names, 2, symbols) == 2 ? main_image : NULL;
}

// Interpreters that embed Python link the library; the program itself counts only when it is
// python.
static bool cpython_find(const struct target *target)
{
    return cpython_image(target) != NULL;
}

// Py_Version (from 3.11 on) is PY_VERSION_HEX: 0x030b07f0 is 3.11.7.
// Source: Python/getversion.c, Include/patchlevel.h: major, minor, micro, level and serial in a
// byte each.
static bool read_version_symbol(const struct image *image, struct setting_version *ret_version)
{
    static const char *const name = "Py_Version";
    struct image_symbol symbol = {0};
    uint64_t hex = 0;
    if (image_find_symbols(image, &name, 1, &symbol) != 1 ||
        image_read(image, symbol.value, &hex, sizeof hex))
        return false;
    *ret_version = (struct setting_version){
        (unsigned)(hex >> 24 & 0xff), (unsigned)(hex >> 16 & 0xff), (unsigned)(hex >> 8 & 0xff)};
    return ret_version->major == 3;
}

struct patch_search {
    struct setting_version version;
    bool found;
};

// The end of a string that starts with the known major.minor: "3.8.18", "Python 3.6.15+".
// Source: PY_VERSION of patchlevel.h, which sys.version begins with; a "+" marks a build between
// releases.
static bool visit_patch(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    struct patch_search *search = context;
    char prefix[16];
    int prefix_len =
        snprintf(prefix, sizeof prefix, "%u.%u.", search->version.major, search->version.minor);
    const char *at = data, *end = data + len;
    while ((at = memmem(at, (size_t)(end - at), prefix, (size_t)prefix_len)) != NULL) {
        const char *number = at;
        at++;
        const char *stop = memchr(number, '\0', (size_t)(end - number));
        if (!stop || stop - number > 12 || number == data || number[-1] == '.' ||
            isdigit((unsigned char)number[-1]))
            continue;
        struct setting_version version;
        if (setting_version_parse((struct text){number, (size_t)(stop - number)}, &version)) {
            search->version = version;
            search->found = true;
            return true;
        }
    }
    return false;
}

// Major and minor decide the shapes of arenas; the patch level is for people.
static bool read_version(const struct image *image, struct setting_version *ret_version,
                         bool *ret_has_patch)
{
    *ret_has_patch = read_version_symbol(image, ret_version);
    if (*ret_has_patch)
        return true;
    // "libpython3.8.so.1.0" and "python3.8" carry major and minor.
    const char *name = strstr(locate_file_name(image->path), "python");
    struct patch_search search = {0};
    if (!name || !setting_version_parse(text_of(name + strlen("python")), &search.version))
        return false;
    locate_scan(image, ".rodata", 32, visit_patch, &search);
    *ret_version = search.version;
    *ret_has_patch = search.found;
    return true;
}

// These three change where objects come from or what each one costs.
// Source: _PyMem_GetAllocatorName() of Objects/obmalloc.c, from 3.6 on. Options -X dev and -X
// tracemalloc of the command line do the same and are not looked for.
static int add_settings(const struct target *target, struct runtime_report *report)
{
    static const char *const variables[] = {"PYTHONMALLOC", "PYTHONTRACEMALLOC", "PYTHONDEVMODE"};
    int error = 0;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0] && !error; i++)
        error = opaque_add_environment(target, report, variables[i]);
    struct text ignored;
    if (!error && !proc_environ_find(target->environ_text, "PYTHONMALLOC", &ignored))
        error = report_add_setting(report, "PYTHONMALLOC", "pymalloc", "default");
    return error ? error : opaque_add_lost_environment(target, report);
}

// Arenas that were not found are no failure where pymalloc is off.
// With PYTHONMALLOC=malloc or malloc_debug every object comes from malloc, and stands under its
// name.
static int add_unread(const struct target *target, struct runtime_report *report, int error)
{
    struct text value;
    bool is_off = proc_environ_find(target->environ_text, "PYTHONMALLOC", &value) &&
                  text_starts_with(value, "malloc");
    if (is_off)
        return 0;
    report->facts |= FACT_OPAQUE;
    bool denied = error == -EPERM || error == -EACCES;
    return report_add_unread(report, "pymalloc's arenas",
                             denied ? "ptrace read access: run as root or as the target's user"
                                    : "nothing that is known: no table of arenas was found");
}

// Only arenas are claimed: what CPython takes from malloc stands under malloc's name.
// Which objects of Python fill the arenas no outsider can tell without its types' layouts: the
// reader says how much is used and how much is not.
static int cpython_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = cpython_image(target);
    if (!image)
        return -ENOENT;
    struct setting_version version = {0};
    bool has_patch = false;
    char text[48] = "";
    bool known = read_version(image, &version, &has_patch);
    if (known && has_patch)
        snprintf(text, sizeof text, "%u.%u.%u", version.major, version.minor, version.patch);
    else if (known)
        snprintf(text, sizeof text, "%u.%u", version.major, version.minor);
    opaque_name(ret_report, "CPython", image, text);
    ret_report->facts |= FACT_MANAGED;
    int error = add_settings(target, ret_report);
    if (error)
        return error;
    struct pymalloc_shape shape;
    bool has_shape = known && pymalloc_shape_of(version.major, version.minor, &shape);
    error = has_shape ? pymalloc_read(target, image, &shape, ret_report) : -ENOENT;
    return error && error != -ENOMEM ? add_unread(target, ret_report, error) : error;
}

const struct runtime_reader cpython_reader = {"CPython", cpython_find, cpython_read};
