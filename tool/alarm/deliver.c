// SPDX-License-Identifier: Apache-2.0
// The queue of messages and the worker that delivers them, see deliver.h. Tool world; `lock` guards
// queue, flags and problem; the rest does not change while the worker lives.
#include "alarm/deliver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alarm/post.h"
#include "alarm/spawn.h"
#include "base/buffer.h"

// Enough for every process of a small host at once; more is a storm that nobody reads.
enum { QUEUE_MAX = 64, TIMEOUT_DEFAULT_MS = 30000 };

// A message's three texts in one buffer. One allocation, and one to free, wherever it is dropped.
struct letter {
    struct buffer bytes;
    size_t text_len, json_len; // the environment is what follows
};

// Options and URL are read by the worker without the lock: they stand before it starts.
struct alarm_delivery {
    // The options, copied; NULL where that way is not wanted.
    char *command;
    char *webhook;
    struct post_url url; // of the web hook
    unsigned timeout_ms;
    pthread_t worker;
    pthread_mutex_t lock;
    pthread_cond_t changed; // a letter came, the worker is idle, or it shall end
    struct letter queue[QUEUE_MAX];
    size_t first, count; // a ring
    bool is_busy, is_ending;
    atomic_bool cancelled; // what runs shall end now
    char problem[ALARM_PROBLEM_MAX];
};

// The last one counts: the first of many alike is as good.
__attribute__((format(printf, 2, 3))) static void report(struct alarm_delivery *delivery,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&delivery->lock);
    text_vformat(delivery->problem, sizeof delivery->problem, format, args);
    pthread_mutex_unlock(&delivery->lock);
    va_end(args);
}

// How a program that we ran ended, in words; `who` begins the sentence.
static void report_end(struct alarm_delivery *delivery, const char *who, int error,
                       const struct spawn_end *end)
{
    // In the order in which one would look for it.
    if (error)
        report(delivery, "%s could not be started: %s", who, strerror(-error));
    else if (end->cancelled)
        report(delivery, "%s was still running when ebb ended, and was ended", who);
    else if (end->timed_out)
        report(delivery, "%s took longer than %u s and was killed", who,
               delivery->timeout_ms / 1000);
    else if (WIFSIGNALED(end->status))
        report(delivery, "%s died of signal %d", who, WTERMSIG(end->status));
    else if (WEXITSTATUS(end->status) != 0)
        report(delivery, "%s ended with status %d", who, WEXITSTATUS(end->status));
}

// By the shell, as people write it; the message comes on its stdin and not as an argument, where
// everybody who lists processes could read it.
static void run_command(struct alarm_delivery *delivery, struct text text, struct text environment)
{
    // The interface wants words that may be written to.
    static char shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = {shell, option, delivery->command, NULL};
    struct spawn_end end = {0};
    int error =
        spawn_run(argv, text, environment, delivery->timeout_ms, &delivery->cancelled, &end);
    report_end(delivery, "the command of the alarm", error, &end);
}

// curl's own limit is a second shorter than ours, so that it can say what it waited for.
static void post_by_curl(struct alarm_delivery *delivery, struct text json)
{
    // At least one: 0 would be no limit to curl.
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u",
             delivery->timeout_ms > 2000 ? delivery->timeout_ms / 1000 - 1 : 1);
    const char *const arguments[] = {"curl", "--silent", "--show-error", "--fail", "--max-time",
                                     seconds, "--output", "/dev/null", "--header",
                                     "Content-Type: application/json", "--data-binary", "@-",
                                     // As an argument of its own, it is never taken for an option.
                                     "--url", delivery->webhook, NULL};
    char *argv[sizeof arguments / sizeof arguments[0]];
    struct spawn_end end = {0};
    // execve() takes them as char *, and changes none.
    memcpy(argv, arguments, sizeof argv);
    int error = spawn_run(argv, json, (struct text){"", 0}, delivery->timeout_ms,
                          &delivery->cancelled, &end);
    report_end(delivery, "curl, which posts to the web hook,", error, &end);
}

