// SPDX-License-Identifier: Apache-2.0
// ebb watch: options, targets or a file, the server, Ctrl-C. Tool world; no state.
#include "cmd/verbs.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/listen.h"
#include "cmd/target.h"

const struct option_spec watch_options[] = {
    {.name = "listen",
     .letter = 'l',
     .kind = OPTION_STRING,
     .argument = "ADDRESS[:PORT]",
     .fallback = "127.0.0.1",
     .help = "Where to listen."},
    // Beside --listen, since the port is what one changes when a second page is opened.
    {.name = "port",
     .kind = OPTION_COUNT,
     .argument = "PORT",
     .help = "This port and no other; 0: any that is free. Without it the first free one from 7878 "
             "on."},
    // On loopback it is not the default: an address that can be typed is worth more there.
    {.name = "token",
     .kind = OPTION_STRING,
     .argument = "TOKEN",
     .help = "Answer only who knows TOKEN; auto makes one. Others on this host can see one that "
             "is typed here."},
    {.name = "token-file",
     .kind = OPTION_STRING,
     .argument = "FILE",
     .help = "The token is the first line of FILE."},
    {.name = "allow-remote",
     .kind = OPTION_FLAG,
     .help = "Listen on an address that other hosts reach, with a token. Nothing is encrypted."},
    // All the rest of the page only reads.
    {.name = "allow-levers",
     .kind = OPTION_FLAG,
     .help = "Let the page reclaim memory; with a token."},
    {.name = "interval",
     .letter = 'i',
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "1s",
     .help = "Between two samples."},
    // Memory of ebb itself: its samples are in it, see open_live().
    {.name = "keep",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .fallback = "1h",
     .help = "How long samples stay in memory. For longer ones use ebb record, and watch its "
             "file."},
    {.name = "all", .letter = 'a', .kind = OPTION_FLAG, .help = "Every process."},
    {.name = "follow",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .help = "Processes that match and start later, too: restarts of a service."},
    {.name = "for",
     .kind = OPTION_DURATION,
     .argument = "DURATION",
     .help = "End after that long. Without it Ctrl-C ends it."},
    {.name = "proc-root",
     .kind = OPTION_STRING,
     .argument = "DIR",
     .fallback = "/proc",
     .help = "Another proc tree, such as that of a container."},
    {.name = NULL},
};

// As in the table of verbs.
#if defined(EBB_WITH_HTTP) && defined(EBB_WITH_SQLITE) && defined(EBB_WITH_JSON)

#include "serve/viewer.h"

enum { PORT = 7878 };

// What no option table can say.
static int check_usage(const struct options *options)
{
    bool has_targets = options->operand_count > 0, is_all = options_flag(options, "all");
    if (has_targets && is_all)
        return message_refuse_usage("watch", "either TARGETs or --all, not both");
    if (!has_targets && !is_all)
        return message_refuse_usage(
            "watch", "what? Give PIDs, names or a recording, or --all for every process");
    int status = verb_check_interval("watch", options);
    if (status != EXIT_DONE)
        return status;
    // A lever pulls at the process that has the PID here.
    if (options_flag(options, "allow-levers") && options_get(options, "proc-root")->given)
        return message_refuse_usage("watch", "--allow-levers is for processes of this host's "
                                             "/proc: leave --proc-root out");
    // A chart of less than one sample.
    if (options_get_ms(options, "keep") < options_get_ms(options, "interval"))
        return message_refuse_usage("watch", "--keep is shorter than --interval");
    return EXIT_DONE;
}

// One operand that is a file is a recording; all digits are a PID even where such a file is.
static bool is_file(const struct options *options)
{
    struct stat status;
    if (options->operand_count != 1)
        return false;
    const char *name = options->operands[0];
    // A path, even of a file that is not there: no process has such a name.
    if (strchr(name, '/'))
        return true;
    // Names of processes with such a file in the folder are rare; --all and patterns are none.
    return strspn(name, "0123456789") < strlen(name) && stat(name, &status) == 0 &&
           S_ISREG(status.st_mode);
}

