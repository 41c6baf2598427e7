// SPDX-License-Identifier: Apache-2.0
// Looking for processes that match, see find.h. Tool world; one thread.
#include "sample/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "proc/cgroup.h"
#include "proc/find.h"
#include "proc/host.h"
#include "proc/status.h"

enum {
    FIND_FILE_BYTES = 1 << 16, // a command line may have megabytes; its head is kept
    FIND_YOUNG_LOOKS = 8,      // so long a process may be on its way from fork to exec
    FIND_OLD_LOOKS = 16,
    FIND_TRIES = 5,
    FIND_COMM_BYTES = 15,     // TASK_COMM_LEN without its NUL
    FIND_KNOWN_MAX = 1 << 22, // PID_MAX_LIMIT
    FIND_DEPTH_MAX = 100,     // generations of processes
};

// One entry of the directory.
struct find_known {
    int pid;
    uint64_t inode; // anew for every process, so that a PID which is given again is noticed
    unsigned first_look;
    bool is_followed, is_kernel;    // neither is looked at again
    bool is_seen;                   // in this look
    struct cheap_identity identity; // of one that did not match
};

// One descriptor serves for all readings, so that a tree which is mounted over meanwhile does not
// mix with another.
int find_open(const char *proc_root, const struct selection *selections, size_t count,
              bool has_self, struct find *ret_find)
{
    struct find find = {.selections = selections, .selection_count = count};
    find.root = opendir(proc_root);
    if (!find.root)
        return -errno;
    long page_bytes = sysconf(_SC_PAGESIZE), ticks_per_s = sysconf(_SC_CLK_TCK);
    find.reader = (struct cheap_reader){
        .root_fd = dirfd(find.root),
        .page_bytes = page_bytes > 0 ? (uint64_t)page_bytes : 4096,
        .ticks_per_s = ticks_per_s > 0 ? (uint64_t)ticks_per_s : 100,
    };
    find.self = has_self ? 0 : proc_self(proc_root);
    // Who has a longer command line is known by its head.
    find.scratch.limit = FIND_FILE_BYTES;
    struct host host;
    int error = host_read(proc_root, &host);
    // Who has no descriptor for these files has none for those of processes.
    if (error == -EMFILE || error == -ENFILE) {
        closedir(find.root);
        return error;
    }
    // Without it processes have no start that could be shown.
    find.has_host = error == 0;
    if (find.has_host)
        find.boot_time_s = host.boot_time_s;
    *ret_find = find;
    return 0;
}

void find_close(struct find *find)
{
    if (find->root)
        closedir(find->root);
    buffer_free(&find->scratch);
    free(find->known);
    *find = (struct find){0};
}

// The head of PID/NAME, "" where it cannot be read; stands until the next one.
static struct text find_file(struct find *find, int pid, const char *name)
{
    char path[64];
    text_format(path, sizeof path, "%d/%s", pid, name);
    buffer_clear(&find->scratch);
    int error = buffer_read_at(&find->scratch, find->reader.root_fd, path);
    if (error && error != -EFBIG)
        buffer_clear(&find->scratch);
    return buffer_text(&find->scratch);
}

// The base name of the executable: for interpreters and programs that rename themselves the only
// name that stays.
static void find_read_exe(struct find *find, struct subject *subject)
{
    // The link leads through the target's mounts: it is read and never followed.
    char path[64], link[4096];
    text_format(path, sizeof path, "%d/exe", subject->pid);
    ssize_t len = readlinkat(find->reader.root_fd, path, link, sizeof link);
    struct text target = {link, len > 0 ? (size_t)len : 0};
    if (text_ends_with(target, " (deleted)"))
        target.len -= sizeof " (deleted)" - 1;
    text_copy(text_base_name(target), subject->exe, sizeof subject->exe);
}

// The kernel cuts comm at 15 bytes; argv[0] often holds the whole name.
void find_read_names(struct find *find, const char *comm, struct subject *subject)
{
    struct text file = find_file(find, subject->pid, "cmdline"), rest = file, argv0 = {"", 0};
    proc_cmdline_join(file, subject->cmdline, sizeof subject->cmdline);
    text_next_field(&rest, '\0', &argv0);
    struct text name = text_base_name(argv0);
    // One that is not cut is the better name: titles like "nginx: worker process" are in argv[0].
    bool is_cut = strlen(comm) >= FIND_COMM_BYTES && text_starts_with(name, comm);
    text_copy(is_cut ? name : text_of(comm), subject->name, sizeof subject->name);
    find_read_exe(find, subject);
}

// Paths of groups tell most at their end.
void find_read_group(struct find *find, struct subject *subject)
{
    char path[4096];
    int version;
    struct text file = find_file(find, subject->pid, "cgroup");
    // One that is just ending has none: the last known stands.
    if (cgroup_parse_membership(file, &version, path, sizeof path) != 0)
        return;
    struct text whole = text_of(path);
    if (whole.len >= sizeof subject->cgroup) {
        whole.data += whole.len - (sizeof subject->cgroup - 1);
        whole.len = sizeof subject->cgroup - 1;
    }
    text_copy(whole, subject->cgroup, sizeof subject->cgroup);
}

