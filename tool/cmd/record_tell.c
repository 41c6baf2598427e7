// SPDX-License-Identifier: Apache-2.0
// What ebb record says: names, progress, the end. Tool world; no state.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cmd/record_parts.h"

enum { STEM_MAX = 64 };

// Of any word, what may stand in a file's name: no folder, no blank, nothing hidden. Names of
// processes come from others: what a shell would take for something is left out.
static void make_stem(const char *word, char ret_stem[STEM_MAX])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";
    size_t len = 0;
    for (const char *at = word; *at && len + 1 < STEM_MAX; at++) {
        bool is_allowed = strchr(allowed, *at) != NULL;
        // Several of them in a row become one hyphen.
        bool is_first = len == 0 || ret_stem[len - 1] == '-';
        if (is_allowed && !(len == 0 && (*at == '.' || *at == '-')))
            ret_stem[len++] = *at;
        else if (!is_first)
            ret_stem[len++] = '-';
    }
    while (len > 0 && ret_stem[len - 1] == '-')
        len--;
    ret_stem[len] = '\0';
    if (len == 0)
        memcpy(ret_stem, "ebb", sizeof "ebb");
}

// "cgroup:/system.slice/redis.service" is called by its end.
static const char *word_of(const struct record *record)
{
    const struct options *options = &record->command->options;
    const char *word = record->child.argv ? record->child.argv[0] : NULL;
    if (!word && options_flag(options, "all"))
        word = "all";
    if (!word && record->totals.name[0])
        word = record->totals.name;
    // A kind before a colon is how it was meant, not what it is called.
    if (!word) {
        word = options->operands[0];
        const char *colon = strchr(word, ':');
        word = colon ? colon + 1 : word;
    }
    const char *slash = strrchr(word, '/');
    return slash && slash[1] ? slash + 1 : word;
}

// Local time, as whoever looks for it later remembers it.
int record_choose_path(struct record *record)
{
    const struct option_value *output = options_get(&record->command->options, "output");
    if (output->given) {
        if (text_copy(text_of(output->string), record->path, sizeof record->path))
            return EXIT_DONE;
        return record_refuse_file(record, -ENAMETOOLONG);
    }
    char stem[STEM_MAX], when[32] = "";
    struct tm local;
    time_t now = time(NULL);
    make_stem(word_of(record), stem);
    if (localtime_r(&now, &local))
        (void)strftime(when, sizeof when, "%Y%m%d-%H%M%S", &local);
    // To the second: two recordings that begin in one second meet at -EEXIST, and neither is lost.
    text_format(record->path, sizeof record->path, "%s-%s.ebb", stem, when);
    return EXIT_DONE;
}

// Words with a blank between them, cut where full.
static void join(char *const *words, size_t count, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(ret_text);
        text_format(ret_text + len, size - len, "%s%s", i > 0 ? " " : "", words[i]);
    }
}

// The name where there is one: a number means nothing a week later.
void record_title(const struct record *record, char *ret_title, size_t size)
{
    const struct options *options = &record->command->options;
    if (options_flag(options, "all"))
        text_format(ret_title, size, "all processes");
    else if (!record->child.argv && options->operand_count == 1)
        text_format(ret_title, size, "%s", word_of(record));
    else
        join(options->operands, options->operand_count, ret_title, size);
}

// The one refusal that is ours, and all those of the system.
int record_refuse_file(const struct record *record, int error)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(record->path, shown, sizeof shown);
    if (error == -EEXIST && access(record->path, F_OK) != 0) {
        message_error("record: beside %s lies the log of another recording (-wal, -shm or "
                      "-journal), which goes on under another name or was cut off",
                      shown);
        message_hint("Name another file with -o.");
        return EXIT_FAILED;
    }
    if (error == -EEXIST) {
        message_error("record: %s is there already, and nothing is overwritten", shown);
        message_hint("Name another file with -o.");
        return EXIT_FAILED;
    }
    message_error("record: cannot write %s: %s", shown, strerror(-error));
    message_hint_limit(error);
    // Other rights would help: that has an exit status of its own.
    return error == -EACCES || error == -EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// What there is so far is whole: that is what whoever reads this must know first.
