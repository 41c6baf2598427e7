// SPDX-License-Identifier: Apache-2.0
// The reader of jemalloc: finds it, names it, tells its settings and where they come from. Tool
// world; no state.
//
// Found by its library's name, or by messages in a statically linked or prefixed copy. The extents
// themselves are read by jemalloc_extents.c where the version's structures are known; elsewhere its
// memory is held.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/allocators/jemalloc_ask.h"
#include "runtime/allocators/jemalloc_extents.h"
#include "runtime/allocators/jemalloc_settings.h"
#include "runtime/ask.h"
#include "runtime/locate.h"
#include "runtime/opaque.h"

enum { VERSION_MAX = 64, PREFIX_MAX = 24, CONF_MAX = 1024 };

// The version tells which defaults hold and whether the extents can be read.
// Source: JEMALLOC_VERSION, which mallctl("version") answers with (src/ctl.c), so that no build is
// without it.
static bool visit_version(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    struct text version;
    if (!settings_find_jemalloc_version(data, len, &version))
        return false;
    text_copy(version, context, VERSION_MAX);
    return true;
}

// Copies under a prefix define no malloc(), and stripped ones nothing at all. Yet jemalloc always
// has its version beside its messages, and from 5.0 on the root of its radix tree in .bss (rtree_s
// in rtree.h): 2 MiB on x86-64, 256 KiB at the least, with 57-bit addresses.
static bool proves_jemalloc(const struct target *target, const struct image *image)
{
    enum { ROOT_BYTES_MIN = 256 << 10 };
    char text[VERSION_MAX] = "";
    struct setting_version version;
    (void)target;
    if (!locate_scan(image, ".rodata", 128, visit_version, text) ||
        !setting_version_parse(text_of(text), &version))
        return false;
    const struct image_section *bss = image_section(image, ".bss");
    // 0.0.0 was built outside of git and may be any version.
    return (version.major > 0 && version.major < 5) || (bss && bss->size >= ROOT_BYTES_MIN);
}

static const struct locate_rule jemalloc_rule = {
    .names = {"libjemalloc.so"},
    .marks = MARK_JEMALLOC_CONF | MARK_JEMALLOC_MUNMAP,
    .proves = proves_jemalloc,
};

// Asked for by musl's reader as well, which steps back where another malloc has the program's
// memory.
static bool jemalloc_find(const struct target *target)
{
    return locate_image(target, &jemalloc_rule) != NULL;
}

// The names that a prefix given to configure changes.
struct jemalloc_names {
    char version[VERSION_MAX];
    char link[PREFIX_MAX + 20];     // "/etc/malloc.conf"
    char variable[PREFIX_MAX + 16]; // "MALLOC_CONF"
    char prefix[PREFIX_MAX];        // "", "je_"
};

// "/etc/" prefix "malloc.conf" stands in read-only data; the environment variable has the prefix in
// capitals.
// Source: obtain_malloc_conf() of src/jemalloc.c, with JEMALLOC_PREFIX and JEMALLOC_CPREFIX of
// configure.
static bool visit_link(void *context, const char *data, size_t len, uint64_t linked_address)
{
    (void)linked_address;
    struct jemalloc_names *names = context;
    static const char tail[] = "malloc.conf";
    const char *at = data, *end = data + len;
    while ((at = memmem(at, (size_t)(end - at), "/etc/", 5)) != NULL) {
        const char *prefix = at + 5;
        at = prefix;
        const char *stop = memchr(prefix, '\0', (size_t)(end - prefix));
        size_t total = stop ? (size_t)(stop - prefix) : 0;
        if (total < sizeof tail - 1 || total - (sizeof tail - 1) >= PREFIX_MAX)
            continue;
        size_t prefix_len = total - (sizeof tail - 1);
        if (memcmp(prefix + prefix_len, tail, sizeof tail) != 0 || memchr(prefix, '/', prefix_len))
            continue;
        text_copy((struct text){prefix, prefix_len}, names->prefix, sizeof names->prefix);
        return true;
    }
    return false;
}

// Everything that a prefix given to configure changes follows from the one string that the code
// itself uses, so that a stripped copy under any prefix is read by its own names.
static void read_names(const struct image *image, struct jemalloc_names *ret_names)
{
    *ret_names = (struct jemalloc_names){0};
    locate_scan(image, ".rodata", 128, visit_version, ret_names->version);
    locate_scan(image, ".rodata", 128, visit_link, ret_names);
    snprintf(ret_names->link, sizeof ret_names->link, "root/etc/%smalloc.conf", ret_names->prefix);
    char upper[PREFIX_MAX];
    size_t i = 0;
    for (; ret_names->prefix[i]; i++) {
        char byte = ret_names->prefix[i];
        upper[i] = byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
    }
    upper[i] = '\0';
    snprintf(ret_names->variable, sizeof ret_names->variable, "%sMALLOC_CONF", upper);
}

// The string behind a `const char *malloc_conf` in the program or in the library, as it is in
// memory now.
// The library's definition is weak and NULL (src/jemalloc.c); a program that sets options at link
// time has one of its own.
static bool read_linked(const struct target *target, const struct image *library,
                        const char *symbol, char *ret_text)
{
    const struct image *main_image = images_main(target->images);
    const struct image *images[] = {main_image, library};
    for (size_t i = 0; i < 2; i++) {
        struct image_symbol found = {0};
        uint64_t pointer = 0;
        if (!images[i] || image_find_symbols(images[i], &symbol, 1, &found) != 1)
            continue;
        // The program's own definition stands before the library's.
        if (process_peek_u64(target->process, images[i]->bias + found.value, &pointer))
            return false;
        return pointer && process_peek_string(target->process, pointer, ret_text, CONF_MAX) == 0;
    }
    return false;
}

