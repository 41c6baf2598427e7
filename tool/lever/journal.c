// SPDX-License-Identifier: Apache-2.0
// Writing the journal of levers, see journal.h. Tool world; no state.
#include "lever/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "lever/journal_place.h"

// It is started anew when it is larger: whoever reads has read it by then.
enum { JOURNAL_MAX_BYTES = 256 << 10 };

// A name could pretend to be a line of its own: control bytes go.
void journal_print(const struct journal_entry *entry, char ret_line[JOURNAL_LINE_MAX])
{
    char text[JOURNAL_TEXT_MAX];
    text_copy(text_of(entry->text), text, sizeof text);
    // A line is a line: names may hold anything.
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    }
    text_format(ret_line, JOURNAL_LINE_MAX, "%lld\t%d\t%llu\t%s\n", (long long)entry->time_ms,
                entry->pid, (unsigned long long)entry->start_ticks, text);
}

// Are they a directory or a file of our own that nobody else can write to? A link count of one: a
// hard link could lead to a file that somebody else relies on.
static bool is_ours(int fd, mode_t kind)
{
    struct stat status;
    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == kind &&
           status.st_uid == geteuid() && (status.st_mode & 022) == 0 &&
           (kind == S_IFDIR || status.st_nlink == 1);
}

// The folder is made on the first pull; nothing of it is followed where a link could lead.
static int open_folder(void)
{
    char base[PATH_MAX], folder[PATH_MAX + 8];
    if (!journal_own_place(base))
        return -1;
    text_format(folder, sizeof folder, "%s/ebb", base);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -1;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && !is_ours(fd, S_IFDIR)) {
        close(fd);
        return -1;
    }
    return fd;
}

// Appending: several levers may be pulled at one time. O_APPEND, so that two ebbs at once do not
// overwrite each other. For its user's eyes alone.
static int open_file(int folder)
{
    int fd = openat(folder, "levers",
                    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0 && !is_ours(fd, S_IFREG)) {
        close(fd);
        return -1;
    }
    return fd;
}

// RSS alone where no more is known of it.
static void describe(const struct lever_report *report, char *ret_text, size_t size)
{
    char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];
    const char *outcome = lever_outcome_name(report->outcome);
    if (!report->has_before || !report->has_after) {
        text_format(ret_text, size, "%s: %s", report->lever, outcome);
        return;
    }
    units_format_bytes(report->before.rss_bytes, before, sizeof before);
    units_format_bytes(report->after.rss_bytes, after, sizeof after);
    text_format(ret_text, size, "%s: %s, RSS %s to %s", report->lever, outcome, before, after);
    // Of a setting, which one.
    for (size_t i = 0; i < report->change_count; i++) {
        size_t len = strlen(ret_text);
        text_format(ret_text + len, size - len, ", %s=%s", report->changes[i].name,
                    report->changes[i].after);
    }
}

// After the lever, whatever comes of it here: nothing waits for a journal.
void journal_append(const struct lever_report *report, uint64_t start_ticks)
{
    struct timespec now;
    char line[JOURNAL_LINE_MAX];
    struct journal_entry entry = {.pid = report->pid, .start_ticks = start_ticks};
    clock_gettime(CLOCK_REALTIME, &now);
    entry.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    describe(report, entry.text, sizeof entry.text);
    journal_print(&entry, line);
    int folder = open_folder();
    // The lever has done its work: that it is not noted is no failure of it.
    if (folder < 0)
        return;
    int fd = open_file(folder);
    close(folder);
    if (fd < 0)
        return;
    struct stat status;
    // Readers see that it has shrunk, and begin anew.
    if (fstat(fd, &status) == 0 && status.st_size > JOURNAL_MAX_BYTES)
        (void)!ftruncate(fd, 0);
    // One write, and short: lines of several do not mix.
    (void)!write(fd, line, strlen(line));
    close(fd);
}
