// SPDX-License-Identifier: Apache-2.0
// The samples of one process as columns of numbers, ascending in time; unknown is NaN.
//
// Points are many and accounts few, so what only an account tells (rows, verdict, the ledger's
// figures) is kept once per account, and each point says which account was the last at its time.
import { Stands } from "./columns.js";
import { Extremes } from "./extremes.js";
import { KIND_ACCOUNT, LAZY, ROWS, verdictNumber } from "./rows.js";
import { Stack } from "./stack.js";
import { isKnown } from "./units.js";

const POINT_COLUMNS = ["time", "kind", "rss", "lazy", "virtual", "swap", "anon",
    "peak", "account"];

const PEAK_SLACK = 2 ** 18;

function number(value) {
    return isKnown(value) ? Number(value) : NaN;
}

export class Series {
    constructor() {
        this.count = 0;
        this.capacity = 0;
        this.step = 0; // 0: every sample there is; else each point stands for so many ms
        this.from = Infinity; // what was asked for: outside of it nothing is known
        this.to = -Infinity;
        this.accounts = []; // {time, rows: Float64Array, verdict, figures: Float64Array}
        this.figures = []; // {runtime, name, unit}, in the order of an account's figures
        this.highest = NaN; // RSS ever, as the stream told last
        this.peaks = []; // the few points that know a peak before them that no reading saw
        this.places = new Map(); // of a figure in `figures`
        for (const name of POINT_COLUMNS) this[name] = new Float64Array(0);
        this.stack = new Stack(this);
        this.stands = new Stands(this);
        this.extremes = new Map(); // by column, or by place of a figure
    }

    // From a `series` of the server, see tool/serve/PAGE.md: parts that follow each other.
    static parse(json) {
        const made = new Series();
        // All of it at once: parts are many.
        made.reserve(json.parts.reduce((sum, { data: [times] }) => sum + times.length, 0));
        for (const part of json.parts) made.appendPart(json.columns, part);
        made.from = isKnown(json.from_ms) ? json.from_ms : made.first;
        made.to = isKnown(json.to_ms) ? json.to_ms : made.last;
        return made;
    }

    appendPart(names, { step_ms: step, data, figures }) {
        const columns = {};
        // A column of which the part knows nothing is null.
        names.forEach((name, at) => (columns[name] = data[at] || []));
        const { time_ms: times, kind } = columns;
        this.step = Math.max(this.step, step || 0);
        this.reserve(this.count + times.length);
        for (let i = 0; i < times.length; i++) {
            if (kind[i] === KIND_ACCOUNT) {
                const sample = {};
                for (const name in columns) sample[name] = columns[name][i];
                this.appendAccount(sample, figures.map((one) => figureAt(one, i)));
            }
            this.appendPoint(times[i], kind[i], number(columns.rss_bytes[i]),
                number(columns.lazy_bytes[i]), number(columns.virtual_bytes[i]),
                number(columns.swap_bytes[i]), number(columns.anon_bytes?.[i]),
                number(columns.kernel_peak_rss_bytes?.[i]));
        }
    }

    get first() {
        return this.count ? this.time[0] : NaN;
    }

    get last() {
        return this.count ? this.time[this.count - 1] : NaN;
    }

    reserve(capacity) {
        if (capacity <= this.capacity) return;
        for (const name of POINT_COLUMNS) {
            const grown = new Float64Array(capacity);
            grown.set(this[name].subarray(0, this.count));
            this[name] = grown;
        }
        this.capacity = capacity;
    }

    // Takes a sample in; one that is not newer than the last (a refill overlaps) is left out.
    append(sample, figures) {
        if (this.count && sample.time_ms <= this.last) return false;
        if (sample.kind === KIND_ACCOUNT) this.appendAccount(sample, figures);
        this.appendPoint(sample.time_ms, sample.kind, number(sample.rss_bytes),
            number(sample.lazy_bytes), number(sample.virtual_bytes), number(sample.swap_bytes),
            number(sample.anon_bytes), this.missedPeak(sample));
        return true;
    }

