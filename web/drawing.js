// SPDX-License-Identifier: Apache-2.0
// What the charts of one process draw in one window: made once for each change, used by all. Its
// arrays are used again, so that a frame leaves nothing behind to collect.
import { Columns, reach } from "./columns.js";
import { LAZY, ROW_COUNT } from "./rows.js";

export class Drawing {
    constructor() {
        this.columns = new Columns();
        this.accounts = { count: 0, first: new Int32Array(0), last: new Int32Array(0) };
        this.highs = []; // of the rows' borders
        this.effective = new Float32Array(0);
        this.peaks = new Float32Array(0); // of RSS between two readings; -1 none
        this.lows = { rss: null, effective: null };
        this.isEmpty = true;
    }

    // `until` is the moment to which the newest sample stands, `count` the columns of the plot.
    prepare(series, range, count, gaps, until) {
        this.series = series;
        this.range = range;
        series.stack.update();
        series.stands.update(gaps, until);
        this.columns.lay(series, series.stands, range, count);
        this.isEmpty = this.columns.isEmpty;
        if (this.highs[0]?.length !== count) this.resize(count);
        this.layAccounts();
        const { borders, effective, hasRow } = series.stack;
        this.hasRow = hasRow;
        // A row of which there is nothing has the border of the one below it.
        for (let row = 0; row < LAZY; row++) {
            if (hasRow[row]) reach(borders[row], this.columns, this.highs[row], null);
        }
        reach(borders[LAZY], this.columns, this.highs[LAZY], this.lows.rss);
        reach(effective, this.columns, this.effective, this.lows.effective);
        this.layPeaks();
        this.top = Math.max(highest(this.highs[LAZY]), highest(this.peaks));
    }

    // Each in the column of its own sample: unlike that, it does not stand until the next one.
    layPeaks() {
        const { peaks, series, highs, range: { from, to } } = this;
        const perMs = peaks.length / (to - from);
        peaks.fill(-1);
        for (const index of series.peaks) {
            const column = Math.floor((series.time[index] - from) * perMs);
            const isSeen = !(series.peak[index] > highs[LAZY][column]);
            if (isSeen || !(column >= 0 && column < peaks.length)) continue;
            peaks[column] = Math.max(peaks[column], series.peak[index]);
        }
    }

    resize(count) {
        this.highs = Array.from({ length: ROW_COUNT }, () => new Float32Array(count));
        this.effective = new Float32Array(count);
        this.peaks = new Float32Array(count);
        this.lows = { rss: new Float32Array(count), effective: new Float32Array(count) };
        this.accounts = { count, first: new Int32Array(count), last: new Int32Array(count) };
    }

    // The same columns, as accounts: figures of a ledger are told by these alone.
    layAccounts() {
        const { columns, accounts, series: { account } } = this;
        for (let column = 0; column < columns.count; column++) {
            const last = columns.first[column] < 0 ? -1 : account[columns.last[column]];
            accounts.first[column] = last < 0 ? -1 : Math.max(0, account[columns.first[column]]);
            accounts.last[column] = last;
        }
    }

    // The newest sample in sight, or -1.
    get newest() {
        return this.columns.last.findLast((index) => index >= 0) ?? -1;
    }
}

export function highest(highs) {
    let top = 0;
    for (let i = 0; i < highs.length; i++) if (highs[i] > top) top = highs[i];
    return top;
}

// The next power of two steps above: the scale stays the same while figures move a little.
export function niceTop(bytes) {
    if (!(bytes > 0)) return 2 ** 20;
    const step = 2 ** Math.max(10, Math.floor(Math.log2(bytes)) - 2);
    return Math.ceil((bytes * 1.04) / step) * step;
}
