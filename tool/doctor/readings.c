// SPDX-License-Identifier: Apache-2.0
// Reads what the doctor judges, see readings.h. Tool world; no state.
#include "doctor/readings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "proc/find.h"
#include "proc/mountinfo.h"
#include "proc/process.h"

enum { DOCTOR_FILE_MAX_BYTES = 16 << 20 };

// The first namespaces of a system have fixed numbers (include/linux/proc_ns.h).
static const char *const first_user_namespace = "user:[4026531837]";
static const char *const first_pid_namespace = "pid:[4026531836]";
static const char *const first_cgroup_namespace = "cgroup:[4026531835]";

int doctor_parse_hide_pid(struct text options)
{
    // 3 was never given out.
    static const char *const words[] = {"off", "noaccess", "invisible", "", "ptraceable"};
    struct text option;
    while (text_next_field(&options, ',', &option)) {
        if (!text_take_prefix(&option, "hidepid="))
            continue;
        uint64_t number;
        // Kernels before 5.8 print the number.
        if (text_take_u64(&option, &number) && number <= 4)
            return (int)number;
        for (int i = 0; i < (int)(sizeof words / sizeof *words); i++) {
            if (option.len > 0 && text_equals(option, words[i]))
                return i;
        }
        return -1;
    }
    return 0;
}

// How the tree is mounted: the last mount on a point is the one that is seen.
static int read_hide_pid(struct process *self, const char *proc_root)
{
    struct buffer file = {0};
    // A bind mount under another name is not found, and stays unknown.
    int hide_pid = -1;
    if (process_read_file(self, "mountinfo", DOCTOR_FILE_MAX_BYTES, &file) == 0) {
        struct text rest = buffer_text(&file);
        struct mount_line mount;
        while (mountinfo_next(&rest, &mount)) {
            char point[4096];
            text_copy_unescaped(mount.point, point, sizeof point);
            if (text_equals(mount.type, "proc") && strcmp(point, proc_root) == 0)
                hide_pid = doctor_parse_hide_pid(mount.options);
        }
    }
    buffer_free(&file);
    return hide_pid;
}

// Unknown counts as the first: nothing is claimed that was not seen.
static bool is_other_namespace(struct process *self, const char *name, const char *first)
{
    char link[64];
    return process_read_link(self, name, link, sizeof link) == 0 && strcmp(link, first) != 0;
}

// Container engines leave a mark; Kubernetes names its API in every environment.
static void read_container(struct process *self, char *ret_mark, size_t size)
{
    static const char *const files[] = {"/.dockerenv", "/run/.containerenv"};
    static const char *const variables[] = {"KUBERNETES_SERVICE_HOST", "container"};
    // Files come first: an environment is easily inherited by what is no container.
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (access(files[i], F_OK) == 0) {
            text_copy(text_of(files[i]), ret_mark, size);
            return;
        }
    }
    struct buffer file = {0};
    struct text value;
    // Read from the tree like everything else, not from our own memory.
    bool readable = process_read_file(self, "environ", DOCTOR_FILE_MAX_BYTES, &file) == 0;
    for (size_t i = 0; readable && i < sizeof variables / sizeof *variables; i++) {
        if (proc_environ_find(buffer_text(&file), variables[i], &value)) {
            snprintf(ret_mark, size, "the environment's %s", variables[i]);
            break;
        }
    }
    buffer_free(&file);
}

// All that ebb knows of its own place, from its own directory in the tree.
static void read_self(struct process *self, const char *proc_root, struct doctor_readings *readings)
{
    struct buffer file = {0};
    if (process_read_file(self, "status", DOCTOR_FILE_MAX_BYTES, &file) == 0)
        readings->has_self = proc_status_parse(buffer_text(&file), &readings->self) == 0;
    buffer_free(&file);
    // Without a memory controller its version stays 0.
    cgroup_read(self, &readings->cgroup);
    readings->is_kernel = process_is_procfs(self);
    // Files cannot be asked.
    if (!readings->is_kernel)
        return;
    readings->hide_pid = read_hide_pid(self, proc_root);
    readings->in_pid_namespace = is_other_namespace(self, "ns/pid", first_pid_namespace);
    readings->in_user_namespace = is_other_namespace(self, "ns/user", first_user_namespace);
    readings->in_cgroup_namespace = is_other_namespace(self, "ns/cgroup", first_cgroup_namespace);
    read_container(self, readings->container, sizeof readings->container);
    doctor_probe(self, &readings->cgroup, &readings->probes);
}

// Only a tree without meminfo is refused; all else is a finding.
int doctor_read(const char *proc_root, struct doctor_readings *ret_readings)
{
    struct doctor_readings readings = {
        .hide_pid = -1,
        .cgroup = {.limit_bytes = CGROUP_NO_LIMIT},
        // Until a kernel has been asked.
        .probes = {.madv_free = DOCTOR_NOT_ASKED,
                   .process_madvise = DOCTOR_NOT_ASKED,
                   .process_madvise_any = DOCTOR_NOT_ASKED,
                   .pagemap_scan = DOCTOR_NOT_ASKED,
                   .frame_numbers = DOCTOR_NOT_ASKED,
                   .group_reclaim = DOCTOR_NOT_ASKED,
                   .seccomp_filter = DOCTOR_NOT_ASKED,
                   .call = DOCTOR_NOT_ASKED},
    };
    int error = host_read(proc_root, &readings.host);
    if (error)
        return error;
    struct process *self;
    // A tree of another machine does not know us.
    pid_t pid = proc_self(proc_root);
    if (pid > 0 && process_open(proc_root, pid, &self) == 0) {
        read_self(self, proc_root, &readings);
        process_close(self);
    }
    *ret_readings = readings;
    return 0;
}
