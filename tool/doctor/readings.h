// SPDX-License-Identifier: Apache-2.0
// What the doctor looks at, before any judgement: files of the host and of ebb itself, and probes
// of the running kernel. Tool world; one thread.
#ifndef EBB_DOCTOR_READINGS_H
#define EBB_DOCTOR_READINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/cgroup.h"
#include "proc/host.h"
#include "proc/status.h"

struct process;

// Bits of CapEff, from linux/capability.h; the last two are of 5.8.
enum doctor_capability {
    DOCTOR_CAP_SYS_PTRACE = 19,
    DOCTOR_CAP_SYS_ADMIN = 21,
    DOCTOR_CAP_SYS_NICE = 23,
    DOCTOR_CAP_SYS_RESOURCE = 24,
    DOCTOR_CAP_PERFMON = 38,
    DOCTOR_CAP_BPF = 39,
};

// Answers of the running kernel: 0 it works, -errno as the call failed, 1 not asked.
struct doctor_probes {
    int madv_free;           // madvise(MADV_FREE) on pages of our own
    uint64_t freed_kib;      // how much of them was freed lazily,
    uint64_t shown_lazy_kib; // and how much of it smaps shows as LazyFree
    int process_madvise;     // on ourselves, MADV_COLD
    int process_madvise_any; // on ourselves, MADV_DONTNEED (6.13)
    int pagemap_scan;        // the ioctl of 6.7
    int frame_numbers;       // pagemap shows them (CAP_SYS_ADMIN), and kpageflags opens (root)
    int group_reclaim;       // memory.reclaim or memory.force_empty of our group may be written
    int seccomp_filter;      // filters that answer with an error (4.14)
    int call;                // ebb can call functions in processes of its own architecture
};

enum { DOCTOR_NOT_ASKED = 1 };

// A library that is installed, or not.
struct doctor_library {
    bool is_looked_for;
    char path[256];   // raw; "" there is none
    char version[32]; // raw; "" it does not say
};

struct doctor_readings {
    struct host host;
    struct doctor_library libebb; // its caller's to find
    bool is_kernel;               // a kernel answers below the root: the probes speak of it
    bool has_self;                // the tree knows ebb itself; otherwise self and cgroup are empty
    struct proc_status self;
    struct cgroup cgroup; // version 0: none
    int hide_pid;         // 0 to 4 as the mount option hidepid; -1 unknown
    // Namespaces other than the first ones of the system; capabilities do not reach out of a user
    // namespace.
    bool in_pid_namespace, in_user_namespace, in_cgroup_namespace;
    char container[64]; // what tells of a container: "/.dockerenv"; "" nothing
    struct doctor_probes probes;
};

// Reads all. 0; -errno when `proc_root` is no readable proc tree. Cost: about 8 ms, most of it for
// the 4 MiB that are freed on trial.
int doctor_read(const char *proc_root, struct doctor_readings *ret_readings);

// Asks the running kernel, with scratch pages of our own that are gone afterwards. Nobody else is
// touched.
void doctor_probe(struct process *self, const struct cgroup *cgroup,
                  struct doctor_probes *ret_probes);

// 0 to 4 from the options of a proc mount: "hidepid=2", or since 5.8 "hidepid=invisible".
int doctor_parse_hide_pid(struct text options);

#endif
