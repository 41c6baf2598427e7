// SPDX-License-Identifier: Apache-2.0
// Reading journals of levers, see journal.h. Tool world; one thread uses a reader.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "lever/journal.h"
#include "lever/journal_place.h"

// One reading takes no more: a journal is no longer, and a hostile one no more welcome.
enum { READ_MAX_BYTES = 512 << 10, PLACES_MAX = 256, ENTRIES_MAX = 4096 };
// Of one user: root's recording is not to be filled, nor held up, by what any user can append.
enum { PLACE_ENTRIES_MAX = 256 };

static const char users_folder[] = "/run/user";

// How far a file has been read. By inode, since a journal may be removed and made again under the
// same name.
struct place {
    char path[PATH_MAX];
    dev_t device;
    ino_t inode;
    off_t offset;
    bool is_marked; // is still to be found
};

struct journal {
    bool is_started; // before that, what is there is passed over
    struct place *places;
    size_t place_count, place_capacity;
    struct journal_entry *entries;
    size_t entry_count, entry_capacity;
    struct buffer file;
};

// /run is root's: for others it is a place where nothing can be made, and nothing is.
bool journal_own_place(char ret_path[PATH_MAX])
{
    const char *set = getenv("XDG_RUNTIME_DIR");
    struct stat status;
    // Under sudo it may be another user's, who could change what is in it.
    bool is_own = set && set[0] == '/' && stat(set, &status) == 0 && S_ISDIR(status.st_mode) &&
                  status.st_uid == geteuid();
    return text_copy(text_of(is_own ? set : "/run"), ret_path, PATH_MAX);
}

// Strict: whoever may write there may write anything.
bool journal_parse(struct text line, struct journal_entry *ret_entry)
{
    struct journal_entry entry = {0};
    uint64_t pid;
    if (!text_take_i64(&line, &entry.time_ms) || !text_take_prefix(&line, "\t") ||
        !text_take_u64(&line, &pid) || pid > INT_MAX || !text_take_prefix(&line, "\t") ||
        !text_take_u64(&line, &entry.start_ticks) || !text_take_prefix(&line, "\t"))
        return false;
    if (entry.time_ms < 0 || line.len == 0)
        return false;
    // Control bytes would reach a terminal with the report.
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.data[i] < ' ' || line.data[i] == 0x7f)
            return false;
    }
    entry.pid = (int)pid;
    text_copy(line, entry.text, sizeof entry.text);
    *ret_entry = entry;
    return true;
}

// Known ones keep how far they were read.
static int add_place(struct journal *journal, const char *base)
{
    char path[PATH_MAX];
    text_format(path, sizeof path, "%.*s/ebb/levers", PATH_MAX - 16, base);
    for (size_t i = 0; i < journal->place_count; i++) {
        if (strcmp(journal->places[i].path, path) == 0) {
            journal->places[i].is_marked = true;
            return 0;
        }
    }
    // So many users who pull levers on one host: the rest is not told.
    if (journal->place_count == PLACES_MAX)
        return 0;
    int error = array_reserve_one(&journal->places, &journal->place_capacity, journal->place_count,
                                  sizeof *journal->places);
    if (error)
        return error;
    struct place *place = &journal->places[journal->place_count++];
    *place = (struct place){.is_marked = true};
    memcpy(place->path, path, sizeof path);
    return 0;
}

// Root sees what all users did.
static int add_users(struct journal *journal)
{
    int error = add_place(journal, "/run");
    DIR *users = opendir(users_folder);
    if (!users)
        return error;
    for (struct dirent *entry; !error && (entry = readdir(users)) != NULL;) {
        char base[PATH_MAX];
        text_format(base, sizeof base, "%s/%s", users_folder, entry->d_name);
        if (entry->d_name[0] != '.')
            error = add_place(journal, base);
    }
    closedir(users);
    return error;
}

// Users come and go; the places of those that went are forgotten.
static int find_places(struct journal *journal)
{
    char own[PATH_MAX];
    for (size_t i = 0; i < journal->place_count; i++)
        journal->places[i].is_marked = false;
    // Without a place of our own there is nothing of ours to read.
    int error = journal_own_place(own) ? add_place(journal, own) : 0;
    if (!error && geteuid() == 0)
        error = add_users(journal);
    size_t kept = 0;
    for (size_t i = 0; i < journal->place_count; i++) {
        if (journal->places[i].is_marked)
            journal->places[kept++] = journal->places[i];
    }
    journal->place_count = kept;
    return error;
}

// From a file's new end to its last whole line.
static int take_lines(struct journal *journal, struct place *place)
{
    struct text rest = buffer_text(&journal->file), line;
    size_t most = journal->entry_count + PLACE_ENTRIES_MAX;
    if (most > ENTRIES_MAX)
        most = ENTRIES_MAX;
    // A line that is not complete yet is read with the rest of it.
    while (rest.len > 0 && memchr(rest.data, '\n', rest.len)) {
        const char *start = rest.data;
        struct journal_entry entry;
        text_next_line(&rest, &line);
        // Line by line, so that a failure in the middle does not lose what comes behind it.
        place->offset += rest.data - start;
        if (!journal_parse(line, &entry) || journal->entry_count >= most)
            continue;
        int error = array_reserve_one(&journal->entries, &journal->entry_capacity,
                                      journal->entry_count, sizeof *journal->entries);
        if (error)
            return error;
        journal->entries[journal->entry_count++] = entry;
    }
    return 0;
}

// What was appended; of a file that is another one now, or was started anew, all of it.
static int read_place(struct journal *journal, struct place *place)
{
    // The folder is another user's, where root reads: no link is followed and no pipe waited for.
    int fd = open(place->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return 0;
    struct stat status;
    int error = 0;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        // A file that has shrunk was started anew, see journal_append().
        bool is_same = status.st_dev == place->device && status.st_ino == place->inode &&
                       status.st_size >= place->offset;
        if (!is_same)
            place->offset = journal->is_started ? 0 : status.st_size;
        place->device = status.st_dev;
        place->inode = status.st_ino;
        buffer_clear(&journal->file);
        if (status.st_size > place->offset && lseek(fd, place->offset, SEEK_SET) >= 0 &&
            buffer_read_fd(&journal->file, fd) == 0)
            error = take_lines(journal, place);
        // Too much at once is nobody's levers: it is passed over.
        if (status.st_size - place->offset > READ_MAX_BYTES)
            place->offset = status.st_size;
    }
    close(fd);
    return error;
}

// What happened before is not part of this recording.
struct journal *journal_open(void)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return NULL;
    const struct journal_entry *entries;
    size_t count;
    journal->file.limit = READ_MAX_BYTES;
    // Only to see where the files end now.
    (void)journal_read(journal, &entries, &count);
    journal->is_started = true;
    return journal;
}

// NULL is fine: there is none where memory was short.
void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    buffer_free(&journal->file);
    free(journal->places);
    free(journal->entries);
    free(journal);
}

// Places are looked for each time: users log in and out.
int journal_read(struct journal *journal, const struct journal_entry **ret_entries,
                 size_t *ret_count)
{
    journal->entry_count = 0;
    int error = find_places(journal);
    for (size_t i = 0; i < journal->place_count && !error; i++)
        error = read_place(journal, &journal->places[i]);
    if (error)
        return error;
    *ret_entries = journal->entries;
    *ret_count = journal->entry_count;
    return 0;
}
