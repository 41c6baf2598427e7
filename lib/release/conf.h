// SPDX-License-Identifier: Apache-2.0
// The settings that EBB_CONF holds: key:value,key:value. Library world; pure.
//
//   policy:auto|free|dontneed|keep   when and how free pages go back          (auto)
//   return_within:500ms|2s           the bound for what is not to be reused    (1s)
//   limit:512M                       what the heap tries to stay below         (none)
//   helper:on|off                    a thread gives back; off: allocations do  (on)
//   trace:purge                      a line on stderr per purge                (off)
//   guard:N                          one block in N between guard pages        (off)
#ifndef EBB_RELEASE_CONF_H
#define EBB_RELEASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ledger.h"

#define CONF_WITHIN_MIN_MS 10u
#define CONF_WITHIN_MAX_MS 3600000u

struct conf {
    enum wire_policy policy;
    uint32_t return_within_ms; // 10 to 3,600,000
    uint64_t limit_bytes;      // 0: none
    uint32_t guard_one_in;     // 0: none
    bool has_helper;
    bool traces_purges;
};

// What holds without any setting.
void conf_default(struct conf *conf);

// Reads `text` of `len` bytes over what `*conf` holds. 0; or -EINVAL, with the first wrong item as
// `*wrong` of `*wrong_len` bytes inside the text: items before and after it are read all the same.
// Sizes take K, M, G (1024); times take ms or s, and are milliseconds without. Empty items are
// nothing; a later one wins.
int conf_read(struct conf *conf, const char *text, size_t len, const char **wrong,
              size_t *wrong_len);

#endif
