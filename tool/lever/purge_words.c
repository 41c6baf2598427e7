// SPDX-License-Identifier: Apache-2.0
// What gives memory back where no call can, see purge_words.h. Tool world; pure.
//
// Managed runtimes collect on threads and stacks of their own making: a function of theirs that is
// entered from a borrowed thread would find neither. So each is told the way that its makers left.
#include "lever/purge_words.h"

#include <stddef.h>
#include <string.h>

struct words {
    const char *runtime, *sentence;
};

// Sources: runtime/debug and GOMEMLIMIT of Go's documentation; jcmd(1) and JEP 346; node's --help;
// musl's src/malloc; GC settings of .NET's documentation; CPython's Objects/obmalloc.c.
static const struct words all_words[] = {
    {"Go", "Go has no function that can be called from outside. What works: debug.FreeOSMemory() "
           "inside the program, GOMEMLIMIT or GOGC at its start, and `ebb tune`; what Go has freed "
           "lazily is reclaimed without its help"},
    {"JVM", "the JVM is not asked by a call. What works: `jcmd PID GC.run`, which gives the heap "
            "back as far as MaxHeapFreeRatio allows, -XX:G1PeriodicGCInterval for idle times, and "
            "`jcmd PID System.trim_native_heap` for what lies in malloc (JDK 18 and later)"},
    {"V8", "V8 is not asked by a call. What works: gc() in a program that was started with "
           "--expose-gc, a smaller --max-old-space-size, --optimize-for-size"},
    {".NET", ".NET is not asked by a call. What works: GC.Collect() inside the program, and "
             "DOTNET_GCConserveMemory or DOTNET_GCHeapHardLimit at its start"},
    {"CPython", "CPython's own arenas go back by themselves once nothing in them is used; below "
                "them it is malloc that is asked"},
    {"musl", "musl's malloc has no function for it: it gives whole groups back by itself when the "
             "last of their blocks is freed"},
};

const char *purge_words(const char *runtime)
{
    for (size_t i = 0; i < sizeof all_words / sizeof all_words[0]; i++)
        if (strcmp(all_words[i].runtime, runtime) == 0)
            return all_words[i].sentence;
    return NULL;
}