// An empty line is one that cannot be read, or the middle of an exec.
bool find_has_other_line(struct find *find, const struct subject *subject)
{
    char line[sizeof subject->cmdline];
    proc_cmdline_join(find_file(find, subject->pid, "cmdline"), line, sizeof line);
    return line[0] && strcmp(line, subject->cmdline) != 0;
}

// From boot time, as the kernel gives it in whole seconds: times of several processes are exact
// among each other, and a second off at most.
static void find_set_start(const struct find *find, uint64_t ticks, struct subject *subject)
{
    const uint64_t most_s = (uint64_t)1 << 40;
    uint64_t per_s = find->reader.ticks_per_s;
    subject->start_ticks = ticks;
    // A tree of files may hold any number.
    if (find->boot_time_s < most_s && ticks / per_s < most_s)
        subject->start_ms = (int64_t)(find->boot_time_s * 1000 + ticks / per_s * 1000 +
                                      ticks % per_s * 1000 / per_s);
}

// Names come between two looks at who it is: those of two programs never stand in one subject.
static int find_try(struct find *find, int pid, struct find_match *ret_match)
{
    struct find_match match = {.subject = {.pid = pid}};
    struct subject *subject = &match.subject;
    int error = cheap_identify(&find->reader, pid, &match.identity);
    if (error)
        return error;
    find_read_names(find, match.identity.comm, subject);
    find_read_group(find, subject);
    struct proc_status status;
    if (proc_status_parse(find_file(find, pid, "status"), &status) == 0)
        subject->uid = status.uid;
    find_set_start(find, match.identity.start_ticks, subject);
    struct cheap_identity now;
    error = cheap_identify(&find->reader, pid, &now);
    if (!error && cheap_compare(&match.identity, &now) != CHEAP_SAME)
        error = -ESTALE;
    if (!error)
        *ret_match = match;
    return error;
}

// Between a fork and its exec is a moment, and `ebb record -- COMMAND` looks right then.
int find_describe(struct find *find, int pid, struct find_match *ret_match)
{
    int error = -ESTALE;
    for (int tries = 0; error == -ESTALE && tries < FIND_TRIES; tries++)
        error = find_try(find, pid, ret_match);
    return error;
}

// Up from parent to parent; one that changes its parent meanwhile is looked at again while it is
// young.
static bool find_is_below(struct find *find, int pid, int ancestor)
{
    for (int depth = 0; depth < FIND_DEPTH_MAX && pid > 1; depth++) {
        struct proc_stat stat;
        if (proc_stat_parse(find_file(find, pid, "stat"), &stat) != 0)
            return false;
        if (stat.ppid == ancestor)
            return true;
        pid = stat.ppid;
    }
    return false;
}

// Does an alarm of that ebb run it? What may not be read is no child of its own.
static bool find_is_of_alarm(struct find *find, int pid, int ebb)
{
    struct text mark;
    uint64_t of;
    return proc_environ_find(find_file(find, pid, "environ"), FIND_ALARM_MARK, &mark) &&
           text_take_u64(&mark, &of) && of == (uint64_t)ebb;
}

bool find_wants(struct find *find, const struct subject *subject, bool has_numbers)
{
    for (size_t i = 0; i < find->selection_count; i++) {
        const struct selection *selection = &find->selections[i];
        if (selection->kind == SELECT_BELOW && find_is_below(find, subject->pid, selection->pid))
            return !find_is_of_alarm(find, subject->pid, selection->pid);
        if ((has_numbers || selection->kind != SELECT_PID) &&
            selection_matches(selection, 1, subject))
            return true;
    }
    return false;
}

static int find_compare_pid(const void *left, const void *right)
{
    int a = ((const struct find_known *)left)->pid, b = ((const struct find_known *)right)->pid;
    return (a > b) - (a < b);
}

// Among the first `count`, which are sorted.
static struct find_known *find_get(const struct find *find, size_t count, int pid)
{
    struct find_known key = {.pid = pid};
    if (count == 0)
        return NULL;
    return bsearch(&key, find->known, count, sizeof key, find_compare_pid);
}

void find_forget(struct find *find, int pid)
{
    struct find_known *known = find_get(find, find->known_count, pid);
    // An inode that no entry has makes the next look see a new process.
    if (known)
        known->inode = 0;
}

// Is it time to see whether one that did not match has become another program?
static bool find_is_due(const struct find *find, const struct find_known *known)
{
    if (known->is_followed || known->is_kernel)
        return false;
    return find->looks - known->first_look <= FIND_YOUNG_LOOKS ||
           (find->looks + (unsigned)known->pid) % FIND_OLD_LOOKS == 0;
}

