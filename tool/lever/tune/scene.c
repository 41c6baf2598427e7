// SPDX-License-Identifier: Apache-2.0
// The target as tune sees it, see scene.h. Tool world; no state.
#include "lever/tune/scene.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/locate.h"

enum { STATUS_MAX_BYTES = 64 << 10, ENVIRON_MAX_BYTES = 1 << 20 };

// The same words wherever it is missing: what helps is the same.
const char tune_needs_attach[] = "the right to attach (ptrace): root (CAP_SYS_PTRACE), or the "
                                 "target's user where kernel.yama.ptrace_scope is 0";

// Texts are cut where they do not fit: a refusal is never lost for its length.
int tune_refuse(struct tune_refusal *refusal, int error, const char *needs, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refusal->error = error;
    text_vformat(refusal->why, sizeof refusal->why, format, args);
    text_copy(text_of(needs), refusal->needs, sizeof refusal->needs);
    va_end(args);
    return error;
}

// In the words of the one who has to do something about it.
static int refuse_reading(struct tune_refusal *refusal, int error)
{
    if (error == -ENOMEM)
        return error;
    // EACCES of /proc means the same: the exit status is one.
    if (error == -EPERM || error == -EACCES)
        return tune_refuse(refusal, -EPERM, tune_needs_attach,
                           "its mappings and its memory may not be read");
    return tune_refuse(refusal, error, "", "its mappings could not be read: %s", strerror(-error));
}

// Without status or environment less is known, and nothing is wrong.
static void read_files(struct process *process, struct tune_scene *scene)
{
    if (process_read_file(process, "status", STATUS_MAX_BYTES, &scene->status_file) != 0 ||
        proc_status_parse(buffer_text(&scene->status_file), &scene->status) != 0)
        scene->status = (struct proc_status){0};
    // Only for what makes a change last.
    if (process_read_file(process, "environ", ENVIRON_MAX_BYTES, &scene->environ_file) != 0)
        buffer_clear(&scene->environ_file);
    // A thread's name may tell a setting: jemalloc's in the background does.
    if (proc_threads_read(process, &scene->threads, &scene->thread_count) != 0)
        scene->thread_count = 0;
}

// Every part of a plan looks at this one reading, so that they agree about the target.
int tune_scene_open(struct process *process, struct tune_scene *scene, struct tune_refusal *refusal)
{
    *scene = (struct tune_scene){0};
    int error = mappings_read(process, &scene->mappings);
    size_t skipped = 0;
    if (!error)
        error = images_open(process, &scene->mappings, &scene->images, &skipped);
    if (error)
        return refuse_reading(refusal, error);
    // Finding runtimes by their texts is then done once for all readers.
    scene->located = calloc(1, sizeof *scene->located);
    if (!scene->located)
        return -ENOMEM;
    read_files(process, scene);
    scene->target = (struct target){
        .process = process,
        .mappings = &scene->mappings,
        .images = &scene->images,
        .status = &scene->status,
        .environ_text = buffer_text(&scene->environ_file),
        .threads = scene->threads,
        .thread_count = scene->thread_count,
        .located = scene->located,
    };
    // Its runtimes' structures are known with 8-byte pointers only.
    const struct image *program = images_main(&scene->images);
    if (program && !program->is_64bit)
        return tune_refuse(refusal, -ENOTSUP, "", "it is a 32-bit program");
    return 0;
}

// Also of a scene that was never opened, or only half.
void tune_scene_close(struct tune_scene *scene)
{
    images_close(&scene->images);
    mappings_free(&scene->mappings);
    buffer_free(&scene->status_file);
    buffer_free(&scene->environ_file);
    free(scene->threads);
    free(scene->located);
    *scene = (struct tune_scene){0};
}

// What the kernel and the ELF files tell is no runtime.
static bool is_ground(const struct runtime_reader *reader)
{
    return reader == &image_reader || reader == &stack_reader;
}

// Whoever asks for a knob of another runtime learns what there is instead.
void tune_scene_name_runtimes(const struct tune_scene *scene, char *ret_names, size_t size)
{
    ret_names[0] = '\0';
    for (size_t i = 0; i < runtime_reader_count; i++) {
        const struct runtime_reader *reader = runtime_readers[i];
        // find() is cheap: names and sections.
        if (is_ground(reader) || !reader->find(&scene->target))
            continue;
        // Cut where the list is longer than a sentence bears.
        size_t len = strlen(ret_names);
        text_format(ret_names + len, size - len, "%s%s", len > 0 ? ", " : "", reader->name);
    }
    if (!ret_names[0])
        text_copy(text_of("no runtime that ebb knows"), ret_names, size);
}
