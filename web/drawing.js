// SPDX-License-Identifier: Apache-2.0
// What the charts of one process draw in one window: made once for each change, used by all.
import { cutPieces } from "./paint.js";
import { pickPoints } from "./pick.js";
import { LAZY } from "./rows.js";
import { stackBorders } from "./stack.js";

// `until` is the moment to which the newest sample stands.
export function prepareDrawing(series, range, pixels, gaps, until) {
    const picked = pickPoints(series, range.from, range.to, pixels);
    const borders = stackBorders(series, picked);
    let top = 0;
    for (const bytes of borders[LAZY]) top = Math.max(top, bytes);
    const pieces = cutPieces(series, picked, gaps, until);
    const hasBand = borders.map((upper, row) => rises(upper, borders[row - 1]));
    return { series, range, picked, borders, pieces, top, hasBand };
}

// Is there anything of this row?
function rises(upper, lower) {
    for (let i = 0; i < upper.length; i++) {
        if (upper[i] > (lower ? lower[i] : 0)) return true;
    }
    return false;
}

// The next power of two steps above: the scale stays the same while figures move a little.
export function niceTop(bytes) {
    if (!(bytes > 0)) return 2 ** 20;
    const step = 2 ** Math.max(10, Math.floor(Math.log2(bytes)) - 2);
    return Math.ceil((bytes * 1.04) / step) * step;
}
