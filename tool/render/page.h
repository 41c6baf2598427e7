// SPDX-License-Identifier: Apache-2.0
// What the page reads, as tool/serve/PAGE.md defines it: a recording as JSON and CSV. Tool world;
// pure but for what it reads from the recording.
//
// Long ones come in parts, so that a series of 100,000 points costs the memory of one part. All
// append to a buffer: 0, -ENOMEM, or -errno of the recording; after a failure a part of it may be
// there.
#ifndef EBB_RENDER_PAGE_H
#define EBB_RENDER_PAGE_H

#include "base/buffer.h"
#include "history/history.h"

// What is not in the recording.
struct page_view {
    bool is_live;    // the page's stream will bring more; where not, all has ended
    bool has_levers; // POST /api/lever is there
    int64_t now_ms;
};
int page_write_about(struct history *history, const struct page_view *view, struct buffer *buffer);

// A subject with the figures that are known: `sample` and `digest` may be NULL.
int page_write_subject(const struct subject *subject, const struct sample *sample,
                       const struct digest *digest, struct buffer *buffer);

// One round: its samples, its events, and the subjects that an event is about.
int page_write_batch(const struct batch *batch, const struct subject *subjects,
                     size_t subject_count, struct buffer *buffer);

// Events as an array; `subject` 0: of all. The newest `most` of the host and of processes each; 0:
// all.
int page_write_events(struct history *history, unsigned subject, int64_t from_ms, int64_t to_ms,
                      size_t most, struct buffer *buffer);

// -ENOENT when there is none so early.
int page_write_account(struct history *history, unsigned subject, int64_t at_ms,
                       struct buffer *buffer);

// A series, part by part. `points` is the most of all parts together, 0: every stored sample.
struct page_series {
    unsigned subject;
    int64_t from_ms, to_ms; // cut to what there is by page_series_begin()
    size_t points;
    bool is_csv;
    // Its own.
    int64_t next_ms, part_ms;
    size_t part_points;
    bool has_begun, has_part, has_ended;
    struct digest digest; // names the figures of a CSV
};
// 0; -ENOENT: no such subject; or as above. page_series_end() frees it.
int page_series_begin(struct history *history, struct page_series *series);
// Appends the next part. 0; 1 with the last one; -errno. Cost: some milliseconds, 1 MiB.
int page_series_next(struct history *history, struct page_series *series, struct buffer *buffer);
void page_series_end(struct page_series *series);

// "bytes", "count", "nanoseconds", "ratio".
const char *page_unit_name(enum figure_unit unit);

#endif