    // A stream tells the highest RSS that the kernel knows of. Where that has risen beyond what was
    // read here and before, no reading saw it; the kernel's counts differ by some pages.
    missedPeak({ highest_rss_bytes: told, rss_bytes: rss }) {
        const before = this.highest;
        if (!(told > 0) || told <= before) return NaN;
        this.highest = told;
        const seen = Math.max(rss, this.count ? this.rss[this.count - 1] : 0, before);
        return told >= seen + PEAK_SLACK + seen / 64 ? told : NaN;
    }

    appendPoint(time, kind, rss, lazy, virtual, swap, anon, peak) {
        if (this.count === this.capacity) this.reserve(Math.max(1024, 2 * this.capacity));
        const at = this.count++;
        this.time[at] = time;
        this.kind[at] = kind;
        this.rss[at] = rss;
        this.lazy[at] = lazy;
        this.virtual[at] = virtual;
        this.swap[at] = swap;
        this.anon[at] = anon;
        this.peak[at] = peak;
        if (peak > 0) this.peaks.push(at);
        this.account[at] = this.accounts.length - 1;
    }

    appendAccount(sample, figures) {
        const account = {
            time: sample.time_ms,
            mapped: number(sample.rss_bytes) - number(sample.anon_bytes), // files and shared
            rows: Float64Array.from(ROWS, (row) => number(sample[row.column])),
            verdict: verdictNumber(sample.verdict),
            figures: [],
        };
        for (const figure of figures || []) {
            account.figures[this.placeOf(figure)] = number(figure.value);
        }
        this.accounts.push(account);
    }

    placeOf({ runtime, name, unit }) {
        const key = `${runtime}\n${name}`;
        if (!this.places.has(key)) {
            this.places.set(key, this.figures.length);
            this.figures.push({ runtime, name, unit });
        }
        return this.places.get(key);
    }

    // A column with its extremes, of all that there is by now.
    extremesOf(column) {
        if (column === "rss") return this.stack.borders[LAZY];
        return this.extremesFor(column, this.count, (at) => this[column][at]);
    }

    // The same of a figure of the ledger: one number for each account.
    extremesOfFigure(place) {
        return this.extremesFor(place, this.accounts.length,
            (at) => this.accounts[at].figures[place] ?? NaN);
    }

    extremesFor(key, count, valueAt) {
        if (!this.extremes.has(key)) this.extremes.set(key, new Extremes());
        const extremes = this.extremes.get(key);
        while (extremes.count < count) extremes.append(valueAt(extremes.count));
        return extremes;
    }

    // Index of the sample that stands at that time, or -1 before the first.
    indexAt(time) {
        let low = 0;
        let high = this.count;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.time[middle] <= time) low = middle + 1;
            else high = middle;
        }
        return low - 1;
    }

    accountAt(index) {
        return index >= 0 ? this.accounts[this.account[index]] : undefined;
    }

    // What this one knows from before the other one begins, and then the other one: a server that
    // was started again has forgotten what we have seen.
    joinedWith(later) {
        if (!this.count || (later.count && later.first <= this.first)) return later;
        const made = new Series();
        made.step = Math.max(this.step, later.step);
        for (const part of [this, later]) {
            const end = part === this && later.count ? later.first : Infinity;
            for (let i = 0; i < part.count && part.time[i] < end; i++) made.appendFrom(part, i);
        }
        made.from = Math.min(this.from, later.from);
        made.to = later.to;
        return made;
    }

    // Takes over what another one knows beyond the last sample: the stream went on while this one
    // was fetched.
    appendNewer(other) {
        for (let i = this.count ? other.indexAt(this.last) + 1 : 0; i < other.count; i++) {
            this.appendFrom(other, i);
        }
    }

    appendFrom(other, i) {
        const account = other.accountAt(i);
        if (account && account.time === other.time[i]) {
            const figures = [];
            other.figures.forEach((figure, at) => {
                figures[this.placeOf(figure)] = account.figures[at];
            });
            this.accounts.push({ ...account, figures });
        }
        this.appendPoint(other.time[i], other.kind[i], other.rss[i], other.lazy[i],
            other.virtual[i], other.swap[i], other.anon[i], other.peak[i]);
    }
}

function figureAt({ runtime, name, unit, values }, i) {
    return { runtime, name, unit, value: values[i] };
}
