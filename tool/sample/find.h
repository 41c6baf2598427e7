// SPDX-License-Identifier: Apache-2.0
// Looking for processes that match. Tool world; one thread.
//
// A look reads the directory of processes and then only those that are not known yet: what was
// found not to match is remembered by PID and inode, which proc gives anew to a new process. A
// process may begin to match by calling exec, most often right after it was forked: young ones are
// looked at again each time, old ones now and then.
#ifndef EBB_SAMPLE_FIND_H
#define EBB_SAMPLE_FIND_H

#include <dirent.h>

#include "base/buffer.h"
#include "sample/cheap.h"
#include "sample/sample.h"
#include "sample/select.h"

// What an alarm runs has this in its environment, before all else: the PID of the ebb whose alarm
// it is. Below that ebb, it is none of those that are looked for: it would ring for itself.
#define FIND_ALARM_MARK "EBB_ALARM_OF"

struct find_known;

struct find {
    struct cheap_reader reader;
    DIR *root; // its descriptor is the reader's
    const struct selection *selections;
    size_t selection_count;
    int self; // never found; 0: nobody is left out
    uint64_t boot_time_s;
    bool has_host; // the tree has a meminfo, as every proc has
    struct buffer scratch;
    struct find_known *known; // ascending by PID
    size_t known_count, known_capacity;
    unsigned looks;
};

// One that matches. The subject has no id and no times but its start yet.
struct find_match {
    struct subject subject;
    struct cheap_identity identity;
};
struct find_matches {
    struct find_match *items;
    size_t count, capacity;
};

// 0 or -errno of opening the tree. find_close() frees it. `selections` stay the caller's.
int find_open(const char *proc_root, const struct selection *selections, size_t count,
              bool has_self, struct find *ret_find);
void find_close(struct find *find);

// Appends processes that match and were not found before, ascending by PID. PIDs that are selected
// by number are looked for in the first look only, since later another process may have the number.
// 0 or -errno of reading the directory; -ENOMEM; in the first look also -EMFILE or -ENFILE, where
// no descriptor is left to look with. Cost: 1 µs for a process that is known, 50 µs for a new one.
int find_look(struct find *find, struct find_matches *matches);

// A process that was found is gone, or is another program now: may be found again.
void find_forget(struct find *find, int pid);

// Who a process is: names, user, group, start. 0 or -errno as cheap_read(); what may not be seen
// stays "". -ESTALE where it calls exec again and again.
int find_describe(struct find *find, int pid, struct find_match *ret_match);
// Reads its names, its group anew.
void find_read_names(struct find *find, const char *comm, struct subject *subject);
void find_read_group(struct find *find, struct subject *subject);
// Does its command line differ from the one that is known? False where it cannot be read.
bool find_has_other_line(struct find *find, const struct subject *subject);

// Does it match one of the selections, those by number left out on demand?
bool find_wants(struct find *find, const struct subject *subject, bool has_numbers);

#endif
