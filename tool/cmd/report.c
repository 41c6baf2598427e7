// SPDX-License-Identifier: Apache-2.0
// ebb report: what a recording says, the difference of two, and their samples for other tools. Tool
// world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/when.h"
#include "cmd/report_file.h"
#include "cmd/report_sink.h"
#include "render/report.h"

// The first ones are reports, the others samples. From FORMAT_SAMPLES on the numbers are those of
// the choices below, in their order.
enum report_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_HTML, FORMAT_SAMPLES };
static const char *const format_choices[] = {"text",  "json",        "html",   "csv",
                                             "jsonl", "openmetrics", "chrome", NULL};

const struct option_spec report_options[] = {
    {.name = "at",
     .kind = OPTION_STRING,
     .argument = "TIME",
     .help = "The accounts as they were at TIME."},
    // Times are read by the recording's own frame: "+5m" is from its start, "-2h" from its end.
    {.name = "from",
     .kind = OPTION_STRING,
     .argument = "TIME",
     .help = "Begin there: '14:05', '10m ago', '-2h', '+5m', 'yesterday 9:00', '2026-11-21 "
             "14:05', '@1795500000'."},
    {.name = "to", .kind = OPTION_STRING, .argument = "TIME", .help = "End there."},
    // A name that several have is refused: which of them was meant nobody can know.
    {.name = "process",
     .letter = 'p',
     .kind = OPTION_STRING,
     .argument = "PROCESS",
     .help = "Only this one: its PID, or the name that one process has."},
    // Off by default: it cannot be answered by minutes and hours alone, and so costs most.
    {.name = "above",
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .help = "Tell how long RSS and effective RSS were above SIZE."},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .choices = format_choices,
     .fallback = "text",
     .help = "text and json are reports; html is a page with the charts that stands alone; csv, "
             "jsonl, openmetrics and chrome (a trace) are all samples."},
    // As in all other verbs, beside the format of that name.
    {.name = "json", .letter = 'j', .kind = OPTION_FLAG, .help = "As --format=json."},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_STRING,
     .argument = "FILE",
     .help = "Write to FILE, which must not be there yet."},
    {.name = "bytes", .letter = 'b', .kind = OPTION_FLAG, .help = "Exact bytes instead of MiB."},
    {.name = NULL},
};

// What every step of a run needs.
struct report_run {
    const struct command *command;
    struct render_style style;
    size_t format; // its place among the choices
};

// What does not go together is refused before anything is read, or a file made.
static int check_usage(const struct report_run *run)
{
    const struct options *options = &run->command->options;
    bool has_at = options_get(options, "at")->given;
    if (options->operand_count == 0)
        return message_refuse_usage("report", "which recording? Give the FILE of ebb record");
    if (options->operand_count > 2)
        return message_refuse_usage("report", "one recording, or two to be compared");
    if (options_flag(options, "json") && options_get(options, "format")->given &&
        run->format != FORMAT_JSON)
        return message_refuse_usage("report", "either --json or --format, not both");
    if (options->operand_count == 2 && run->format > FORMAT_JSON)
        return message_refuse_usage("report", "two recordings are compared as text or json");
    // A moment has no series of samples.
    if (has_at && run->format > FORMAT_JSON)
        return message_refuse_usage("report", "--at goes with text and json");
    if (has_at && (options->operand_count == 2 || options_get(options, "from")->given ||
                   options_get(options, "to")->given))
        return message_refuse_usage("report",
                                    "--at is one moment of one recording: not with --from or --to");
    return EXIT_DONE;
}

// A time option, seen from the recording. EXIT_DONE (0 where it was not given), or EXIT_USAGE after
// a message.
static int read_time(const struct options *options, const char *name,
                     const struct when_frame *frame, int64_t *ret_ms)
{
    const struct option_value *value = options_get(options, name);
    // 0 is "not given" for report_build() as well.
    *ret_ms = 0;
    if (!value->given || when_parse(text_of(value->string), frame, ret_ms) == 0)
        return EXIT_DONE;
    char shown[MESSAGE_NAME_MAX];
    message_escape(value->string, shown, sizeof shown);
    message_error("report: --%s: '%s' is no time", name, shown);
    message_hint("Such as 14:05, '10m ago', -2h, +5m, 'yesterday 09:00', '2026-11-21 14:05'.");
    return EXIT_USAGE;
}