// Programs switch it on by mallctl(), as redis does, which leaves no trace in any option string;
// but the thread names itself (background_thread_entry() in src/background_thread.c).
static bool has_background_thread(const struct target *target)
{
    enum { THREADS_MAX = 1024, COMM_MAX = 64 };
    bool found = false;
    struct buffer comm = {0};
    for (size_t i = 0; i < target->thread_count && i < THREADS_MAX && !found; i++) {
        char name[48];
        snprintf(name, sizeof name, "task/%d/comm", (int)target->threads[i].tid);
        if (process_read_file(target->process, name, COMM_MAX, &comm) == 0)
            found = text_equals(buffer_text(&comm), "jemalloc_bg_thd\n");
    }
    buffer_free(&comm);
    return found;
}

// Gathers the option strings in the order of obtain_malloc_conf() of 5.3: the last one wins. Its
// first source, --with-malloc-conf, is an unnamed constant that cannot be told from outside, nor
// can what a program changes later by mallctl().
static int add_settings(const struct target *target, const struct image *image,
                        const struct jemalloc_names *names, struct runtime_report *report)
{
    struct setting_version version;
    bool known = setting_version_parse(text_of(names->version), &version);
    struct jemalloc_source sources[5];
    size_t count = 0;
    char linked[CONF_MAX], harder[CONF_MAX], link[CONF_MAX];
    char symbol[64], variable[96], link_source[64];
    snprintf(symbol, sizeof symbol, "%smalloc_conf", names->prefix);
    if (read_linked(target, image, symbol, linked))
        sources[count++] = (struct jemalloc_source){text_of(linked), "linked malloc_conf"};
    snprintf(link_source, sizeof link_source, "%s", names->link + 4);
    if (process_read_link(target->process, names->link, link, sizeof link) == 0)
        sources[count++] = (struct jemalloc_source){text_of(link), link_source};
    struct text environment;
    snprintf(variable, sizeof variable, "environment %s", names->variable);
    if (proc_environ_find(target->environ_text, names->variable, &environment))
        sources[count++] = (struct jemalloc_source){environment, variable};
    snprintf(symbol, sizeof symbol, "%smalloc_conf_2_conf_harder", names->prefix);
    if (known && setting_version_from(&version, 5, 3) && read_linked(target, image, symbol, harder))
        sources[count++] =
            (struct jemalloc_source){text_of(harder), "linked malloc_conf_2_conf_harder"};
    if (has_background_thread(target))
        sources[count++] =
            (struct jemalloc_source){text_of("background_thread:true"), "its thread, which runs"};
    int error = jemalloc_settings_add(report, known ? &version : NULL, sources, count);
    return error ? error : opaque_add_lost_environment(target, report);
}

// Held, yet not because of what it is: what was said to help is put right.
static void blame_change(struct runtime_report *report)
{
    static const char needs[] = "a second look: it was changing while it was read";
    struct runtime_unread *last = report->unread + report->unread_count - 1;
    if (report->unread_count == 0 || strncmp(last->needs, "nothing", 7) == 0)
        return;
    memcpy(last->needs, needs, sizeof needs);
    report->facts &= ~(uint32_t)FACT_ASK;
    report->approximate = true;
}

// The extents tell more than the statistics, of which only figures are added then: a check of the
// one against the other.
static int compare_with_asked(const struct target *target, const struct image *image,
                              struct runtime_report *report)
{
    if (!target->ask)
        return 0;
    int error = jemalloc_ask(target, image, report);
    // A copy without symbols or statistics has nothing to compare; that is no lack.
    if (error == 0 || error == -ENOENT || error == -ENOMEM)
        return error == -ENOENT ? 0 : error;
    return ask_add_unread(target, report, "jemalloc's own statistics", error);
}

// Extents first: only where they cannot be read is the memory claimed as a whole.
static int jemalloc_read(const struct target *target, struct runtime_report *ret_report)
{
    const struct image *image = locate_image(target, &jemalloc_rule);
    if (!image)
        return -ENOENT;
    struct jemalloc_names names;
    read_names(image, &names);
    // The commit behind "5.3.0-0-g" says nothing to people.
    // Builds outside of git carry 40 letters in its place.
    size_t short_len = strcspn(names.version, "-");
    char version[VERSION_MAX];
    text_copy((struct text){names.version, short_len}, version, sizeof version);
    opaque_name(ret_report, "jemalloc", image, version);
    int error = add_settings(target, image, &names, ret_report);
    if (error)
        return error;
    // Other versions, other widths of addresses and a lack of rights all end in "held".
    error = jemalloc_extents_read(target, image, ret_report);
    if (error == 0)
        return compare_with_asked(target, image, ret_report);
    if (error == -ENOMEM)
        return error;
    bool is_changing = error == -EAGAIN;
    error = opaque_claim_malloc(target, image, "libjemalloc.so", ret_report, false);
    if (!error && target->ask)
        return opaque_ask_malloc(target, image, jemalloc_ask, ret_report);
    if (!error && is_changing)
        blame_change(ret_report);
    return error;
}

const struct runtime_reader jemalloc_reader = {"jemalloc", jemalloc_find, jemalloc_read};
