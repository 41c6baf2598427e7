// SPDX-License-Identifier: Apache-2.0
// From a command's name to the file that will run, see program.h. Tool world; no state.
#include "lever/run/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text.h"
#include "lever/run/shebang.h"

// As execvp() takes it where PATH is not set.
static const char default_search[] = "/bin:/usr/bin";

// 0, or why exec would not take it.
// By the real user, as access() has it: that is who ebb was started by.
static int check_executable(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EACCES;
    return access(path, X_OK) == 0 ? 0 : -errno;
}

int program_find(const char *name, const char *search, char ret_path[PATH_MAX])
{
    // No name is no file.
    if (name[0] == '\0')
        return -ENOENT;
    if (strchr(name, '/')) {
        int error = check_executable(name);
        if (error)
            return error;
        return text_copy(text_of(name), ret_path, PATH_MAX) ? 0 : -ENAMETOOLONG;
    }
    const char *at = search ? search : default_search;
    // What is there but may not be executed is told only when nothing else is found.
    int error = -ENOENT;
    for (bool is_last = false; !is_last;) {
        size_t len = strcspn(at, ":");
        is_last = at[len] == '\0';
        // An empty folder is the current one.
        // An entry that is too long is left out, as execvp() does it.
        const char *slash = len > 0 ? "/" : "";
        if (len + strlen(name) + sizeof("/") <= PATH_MAX) {
            char path[PATH_MAX];
            text_format(path, sizeof path, "%.*s%s%s", (int)len, at, slash, name);
            int found = check_executable(path);
            if (found == 0) {
                text_copy(text_of(path), ret_path, PATH_MAX);
                return 0;
            }
            error = found == -EACCES ? found : error;
        }
        at += len + 1;
    }
    return error;
}

// Would exec of this file change who the process is, so that the loader forgets LD_PRELOAD and
// no_new_privs takes something away? Source: cap_bprm_creds_from_file() of the kernel.
static bool gains_privileges(int fd)
{
    struct stat status;
    struct statvfs mount;
    // By descriptor, so that it is the file that was read.
    if (fstat(fd, &status) < 0)
        return false;
    if (fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID))
        return false;
    // Already without hope of new privileges: then the bits count for nothing.
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return false;
    bool new_user = (status.st_mode & S_ISUID) && status.st_uid != getuid();
    // Without the execute bit it meant mandatory locking.
    bool new_group =
        (status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getgid();
    bool new_rights = getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
    return new_user || new_group || new_rights;
}

// PATH plus a suffix, or a folder plus a name.
static bool exists_beside(const char *path, const char *suffix)
{
    char other[PATH_MAX];
    text_format(other, sizeof other, "%s%s", path, suffix);
    return access(other, F_OK) == 0;
}

// A .NET program is its host `dotnet`, or an own host beside the files that it loads.
static bool is_dotnet(const char *path, struct text name)
{
    char folder[PATH_MAX];
    struct text rest = {path, strlen(path) - name.len};
    text_copy(rest, folder, sizeof folder);
    return text_equals(name, "dotnet") || exists_beside(path, ".runtimeconfig.json") ||
           exists_beside(folder, "libcoreclr.so");
}

// By names, since the files are libraries of their runtimes or scripts that start one.
static bool is_erlang(struct text name)
{
    // The servers that are best known for it start it by scripts of these names.
    static const char *const names[] = {"beam.smp",        "beam",    "erl",
                                        "erlexec",         "elixir",  "iex",
                                        "rabbitmq-server", "couchdb", "ejabberdctl"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (text_equals(name, names[i]))
            return true;
    }
    return false;
}

// Symbolic links stand between a name and a runtime's folder.
static enum program_loser find_loser(const struct program *program)
{
    const char *paths[] = {program->path, program->final_path};
    for (size_t i = 0; i < 2; i++) {
        char resolved[PATH_MAX];
        const char *path = realpath(paths[i], resolved) ? resolved : paths[i];
        // A file of that name in a folder of its own is proof enough for a warning.
        if (is_dotnet(path, text_base_name(text_of(path))))
            return PROGRAM_DOTNET;
        if (is_erlang(text_base_name(text_of(path))))
            return PROGRAM_ERLANG;
    }
    if (program->is_known && program->binary.conf_variable_count > 0 &&
        program->binary.jemalloc_major > 0 && program->binary.jemalloc_major < 5)
        return PROGRAM_JEMALLOC4;
    return PROGRAM_FALLS_BACK;
}

// One step from a script to what runs it. 0 and the next path; -ENOEXEC when `fd` is no script;
// -ENOENT and others as program_find().
static int follow(int fd, const char *search, char path[PATH_MAX])
{
    // As much as the kernel looks at.
    char start[SHEBANG_MAX];
    ssize_t len = pread(fd, start, sizeof start, 0);
    if (len < 0)
        return -errno;
    // env(1) is only a way to look along PATH: what it starts is of interest.
    struct text interpreter, argument, wanted;
    int error = shebang_parse((struct text){start, (size_t)len}, &interpreter, &argument);
    if (error)
        return error;
    char name[SHEBANG_MAX];
    if (text_equals(text_base_name(interpreter), "env") && shebang_env_program(argument, &wanted)) {
        text_copy(wanted, name, sizeof name);
        return program_find(name, search, path);
    }
    text_copy(interpreter, name, sizeof name);
    error = program_find(name, NULL, path);
    // One that is not there is named all the same.
    if (error == -ENOENT)
        text_copy(text_of(name), path, PATH_MAX);
    return error;
}

// Neither ELF nor a script with a first line: exec fails, and execvp() gives it to the shell.
static int read_final(int fd, struct program *program, const char *search)
{
    // ELF, and the end of the way, in most cases at once.
    int error = binary_read(fd, &program->binary);
    if (error != -ENOEXEC)
        return error;
    error = follow(fd, search, program->final_path);
    if (error == -ENOENT && strcmp(program->final_path, program->path) != 0)
        program->is_script = true;
    if (error != -ENOEXEC || program->is_script)
        return error ? error : -EAGAIN;
    text_copy(text_of("/bin/sh"), program->final_path, PATH_MAX);
    return -EAGAIN;
}

int program_look(const char *name, const char *search, struct program *ret_program)
{
    struct program program = {0};
    int error = program_find(name, search, program.path);
    if (error)
        return error;
    text_copy(text_of(program.path), program.final_path, PATH_MAX);
    // What remains if the way has no end.
    program.error = -ELOOP;
    // -EAGAIN: there is an interpreter to look at.
    for (int depth = 0; depth <= SHEBANG_DEPTH; depth++) {
        int fd = open(program.final_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0) {
            program.error = -errno;
            break;
        }
        program.gains_privileges = gains_privileges(fd);
        program.error = read_final(fd, &program, search);
        close(fd);
        if (program.error != -EAGAIN)
            break;
        program.is_script = true;
        program.error = -ELOOP;
    }
    // What is not known is no reason to refuse: exec will tell.
    program.is_known = program.error == 0;
    program.loser = find_loser(&program);
    *ret_program = program;
    return 0;
}
