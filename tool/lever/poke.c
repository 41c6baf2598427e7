// SPDX-License-Identifier: Apache-2.0
// Writing single values into a target, see poke.h. Tool world; no state.
#include "lever/poke.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// The open is where the kernel asks for rights (ptrace_may_access, PTRACE_MODE_ATTACH).
int poke_open(struct process *process, const struct mappings *mappings, struct poke *ret_poke)
{
    int fd = openat(process_dir_fd(process), "mem", O_RDWR | O_CLOEXEC);
    // Some kernels say the one, some the other.
    if (fd < 0)
        return errno == EACCES ? -EPERM : -errno;
    *ret_poke = (struct poke){fd, mappings};
    return 0;
}

// Twice is harmless, as when a plan was refused half way.
void poke_close(struct poke *poke)
{
    if (poke->fd >= 0)
        close(poke->fd);
    poke->fd = -1;
}

// Within one page, and so within one copy of the kernel's.
static bool is_whole(uint64_t address, size_t bytes)
{
    return (bytes == 4 || bytes == 8) && address % bytes == 0 && address <= INT64_MAX;
}

// Nothing at all is how mem says that the address space has ended.
static int error_of(ssize_t done, size_t bytes)
{
    if (done < 0)
        return errno == EIO ? -EFAULT : -errno;
    if (done == 0)
        return -ESTALE;
    return (size_t)done == bytes ? 0 : -EFAULT;
}

// Not process_peek(), which refuses what is in swap: the store behind it would bring it in anyhow.
int poke_read(const struct poke *poke, uint64_t address, size_t bytes, uint64_t *ret_value)
{
    // Little endian, as every target here: the low bytes come first.
    uint64_t value = 0;
    if (!is_whole(address, bytes))
        return -EINVAL;
    int error = error_of(pread(poke->fd, &value, bytes, (off_t)address), bytes);
    if (!error)
        *ret_value = value;
    return error;
}

// The mappings are those of the plan; a change since then shows in the value that was read.
int poke_write(const struct poke *poke, uint64_t address, size_t bytes, uint64_t value)
{
    if (!is_whole(address, bytes))
        return -EINVAL;
    // mem writes through protections: what the program's own code could not do is not done.
    const struct mapping *mapping = mappings_find(poke->mappings, address);
    // It was unmapped between the plan and now, or never there.
    if (!mapping)
        return -EFAULT;
    if (!(mapping->flags & MAPPING_WRITE) || (mapping->flags & MAPPING_SHARED))
        return -EROFS;
    return error_of(pwrite(poke->fd, &value, bytes, (off_t)address), bytes);
}
