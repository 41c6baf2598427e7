// SPDX-License-Identifier: Apache-2.0
// The deeper readings of a process. Tool world; one thread.
#ifndef EBB_SAMPLE_DEEP_H
#define EBB_SAMPLE_DEEP_H

#include "base/buffer.h"
#include "sample/cheap.h"
#include "sample/sample.h"
#include "sample/trend.h"

#include "survey/survey.h"

// What a deep reading took.
struct deep_cost {
    uint64_t cpu_ns;  // of a core
    uint64_t walk_ns; // time in which the target's mmap and munmap may have waited
};

// smaps_rollup. Fills in RSS, anonymous, lazy and swap of `sample`. 0; -EACCES without rights;
// -ENOENT in kernels before 4.14; -ESRCH; -ENOTSUP where the kernel does not tell LazyFree (before
// 4.12). The cost is set in any case.
int deep_read_lazy(const struct cheap_reader *reader, int pid, struct buffer *scratch,
                   struct sample *sample, struct deep_cost *ret_cost);

// A survey of the process that started at `start_ticks`; what became of it is in the digest, which
// digest_free() frees, and in `sample`. `survey` is room for it (some 20 KiB). `trend` takes part
// in the verdict. 0; -EACCES when no account is possible: `why` says the reason and what would
// help; -errno as survey_take(). The cost is set in any case.
struct deep_account {
    struct digest digest;
    char why[EVENT_TEXT_MAX];
};
int deep_read_account(const struct survey_options *options, int pid, uint64_t start_ticks,
                      struct survey *survey, struct trend *trend, struct sample *sample,
                      struct deep_account *ret_account, struct deep_cost *ret_cost);

// Could an account be taken? 0; -EACCES or -ENOENT, and `why`; -ESRCH, -errno. Cost: opening a
// file.
int deep_probe(const struct cheap_reader *reader, int pid, char *why, size_t size);

#endif