// Every failure has a sentence that says which end to look at: the name, the port, the answer.
static void post(struct alarm_delivery *delivery, struct text json)
{
    // The scheme decides; all else of the URL was checked at the start.
    int status = 0;
    if (delivery->url.is_https) {
        post_by_curl(delivery, json);
        return;
    }
    int error =
        post_send(&delivery->url, json, delivery->timeout_ms, &delivery->cancelled, &status);
    if (error == -ENOENT)
        report(delivery, "the web hook's host %s has no address", delivery->url.host);
    else if (error == -EAGAIN)
        report(delivery, "no name server said in time which address the web hook's host %s has",
               delivery->url.host);
    else if (error == -EBADMSG)
        report(delivery, "what answers at %s port %s speaks no HTTP", delivery->url.host,
               delivery->url.port);
    else if (error == -ECANCELED)
        report(delivery, "posting to %s port %s was not over when ebb ended", delivery->url.host,
               delivery->url.port);
    else if (error)
        report(delivery, "posting to %s port %s failed: %s", delivery->url.host, delivery->url.port,
               strerror(-error));
    // A redirection is no success either: nothing is followed, and the message has not arrived.
    else if (status < 200 || status > 299)
        report(delivery, "the web hook at %s answered %d", delivery->url.host, status);
}

// The three texts stand behind each other. A cancelled delivery ends with what runs just now.
static void deliver(struct alarm_delivery *delivery, const struct letter *letter)
{
    // Views into the letter, which lives until both ways are done.
    const char *data = letter->bytes.data;
    struct text text = {data, letter->text_len};
    struct text json = {data + letter->text_len, letter->json_len};
    size_t used = letter->text_len + letter->json_len;
    struct text environment = {data + used, letter->bytes.len - used};
    if (delivery->command)
        run_command(delivery, text, environment);
    if (delivery->webhook && !atomic_load(&delivery->cancelled))
        post(delivery, json);
}

// Until it shall end and nothing waits, or what waits shall be left.
static void *work(void *context)
{
    struct alarm_delivery *delivery = context;
    pthread_mutex_lock(&delivery->lock);
    for (;;) {
        // Also woken for nothing at times, as POSIX allows.
        while (delivery->count == 0 && !delivery->is_ending)
            pthread_cond_wait(&delivery->changed, &delivery->lock);
        if (delivery->count == 0 || atomic_load(&delivery->cancelled))
            break;
        // Taken out under the lock, delivered without it: the queue goes on filling meanwhile.
        struct letter letter = delivery->queue[delivery->first];
        delivery->first = (delivery->first + 1) % QUEUE_MAX;
        delivery->count--;
        delivery->is_busy = true;
        pthread_mutex_unlock(&delivery->lock);
        deliver(delivery, &letter);
        buffer_free(&letter.bytes);
        pthread_mutex_lock(&delivery->lock);
        delivery->is_busy = false;
        pthread_cond_broadcast(&delivery->changed);
    }
    pthread_mutex_unlock(&delivery->lock);
    return NULL;
}

// Is there a program of that name in PATH?
static bool has_program(const char *name)
{
    // As execvp(3) looks for it, with the same fallback.
    const char *path = getenv("PATH");
    struct text rest = text_of(path ? path : "/usr/bin:/bin"), folder;
    // An empty folder in PATH would be the present one, which no one means here.
    while (text_next_field(&rest, ':', &folder)) {
        char file[1024];
        int len = snprintf(file, sizeof file, "%.*s/%s", (int)folder.len, folder.data, name);
        if (len > 0 && (size_t)len < sizeof file && access(file, X_OK) == 0)
            return true;
    }
    return false;
}

static int take_options(const struct alarm_delivery_options *options,
                        struct alarm_delivery *delivery)
{
    delivery->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (options->command && !(delivery->command = strdup(options->command)))
        return -ENOMEM;
    // The rest is about the URL.
    if (!options->webhook)
        return 0;
    if (!(delivery->webhook = strdup(options->webhook)))
        return -ENOMEM;
    int error = post_parse_url(text_of(options->webhook), &delivery->url);
    if (!error && delivery->url.is_https && !has_program("curl"))
        error = -ENOEXEC;
    return error == -ENAMETOOLONG ? -EINVAL : error;
}

