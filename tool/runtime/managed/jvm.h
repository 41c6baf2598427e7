// SPDX-License-Identifier: Apache-2.0
// The JVM's settings from its command line. Tool world; pure.
#ifndef EBB_RUNTIME_MANAGED_JVM_H
#define EBB_RUNTIME_MANAGED_JVM_H

#include "base/text.h"
#include "runtime/report.h"

// Adds the options that decide how much memory the JVM holds (-Xmx, -Xms, -Xmn, -Xss, -XX: ones
// about heap, GC, metaspace, code cache, direct memory) from NUL-separated arguments, up to the
// main class or the jar. 0 or -ENOMEM.
int jvm_settings_from_arguments(struct runtime_report *report, struct text cmdline);

// The same for a variable's value ("JAVA_TOOL_OPTIONS"), where blanks part the options and quotes
// join them.
int jvm_settings_from_variable(struct runtime_report *report, struct text value,
                               const char *source);

#endif
