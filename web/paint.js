// SPDX-License-Identifier: Apache-2.0
// Painting samples on a canvas. A sample stands until the next one, so everything is drawn in
// steps; where nothing was read for a while there is a break and not a line.

const SILENCE_MS = 150000; // unchanged samples are stored once a minute: longer is no such pause

// Times without readings, from events: {from, to}, ascending.
export function findGaps(events) {
    return events.filter((event) => event.kind === "gap" && event.value > 0)
        .map((event) => ({ from: event.time_ms - event.value, to: event.time_ms }));
}

// Cuts the picked samples where there is a gap: pieces {start, end, until}, `until` being the
// moment to which the last sample of the piece stands.
export function cutPieces(series, picked, gaps, until) {
    const pieces = [];
    const silence = Math.max(SILENCE_MS, 3 * series.step);
    let start = 0;
    for (let i = 1; i <= picked.length; i++) {
        if (i === picked.length) {
            const last = picked[i - 1];
            // What was picked may end before what there is: the next one is then out of sight.
            const stands = last + 1 < series.count ? series.time[last + 1] : until;
            pieces.push({ start, end: i, until: Math.max(series.time[last], stands) });
            break;
        }
        const before = series.time[picked[i - 1]];
        const after = series.time[picked[i]];
        const gap = gaps.find((one) => one.from < after && one.to > before + 1
            && Math.min(one.to, after) - Math.max(one.from, before) > 0.5 * (one.to - one.from));
        if (!gap && after - before <= silence) continue;
        pieces.push({ start, end: i, until: gap ? Math.max(gap.from, before) : before });
        start = i;
    }
    return pieces;
}

// Where the picked samples begin, in pixels of the canvas.
export function startsOf(series, picked, geometry) {
    return Float64Array.from(picked, (index) => geometry.x(series.time[index]));
}

// The plot as columns one CSS pixel wide: for each the picked samples that stand in it, from
// `first` to `last`; -1 where none does. Steps have no slopes, so columns are all that painting
// takes, and a hundred thousand samples cost no more than there are columns.
export function layColumns(starts, pieces, geometry) {
    const count = Math.ceil(geometry.width / geometry.ratio);
    const first = new Int32Array(count).fill(-1);
    const last = new Int32Array(count).fill(-1);
    const columnOf = (x) => Math.floor((x - geometry.left) / geometry.ratio);
    for (const piece of pieces) {
        for (let i = piece.start; i < piece.end; i++) {
            const end = i + 1 < piece.end ? columnOf(starts[i + 1])
                : columnOf(geometry.x(piece.until));
            const begin = Math.max(columnOf(starts[i]), 0);
            for (let column = begin; column <= Math.min(end, count - 1); column++) {
                if (first[column] < 0) first[column] = i;
                last[column] = i;
            }
        }
    }
    return { first, last, count };
}

// Calls `paint(x, width, high, low)` for each run of columns that look alike; high and low are the
// values' extremes in it. Unknown values (NaN) leave a hole, and so do the gaps of a dashed line.
function eachRun({ first, last, count }, values, geometry, dash, paint) {
    const { left, ratio } = geometry;
    const edge = (column) => Math.round(left + column * ratio);
    const period = dash.reduce((sum, length) => sum + length, 0);
    let start = -1;
    let high = NaN;
    let low = NaN;
    for (let column = 0; column <= count; column++) {
        let top = NaN;
        let bottom = NaN;
        if (column < count && first[column] >= 0 && (!period || isDash(dash, column % period))) {
            for (let i = first[column]; i <= last[column]; i++) {
                const value = values[i];
                if (!(value <= top)) top = value >= 0 ? value : top;
                if (!(value >= bottom)) bottom = value >= 0 ? value : bottom;
            }
        }
        if (top === high && bottom === low) continue;
        if (high >= 0) paint(edge(start), edge(column) - edge(start), high, low);
        start = column;
        high = top;
        low = bottom;
    }
}

// Lengths that are drawn and left out by turns.
function isDash(dash, at) {
    let rest = at;
    let part = 0;
    while (rest >= dash[part]) rest -= dash[part++];
    return part % 2 === 0;
}

// Fills the bands between borders: `bands` are {values, ink} from the top down, each reaching to
// the next. Every pixel is written once.
export function fillBands(raster, { first, last, count }, bands, geometry) {
    const { left, ratio } = geometry;
    const tops = new Float64Array(bands.length + 1);
    tops[bands.length] = geometry.y(0);
    for (let column = 0; column < count; column++) {
        if (first[column] < 0) continue;
        const x = Math.round(left + column * ratio);
        const width = Math.round(left + (column + 1) * ratio) - x;
        bands.forEach(({ values }, at) => {
            let high = 0;
            for (let i = first[column]; i <= last[column]; i++) high = Math.max(high, values[i]);
            tops[at] = geometry.y(high);
        });
        bands.forEach(({ ink }, at) => raster.fill(x, width, tops[at], tops[at + 1], ink));
    }
}

// Draws the edge as a line, `width` CSS pixels wide.
export function drawSteps(raster, columns, values, geometry, { ink, width, dash = [] }) {
    const half = (width * geometry.ratio) / 2;
    eachRun(columns, values, geometry, dash, (x, run, high, low) => {
        raster.stroke(x, run, geometry.y(high) - half, geometry.y(low) + half, ink);
    });
}