// --process as a subject. EXIT_DONE, or a status after a message.
static int read_process(const struct options *options, struct history *history,
                        unsigned *ret_subject)
{
    const struct option_value *value = options_get(options, "process");
    struct subject *subjects = NULL;
    size_t count = 0, found = 0;
    *ret_subject = 0;
    if (!value->given)
        return EXIT_DONE;
    int error = history_subjects(history, &subjects, &count);
    if (error)
        return report_file_refuse(NULL, error);
    char pid[16];
    for (size_t i = 0; i < count; i++) {
        // PIDs as text: "041" is no PID, but may be a name.
        snprintf(pid, sizeof pid, "%d", subjects[i].pid);
        if (strcmp(value->string, pid) == 0 || strcmp(value->string, subjects[i].name) == 0) {
            *ret_subject = subjects[i].id;
            found++;
        }
    }
    char shown[MESSAGE_NAME_MAX];
    message_escape(value->string, shown, sizeof shown);
    if (found == 0)
        message_error("report: no process '%s' is in the recording", shown);
    for (size_t i = 0; i < count && found > 1; i++) {
        char name[MESSAGE_NAME_MAX];
        message_escape(subjects[i].cmdline, name, sizeof name);
        if (i == 0)
            message_error("report: %zu processes are '%s': which PID?", found, shown);
        if (strcmp(value->string, subjects[i].name) == 0)
            message_hint("%d  %s", subjects[i].pid, name);
    }
    free(subjects);
    return found == 1 ? EXIT_DONE : found == 0 ? EXIT_NO_PROCESS : EXIT_USAGE;
}

// Reads the options that need the recording, and builds the report.
static int build(const struct report_run *run, const char *path, struct history *history,
                 struct report *ret_report)
{
    const struct options *options = &run->command->options;
    struct history_about about;
    int error = history_about(history, &about);
    if (error)
        return report_file_refuse(path, error);
    // Seen from a recording, "now" is its end: it may be of last week.
    struct when_frame frame = {about.first_ms, about.last_ms};
    struct report_options wanted = {.above_bytes = options_get(options, "above")->number};
    int status = read_time(options, "from", &frame, &wanted.from_ms);
    if (status == EXIT_DONE)
        status = read_time(options, "to", &frame, &wanted.to_ms);
    if (status == EXIT_DONE)
        status = read_process(options, history, &wanted.subject);
    if (status != EXIT_DONE)
        return status;
    // An empty range would else be told as "no sample", which sounds like a damaged file.
    if (options_get(options, "to")->given &&
        wanted.to_ms < (wanted.from_ms ? wanted.from_ms : about.first_ms))
        return message_refuse_usage("report", "--to lies before --from, or before the recording");
    error = report_build(history, &wanted, ret_report);
    if (error == -ENODATA && !options_get(options, "from")->given &&
        !options_get(options, "to")->given)
        return report_file_refuse_empty(path, &about);
    return error ? report_file_refuse(path, error) : EXIT_DONE;
}

// The last account by then: the text tells its own moment.
static int print_moment(const struct report_run *run, struct history *history,
                        const struct report *report, struct buffer *buffer)
{
    struct when_frame frame = {report->about.first_ms, report->about.last_ms};
    int64_t at_ms;
    // It has been read once: usage was checked before anything was written.
    if (read_time(&run->command->options, "at", &frame, &at_ms) != EXIT_DONE)
        return -EINVAL;
    return run->format == FORMAT_JSON
               ? render_moment_json(history, report, at_ms, buffer)
               : render_moment_text(history, report, at_ms, &run->style, buffer);
}

// One recording, as a report.
static int print_report(const struct report_run *run, struct history *history,
                        const struct report *report, struct report_sink *sink)
{
    struct buffer buffer = {0};
    int error;
    if (options_get(&run->command->options, "at")->given)
        error = print_moment(run, history, report, &buffer);
    else if (run->format == FORMAT_JSON)
        error = render_report_json(report, &buffer);
    else
        error = render_report_text(report, &run->style, &buffer);
    if (!error)
        error = report_sink_write(sink, buffer.data, buffer.len);
    buffer_free(&buffer);
    return error;
}

// The choices of samples stand in the order of the formats.
static int print_samples(const struct report_run *run, struct history *history,
                         const struct report *report, struct report_sink *sink)
{
    static const enum export_format formats[] = {EXPORT_CSV, EXPORT_JSON_LINES, EXPORT_OPENMETRICS,
                                                 EXPORT_CHROME};
    // They go out as they are read: a recording of weeks is never in memory.
    struct export_sink export_sink = {.write = report_sink_write, .context = sink};
    return export_samples(history, report, formats[run->format - FORMAT_SAMPLES], &export_sink);
}

