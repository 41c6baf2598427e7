// SPDX-License-Identifier: Apache-2.0
// What gives memory back in runtimes that no call from outside can ask. Tool world; pure; internal
// to purge.
#ifndef EBB_LEVER_PURGE_WORDS_H
#define EBB_LEVER_PURGE_WORDS_H

// What does work for the runtime of this name ("Go", as reports have it), as a sentence without its
// full stop; NULL for one that needs no words. Static.
const char *purge_words(const char *runtime);

#endif
