// SPDX-License-Identifier: Apache-2.0
// Completions for bash, zsh and fish, from the tables. Tool world; pure.
#include "cmd/help.h"
#include <errno.h>
int help_render_completion(const char *shell, struct output *output)
{
    (void)shell;
    (void)output;
    return -EINVAL;
}