// What fails after the output was opened takes it away again: no half report stays under that name.
static int print(const struct report_run *run, struct history *history, const struct report *report,
                 const char *path)
{
    struct report_sink sink;
    int status = report_sink_open(&run->command->options, &sink);
    if (status != EXIT_DONE)
        return status;
    int error;
    if (run->format == FORMAT_HTML)
        error = report_html(history, report, &sink);
    else if (run->format >= FORMAT_SAMPLES)
        error = print_samples(run, history, report, &sink);
    else
        error = print_report(run, history, report, &sink);
    // Reading failed. Where writing did, report_sink_close() has the words for it.
    if (error && !sink.has_failed) {
        report_sink_drop(&sink);
        return report_file_refuse(path, error);
    }
    return report_sink_close(&sink);
}

// --at is read before the output is opened, so that a slip leaves no empty file.
static int run_one(const struct report_run *run)
{
    const char *path = run->command->options.operands[0];
    struct history *history;
    struct report report;
    int status = report_file_open(path, &history);
    if (status != EXIT_DONE)
        return status;
    status = build(run, path, history, &report);
    if (status == EXIT_DONE) {
        int64_t at_ms;
        struct when_frame frame = {report.about.first_ms, report.about.last_ms};
        status = read_time(&run->command->options, "at", &frame, &at_ms);
        if (status == EXIT_DONE)
            status = print(run, history, &report, path);
        // The samples that were written came from the recording: it is closed last.
        report_free(&report);
    }
    history_close(history);
    return status;
}

// Both reports are complete by now: the recordings need not be open.
static int compare(const struct report_run *run, const struct report *const reports[2])
{
    const char *const names[2] = {run->command->options.operands[0],
                                  run->command->options.operands[1]};
    struct report_pair *pairs = NULL;
    size_t count = 0;
    struct buffer buffer = {0};
    struct report_sink sink;
    // Opened before the work, as a file that may not be written should cost none.
    int status = report_sink_open(&run->command->options, &sink);
    if (status != EXIT_DONE)
        return status;
    int error = report_compare(reports[0], reports[1], &pairs, &count);
    if (!error)
        error = run->format == FORMAT_JSON
                    ? render_comparison_json(reports, names, pairs, count, &buffer)
                    : render_comparison_text(reports, names, pairs, count, &run->style, &buffer);
    if (!error)
        error = report_sink_write(&sink, buffer.data, buffer.len);
    free(pairs);
    buffer_free(&buffer);
    if (error && !sink.has_failed) {
        report_sink_drop(&sink);
        return report_file_refuse(NULL, error);
    }
    return report_sink_close(&sink);
}

// --from and --to count from each recording's own ends, so that "+5m" is the warm-up of both.
static int run_two(const struct report_run *run)
{
    struct report reports[2] = {0};
    int status = EXIT_DONE;
    for (int side = 0; side < 2 && status == EXIT_DONE; side++) {
        const char *path = run->command->options.operands[side];
        struct history *history;
        status = report_file_open(path, &history);
        if (status != EXIT_DONE)
            break;
        status = build(run, path, history, &reports[side]);
        // One open at a time: a report holds copies of all that it needs.
        history_close(history);
    }
    const struct report *const both[2] = {&reports[0], &reports[1]};
    if (status == EXIT_DONE)
        status = compare(run, both);
    report_free(&reports[0]);
    report_free(&reports[1]);
    return status;
}

// A file gets no colours, wherever stdout leads.
int report_run(const struct command *command)
{
    const struct options *options = &command->options;
    struct report_run run = {
        .command = command,
        .style = {.color = command->color && !options_get(options, "output")->given,
                  .exact_bytes = options_flag(options, "bytes"),
                  .unicode = command->unicode,
                  .width = command->width},
        // --json with another --format comes to check_usage() as that format, and is refused there.
        .format = options_flag(options, "json") && !options_get(options, "format")->given
                      ? FORMAT_JSON
                      : (size_t)options_get(options, "format")->number,
    };
    int status = check_usage(&run);
    if (status != EXIT_DONE)
        return status;
    return options->operand_count == 2 ? run_two(&run) : run_one(&run);
}
