// SPDX-License-Identifier: Apache-2.0
// The account over time: rows stacked up to RSS, and effective RSS as the line that matters.
import { paintMarks } from "./event_marks.js";
import { Painter } from "./paint.js";
import { rowInk } from "./patterns.js";
import { Raster } from "./raster.js";
import { LAZY, ROWS } from "./rows.js";
import { color, ink } from "./theme.js";

const LABEL_HEIGHT = 17; // CSS pixels that a band needs for its name
const LABEL_FONT = 11.5;
const PEAK_CAP = 4; // half as wide, in CSS pixels
const LABEL_PLACES = 40; // tried across the chart

export class AccountPainter {
    constructor(drawing) {
        this.drawing = drawing;
        this.events = [];
        this.raster = new Raster();
        this.painter = new Painter(this.raster);
        this.labelTimes = ROWS.map(() => NaN); // where names were drawn
    }

    // Below the grid, in one go: a raster takes the place of what it is put on.
    paintUnder(context, geometry) {
        const { drawing, painter } = this;
        if (drawing.isEmpty) return;
        painter.begin(geometry, drawing.columns.count);
        const bands = [];
        for (let row = LAZY; row >= 0; row--) {
            if (!drawing.hasRow[row]) continue;
            bands.push({ highs: drawing.highs[row], ink: rowInk(row, geometry.ratio) });
        }
        painter.fillBands(bands);
        const { rss, effective } = drawing.lows;
        const edge = (highs, lows, name, width) =>
            painter.drawSteps(highs, lows, { ink: ink(name), width });
        edge(drawing.highs[LAZY], rss, "rss", 1.25);
        // A halo keeps the line readable on every colour below it.
        edge(drawing.effective, effective, "surface", 4);
        edge(drawing.effective, effective, "effective", 2);
        this.raster.end(context);
    }

    paintOver(context, geometry) {
        paintMarks(context, this.events, geometry);
        if (this.drawing.isEmpty) return;
        this.paintPeaks(context, geometry);
        this.paintLabels(context, geometry);
    }

    // How high RSS was between two readings: a stem from what was read up to a cap.
    paintPeaks(context, { left, ratio, y }) {
        const { peaks, highs } = this.drawing;
        for (let column = 0; column < peaks.length; column++) {
            if (peaks[column] < 0) continue;
            const bottom = y(Math.max(0, highs[LAZY][column]));
            paintPeak(context, left + (column + 0.5) * ratio, y(peaks[column]), bottom, ratio);
        }
    }

    // Names on bands that have room for them, where they have most of it.
    paintLabels(context, geometry) {
        const { hasRow } = this.drawing;
        const { ratio } = geometry;
        context.font = `500 ${LABEL_FONT * ratio}px system-ui, sans-serif`;
        context.textAlign = "center";
        context.textBaseline = "middle";
        for (let row = 0; row <= LAZY; row++) {
            if (!hasRow[row]) continue;
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
    roomAt(row, x, half, { left, width, y, ratio }) {
        const none = { height: 0, y: 0 };
        if (!(x - half >= left && x + half <= left + width)) return none;
        const { highs, hasRow } = this.drawing;
        const below = hasRow.lastIndexOf(true, row - 1);
        const end = Math.min(Math.ceil((x + half - left) / ratio), highs[row].length);
        let high = Infinity;
        let low = 0;
        for (let at = Math.floor((x - half - left) / ratio); at < end; at++) {
            if (highs[row][at] < 0) return none;
            high = Math.min(high, highs[row][at]);
            if (row > 0 && below >= 0) low = Math.max(low, highs[below][at]);
        }
        return { height: y(low) - y(high), y: (y(low) + y(high)) / 2 };
    }
}

// One mark; of legends, too.
export function paintPeak(context, x, top, bottom, ratio) {
    const width = Math.max(1, Math.round(1.5 * ratio));
    const cap = PEAK_CAP * ratio;
    context.fillStyle = color("peak");
    context.fillRect(x - width / 2, top, width, bottom - top);
    context.fillRect(x - cap, top, 2 * cap, width);
}

// On a plate of the band's own colour, so that its pattern does not run through the letters.
function paintLabel(context, text, x, y, ratio, row) {
    const width = context.measureText(text).width;
    context.fillStyle = color(`row-${ROWS[row].key}`);
    context.fillRect(x - width / 2 - 4 * ratio, y - 8 * ratio, width + 8 * ratio, 16 * ratio);
    context.fillStyle = color(`ink-${ROWS[row].key}`);
    context.fillText(text, x, y + 0.5 * ratio);
}