// Of -errno of history_open().
static int refuse_file(const char *path, int error)
{
    char shown[MESSAGE_NAME_MAX];
    message_escape(path, shown, sizeof shown);
    // By far the likeliest slip is another file.
    if (error == -EBADMSG)
        message_error("watch: %s is no recording of ebb, or is damaged", shown);
    else if (error == -EPROTONOSUPPORT)
        message_error("watch: %s was recorded by a newer ebb than this one", shown);
    else
        message_error("watch: cannot open %s: %s", shown, strerror(-error));
    message_hint_limit(error);
    return error == -EACCES || error == -EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

// For the recording's title: what was asked for.
static void make_title(const struct options *options, char *ret_title, size_t size)
{
    struct buffer title = {0};
    for (size_t i = 0; i < options->operand_count; i++)
        // Without memory the title is shorter, and nothing else is wrong.
        (void)buffer_printf(&title, "%s%s", i > 0 ? " " : "", options->operands[i]);
    // Cut where it is too long: it is a heading.
    text_copy(title.len > 0 ? buffer_text(&title) : text_of("all processes"), ret_title, size);
    buffer_free(&title);
}

// Nobody is there: as the other verbs say it, for the common case of one target.
static int refuse_targets(const struct options *options, int error)
{
    const char *proc_root = options_get(options, "proc-root")->string;
    if (error != -ESRCH)
        return target_refuse_list(proc_root, error);
    // It says which of the several reasons it is, with names that are alike.
    if (options->operand_count == 1) {
        pid_t pid;
        int status = target_resolve(proc_root, options->operands[0], &pid);
        if (status != EXIT_DONE)
            return status;
    }
    int status = target_refuse_nobody("watch", options->operands, options->operand_count);
    message_hint("--follow waits for one.");
    return status;
}

// The sampler of the targets, and a recording in memory.
static int open_live(const struct command *command, struct viewer_options *viewing)
{
    const struct options *options = &command->options;
    struct selection *selections;
    size_t count;
    int status =
        target_select("watch", options->operands, options->operand_count, &selections, &count);
    if (status != EXIT_DONE)
        return status;
    uint64_t interval_ms = options_get_ms(options, "interval");
    struct sampler_options sampling = {
        .proc_root = options_get(options, "proc-root")->string,
        .selections = selections,
        .selection_count = count,
        .interval_ms = interval_ms,
        // All processes are those that come, too.
        .follow = options_flag(options, "follow") || options_flag(options, "all"),
    };
    int error = sampler_open(&sampling, &viewing->sampler);
    // The sampler has copies of what it needs.
    free(selections);
    if (error)
        return refuse_targets(options, error);
    target_tell_missing("watch", options->operands, options->operand_count, viewing->sampler);
    char title[256];
    make_title(options, title, sizeof title);
    viewing->keep_ms = options_get_ms(options, "keep");
    struct history_options recording = {
        .interval_ms = interval_ms, .keep_ms = viewing->keep_ms, .title = title};
    // In memory: a page that is closed leaves nothing behind.
    error = history_create(":memory:", &recording, &viewing->history);
    if (error) {
        sampler_close(viewing->sampler);
        message_error("watch: no memory for the samples: %s", strerror(-error));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

// Options that would change how samples are taken are refused: they were taken long ago.
static int open_file(const struct command *command, struct viewer_options *viewing)
{
    // By name, since they are looked up by it; each is in the table above.
    static const char *const live[] = {"interval", "keep", "follow", "allow-levers", "proc-root"};
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
        if (options_get(&command->options, live[i])->given) {
            message_error("watch: --%s is for processes, not for a recording", live[i]);
            return EXIT_USAGE;
        }
    }
    const char *path = command->options.operands[0];
    int error = history_open(path, &viewing->history);
    return error ? refuse_file(path, error) : EXIT_DONE;
}

// Threads would each take an arena of their own, and keep what a large answer needed.
static void limit_malloc(void)
{
    // By default eight arenas for each processor.
    (void)mallopt(M_ARENA_MAX, 2);
    // Set by hand it does not grow with what is freed.
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

// What the user hears of while it runs.
struct looking {
    struct viewer *viewer;
    bool is_live, is_told;
};

// Once: what follows from it is on the page.
static void look(void *context)
{
    struct looking *looking = context;
    int state = looking->is_told || !looking->is_live ? 0 : viewer_state(looking->viewer);
    if (state == 0)
        return;
    looking->is_told = true;
    if (state == -ESRCH)
        message_error("watch: all processes have ended; the page stays until Ctrl-C");
    else
        message_error("watch: sampling stopped: %s; the page stays until Ctrl-C", strerror(-state));
}

// Serves until the end. The viewer is its own.
static int serve(const struct command *command, struct viewer *viewer, struct listening *listening,
                 bool is_live)
{
    struct http_options options = {
        .routes = viewer_routes(viewer),
        .context = viewer,
        .token = listening->token[0] ? listening->token : NULL,
    };
    struct http *http;
    int error = http_start(&options, listening->fd, &listening->address, &http);
    // The socket was the server's, and is closed.
    if (error) {
        viewer_free(viewer);
        message_error("watch: the server could not be started: %s", strerror(-error));
        message_hint_limit(error);
        return EXIT_FAILED;
    }
    char url[LISTEN_URL_MAX];
    // The address alone on stdout, so that a script can read it from there.
    struct output output = {0};
    listen_url(listening, url);
    output_printf(&output, "%s\n", url);
    int status = output_finish(&output);
    if (!viewer_has_page())
        message_hint("This ebb has no page: build it again where npm can fetch uPlot. The figures "
                     "are at /api/.");
    struct looking looking = {.viewer = viewer, .is_live = is_live};
    // An address that could not be written is of use to nobody.
    if (status == EXIT_DONE)
        listen_wait(http, options_get(&command->options, "for")->number, look, &looking);
    // In this order, see viewer.h.
    viewer_stop(viewer);
    http_stop(http);
    viewer_free(viewer);
    return status;
}

// Targets are looked for first: a slip there is likelier than a port in use.
int watch_run(const struct command *command)
{
    const struct options *options = &command->options;
    int status = check_usage(options);
    struct viewer_options watching = {.has_levers = options_flag(options, "allow-levers")};
    struct listening listening;
    if (status != EXIT_DONE)
        return status;
    bool is_recording = is_file(options);
    limit_malloc();
    // Before the first thread is there.
    listen_block_signals();
    status = is_recording ? open_file(command, &watching) : open_live(command, &watching);
    if (status != EXIT_DONE)
        return status;
    // The socket before the sampler's thread: a port in use is told at once.
    status = listen_open(command, PORT, watching.has_levers, &listening);
    if (status != EXIT_DONE) {
        // Nothing has been given to a viewer yet: both are still ours. NULL is fine for the
        // sampler.
        sampler_close(watching.sampler);
        (void)history_close(watching.history);
        return status;
    }
    struct viewer *viewer;
    // Sampler and history are the viewer's from here on, also when it fails.
    int error = viewer_start(&watching, &viewer);
    if (error) {
        close(listening.fd);
        message_error("watch: cannot start: %s", strerror(-error));
        message_hint_limit(error);
        return EXIT_FAILED;
    }
    return serve(command, viewer, &listening, !is_recording);
}

#endif
