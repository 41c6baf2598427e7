// SPDX-License-Identifier: Apache-2.0
// Names of mappings: kept once each in the table's pool, and what they say of the mapping. Tool
// world.
#ifndef EBB_PROC_MAPPINGS_NAMES_H
#define EBB_PROC_MAPPINGS_NAMES_H

#include "base/text.h"
#include "proc/mappings.h"

// Sets path, kind and MAPPING_DELETED from `name` as the kernel prints it; inode and permissions
// are set already. 0 or -ENOMEM.
int mappings_set_name(struct mappings *mappings, struct mapping *mapping, struct text name);

#endif
