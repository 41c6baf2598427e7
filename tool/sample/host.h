// SPDX-License-Identifier: Apache-2.0
// The host at the moment of a round. Tool world; one thread.
#ifndef EBB_SAMPLE_HOST_H
#define EBB_SAMPLE_HOST_H

#include "base/buffer.h"
#include "sample/sample.h"

// Fills in all but the time; what is missing in the tree stays 0, the pressure negative. `scratch`
// is emptied and reused. Cost: three small files, some 60 µs; less than host_read(), which reads
// what never changes as well.
void host_sample_read(int root_fd, struct buffer *scratch, struct host_sample *ret_sample);

#endif
