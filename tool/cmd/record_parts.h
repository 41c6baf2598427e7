// SPDX-License-Identifier: Apache-2.0
// The parts of ebb record: a command to record, the rounds, what is said. Tool world; one thread.
#ifndef EBB_CMD_RECORD_PARTS_H
#define EBB_CMD_RECORD_PARTS_H

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/alarms.h"
#include "cmd/verb.h"
#include "history/history.h"
#include "lever/journal_events.h"
#include "sample/sampler.h"

struct signalfd_siginfo;

// A command that was started to be recorded.
struct record_child {
    char **argv; // NULL: none
    pid_t pid;
    bool is_running;
    int wait_status; // of waitpid(), once it is not
};

// What has come so far; for the line that moves and for the last one. Counted here and not asked of
// the file, which knows of a round only after its flush.
struct record_totals {
    uint64_t samples, accounts, processes, unreadable;
    uint64_t effective_bytes; // of all in the last round
    char name[64];            // of the only process; "" with several
    char unreadable_text[EVENT_TEXT_MAX];
};

struct record {
    const struct command *command;
    char path[PATH_MAX];
    struct selection *selections;
    size_t selection_count;
    struct record_child child;
    struct sampler *sampler;
    struct history *history;
    struct journal *journal;
    struct alarms *alarms;         // NULL: none
    sigset_t signals, old_signals; // come by signal_fd alone; what they were
    int signal_fd;
    uint64_t started_ns, for_ns; // 0: no end
    bool is_quiet, is_stopped;
    int error;                    // of the recording: it is over, whatever else goes on
    struct journal_events events; // of a round, with the levers' and the alarms' among them
    struct progress progress;
    struct record_totals totals;
};

// CLOCK_BOOTTIME, as watch --for has it.
uint64_t record_now_ns(void);

// Blocks the signals that end a recording or belong to its command. 0 or -errno.
int record_take_signals(struct record *record);

// Starts the command; its signals are as ours were. 0; -ENOENT, -EACCES and others of exec.
int record_start_child(struct record *record);
// Hands a signal to it.
void record_signal_child(const struct record *record, const struct signalfd_siginfo *info);
// Collects what has ended: the command, and orphans of it that became ours.
void record_reap(struct record *record);
// Its exit status as a shell tells it; 128 and the number for a signal.
int record_child_status(const struct record_child *child);

// One round of readings. 0; -ESRCH when nobody is left, with a batch all the same; -errno without.
int record_take(struct record *record, const struct batch **ret_batch);
// Writes it, with what levers did since the last one, and what alarms began and ended. A failure is
// in record->error.
void record_write(struct record *record, const struct batch *batch);
// Rounds until the end: a signal, --for, the last process, the command's end, a full disk.
void record_go_on(struct record *record);

// Waits for one thing to happen to the command that goes on after the recording.
void record_wait_child(struct record *record);

// Where it goes: -o, or a name made from what is recorded and the time of day. EXIT_DONE, or a
// status after a message.
int record_choose_path(struct record *record);
// What the recording is called in reports.
void record_title(const struct record *record, char *ret_title, size_t size);
// Why there is no file, or no more of it.
int record_refuse_file(const struct record *record, int error);
void record_tell_error(const struct record *record);
void record_tell_start(const struct record *record);
void record_tell_progress(struct record *record);
// What was recorded, what it cost, what to do next.
void record_tell_end(const struct record *record);

#endif
