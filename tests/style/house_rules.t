#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The house rules over the tree: every check of scripts/style is one test.
exec "$SRC/scripts/style"