// Also of one that never got a worker; letters that nobody will deliver go with it.
static void delivery_free(struct alarm_delivery *delivery)
{
    for (size_t i = 0; i < delivery->count; i++)
        buffer_free(&delivery->queue[(delivery->first + i) % QUEUE_MAX].bytes);
    pthread_cond_destroy(&delivery->changed);
    pthread_mutex_destroy(&delivery->lock);
    free(delivery->command);
    free(delivery->webhook);
    free(delivery);
}

// Signals are for the threads that wait for them, not for the worker.
static int start_worker(struct alarm_delivery *delivery)
{
    // The new thread inherits what the caller's mask is for a moment.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = -pthread_create(&delivery->worker, NULL, work, delivery);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int alarm_delivery_open(const struct alarm_delivery_options *options,
                        struct alarm_delivery **ret_delivery)
{
    struct alarm_delivery *delivery = calloc(1, sizeof *delivery);
    pthread_condattr_t attributes;
    if (!delivery)
        return -ENOMEM;
    // Its waits are limited, and the clock of the day may be set.
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&delivery->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&delivery->lock, NULL);
    int error = take_options(options, delivery);
    if (!error)
        error = start_worker(delivery);
    if (error) {
        delivery_free(delivery);
        return error;
    }
    *ret_delivery = delivery;
    return 0;
}

// Copied outside of the lock, so that the worker is never kept from its queue by a large message.
int alarm_delivery_put(struct alarm_delivery *delivery, const struct alarm_note *note)
{
    struct letter letter = {.text_len = note->text.len, .json_len = note->json.len};
    int error = buffer_append(&letter.bytes, note->text.data, note->text.len);
    if (!error)
        error = buffer_append(&letter.bytes, note->json.data, note->json.len);
    if (!error)
        error = buffer_append(&letter.bytes, note->environment.data, note->environment.len);
    // The oldest are kept: they tell how it began.
    pthread_mutex_lock(&delivery->lock);
    // Never waits for room: the caller has samples to take.
    if (!error && delivery->count == QUEUE_MAX)
        error = -ENOBUFS;
    if (!error)
        delivery->queue[(delivery->first + delivery->count++) % QUEUE_MAX] = letter;
    pthread_cond_broadcast(&delivery->changed);
    pthread_mutex_unlock(&delivery->lock);
    if (error)
        buffer_free(&letter.bytes);
    return error;
}

bool alarm_delivery_take_problem(struct alarm_delivery *delivery,
                                 char ret_problem[ALARM_PROBLEM_MAX])
{
    pthread_mutex_lock(&delivery->lock);
    // Once: the caller prints it, and the next failure is news again.
    bool has_problem = delivery->problem[0] != '\0';
    memcpy(ret_problem, delivery->problem, ALARM_PROBLEM_MAX);
    delivery->problem[0] = '\0';
    pthread_mutex_unlock(&delivery->lock);
    return has_problem;
}

void alarm_delivery_close(struct alarm_delivery *delivery, unsigned wait_ms,
                          char ret_problem[ALARM_PROBLEM_MAX])
{
    struct timespec until;
    ret_problem[0] = '\0';
    if (!delivery)
        return;
    // A moment and not a length: waking up for nothing must not begin it anew.
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&delivery->lock);
    delivery->is_ending = true;
    pthread_cond_broadcast(&delivery->changed);
    int error = 0;
    while ((delivery->count > 0 || delivery->is_busy) && !error)
        error = pthread_cond_timedwait(&delivery->changed, &delivery->lock, &until);
    // Whatever runs ends at its next look; there is nothing to wait for any more.
    atomic_store(&delivery->cancelled, true);
    pthread_cond_broadcast(&delivery->changed);
    pthread_mutex_unlock(&delivery->lock);
    // It ends soon: what runs is killed, what is posted looks at `cancelled` as well.
    pthread_join(delivery->worker, NULL);
    (void)alarm_delivery_take_problem(delivery, ret_problem);
    delivery_free(delivery);
}
