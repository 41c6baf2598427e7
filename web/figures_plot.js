// SPDX-License-Identifier: Apache-2.0
// The runtime's own figures under their own names, as lines that can be switched, with RSS and VMS
// of the kernel beside them.
import { element, setHidden, setPressed, setText } from "./dom.js";
import { highest } from "./drawing.js";
import { reach } from "./columns.js";
import { Painter } from "./paint.js";
import { formatBytes } from "./units.js";
import { Raster } from "./raster.js";
import { color, ink, listenTheme } from "./theme.js";

const COLORS = 8; // --line-0 ... in style.css
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3]];
const SHOWN_FIRST = 6; // of a ledger that nobody knows the important figures of
// What the engineers of old had on their dashboards, in this order.
const KNOWN = ["Sys", "HeapSys", "HeapAlloc", "HeapInuse", "HeapIdle", "HeapReleased"];

const SELDOM = ["usmblks", "fsmblks"]; // glibc's, 0 in most programs: behind all others

export class FiguresPainter {
    constructor(root, drawing, onChange) {
        this.root = root;
        this.onChange = onChange;
        this.drawing = drawing;
        this.raster = new Raster();
        this.painter = new Painter(this.raster);
        this.lines = [];
        this.choices = new Map(); // what the user switched: it outlives new figures
        this.hasAll = false; // shows those that are off at first, too
        this.more = element("button", { type: "button", class: "line-more",
            click: () => this.showAll() });
        this.destroy = listenTheme(() => this.lines.forEach((line) => drawSample(line)));
    }

    // Takes new data over; the list of lines is made anew only when there are other figures.
    update() {
        const { series } = this.drawing;
        if (series !== this.series || series.figures.length !== this.count) this.remake(series);
        for (const line of this.lines) if (line.isShown) this.reach(line);
    }

    // The extremes of a line in each column.
    reach(line) {
        const { series, columns, accounts } = this.drawing;
        const { entry } = line;
        if (line.highs?.length !== columns.count) {
            line.highs = new Float32Array(columns.count);
            line.lows = new Float32Array(columns.count);
        }
        if (entry.column) reach(series.extremesOf(entry.column), columns, line.highs, line.lows);
        else reach(series.extremesOfFigure(entry.place), accounts, line.highs, line.lows);
    }

    remake(series) {
        this.series = series;
        this.count = series.figures.length;
        const names = listFigures(series);
        const key = names.map((entry) => `${entry.key} ${entry.place}`).join("\n");
        if (key !== this.key) {
            this.key = key;
            this.lines = names.map((entry, at) => this.makeLine(entry, at));
            this.root.replaceChildren(...this.lines.map((line) => line.button), this.more);
            this.showMore();
        }
    }

    makeLine(entry, at) {
        const line = { entry, at, isShown: this.choices.get(entry.key) ?? entry.isShown };
        line.sample = element("img", { class: "line-sample", alt: "" });
        line.value = element("span", { class: "number" });
        line.button = element("button", {
            type: "button", class: "line", title: entry.hint,
            click: () => this.toggle(line),
        }, line.sample, element("span", { class: "name" }, entry.name), line.value);
        setPressed(line.button, line.isShown);
        drawSample(line);
        return line;
    }

    // A ledger has some twenty figures, and few of them matter at a time.
    showMore() {
        const rest = this.lines.filter((line) => line.entry.isExtra && !line.isShown);
        for (const line of rest) setHidden(line.button, !this.hasAll);
        setHidden(this.more, rest.length === 0);
        setText(this.more, this.hasAll ? "fewer" : `${rest.length} more`);
    }

    showAll() {
        this.hasAll = !this.hasAll;
        this.showMore();
    }

    toggle(line) {
        line.isShown = !line.isShown;
        if (line.isShown) this.reach(line);
        this.choices.set(line.entry.key, line.isShown);
        setPressed(line.button, line.isShown);
        this.onChange();
    }

    get top() {
        let top = 0;
        for (const line of this.lines) {
            if (line.isShown) top = Math.max(top, highest(line.highs));
        }
        return top;
    }

    // Of any series of the process, not of the one that is drawn alone.
    showValues(series, index) {
        for (const line of this.lines) {
            setText(line.value, index < 0 ? "" : formatBytes(valueAt(series, index, line.entry)));
        }
    }

    paintUnder(context, geometry) {
        const { drawing, painter } = this;
        if (drawing.isEmpty) return;
        painter.begin(geometry, drawing.columns.count);
        for (const line of this.lines) {
            if (!line.isShown) continue;
            const { name, width, dash } = styleOf(line);
            painter.drawSteps(line.highs, line.lows, { ink: ink(name), width, dash });
        }
        this.raster.end(context);
    }

    paintOver() {}
}

function styleOf({ at, entry }) {
    if (entry.column === "rss") return { name: "rss", width: 2 };
    return {
        name: `line-${at % COLORS}`, width: 1.75,
        // Neighbours differ in this as well: colours alone are one grey to some.
        dash: DASHES[at % DASHES.length],
    };
}

// What can be drawn on one scale: bytes. Counts and times are in the table.
function listFigures(series) {
    const known = (name) => (KNOWN.includes(name) ? KNOWN.indexOf(name)
        : KNOWN.length + SELDOM.includes(name));
    const figures = series.figures.map((figure, place) => ({ ...figure, place }))
        .filter((figure) => figure.unit === "bytes")
        .sort((a, b) => known(a.name) - known(b.name) || a.place - b.place);
    const several = new Set(figures.map((figure) => figure.runtime)).size > 1;
    const hasKnown = figures.some((figure) => KNOWN.includes(figure.name));
    const listed = figures.map((figure, at) => {
        const isShown = hasKnown ? KNOWN.includes(figure.name) : at < SHOWN_FIRST;
        return {
            key: `${figure.runtime}\n${figure.name}`,
            name: several ? `${figure.runtime} ${figure.name}` : figure.name,
            hint: `${figure.name}, as ${figure.runtime} counts it`,
            place: figure.place,
            isShown,
            isExtra: !isShown,
        };
    });
    return [
        { key: "RSS", name: "RSS", column: "rss", isShown: true,
            hint: "resident, as the kernel counts it" },
        ...listed.filter((entry) => !entry.isExtra),
        { key: "VMS", name: "VMS", column: "virtual", isShown: false,
            hint: "address space: mapped, not resident" },
        ...listed.filter((entry) => entry.isExtra),
    ];
}

function valueAt(series, index, entry) {
    if (entry.column) return series[entry.column][index];
    return series.accountAt(index)?.figures[series.places.get(entry.key)] ?? NaN;
}

// A picture and no canvas: each canvas of a page is a layer of its own, composed in every frame.
function drawSample(line) {
    const ratio = devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = 20 * ratio;
    canvas.height = 8 * ratio;
    const context = canvas.getContext("2d");
    const { name, width, dash } = styleOf(line);
    context.strokeStyle = color(name);
    context.lineWidth = width * ratio;
    context.setLineDash((dash || []).map((length) => length * ratio));
    context.beginPath();
    context.moveTo(0, 4 * ratio);
    context.lineTo(20 * ratio, 4 * ratio);
    context.stroke();
    line.sample.src = canvas.toDataURL();
}