// Looks at one process closely, and keeps what it found in `known`. -ENOMEM; and in the first look,
// on which the caller still waits, also -EMFILE and -ENFILE, which would hide every process.
static int find_inspect(struct find *find, struct find_known *known, struct find_matches *matches)
{
    struct find_match match;
    int error = find_describe(find, known->pid, &match);
    if (find->looks == 1 && (error == -EMFILE || error == -ENFILE))
        return error;
    known->is_kernel = error == -ENOEXEC;
    // It ended, may not be read, or is just calling exec: if it is there the next time, it is
    // looked at again.
    if (error) {
        known->identity = (struct cheap_identity){0};
        return 0;
    }
    known->identity = match.identity;
    if (!find_wants(find, &match.subject, find->looks == 1))
        return 0;
    error = array_reserve_one(&matches->items, &matches->capacity, matches->count,
                              sizeof *matches->items);
    if (error)
        return error;
    known->is_followed = true;
    matches->items[matches->count++] = match;
    return 0;
}

// One entry of the directory, of which the first `sorted` of the table were there before.
static int find_visit(struct find *find, size_t sorted, int pid, uint64_t inode,
                      struct find_matches *matches)
{
    struct find_known *known = find_get(find, sorted, pid);
    if (known && known->inode == inode) {
        known->is_seen = true;
        struct cheap_identity now;
        if (!find_is_due(find, known) || cheap_identify(&find->reader, pid, &now) != 0 ||
            cheap_compare(&known->identity, &now) == CHEAP_SAME)
            return 0;
        return find_inspect(find, known, matches);
    }
    if (!known) {
        if (find->known_count >= FIND_KNOWN_MAX)
            return -E2BIG;
        int error = array_reserve_one(&find->known, &find->known_capacity, find->known_count,
                                      sizeof *find->known);
        if (error)
            return error;
        known = &find->known[find->known_count++];
    }
    *known =
        (struct find_known){.pid = pid, .inode = inode, .first_look = find->looks, .is_seen = true};
    return find_inspect(find, known, matches);
}

// Only plain digits: "self" and "12x" are no processes.
static int find_pid(struct text name)
{
    uint64_t pid;
    if (!text_take_u64(&name, &pid) || name.len > 0 || pid == 0 || pid > INT32_MAX)
        return 0;
    return (int)pid;
}

// The entries come in the order of PIDs, but in a tree of files in any.
static int find_walk(struct find *find, struct find_matches *matches)
{
    // What is appended in this walk is not searched: no PID comes twice.
    size_t sorted = find->known_count;
    rewinddir(find->root);
    for (;;) {
        // readdir() tells its end and its failure apart by errno alone.
        errno = 0;
        struct dirent *entry = readdir(find->root);
        if (!entry)
            return -errno;
        int pid = find_pid(text_of(entry->d_name));
        if (pid == 0 || pid == find->self)
            continue;
        int error = find_visit(find, sorted, pid, entry->d_ino, matches);
        if (error)
            return error;
    }
}

// What was not seen is gone; what is new is not in order yet.
static void find_settle(struct find *find)
{
    size_t kept = 0;
    for (size_t i = 0; i < find->known_count; i++) {
        if (find->known[i].is_seen)
            find->known[kept++] = find->known[i];
    }
    find->known_count = kept;
    if (kept > 0)
        qsort(find->known, kept, sizeof *find->known, find_compare_pid);
}

// Nothing but numbers selected: no other process needs to be looked at, and none can come later.
static bool find_has_only_numbers(const struct find *find)
{
    for (size_t i = 0; i < find->selection_count; i++) {
        if (find->selections[i].kind != SELECT_PID)
            return false;
    }
    return true;
}

// The same number may be given twice on a command line.
static bool find_has_match(const struct find_matches *matches, int pid)
{
    for (size_t i = 0; i < matches->count; i++) {
        if (matches->items[i].subject.pid == pid)
            return true;
    }
    return false;
}

// No directory is read for these: a recording of one process costs nothing for the others.
static int find_look_at_numbers(struct find *find, struct find_matches *matches)
{
    for (size_t i = 0; find->looks == 1 && i < find->selection_count; i++) {
        struct find_known known = {.pid = find->selections[i].pid};
        if (known.pid == find->self || find_has_match(matches, known.pid))
            continue;
        int error = find_inspect(find, &known, matches);
        if (error)
            return error;
    }
    return 0;
}

int find_look(struct find *find, struct find_matches *matches)
{
    find->looks++;
    if (find_has_only_numbers(find))
        return find_look_at_numbers(find, matches);
    for (size_t i = 0; i < find->known_count; i++)
        find->known[i].is_seen = false;
    int error = find_walk(find, matches);
    // After a failure nothing is known of those that were not reached: all of them stay.
    for (size_t i = 0; error && i < find->known_count; i++)
        find->known[i].is_seen = true;
    find_settle(find);
    return error;
}
