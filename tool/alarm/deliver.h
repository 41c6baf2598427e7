// SPDX-License-Identifier: Apache-2.0
// Brings messages of alarms where they are wanted: to a command, to a web hook. Tool world; called
// by one thread, works in another one of its own.
//
// Whoever takes samples must not wait for a mail server: messages are queued, and a worker delivers
// them one after the other, each within its time. Commands run in a process group of their own,
// with all signals as a fresh program expects them, are reaped, and killed when their time is up.
#ifndef EBB_ALARM_DELIVER_H
#define EBB_ALARM_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct alarm_delivery;

struct alarm_delivery_options {
    const char *command; // for sh -c: the text on its stdin, EBB_ALARM_* around it; NULL none
    const char *webhook; // http:// or https://, which the JSON is posted to; NULL none
    unsigned timeout_ms; // for each; 0: 30 s
};

// One message in every form that somebody may want. Borrowed for the call.
struct alarm_note {
    struct text text;        // for people
    struct text json;        // one object
    struct text environment; // "NAME=VALUE", each with its NUL
};

enum { ALARM_PROBLEM_MAX = 300 };

// 0 and a delivery that alarm_delivery_close() frees; -EINVAL: no such URL; -ENOEXEC: https without
// curl(1), which does the encryption; -ENOMEM; -EAGAIN (no thread). Copies the options.
int alarm_delivery_open(const struct alarm_delivery_options *options,
                        struct alarm_delivery **ret_delivery);

// Queues a message. 0; -ENOMEM; -ENOBUFS: too many are waiting, this one is dropped.
int alarm_delivery_put(struct alarm_delivery *delivery, const struct alarm_note *note);

// Takes the last failure, if there was one since the last call: a sentence, printable ASCII.
bool alarm_delivery_take_problem(struct alarm_delivery *delivery,
                                 char ret_problem[ALARM_PROBLEM_MAX]);

// Delivers what waits, but for `wait_ms` at most, ends what still runs then, and frees it. NULL is
// fine. What failed until then is in `ret_problem`; "" nothing.
void alarm_delivery_close(struct alarm_delivery *delivery, unsigned wait_ms,
                          char ret_problem[ALARM_PROBLEM_MAX]);

#endif
