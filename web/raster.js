// SPDX-License-Identifier: Apache-2.0
// A picture of the plot that is written pixel by pixel. Thousands of columns would be as many
// drawing commands for a canvas; here they are a few writes each, and one command in the end.

// Pixels are 32 bits, red first in memory: alpha is highest on every machine that has a browser.
const OPAQUE = 0xff000000;
const SMOOTH_MAX = 12; // pixels

export class Raster {
    constructor() {
        this.canvas = document.createElement("canvas");
        this.context = this.canvas.getContext("2d");
        this.width = this.height = 0;
    }

    // Empties it, and makes it as large as the plot.
    begin({ left, top, width, height }) {
        this.left = Math.round(left);
        this.top = Math.round(top);
        const [columns, lines] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
        if (columns === this.width && lines === this.height) {
            this.pixels.fill(0);
            return;
        }
        this.width = this.canvas.width = columns;
        this.height = this.canvas.height = lines;
        this.image = this.context.createImageData(columns, lines);
        this.pixels = new Uint32Array(this.image.data.buffer);
    }

    // Puts it where it belongs on the plot's own canvas.
    end(context) {
        this.context.putImageData(this.image, 0, 0);
        context.drawImage(this.canvas, this.left, this.top);
    }

    // Columns of the picture, from the canvas's: none outside of it.
    columns(x, width) {
        const begin = Math.max(0, x - this.left);
        return [begin, Math.min(this.width, x + width - this.left)];
    }

    // Fills whole pixels between two heights of the canvas.
    fill(x, width, top, bottom, ink) {
        const [begin, end] = this.columns(x, width);
        const first = Math.max(0, Math.round(top) - this.top);
        const last = Math.min(this.height, Math.round(bottom) - this.top);
        if (ink.size === 1 && end - begin > last - first) {
            for (let row = first * this.width; row < last * this.width; row += this.width) {
                this.pixels.fill(ink.pixels[0], row + begin, row + end);
            }
            return;
        }
        for (let column = begin; column < end; column++) this.fillColumn(column, first, last, ink);
    }

    // The inmost loop of all painting: no division, no call.
    fillColumn(column, first, last, { pixels, size }) {
        const { width, pixels: out } = this;
        const all = size * size;
        let from = (first % size) * size + (column % size);
        for (let at = first * width + column; at < last * width + column; at += width) {
            out[at] = pixels[from];
            from += size;
            if (from >= all) from -= all;
        }
    }

    // The same with ends that may lie within a pixel: a slope that rises slowly stays smooth. What
    // goes far up and down in one column has no slope to smooth.
    stroke(x, width, top, bottom, ink) {
        if (bottom - top > SMOOTH_MAX) {
            this.fill(x, width, top, bottom, ink);
            return;
        }
        const first = Math.ceil(top);
        const last = Math.floor(bottom);
        if (last < first) {
            this.blend(x, width, last, bottom - top, ink);
            return;
        }
        this.fill(x, width, first, last, ink);
        this.blend(x, width, first - 1, first - top, ink);
        this.blend(x, width, last, bottom - last, ink);
    }

    // One line of pixels of which a share is covered.
    blend(x, width, y, share, { pixels: [color] }) {
        const line = y - this.top;
        if (share <= 0 || line < 0 || line >= this.height) return;
        const [begin, end] = this.columns(x, width);
        const row = line * this.width;
        for (let at = row + begin; at < row + end; at++) {
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