void record_tell_error(const struct record *record)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(record->path, shown, sizeof shown);
    const char *why = strerror(-record->error);
    // The system's own words would be about a folder.
    if (record->error == -ENOENT)
        why = "the file was moved or removed";
    if (record->error == -EOVERFLOW)
        why = "it holds as many processes as one file can (4194303): begin another";
    message_error("record: the recording has stopped: %s", why);
    if (record->error == -ENOENT)
        message_hint("Where it was moved, all is in it but the last seconds: ebb report reads it.");
    if (record->error == -ENOENT)
        return;
    message_hint("What was recorded before is intact: ebb report %s", shown);
    // EDQUOT too: to a user it is a full disk all the same.
    if (record->error == -ENOSPC || record->error == -EFBIG || record->error == -EDQUOT)
        message_hint("What would help: room on that disk, or -o with a file elsewhere; --interval "
                     "and --keep make recordings smaller.");
}

// Where it goes, at once: the name may have been made here.
void record_tell_start(const struct record *record)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(record->path, shown, sizeof shown);
    if (!record->is_quiet && !record->child.argv)
        message_error("recording into %s; Ctrl-C ends it", shown);
    else if (!record->is_quiet)
        message_error("recording into %s", shown);
    if (!record->is_quiet && !history_has_log(record->history))
        message_hint("Its file system has no shared mappings, which SQLite's log needs: while this "
                     "goes on, ebb report and ebb watch of the file may have to wait, or to be "
                     "tried again.");
}

// What is not in the file itself yet is in its log. Once it is closed the log is gone, and the file
// is all of it.
static uint64_t file_bytes(const struct record *record)
{
    struct history_about about;
    if (record->history && history_about(record->history, &about) == 0)
        return about.file_bytes;
    struct stat status;
    return stat(record->path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

// One that called exec counts as two, as in the recording.
static void count_processes(const struct record *record, char *ret_text, size_t size)
{
    uint64_t count = record->totals.processes;
    text_format(ret_text, size, "%llu process%s", (unsigned long long)count,
                count == 1 ? "" : "es");
}

// Where nobody watches, nothing is computed either.
void record_tell_progress(struct record *record)
{
    if (record->is_quiet || !record->progress.enabled)
        return;
    char processes[48], elapsed[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX], effective[UNITS_TEXT_MAX];
    // Whole seconds: tenths would flicker.
    const uint64_t passed_s = (record_now_ns() - record->started_ns) / 1000000000U;
    count_processes(record, processes, sizeof processes);
    units_format_seconds((double)passed_s, elapsed, sizeof elapsed);
    units_format_bytes(file_bytes(record), size, sizeof size);
    units_format_bytes(record->totals.effective_bytes, effective, sizeof effective);
    progress_show(&record->progress, "%s: %s, %llu readings, file %s, effective RSS %s", elapsed,
                  processes, (unsigned long long)record->totals.samples, size, effective);
}

// For shares of a core, where microseconds do not matter.
static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

// Rights are the usual reason, and the text says what would help.
static void tell_unreadable(const struct record *record)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(record->totals.unreadable_text, shown, sizeof shown);
    // One message for all of them, at the end: a host has hundreds of such processes.
    if (record->totals.unreadable == 1)
        message_error("record: there is a process without accounts: %s", shown);
    else if (record->totals.unreadable > 1)
        message_error("record: %llu times no account was possible; the first: %s",
                      (unsigned long long)record->totals.unreadable, shown);
}

// What it was worth, what it cost, what to do with it.
void record_tell_end(const struct record *record)
{
    struct rusage usage;
    char processes[48], elapsed[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX], peak[UNITS_TEXT_MAX];
    char shown[MESSAGE_NAME_MAX];
    if (record->is_quiet)
        return;
    double passed_s = (double)(record_now_ns() - record->started_ns) / 1e9;
    message_escape(record->path, shown, sizeof shown);
    count_processes(record, processes, sizeof processes);
    units_format_seconds(passed_s, elapsed, sizeof elapsed);
    units_format_bytes(file_bytes(record), size, sizeof size);
    tell_unreadable(record);
    // Readings, not samples: of those that tell nothing new the file has none.
    message_error("recorded %s for %s: %llu reading%s, %llu account%s, %s in %s", processes,
                  elapsed, (unsigned long long)record->totals.samples,
                  record->totals.samples == 1 ? "" : "s",
                  (unsigned long long)record->totals.accounts,
                  record->totals.accounts == 1 ? "" : "s", size, shown);
    if (getrusage(RUSAGE_SELF, &usage) == 0 && passed_s > 0) {
        double used_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
        // The kernel counts it in KiB. Source: getrusage(2).
        units_format_bytes((uint64_t)usage.ru_maxrss << 10, peak, sizeof peak);
        message_hint("It took %.2g %% of a core and %s of memory. Next: ebb report %s",
                     used_s / passed_s * 100, peak, shown);
    }
}
