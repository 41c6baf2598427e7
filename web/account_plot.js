// SPDX-License-Identifier: Apache-2.0
// The account over time: rows stacked up to RSS, and effective RSS as the line that matters.
import { drawSteps, fillBands, layColumns, startsOf } from "./paint.js";
import { paintMarks } from "./event_marks.js";
import { rowInk } from "./patterns.js";
import { Raster } from "./raster.js";
import { LAZY, ROWS } from "./rows.js";
import { color, ink } from "./theme.js";

const LABEL_HEIGHT = 17; // CSS pixels that a band needs for its name
const LABEL_FONT = 11.5;
const LABEL_PLACES = 40; // tried across the chart

export class AccountPainter {
    constructor() {
        this.drawing = null;
        this.events = [];
        this.raster = new Raster();
        this.labelTimes = ROWS.map(() => NaN); // where names were drawn
    }

    paintUnder(context, geometry) {
        const { drawing } = this;
        if (!drawing || !drawing.picked.length) return;
        this.xs = startsOf(drawing.series, drawing.picked, geometry);
        this.columns = layColumns(this.xs, drawing.pieces, geometry);
        const bands = [];
        for (let row = LAZY; row >= 0; row--) {
            if (!drawing.hasBand[row]) continue;
            bands.push({ values: drawing.borders[row], ink: rowInk(row, geometry.ratio) });
        }
        this.raster.begin(geometry);
        fillBands(this.raster, this.columns, bands, geometry);
        this.raster.end(context);
    }

    paintOver(context, geometry) {
        const { drawing } = this;
        paintMarks(context, this.events, geometry);
        if (!drawing || !drawing.picked.length) return;
        this.raster.begin(geometry);
        const edge = (row, name, width) => drawSteps(this.raster, this.columns,
            drawing.borders[row], geometry, { ink: ink(name), width });
        edge(LAZY, "rss", 1.25);
        // A halo keeps the line readable on every colour below it.
        edge(LAZY - 1, "surface", 4);
        edge(LAZY - 1, "effective", 2);
        this.raster.end(context);
        this.paintLabels(context, geometry);
    }

    // Names on bands that have room for them, where they have most of it.
    paintLabels(context, geometry) {
        const { hasBand } = this.drawing;
        const { ratio } = geometry;
        context.font = `500 ${LABEL_FONT * ratio}px system-ui, sans-serif`;
        context.textAlign = "center";
        context.textBaseline = "middle";
        for (let row = 0; row <= LAZY; row++) {
            if (!hasBand[row]) continue;
            const text = ROWS[row].title;
            const half = context.measureText(text).width / 2 + 8 * ratio;
            const place = this.placeLabel(row, half, geometry);
            if (place) paintLabel(context, text, place.x, place.y, ratio, row);
        }
    }

    // A label stays at its moment while there is room: one that jumps about cannot be read.
    placeLabel(row, half, geometry) {
        const least = LABEL_HEIGHT * geometry.ratio;
        const room = (x) => this.roomAt(row, x, half, geometry);
        const before = geometry.x(this.labelTimes[row]);
        let best = room(before);
        let x = before;
        if (!(best.height >= least)) {
            const step = geometry.width / LABEL_PLACES;
            for (let at = geometry.left + geometry.width - half; at > geometry.left + half;
                at -= step) {
                const found = room(at);
                if (found.height <= best.height * 1.05) continue;
                best = found;
                x = at;
            }
        }
        this.labelTimes[row] = geometry.time(x);
        return best.height >= least ? { x, y: best.y } : null;
    }

    // What of a band is free of its borders over the width of a label around x.
    roomAt(row, x, half, { left, width, y, x: xOf }) {
        const none = { height: 0, y: 0 };
        if (!(x - half >= left && x + half <= left + width)) return none;
        const { borders, pieces } = this.drawing;
        const { xs } = this;
        const piece = pieces.find((one) => xs[one.start] <= x - half && xOf(one.until) >= x + half);
        if (!piece) return none;
        let high = Infinity;
        let low = 0;
        for (let i = firstBeyond(xs, x + half, piece) - 1; i >= piece.start; i--) {
            high = Math.min(high, borders[row][i]);
            if (row > 0) low = Math.max(low, borders[row - 1][i]);
            if (xs[i] <= x - half) break;
        }
        return { height: y(low) - y(high), y: (y(low) + y(high)) / 2 };
    }
}

// The first point of a piece to the right of x.
function firstBeyond(xs, x, piece) {
    let low = piece.start;
    let high = piece.end;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (xs[middle] <= x) low = middle + 1;
        else high = middle;
    }
    return low;
}

// On a plate of the band's own colour, so that its pattern does not run through the letters.
function paintLabel(context, text, x, y, ratio, row) {
    const width = context.measureText(text).width;
    context.fillStyle = color(`row-${ROWS[row].key}`);
    context.fillRect(x - width / 2 - 4 * ratio, y - 8 * ratio, width + 8 * ratio, 16 * ratio);
    context.fillStyle = color(`ink-${ROWS[row].key}`);
    context.fillText(text, x, y + 0.5 * ratio);
}
