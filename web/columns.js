// SPDX-License-Identifier: Apache-2.0
// A window as columns one CSS pixel wide: which samples stand in each. A sample stands until the
// next one, and where nothing was read for a while there is a gap and no line. Pure.

const SILENCE_MS = 150000; // unchanged samples are stored once a minute: longer is no such pause

// Times without readings, from events: {from, to}, ascending.
export function findGaps(events) {
    return events.filter((event) => event.kind === "gap" && event.value > 0)
        .map((event) => ({ from: event.time_ms - event.value, to: event.time_ms }));
}

// To which moment each sample of a series stands. Kept beside the series, since it changes only
// with what comes.
export class Stands {
    constructor(series) {
        this.series = series;
        this.until = new Float64Array(0);
        this.count = 0;
        this.gaps = 0;
    }

    // `until` is the moment to which the newest sample stands.
    update(gaps, until) {
        const { series } = this;
        const isOther = gaps.length !== this.gaps || series.step !== this.step;
        if (this.until.length < series.count) {
            const larger = new Float64Array(series.capacity);
            larger.set(this.until);
            this.until = larger;
        }
        // The one that was the newest has a next one now.
        const from = isOther ? 0 : Math.max(0, this.count - 1);
        this.standFrom(from, Math.max(SILENCE_MS, 3 * series.step));
        for (const gap of gaps) this.cut(gap);
        if (series.count) this.until[series.count - 1] = Math.max(series.last, until);
        this.count = series.count;
        this.gaps = gaps.length;
        this.step = series.step;
    }

    standFrom(from, silence) {
        const { time, count } = this.series;
        for (let i = from; i < count - 1; i++) {
            this.until[i] = time[i + 1] - time[i] <= silence ? time[i + 1] : time[i];
        }
    }

    // A gap belongs to the pair of samples that it mostly lies between.
    cut({ from, to }) {
        const { series } = this;
        for (let i = Math.max(0, series.indexAt(from)); i < series.count - 1; i++) {
            const [before, after] = [series.time[i], series.time[i + 1]];
            if (before >= to) break;
            const shared = Math.min(to, after) - Math.max(from, before);
            if (to > before + 1 && shared > 0.5 * (to - from)) {
                this.until[i] = Math.max(from, before);
            }
        }
    }
}

// For each column the samples that stand in it, from `first` to `last`; -1 where none does. Made
// once, and filled anew for each frame.
export class Columns {
    constructor() {
        this.count = 0;
        this.first = new Int32Array(0);
        this.last = this.first;
    }

    lay(series, stands, { from, to }, count) {
        if (count !== this.first.length) {
            this.first = new Int32Array(count);
            this.last = new Int32Array(count);
        }
        this.count = count;
        this.isEmpty = true;
        const width = (to - from) / count;
        let at = series.indexAt(from);
        for (let column = 0; column < count; column++) {
            const end = from + (column + 1) * width;
            const begin = from + column * width;
            if (at + 1 < series.count && series.time[at + 1] <= begin) at++;
            const first = at >= 0 && stands.until[at] > begin ? at : at + 1;
            at = lastBefore(series, end, at);
            const isThere = at >= first;
            this.first[column] = isThere ? first : -1;
            this.last[column] = isThere ? at : -1;
            if (isThere) this.isEmpty = false;
        }
    }
}

// The last sample before `end`, from one that is known to be none behind it: near ones first.
function lastBefore({ time, count }, end, from) {
    let low = from;
    let step = 1;
    while (low + step < count && time[low + step] < end) {
        low += step;
        step *= 2;
    }
    while (step >= 1) {
        if (low + step < count && time[low + step] < end) low += step;
        step >>= 1;
    }
    return low;
}

// The extremes of each column: into `highs` and `lows` (none: not wanted), -1 and Infinity where
// nothing is known.
export function reach(extremes, { count, first, last }, highs, lows) {
    for (let column = 0; column < count; column++) {
        const isThere = first[column] >= 0;
        highs[column] = isThere ? extremes.high(first[column], last[column]) : -1;
        if (lows) lows[column] = isThere ? extremes.low(first[column], last[column]) : Infinity;
    }
}
