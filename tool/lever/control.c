// SPDX-License-Identifier: Apache-2.0
// Requests to libebb through its control word, see control.h. Tool world; no state.
#include "lever/control.h"

#include <errno.h>
#include <time.h>

#include "lever/lever.h"

enum { LOOK_MS = 5, COUNT_SHIFT = 8 };

// Absent pages stay absent: a ledger in swap is told, not brought in.
static int peek(void *context, uint64_t address, void *ret_data, size_t len)
{
    return process_peek(context, address, ret_data, len);
}

int control_refresh(struct process *process, struct control *control)
{
    const struct libebb_memory memory = {peek, process};
    process_forget_residency(process);
    return libebb_ledger_read(&memory, control->found.ledger, &control->ledger, &control->refusal);
}

int control_find(const struct target *target, struct control *control)
{
    *control = (struct control){0};
    if (!libebb_find(target, &control->found))
        return -ENOENT;
    if (control->found.error)
        return control->found.error;
    return control->found.ledger ? control_refresh(target->process, control) : -ENODATA;
}

uint64_t control_word(const struct wire_ledger *ledger, const struct control_request *request)
{
    uint64_t last = ledger->control;
    bool is_pending = last != ledger->control_obeyed;
    enum wire_policy policy = request->policy;
    uint32_t within_ms = request->return_within_ms;
    // Whoever wrote it was told that it holds from the next look on.
    if (is_pending && policy == WIRE_POLICY_NONE)
        policy = wire_control_policy(last);
    if (is_pending && within_ms == 0)
        within_ms = wire_control_within_ms(last);
    uint16_t number = wire_control_purge_number(last);
    if (request->is_purge)
        number++;
    uint64_t word = wire_control_make(policy, within_ms, number);
    // The byte between policy and number means nothing: it makes one request differ from the next.
    uint64_t count = (last >> COUNT_SHIFT) + 1;
    return word | (count & 0xff) << COUNT_SHIFT;
}

// Until the target has taken the word, or nobody came for it.
static int wait_obeyed(const struct poke *poke, uint64_t address, uint64_t word, bool *ret_obeyed)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t end_ns = lever_now_ns() + (uint64_t)CONTROL_WAIT_MS * 1000000u;
    uint64_t obeyed = 0;
    int error;
    while ((error = poke_read(poke, address, sizeof obeyed, &obeyed)) == 0 && obeyed != word &&
           lever_now_ns() < end_ns)
        nanosleep(&pause, NULL);
    if (!error)
        *ret_obeyed = obeyed == word;
    return error;
}

int control_send(struct process *process, const struct poke *poke, struct control *control,
                 const struct control_request *request, bool *ret_obeyed)
{
    uint64_t address = control->found.ledger;
    bool obeyed = false;
    // Read again: the plan may be old, and another may have asked meanwhile.
    int error = control_refresh(process, control);
    if (error)
        return error;
    uint64_t word = control_word(&control->ledger, request);
    error = poke_write(poke, address + offsetof(struct wire_ledger, control), sizeof word, word);
    if (!error)
        error = wait_obeyed(poke, address + offsetof(struct wire_ledger, control_obeyed), word,
                            &obeyed);
    if (!error)
        error = control_refresh(process, control);
    if (!error)
        *ret_obeyed = obeyed;
    return error;
}
