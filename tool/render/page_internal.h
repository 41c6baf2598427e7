// SPDX-License-Identifier: Apache-2.0
// Pieces of the page's JSON. Tool world; internal to render/page_*.c.
#ifndef EBB_RENDER_PAGE_INTERNAL_H
#define EBB_RENDER_PAGE_INTERNAL_H

#include "render/page.h"

// Remembers the first failure, so that no call needs a check; `buffer` is borrowed.
struct page_out {
    struct buffer *buffer;
    int error;
};

// A text as it is; "key":; and a key with its value. Keys are ours and need no escapes.
void page_put(struct page_out *out, const char *text);
void page_key(struct page_out *out, const char *key);
void page_u64(struct page_out *out, const char *key, uint64_t value);
void page_i64(struct page_out *out, const char *key, int64_t value);
void page_name(struct page_out *out, const char *key, const char *value);
void page_bool(struct page_out *out, const char *key, bool value);
void page_verdict(struct page_out *out, const char *key, enum verdict_code verdict);

// A ledger's figure as digest_figure_value() gives it, as JSON: SAMPLE_UNKNOWN is null.
void page_figure_value(struct page_out *out, enum figure_unit unit, uint64_t value);
void page_figure_head(struct page_out *out, const char *runtime, const char *name,
                      enum figure_unit unit);
void page_figures(struct page_out *out, const struct digest *digest, unsigned subject);

void page_event(struct page_out *out, const struct event *event);

#endif
