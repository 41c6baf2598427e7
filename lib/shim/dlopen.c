// SPDX-License-Identifier: Apache-2.0
// dlopen() without RTLD_DEEPBIND, in the shared library alone. Library world.
//
// A library opened with that flag finds its symbols in itself and in what it is linked to before it
// looks at the program: libc's free() rather than the one that took malloc's place. What libc's own
// strdup() or getline() allocates by our malloc() goes to libc's free() there, and the process is
// ended. PHP opens all its extensions so. Left off, the flag costs what it was meant for: where the
// program and the library both define a name, the program's is taken, as without the flag.
#include <dlfcn.h>

#include "shim/shim.h"

// musl has no such flag.
#ifdef RTLD_DEEPBIND

// The one behind us is looked up each time: nothing to keep, and dlopen() is slow by itself. The
// call stands last, so that it is a jump: libc sees our caller, whose RUNPATH it goes by.
EXPORT void *dlopen(const char *file, int mode)
{
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return next ? next(file, mode & ~RTLD_DEEPBIND) : NULL;
}

#endif
