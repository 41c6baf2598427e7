// SPDX-License-Identifier: Apache-2.0
// A column of numbers that knows the highest and the lowest of any stretch of it in some twenty
// steps: so a window over a hundred thousand samples costs what its pixels cost, and a spike of one
// sample is in it. Pure state; unknown numbers (NaN) count for nothing.

// Blocks of 8 numbers, and of 64.
const NEAR = 3;
const FAR = 6;

// A block with one number more: NaN as long as it has none.
function raise(highs, block, value) {
    if (!(highs[block] >= value)) highs[block] = value;
}

function lower(lows, block, value) {
    if (!(lows[block] <= value)) lows[block] = value;
}

function grown(array, capacity) {
    const larger = new Float32Array(capacity).fill(NaN);
    larger.set(array);
    return larger;
}

export class Extremes {
    constructor() {
        this.count = 0;
        this.reserve(64);
    }

    // Single precision: a pixel of a terabyte is wider than its error.
    reserve(capacity) {
        const none = new Float32Array(0);
        const { values = none, highs = none, lows = none, farHighs = none, farLows = none } = this;
        this.values = grown(values, capacity);
        this.highs = grown(highs, capacity >> NEAR);
        this.lows = grown(lows, capacity >> NEAR);
        this.farHighs = grown(farHighs, capacity >> FAR);
        this.farLows = grown(farLows, capacity >> FAR);
    }

    append(value) {
        if (this.count === this.values.length) this.reserve(2 * this.count);
        const at = this.count++;
        this.values[at] = value;
        if (Number.isNaN(value)) return;
        raise(this.highs, at >> NEAR, value);
        raise(this.farHighs, at >> FAR, value);
        lower(this.lows, at >> NEAR, value);
        lower(this.farLows, at >> FAR, value);
    }

    // Of [first, last]; -1 where nothing is known.
    high(first, last) {
        const { values, highs, farHighs } = this;
        let best = -1;
        for (let at = first; at <= last;) {
            let value = values[at];
            let step = 1;
            if ((at & 63) === 0 && at + 63 <= last) {
                value = farHighs[at >> FAR];
                step = 64;
            } else if ((at & 7) === 0 && at + 7 <= last) {
                value = highs[at >> NEAR];
                step = 8;
            }
            if (value > best) best = value;
            at += step;
        }
        return best;
    }

    // Of [first, last]; Infinity where nothing is known.
    low(first, last) {
        const { values, lows, farLows } = this;
        let best = Infinity;
        for (let at = first; at <= last;) {
            let value = values[at];
            let step = 1;
            if ((at & 63) === 0 && at + 63 <= last) {
                value = farLows[at >> FAR];
                step = 64;
            } else if ((at & 7) === 0 && at + 7 <= last) {
                value = lows[at >> NEAR];
                step = 8;
            }
            if (value < best) best = value;
            at += step;
        }
        return best;
    }
}
