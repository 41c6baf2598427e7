// SPDX-License-Identifier: Apache-2.0
// The account at any sample: measured where one was taken, estimated between two.
import { LAZY, ROW_COUNT, UNMEASURED } from "./rows.js";
import { KIND_ACCOUNT } from "./series.js";

// Writes the rows' bytes of sample `index` into `out`. RSS and lazy are the sample's own; what is
// left is divided as it was at the last account. Where there was none, it stays one piece.
export function rowsAt(series, index, out) {
    const rss = series.rss[index];
    const lazy = Math.min(series.lazy[index] || 0, rss);
    const account = series.accountAt(index);
    out.fill(0);
    out[LAZY] = lazy;
    const base = account ? heldBytes(account) : 0;
    if (!base) {
        out[UNMEASURED] = rss - lazy;
        return out;
    }
    const share = (rss - lazy) / base;
    for (let row = 0; row < LAZY; row++) out[row] = (account.rows[row] || 0) * share;
    return out;
}

function heldBytes(account) {
    if (account.held === undefined) {
        account.held = 0;
        for (let row = 0; row < LAZY; row++) account.held += account.rows[row] || 0;
    }
    return account.held;
}

// Upper borders of the rows of all picked samples: one array for each row, bottom to top.
export function stackBorders(series, picked) {
    const borders = Array.from({ length: ROW_COUNT }, () => new Float64Array(picked.length));
    const rows = new Float64Array(ROW_COUNT);
    for (let i = 0; i < picked.length; i++) {
        rowsAt(series, picked[i], rows);
        let sum = 0;
        for (let row = 0; row < ROW_COUNT; row++) {
            sum += rows[row];
            borders[row][i] = sum;
        }
    }
    return borders;
}

// How the figures at a sample were come by, in words and as flags.
export function provenanceAt(series, index) {
    const account = series.accountAt(index);
    return {
        isAccount: series.kind[index] === KIND_ACCOUNT,
        isLazyMeasured: series.kind[index] >= 1,
        account,
        age: account ? series.time[index] - account.time : NaN,
    };
}
