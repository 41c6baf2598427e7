#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page of ebb watch in a real browser: watch/page.mjs, where there is all that it needs.
# timeout: 120
set -eu
skip() {
    printf 'ok 1 - the page # SKIP %s\n1..1\n' "$1"
    exit 0
}
for name in node nodejs; do NODE=$(command -v $name) && break; done || true
[ -n "${NODE:-}" ] || skip "node is not installed"
for name in chromium chromium-browser; do BROWSER=$(command -v $name) && break; done || true
[ -n "${BROWSER:-}" ] || skip "chromium is not installed"
"$EBB" watch --help >/dev/null 2>&1 || skip "this build has no ebb watch"
[ -f "$BUILD/web/uplot.js" ] || skip "this build has no page"
[ -x "$BUILD/tests/programs/test_recording" ] || skip "the test programs are not built"
ASSETS=$BUILD/browser
why=$("$SRC/scripts/browser-assets" "$ASSETS" 2>&1) || skip "$why"
export BROWSER ASSETS
exec "$NODE" "$SRC/tests/e2e/watch/page.mjs"
