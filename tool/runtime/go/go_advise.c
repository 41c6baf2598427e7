// SPDX-License-Identifier: Apache-2.0
// Finding runtime.adviseUnused, see go_advise.h. Tool world; no state.
#include "runtime/go/go_advise.h"

#include <errno.h>
#include <string.h>

#include "runtime/go/go_code.h"
#include "runtime/go/go_locate.h"
#include "runtime/go/go_module.h"
#include "runtime/target.h"

enum {
    CODE_MAX_BYTES = 16 << 10,
    // A table of functions may be huge.
    SEARCH_BUDGET_MS = 10000,
};

// Initialised data, as the file has it: nothing has changed it there.
static bool is_initialised_with(const struct image *image, uint64_t address, uint32_t wanted)
{
    uint32_t value;
    // An operand may point anywhere, into .bss too, which the file does not hold.
    return address % sizeof value == 0 && address >= image->low && address < image->high &&
           image_read(image, address - image->bias, &value, sizeof value) == 0 && value == wanted;
}

// What the code of sysUnusedOS() mentions, within the image's data.
static int targets_of_unused(const struct target *target, const struct image *image,
                             struct go_targets *targets)
{
    static const char *const names[] = {"runtime.sysUnusedOS"};
    uint64_t deadline_ns = go_now_ns() + (uint64_t)SEARCH_BUDGET_MS * 1000000u;
    struct go_module module;
    struct go_function function = {0};
    uint8_t code[CODE_MAX_BYTES];
    // The table of functions survives stripping, as stack traces need it.
    int error = go_module_find(target, image, deadline_ns, &module);
    if (error)
        return error;
    // It has a name of its own from 1.18 on; only 1.26 and later are asked here.
    int found = go_module_functions(target, image, &module, names, 1, deadline_ns, &function);
    if (found != 1 || function.end <= function.entry)
        return found < 0 ? found : -ENOENT;
    // Some hundred bytes; a damaged table could claim any size.
    size_t len = function.end - function.entry < sizeof code
                     ? (size_t)(function.end - function.entry)
                     : sizeof code;
    error = image_read(image, function.entry - image->bias, code, len);
    if (error)
        return error;
    // Operands that lie outside of the data are dropped at once.
    memcpy(targets->ranges, module.data, sizeof module.data);
    targets->range_count = sizeof module.data / sizeof module.data[0];
    error = go_targets_add_code(targets, image->machine, function.entry, code, len);
    go_targets_sort(targets);
    return error;
}

// Exactly one, in the function that also asks the knob: anything else is not believed.
static int advise_by_code(const struct target *target, const struct image *image, uint64_t knob,
                          uint64_t *ret_address)
{
    struct go_targets targets = {0};
    int error = targets_of_unused(target, image, &targets);
    // Otherwise it is another function, whatever it is called.
    if (!error && !go_targets_has(&targets, knob))
        error = -ENOENT;
    uint64_t address = 0;
    size_t count = 0;
    for (size_t i = 0; i < targets.count && !error; i++) {
        if (!is_initialised_with(image, targets.items[i], GO_ADVISE_FREE))
            continue;
        address = targets.items[i];
        count++;
    }
    go_targets_free(&targets);
    // Two words with that value cannot be told apart.
    if (error || count != 1)
        return error ? error : -ENOENT;
    *ret_address = address;
    return 0;
}

// A symbol is believed only if the file holds there what Go's source initialises it with.
int go_advise_find(const struct target *target, const struct image *image, uint64_t knob,
                   uint64_t *ret_address)
{
    const char *const name = "runtime.adviseUnused";
    struct image_symbol symbol = {0};
    if (image_find_symbols(image, &name, 1, &symbol) != 1 || symbol.value == 0)
        return advise_by_code(target, image, knob, ret_address);
    uint64_t address = symbol.value + image->bias;
    if (!is_initialised_with(image, address, GO_ADVISE_FREE))
        return -ENOENT;
    *ret_address = address;
    return 0;
}
