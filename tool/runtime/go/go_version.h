// SPDX-License-Identifier: Apache-2.0
// Which Go built an image, and with which switches. Tool world; pure but for reading the image.
//
// Source of the format: debug/buildinfo and cmd/go/internal/modload of Go's own tree.
#ifndef EBB_RUNTIME_GO_GO_VERSION_H
#define EBB_RUNTIME_GO_GO_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/go/go_memory.h"

struct image;
struct process;

struct go_version {
    char text[64];       // "1.24.4", without "go"
    unsigned minor;      // 24; 0 when the text has none ("devel ...")
    bool has_settings;   // the build settings were there (1.18 and later)
    bool race;           // -race
    char experiment[64]; // GOEXPERIMENT, "" for none
};

enum { GO_BUILDINFO_HEADER_BYTES = 32, GO_BUILDINFO_MAX_BYTES = 64 << 10 };

struct go_buildinfo {
    bool is_inline;                 // version and settings follow the header (1.18 and later)
    uint64_t version_pointer;       // else: where the version's string header is, at run time
    const char *version, *settings; // views of the buffer, not terminated; inline only
    size_t version_len, settings_len;
};

// Parses what is at the magic "\xff Go buildinf:". 0; -EBADMSG when it is not that, is big endian
// or not of 64 bits. A truncated settings string is taken as far as it goes.
int go_buildinfo_parse(const uint8_t *data, size_t len, struct go_buildinfo *ret_info);

// Takes "go1.24.4 X:arenas" apart. 0, or -EBADMSG without "go1.".
int go_version_parse(const char *text, size_t len, struct go_version *ret_version);

// Adds what the build settings say ("build\t-race=true\n...").
void go_version_add_settings(struct go_version *version, const char *settings, size_t len);

// True when the image was linked by Go, by its sections or, without any, by the build information.
// Costs nothing for images with sections.
bool go_version_is_go(const struct image *image);

// Version and settings of an image. `process` serves position-independent images before 1.18, whose
// version is behind a pointer that exists in memory only. 0; -ENOENT no Go image; -EBADMSG; -errno.
int go_version_read(const struct image *image, struct process *process,
                    struct go_version *ret_version);

#endif
