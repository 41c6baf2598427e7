// SPDX-License-Identifier: Apache-2.0
// Requests to libebb through the control word of its ledger, see wire/ledger.h: no stop and no call
// in the target, which obeys when it looks. Tool world; one thread; internal to levers.
#ifndef EBB_LEVER_CONTROL_H
#define EBB_LEVER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "lever/poke.h"
#include "runtime/libebb/find.h"
#include "runtime/libebb/ledger.h"

// Where libebb promises to look within a second; what is twice as long is a no.
enum { CONTROL_WAIT_MS = 2000 };

// What is asked for; zeros: nothing.
struct control_request {
    enum wire_policy policy;
    uint32_t return_within_ms;
    bool is_purge;
};

struct control {
    struct libebb_found found;
    struct wire_ledger ledger; // as it was read last
    struct libebb_refusal refusal;
};

// Finds libebb in the target and reads its ledger. 0; -ENOENT no libebb there; -ENODATA it has no
// heap yet, or its ledger is not in memory; -EBADMSG with the refusal; -EPERM, -errno.
int control_find(const struct target *target, struct control *control);

// Reads the ledger anew. As control_find().
int control_refresh(struct process *process, struct control *control);

// The word that asks for this. What was asked for before and is not obeyed yet is asked for again,
// and it is never the word that was obeyed last, which would ask for nothing. Pure.
uint64_t control_word(const struct wire_ledger *ledger, const struct control_request *request);

// Writes the word and waits until it is obeyed. 0 with the ledger read anew and `*ret_obeyed` false
// where nobody has looked in CONTROL_WAIT_MS: it holds from the next look on. As poke_write().
int control_send(struct process *process, const struct poke *poke, struct control *control,
                 const struct control_request *request, bool *ret_obeyed);

#endif
