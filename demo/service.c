// SPDX-License-Identifier: Apache-2.0
// The demo's service: takes load, drops it, idles. A plain program: it knows nothing of ebb, and
// which malloc it has is for whoever starts it.
//
// It prints one line when a phase begins and then waits for a line on its standard input.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOAD_BYTES = 512 << 20,
    SESSION_MAX = 1 << 17,
    KEPT_EVERY = 64, // one session in so many stays when the load drops
};

// What a client of the service holds: a name and a body.
struct session {
    unsigned char *body;
    size_t body_bytes;
};

// All that lives; nothing else of the program is of any size.
static struct session sessions[SESSION_MAX];
static size_t session_count, live_bytes;

// A small generator, so that every run is the same.
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

// Bodies of 1 to 64 KiB, most of them small: what requests look like.
static size_t next_body_bytes(uint32_t *state)
{
    size_t largest = (size_t)1024 << (next_random(state) % 7);
    return 1 + next_random(state) % largest;
}

// Accepts clients until the bodies come to what a busy hour brings.
static int take_load(void)
{
    uint32_t state = 1;
    while (live_bytes < LOAD_BYTES && session_count < SESSION_MAX) {
        size_t bytes = next_body_bytes(&state);
        unsigned char *body = malloc(bytes);
        if (!body)
            return -1;
        // Memory becomes resident when it is written.
        memset(body, (int)(session_count & 0xff), bytes);
        sessions[session_count++] = (struct session){body, bytes};
        live_bytes += bytes;
    }
    return 0;
}

// Most clients leave. Those who came first stay, so that their memory lies together.
static void drop_load(void)
{
    size_t kept = session_count / KEPT_EVERY;
    for (size_t i = kept; i < session_count; i++) {
        live_bytes -= sessions[i].body_bytes;
        free(sessions[i].body);
        sessions[i] = (struct session){0};
    }
    session_count = kept;
}

// Says where it is and waits for the word to go on; false at the end of input.
static int wait_for_word(const char *phase)
{
    char word[16];
    printf("%s: %zu sessions, %zu MiB\n", phase, session_count, live_bytes >> 20);
    fflush(stdout);
    return fgets(word, sizeof(word), stdin) != NULL;
}

// Every byte of the sessions that stay, to see that nothing was lost.
static int check_sessions(void)
{
    for (size_t i = 0; i < session_count; i++) {
        for (size_t at = 0; at < sessions[i].body_bytes; at++) {
            if (sessions[i].body[at] != (unsigned char)(i & 0xff))
                return -1;
        }
    }
    return 0;
}

// Three phases, one after the other, each begun by a word from outside.
int main(void)
{
    if (!wait_for_word("started") || take_load() < 0)
        return 1;
    if (!wait_for_word("busy"))
        return 0;
    drop_load();
    if (!wait_for_word("idle"))
        return 0;
    return check_sessions() < 0;
}
