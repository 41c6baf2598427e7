// SPDX-License-Identifier: Apache-2.0
// ebb report in the table of verbs: what its help and man page say. Tool world; constant.
#include "cmd/verbs.h"

// One recording, or two to be compared; more are refused.
static const char *const report_usage[] = {"[OPTION]... FILE", "[OPTION]... BEFORE AFTER", NULL};
static const char *const report_description[] = {
    "Says what a recording of ebb record holds: a chart of the largest process, peaks and means of "
    "RSS and effective RSS, what RSS would have been without lazily freed pages, growth with its "
    "error, the time under each verdict, and what happened.",
    "Two recordings are compared by the names of their processes, such as before and after a "
    "deploy.",
    "A recording that is still being written can be read at any time. Dumps of pprofplus (JSON "
    "lines with timestamp, sys, heapsys, heapalloc, heapinuse, heapreleased, heapidle, vms, rss) "
    "are read as recordings.",
    "Growth is the slope of effective RSS by least squares over its minutes; it is called growth "
    "where it is more than twice its standard error, rises by a twentieth at least, and its lows "
    "rise as well.",
    "A peak that came and went between two readings is told as the kernel knows it (VmHWM), and is "
    "kernel_peak_rss_bytes in what is exported. An account that is older than the moment it stands "
    "for is told with its age.",
    NULL,
};
static const struct verb_example report_examples[] = {
    {"ebb report api.ebb", "what happened"},
    {"ebb report --from '2h ago' --above 1GiB api.ebb",
     "the last two hours, and how long above 1 GiB"},
    {"ebb report --at 03:14 api.ebb", "the account when the alarm rang"},
    {"ebb report before.ebb after.ebb", "did the deploy help?"},
    {"ebb report --format html -o api.html api.ebb", "a page with the charts, to send to somebody"},
    {"ebb report --format csv api.ebb >api.csv", "all samples for a spreadsheet"},
    {NULL, NULL},
};

const struct verb report_verb = {
    .name = "report",
    .purpose = "say what a recording holds; compare two; export it",
    .usage = report_usage,
    .description = report_description,
    .examples = report_examples,
    .options = report_options,
    .operand = OPERAND_FILE,
    .run = report_run,
};
