// SPDX-License-Identifier: Apache-2.0
// The account at any sample: measured where one was taken, estimated between two.
import { Extremes } from "./extremes.js";
import { ELASTIC, FILES, KIND_ACCOUNT, LAZY, ROW_COUNT, SHARED, UNMEASURED } from "./rows.js";

const MAPPED_SLACK = 2 ** 20; // by which the kernel's own counts may differ

// Writes the rows' bytes of sample `index` into `out`. RSS and lazy are the sample's own; what is
// left is divided after the last account. Where there was none, it stays one piece. For drawing:
// what is unknown has no height.
export function rowsAt(series, index, out) {
    const rss = series.rss[index];
    const lazy = Math.min(series.lazy[index] || 0, rss);
    const account = series.accountAt(index);
    out.fill(0);
    if (!account || !sums(account).all) {
        out[UNMEASURED] = rss - lazy;
    } else {
        const moved = rss - series.anon[index] - account.mapped;
        if (Math.abs(moved) < MAPPED_SLACK || Number.isNaN(moved)) {
            divide(account.rows, sums(account), rss - lazy, out);
        } else {
            const rows = moveMapped(account.rows, moved);
            divide(rows, sums({ rows }), rss - lazy, out);
        }
    }
    out[LAZY] = lazy;
    return out;
}

// How much of RSS is files and shared memory each sample tells: what of it came or went since the
// account is not the heap's. Which of the two is a guess: shared memory, where there was some.
function moveMapped(before, moved) {
    const rows = Float64Array.from(before, (bytes) => bytes || 0);
    if (moved > 0) {
        rows[rows[SHARED] > 0 ? SHARED : FILES] += moved;
        return rows;
    }
    const shared = Math.min(rows[SHARED], -moved);
    rows[SHARED] -= shared;
    rows[FILES] = Math.max(0, rows[FILES] + moved + shared);
    return rows;
}

// Metadata, stacks, code and shared memory stay what they were; the rest grows and shrinks with
// load, in the shares that it had. Where they alone are more than there is, all rows shrink.
function divide(rows, base, bytes, out) {
    const rest = bytes - (base.all - base.elastic);
    const hasRoom = rest >= 0 && base.elastic > 0;
    const shrink = bytes / base.all;
    for (let row = 0; row < LAZY; row++) out[row] = (rows[row] || 0) * (hasRoom ? 1 : shrink);
    if (!hasRoom) return;
    for (const row of ELASTIC) out[row] *= rest / base.elastic;
}

function sums(account) {
    if (!account.sums) {
        const add = (sum, row) => sum + (account.rows[row] || 0);
        account.sums = {
            all: [...account.rows.keys()].filter((row) => row !== LAZY).reduce(add, 0),
            elastic: ELASTIC.reduce(add, 0),
        };
    }
    return account.sums;
}

// The upper borders of the rows at every sample, bottom to top; each border is made once.
export class Stack {
    constructor(series) {
        this.series = series;
        this.count = 0;
        this.borders = Array.from({ length: ROW_COUNT }, () => new Extremes());
        this.effective = new Extremes(); // unknown where lazy is: then no border is its line
        this.hasRow = new Array(ROW_COUNT).fill(false);
        this.rows = new Float64Array(ROW_COUNT);
    }

    // Takes in what has come.
    update() {
        for (; this.count < this.series.count; this.count++) {
            rowsAt(this.series, this.count, this.rows);
            let sum = 0;
            for (let row = 0; row < ROW_COUNT; row++) {
                sum += this.rows[row];
                if (this.rows[row] > 0) this.hasRow[row] = true;
                this.borders[row].append(sum);
            }
            this.effective.append(this.series.rss[this.count] - this.series.lazy[this.count]);
        }
    }
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
