// SPDX-License-Identifier: Apache-2.0
// Painting columns into a raster: bands between borders, and edges. Everything is drawn in steps:
// steps have no slopes, so the extremes of each column are all that painting takes.

const SMOOTH_MAX = 12; // pixels

// The pixels in which a column begins and the next one does.
function edgesOf({ left, ratio }, count, edges) {
    for (let column = 0; column <= count; column++) {
        edges[column] = Math.round(left + column * ratio);
    }
}

// Heights of the canvas for heights in bytes, whole pixels; -1 where nothing is known.
function heightsOf(bytes, geometry, out) {
    const { top, height } = geometry;
    const perByte = height / geometry.bytes;
    for (let column = 0; column < out.length; column++) {
        out[column] = bytes[column] >= 0
            ? Math.max(top, Math.round(top + height - bytes[column] * perByte)) : -1;
    }
}

export class Painter {
    constructor(raster) {
        this.raster = raster;
        this.count = 0;
    }

    // Before anything else of a frame.
    begin(geometry, count) {
        if (count !== this.count) {
            this.count = count;
            this.edges = new Int32Array(count + 1);
            this.upper = new Int32Array(count);
            this.lower = new Int32Array(count);
        }
        this.geometry = geometry;
        edgesOf(geometry, count, this.edges);
        this.raster.begin(geometry, this.edges);
    }

    // Fills the bands between borders: `bands` are {highs, ink} from the top down, each reaching
    // to the next. Every pixel is written once.
    fillBands(bands) {
        const { geometry } = this;
        if (bands.length) heightsOf(bands[0].highs, geometry, this.upper);
        bands.forEach(({ ink }, at) => {
            if (at + 1 < bands.length) heightsOf(bands[at + 1].highs, geometry, this.lower);
            else this.lower.fill(geometry.top + geometry.height);
            this.raster.fillArea(this.upper, this.lower, ink);
            [this.upper, this.lower] = [this.lower, this.upper];
        });
    }

    // Draws a line, `width` CSS pixels wide, between the extremes of each column. Unknown values
    // leave a hole, and so do the gaps of a dashed line.
    drawSteps(highs, lows, { ink, width, dash = [] }) {
        const { geometry, upper, lower, count } = this;
        const half = (width * geometry.ratio) / 2;
        const period = dash.reduce((sum, length) => sum + length, 0);
        // Far up or down it is drawn, dash or not: that may be all there is of a spike.
        const steep = SMOOTH_MAX * (geometry.bytes / geometry.height);
        const isDrawn = (at) => highs[at] >= 0 && (!period || highs[at] - lows[at] > steep
            || isDash(dash, at % period));
        upper.fill(-1);
        let start = 0;
        // Columns that look alike are one stroke, so that a level line is a few writes.
        for (let at = 1; at <= count; at++) {
            if (at < count && highs[at] === highs[start] && lows[at] === lows[start]
                && (!period || isDrawn(at) === isDrawn(start))) continue;
            if (isDrawn(start)) {
                const top = geometry.y(highs[start]) - half;
                const bottom = geometry.y(lows[start]) + half;
                // What goes far up and down in one column has no slope to smooth.
                if (bottom - top > SMOOTH_MAX) {
                    upper.fill(Math.max(0, Math.round(top)), start, at);
                    lower.fill(Math.round(bottom), start, at);
                } else {
                    this.raster.stroke(start, at, top, bottom, ink);
                }
            }
            start = at;
        }
        this.raster.fillArea(upper, lower, ink);
    }
}

// Lengths that are drawn and left out by turns.
function isDash(dash, at) {
    let rest = at;
    let part = 0;
    while (rest >= dash[part]) rest -= dash[part++];
    return part % 2 === 0;
}
