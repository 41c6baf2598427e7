// SPDX-License-Identifier: Apache-2.0
// The options of `ebb tune` as a request. Tool world; pure.
#ifndef EBB_CMD_TUNE_REQUEST_H
#define EBB_CMD_TUNE_REQUEST_H

#include "cmd/options.h"
#include "lever/tune/tune.h"

// Fills in the request from parsed options of tune_options[]. 0; -EINVAL with a sentence for the
// user.
int tune_request_parse(const struct options *options, struct tune_request *ret_request,
                       char ret_error[OPTIONS_ERROR_MAX]);

// Is anything to be changed?
bool tune_request_has_change(const struct tune_request *request);

// "100", "off" is -1; at most 100000000, as Go's own check has it. 0 or -EINVAL.
int tune_parse_percent(struct text text, int64_t *ret_percent);
// "2GiB", "off" is INT64_MAX. 0 or -EINVAL.
int tune_parse_limit(struct text text, int64_t *ret_bytes);
// "10s", "now" is 0, "off" is -1: milliseconds. 0 or -EINVAL.
int tune_parse_decay(struct text text, int64_t *ret_ms);
// "500ms": milliseconds, from 10 to an hour. 0 or -EINVAL.
int tune_parse_return_within(struct text text, int64_t *ret_ms);
// "arena_max=2,trim_threshold=128K". Names are letters, digits, '_' and '.'; values numbers or
// sizes, "-1" too. 0; -EINVAL; -E2BIG.
int tune_parse_settings(struct text text, struct tune_settings *ret_settings);

#endif
