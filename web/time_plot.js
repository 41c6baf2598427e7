// SPDX-License-Identifier: Apache-2.0
// A plot over time: uPlot gives axes, the cursor and the selection; what is in it is painted by
// whoever owns it, since neither stacks nor steps nor breaks are lines to uPlot.
import { DAY, formatClock, formatDay, formatMark, MINUTE, SECOND } from "./units.js";
import { attachGestures } from "./gestures.js";
import { color } from "./theme.js";
import uPlot from "./uplot.js";

const Y_AXIS_WIDTH = 74; // fixed: a chart that moves when a label grows cannot be read
const FONT = "12px system-ui, sans-serif";
const MARK_LANE = 16; // room for the marks of events between the plot and its labels

// Device pixels for each CSS pixel, as all canvases have them.
export function pixelRatio() {
    return uPlot.pxRatio;
}

// Round numbers of bytes are powers of two; the largest is beyond all memory.
const INCREMENTS = Array.from({ length: 48 }, (_, power) => 2 ** (power + 4));

export class TimePlot {
    // `painter` has paintUnder(), paintOver() (both: context, geometry) and label. `cursor` is the
    // state that all plots share, `view` the window.
    constructor(root, { view, cursor, painter, height, marks }) {
        this.view = view;
        this.cursor = cursor;
        this.painter = painter;
        this.range = { from: 0, to: 1 };
        this.top = 1;
        this.lane = marks ? MARK_LANE : 4;
        this.plot = new uPlot(this.options(height), [[0, 1], [0, 1]], root);
        this.plot.over.setAttribute("aria-hidden", "true");
        this.attach();
    }

    options(height) {
        return {
            width: 300,
            height,
            ms: 1,
            padding: [8, 26, 0, 0], // the last label stands half outside
            legend: { show: false },
            cursor: {
                y: false,
                points: { show: false },
                drag: { x: true, y: false, setScale: false, dist: 5 },
                bind: {
                    // With shift it is a pan, by gestures.js.
                    mousedown: (_, __, handle) => (event) =>
                        event.button === 0 && !event.shiftKey ? handle(event) : null,
                    dblclick: () => () => this.view.back(),
                },
            },
            scales: {
                x: { time: true, range: () => [this.range.from, this.range.to] },
                y: { range: () => [0, this.top] },
            },
            series: [{}, { paths: () => null, points: { show: false } }],
            axes: [this.timeAxis(), this.sizeAxis()],
            drawOrder: ["axes", "series"],
            hooks: {
                drawClear: [(plot) => this.clipped(plot, "paintUnder")],
                draw: [(plot) => this.clipped(plot, "paintOver")],
                setSelect: [(plot) => this.selected(plot)],
                setCursor: [(plot) => this.pointed(plot)],
            },
        };
    }

    timeAxis() {
        return {
            font: FONT,
            gap: this.lane,
            size: 20 + this.lane,
            space: 72,
            stroke: () => color("text-soft"),
            grid: { show: true, stroke: () => color("grid"), width: 1 },
            ticks: { show: false },
            values: (_, splits, __, ___, increment) => splits.map((ms, at) => {
                // A clock has no smaller hand than that of seconds.
                if (ms % SECOND) return "";
                const isNewDay = new Date(ms).getHours() === 0 && new Date(ms).getMinutes() === 0;
                if (increment >= DAY || (isNewDay && at > 0)) return formatDay(ms);
                return formatClock(ms, increment < MINUTE);
            }),
        };
    }

    sizeAxis() {
        return {
            font: FONT,
            gap: 8,
            size: Y_AXIS_WIDTH,
            space: 34,
            incrs: INCREMENTS,
            stroke: () => color("text-soft"),
            grid: { show: true, stroke: () => color("grid"), width: 1 },
            ticks: { show: false },
            values: (_, splits) => splits.map(formatMark),
        };
    }

    attach() {
        this.isApplying = false;
        attachGestures(this.plot.over, this.view, {
            timeAt: (event) => this.timeAt(event),
            width: () => this.box.width,
            pointAt: (event) => this.cursor.set(this.timeAt(event)),
        });
        this.unlisten = this.cursor.listen(() => this.showCursor());
    }

    destroy() {
        this.unlisten();
        this.plot.destroy();
    }

    timeAt(event) {
        const box = this.plot.over.getBoundingClientRect();
        const share = (event.clientX - box.left) / box.width;
        return this.range.from + share * (this.range.to - this.range.from);
    }

    // Draws the window up to `top` bytes.
    show(range, top) {
        this.range = range;
        this.top = Math.max(top, 1);
        this.isApplying = true;
        this.plot.setData([[range.from, range.to], [0, top]]);
        this.isApplying = false;
        this.showCursor();
    }

    resize(width, height) {
        if (width === this.plot.width && height === this.plot.height) return;
        this.isApplying = true;
        this.plot.setSize({ width, height });
        this.isApplying = false;
    }

    // The plot within its axes, in CSS pixels. As uPlot knows it: to ask the page would make the
    // browser lay it out in each frame.
    get box() {
        const { left, width } = this.plot.bbox;
        return { left: left / uPlot.pxRatio, width: Math.max(1, width / uPlot.pxRatio) };
    }

    // How many columns one CSS pixel wide a window has, and how many of them a millisecond.
    columnsOf({ from, to }) {
        const { width } = this.box;
        return { count: Math.ceil(width), perMs: width / (to - from) };
    }

    // Where times and bytes are on the canvas, in its own pixels.
    geometry() {
        const { left, top, width, height } = this.plot.bbox;
        const { from, to } = this.range;
        const perMs = width / (to - from);
        const perByte = height / this.top;
        return {
            left, top, width, height,
            ratio: uPlot.pxRatio,
            bytes: this.top,
            x: (time) => left + (time - from) * perMs,
            y: (bytes) => top + height - bytes * perByte,
            time: (x) => from + (x - left) / perMs,
        };
    }

    clipped(plot, what) {
        const geometry = this.geometry();
        const context = plot.ctx;
        context.save();
        context.beginPath();
        // The marks of events lie below the plot, and whole at its edges.
        const lane = what === "paintOver" ? this.lane * geometry.ratio : 0;
        context.rect(geometry.left, geometry.top, geometry.width, geometry.height + lane);
        context.clip();
        this.painter[what](context, geometry);
        context.restore();
    }

    selected(plot) {
        const { left, width } = plot.select;
        if (width < 2) return;
        const scale = (this.range.to - this.range.from) / this.box.width;
        const from = this.range.from + left * scale;
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        this.view.zoom(from, from + width * scale);
    }

    // What this plot shows by itself is no news: only a hand on it moves the others.
    pointed(plot) {
        if (this.isApplying) return;
        const { left } = plot.cursor;
        const scale = (this.range.to - this.range.from) / this.box.width;
        this.cursor.set(left >= 0 ? this.range.from + left * scale : null);
    }

    showCursor() {
        const { time } = this.cursor;
        const { from, to } = this.range;
        const share = time === null ? -1 : (time - from) / (to - from);
        const isIn = share >= 0 && share <= 1;
        this.isApplying = true;
        const left = isIn ? share * this.box.width : -10;
        this.plot.setCursor({ left, top: 10 }, false);
        this.isApplying = false;
    }
}
