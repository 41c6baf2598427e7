// SPDX-License-Identifier: Apache-2.0
// ebb doctor: examine, print. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/target.h"
#include "doctor/doctor.h"
#include "lever/run/library.h"
#include "render/doctor.h"

const struct option_spec doctor_options[] = {
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "JSON instead of text."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// The same report, in either form.
static int print_report(const struct command *command, const struct doctor_report *report)
{
    struct output output = {0};
    const struct render_style style = {
        .color = command->color,
        .unicode = command->unicode,
        .width = command->width,
    };
    // JSON never has colours or a width.
    bool is_json = options_flag(&command->options, "json");
    output.error = is_json ? render_doctor_json(report, &output.buffer)
                           : render_doctor_text(report, &style, &output.buffer);
    return output_finish(&output);
}

// Its banner, which is a string of the library, followed by its end: "libebb, version 0.1.0".
static void read_version(const char *path, char *ret_version, size_t size)
{
    static const char banner[] = "libebb, version ";
    // Some hundred KiB; more is no libebb.
    struct buffer file = {.limit = 8 << 20};
    ret_version[0] = '\0';
    if (buffer_read_at(&file, AT_FDCWD, path) == 0 && file.len > 0) {
        const char *found = memmem(file.data, file.len, banner, sizeof banner - 1);
        // A buffer ends with a NUL behind its bytes.
        if (found)
            text_copy(text_of(found + sizeof banner - 1), ret_version, size);
    }
    buffer_free(&file);
}

// The one that `ebb run --malloc=ebb` would take for a program like ebb itself.
static void find_libebb(struct doctor_library *ret_library)
{
    // A library must fit a program's machine and C library; ebb's own are those of this system.
    struct binary self;
    struct library_found found;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int error = fd >= 0 ? binary_read(fd, &self) : -errno;
    *ret_library = (struct doctor_library){.is_looked_for = true};
    if (!error)
        error = library_find(library_kind_find("ebb"), &self, getenv("LD_LIBRARY_PATH"), &found);
    if (fd >= 0)
        close(fd);
    if (error)
        return;
    text_copy(text_of(found.path), ret_library->path, sizeof ret_library->path);
    read_version(found.path, ret_library->version, sizeof ret_library->version);
}

// What is missing here is the result, not a failure.
int doctor_run(const struct command *command)
{
    const char *proc_root = options_get(&command->options, "proc-root")->string;
    // Some 50 KiB: much for a stack under a limit, and limits are what it is asked about.
    struct doctor_report *report = malloc(sizeof *report);
    struct doctor_library libebb = {0};
    // Another tree's programs have libraries of their own.
    if (strcmp(proc_root, "/proc") == 0)
        find_libebb(&libebb);
    int error = report ? doctor_examine(proc_root, &libebb, report) : -ENOMEM;
    int status = error ? target_refuse_list(proc_root, error) : print_report(command, report);
    free(report);
    return status;
}
