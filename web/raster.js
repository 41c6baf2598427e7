// SPDX-License-Identifier: Apache-2.0
// A picture of the plot that is written pixel by pixel. Thousands of columns would be as many
// drawing commands for a canvas; here they are a few writes each, and one command in the end.

// Pixels are 32 bits, red first in memory: alpha is highest on every machine that has a browser.
const OPAQUE = 0xff000000;
const CHUNK = 64; // columns whose common part is written by lines

export class Raster {
    constructor() {
        this.width = this.height = 0;
    }

    // Empties it, and makes it as large as the plot. `edges`: where each of its columns begins, and
    // the last one ends, in pixels of the canvas.
    begin({ left, top, width, height }, edges) {
        this.left = Math.round(left);
        this.top = Math.round(top);
        this.edges = edges;
        const [columns, lines] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
        if (columns === this.width && lines === this.height) {
            this.pixels.fill(0);
            return;
        }
        this.width = columns;
        this.height = lines;
        this.image = new ImageData(columns, lines);
        this.pixels = new Uint32Array(this.image.data.buffer);
    }

    // Puts it where it belongs on the plot's own canvas, in the place of what is there.
    end(context) {
        context.putImageData(this.image, this.left, this.top);
    }

    // A column's first pixel in the picture; none outside of it.
    pixelOf(column) {
        return Math.min(Math.max(this.edges[column] - this.left, 0), this.width);
    }

    // Fills columns between two heights of the canvas each; none where the upper one is negative.
    // Neighbours have most of their height in common, and lines of pixels lie together in memory.
    fillArea(upper, lower, ink) {
        for (let begin = 0; begin < upper.length;) {
            if (upper[begin] < 0) {
                begin++;
                continue;
            }
            let [top, bottom] = [0, this.height];
            let end = begin;
            for (; end < upper.length && end < begin + CHUNK && upper[end] >= 0; end++) {
                top = Math.max(top, upper[end] - this.top);
                bottom = Math.min(bottom, lower[end] - this.top);
            }
            this.fillLines(this.pixelOf(begin), this.pixelOf(end), top, bottom, ink);
            for (let column = begin; column < end; column++) {
                const high = Math.max(0, upper[column] - this.top);
                const low = Math.min(this.height, lower[column] - this.top);
                const hasCommon = bottom > top;
                this.fillColumns(column, high, hasCommon ? top : low, ink);
                if (hasCommon) this.fillColumns(column, bottom, low, ink);
            }
            begin = end;
        }
    }

    // Whole lines: the first few by their pattern, the others as copies of those.
    fillLines(begin, end, first, last, { pixels, size }) {
        const { width, pixels: out } = this;
        if (end <= begin) return;
        for (let row = first; row < last; row++) {
            const at = row * width;
            if (size === 1) {
                out.fill(pixels[0], at + begin, at + end);
            } else if (row < first + size) {
                const line = (row % size) * size;
                for (let x = begin; x < end; x++) out[at + x] = pixels[line + (x % size)];
            } else {
                out.copyWithin(at + begin, at + begin - size * width, at + end - size * width);
            }
        }
    }

    // The pixels of one column: no division, no call within.
    fillColumns(column, first, last, { pixels, size }) {
        const { width, pixels: out } = this;
        if (last <= first) return;
        const all = size * size;
        const end = this.pixelOf(column + 1);
        for (let x = this.pixelOf(column); x < end; x++) {
            let from = (first % size) * size + (x % size);
            for (let at = first * width + x; at < last * width + x; at += width) {
                out[at] = pixels[from];
                from += size;
                if (from >= all) from -= all;
            }
        }
    }

    // A stroke over columns, with ends that may lie within a pixel: a slope that rises slowly
    // stays smooth.
    stroke(column, columnEnd, top, bottom, ink) {
        const begin = this.pixelOf(column);
        const end = this.pixelOf(columnEnd);
        const first = Math.ceil(top);
        const last = Math.floor(bottom);
        if (last < first) {
            this.blend(begin, end, last, bottom - top, ink);
            return;
        }
        this.fillLines(begin, end, Math.max(0, first - this.top),
            Math.min(this.height, last - this.top), ink);
        this.blend(begin, end, first - 1, first - top, ink);
        this.blend(begin, end, last, bottom - last, ink);
    }

    // One line of pixels of which a share is covered.
    blend(begin, end, y, share, { pixels: [color] }) {
        const line = y - this.top;
        if (share <= 0 || line < 0 || line >= this.height) return;
        for (let at = line * this.width + begin; at < line * this.width + end; at++) {
            this.pixels[at] = mix(this.pixels[at], color, share);
        }
    }
}

// `share` of an opaque colour over what is there.
function mix(below, color, share) {
    const alpha = below >>> 24;
    if (alpha === 0) return ((color & ~OPAQUE) | (Math.round(255 * share) << 24)) >>> 0;
    const part = (shift) => {
        const one = (below >>> shift) & 255;
        return Math.round(one + (((color >>> shift) & 255) - one) * share) << shift;
    };
    const covered = Math.round(alpha + (255 - alpha) * share);
    return (part(0) | part(8) | part(16) | (covered << 24)) >>> 0;
}

// A colour as what to write.
export function solidInk(cssColor) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d");
    context.fillStyle = cssColor;
    context.fillRect(0, 0, 1, 1);
    return tileInk(canvas);
}

// A square canvas as a pattern to write.
export function tileInk(canvas) {
    const size = canvas.width;
    const { data } = canvas.getContext("2d").getImageData(0, 0, size, size);
    return { pixels: new Uint32Array(data.buffer), size };
}
