// SPDX-License-Identifier: Apache-2.0
// A message of an alarm: for people, for programs, and for a command's environment. Tool world;
// pure.
#ifndef EBB_RENDER_ALARM_H
#define EBB_RENDER_ALARM_H

#include "alarm/alarm.h"
#include "base/buffer.h"

// What a message says besides itself.
struct alarm_context {
    const char *host;            // its name; "" unknown
    const struct digest *digest; // the subject's last account, or NULL
};

// One line without a newline, for stderr: "redis-server (4121): effective RSS is ...". 0 or
// -ENOMEM.
int render_alarm_line(const struct alarm_message *message, struct buffer *buffer);

// Some ten lines with the account. 0 or -ENOMEM.
int render_alarm_text(const struct alarm_message *message, const struct alarm_context *context,
                      struct buffer *buffer);

// One object, as docs/alarms.md has it; its "text" is the above, which chats show as it is. 0,
// -ENOMEM, or -ENOTSUP in a build without JSON.
int render_alarm_json(const struct alarm_message *message, const struct alarm_context *context,
                      struct buffer *buffer);

// "EBB_ALARM_STATE=began" and so on, each with its NUL. Names are escaped. 0 or -ENOMEM.
int render_alarm_environment(const struct alarm_message *message,
                             const struct alarm_context *context, struct buffer *buffer);

#endif
