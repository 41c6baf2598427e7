// SPDX-License-Identifier: Apache-2.0
// Where the metrics of `ebb export` come from: a sampler, its rounds as metrics, the kernel's
// figures of memory groups. Tool world.
//
// One thread makes rounds; any thread may render at the same time and gets the last whole round.
#ifndef EBB_CMD_EXPORT_SOURCE_H
#define EBB_CMD_EXPORT_SOURCE_H

#include "metrics/metrics.h"
#include "sample/sampler.h"

struct export_source;

// 0 and a source that export_source_close() frees; -errno of sampler_open(). Both options are
// borrowed for the call alone, but for sampler->proc_root.
int export_source_open(const struct sampler_options *sampler, const struct metrics_options *metrics,
                       struct export_source **ret_source);
void export_source_close(struct export_source *source);

// One round. 0, also where nothing matches (now); -ENOENT without a proc tree; -errno where nothing
// could be read: the metrics stay those of the round before, and say how old they are.
int export_source_round(struct export_source *source);

// One round in which every process that may be read gets its account, for who asks but once.
int export_source_round_whole(struct export_source *source);

// How many processes the last round was of. The thread that makes rounds asks.
size_t export_source_count(const struct export_source *source);

uint64_t export_source_due_ms(const struct export_source *source);

// Appends the metrics of the last round. 0 or -ENOMEM. Thread-safe.
int export_source_render(struct export_source *source, enum metrics_format format,
                         struct buffer *buffer);

#endif
