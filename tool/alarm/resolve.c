// SPDX-License-Identifier: Apache-2.0
// Addresses of a host, see resolve.h. Tool world; a question belongs to the one who is the second
// to be done with it.
#include "alarm/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alarm/clock.h"

// A name is found in a millisecond or takes as long as it takes.
static const struct timespec look_again = {.tv_nsec = 10000000};

enum question_state { QUESTION_ASKED, QUESTION_ANSWERED, QUESTION_LEFT };

struct question {
    char *host, *port;
    atomic_int state;
    // Of the thread, until it says that there is an answer.
    int failure;
    struct addrinfo *addresses;
};

static void question_free(struct question *question)
{
    free(question->host);
    free(question->port);
    free(question);
}

// Only families that this host has addresses of.
static int ask(const char *host, const char *port, int flags, struct addrinfo **ret_addresses)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    return getaddrinfo(host, port, &hints, ret_addresses);
}

static void *answer(void *context)
{
    struct question *question = context;
    question->failure = ask(question->host, question->port, AI_ADDRCONFIG, &question->addresses);
    if (atomic_exchange(&question->state, QUESTION_ANSWERED) != QUESTION_LEFT)
        return NULL;
    // Nobody waits any more.
    if (question->failure == 0)
        freeaddrinfo(question->addresses);
    question_free(question);
    return NULL;
}

static struct question *question_new(const char *host, const char *port)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    question->host = strdup(host);
    question->port = strdup(port);
    if (question->host && question->port)
        return question;
    question_free(question);
    return NULL;
}

// Detached: nobody can wait for it. It ends with its answer, or with the program.
static int start(struct question *question)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = -pthread_create(&thread, &attributes, answer, question);
    pthread_attr_destroy(&attributes);
    return error;
}

// What the resolver says, as far as it makes a difference to who reads it.
static int error_of(int failure)
{
    if (failure == 0)
        return 0;
    if (failure == EAI_MEMORY)
        return -ENOMEM;
    return failure == EAI_AGAIN ? -EAGAIN : -ENOENT;
}

int resolve_host(const char *host, const char *port, uint64_t deadline_ms,
                 const atomic_bool *cancelled, struct addrinfo **ret_addresses)
{
    if (ask(host, port, AI_NUMERICHOST | AI_NUMERICSERV, ret_addresses) == 0)
        return 0;
    struct question *question = question_new(host, port);
    if (!question)
        return -ENOMEM;
    int error = start(question);
    if (error) {
        question_free(question);
        // Not as pthread_create() has it: that would read as a server's silence.
        return error == -EAGAIN ? -ENOMEM : error;
    }
    while (atomic_load(&question->state) == QUESTION_ASKED && alarm_clock_ms() < deadline_ms &&
           !atomic_load(cancelled))
        nanosleep(&look_again, NULL);
    // From here on it is the thread's, unless the answer has come.
    if (atomic_exchange(&question->state, QUESTION_LEFT) == QUESTION_ASKED)
        return atomic_load(cancelled) ? -ECANCELED : -EAGAIN;
    error = error_of(question->failure);
    if (!error)
        *ret_addresses = question->addresses;
    question_free(question);
    return error;
}
