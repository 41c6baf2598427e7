// SPDX-License-Identifier: Apache-2.0
// Filling in a batch. Tool world; its owner guards it.
#ifndef EBB_SAMPLE_BATCH_H
#define EBB_SAMPLE_BATCH_H

#include "sample/sample.h"

// Empties it for the next round; the arrays stay, so that rounds of equal size allocate nothing.
void batch_clear(struct batch *batch);
void batch_free(struct batch *batch);

// Appends a copy. 0 or -ENOMEM.
int batch_add_sample(struct batch *batch, const struct sample *sample);
int batch_add_event(struct batch *batch, const struct event *event);

// An event of these, at the batch's time; overlong text is cut. 0 or -ENOMEM.
int batch_tell(struct batch *batch, unsigned subject, enum event_kind kind, uint64_t value,
               const char *text);

#endif
