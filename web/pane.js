// SPDX-License-Identifier: Apache-2.0
// Everything about one process: its verdict, the account over time, the runtime's figures. There
// is one, or two side by side when processes are compared.
import { AccountPainter } from "./account_plot.js";
import { findGaps } from "./columns.js";
import { Drawing, niceTop } from "./drawing.js";
import { element, setHidden, setText } from "./dom.js";
import { EventTip } from "./event_marks.js";
import { FiguresPainter } from "./figures_plot.js";
import { TimePlot } from "./time_plot.js";
import { formatBytes, formatClock, formatDay, formatSpan, formatTime } from "./units.js";
import { provenanceAt } from "./stack.js";
import { VerdictStrip } from "./verdict.js";

const ACCOUNT_HEIGHT = 340;
const FIGURES_HEIGHT = 200;
const PHONE_WIDTH = 560;

export class Pane {
    constructor(id, { store, view, cursor, onChange }) {
        this.id = id;
        this.store = store;
        this.view = view;
        this.cursor = cursor;
        this.verdict = new VerdictStrip();
        this.readout = element("p", { class: "readout number" });
        this.accountRoot = element("div", { class: "plot", role: "img" });
        this.figuresRoot = element("div", { class: "plot", role: "img" });
        this.legend = element("div", { class: "lines", role: "group",
            "aria-label": "figures of the runtime" });
        this.empty = element("p", { class: "empty" }, "reading …");
        this.node = element("article", { class: "pane" }, this.verdict.node,
            element("section", { class: "card" },
                element("h3", {}, "Account"), this.readout, this.empty, this.accountRoot),
            element("section", { class: "card" },
                element("h3", {}, "The runtime’s own figures"), this.legend, this.figuresRoot));
        this.drawing = new Drawing();
        this.account = new AccountPainter(this.drawing);
        this.figures = new FiguresPainter(this.legend, this.drawing, onChange);
        this.pixels = 1000;
    }

    // Once the pane is part of the page: plots need to know their width.
    start() {
        const shared = { view: this.view, cursor: this.cursor };
        this.accountPlot = new TimePlot(this.accountRoot,
            { ...shared, painter: this.account, height: ACCOUNT_HEIGHT, marks: true });
        this.figuresPlot = new TimePlot(this.figuresRoot,
            { ...shared, painter: this.figures, height: FIGURES_HEIGHT });
        this.tip = new EventTip(this.accountRoot);
        this.resize();
    }

    destroy() {
        this.accountPlot?.destroy();
        this.figuresPlot?.destroy();
        this.figures.destroy();
        this.node.remove();
    }

    get subject() {
        return this.store.subjects.get(this.id);
    }

    resize() {
        if (!this.accountPlot) return;
        const width = this.accountRoot.clientWidth;
        // Kept: asking for it in each frame would make the browser lay the page out in each.
        this.pixels = Math.max(100, width);
        const isPhone = document.documentElement.clientWidth < PHONE_WIDTH;
        this.accountPlot.resize(width, isPhone ? 260 : ACCOUNT_HEIGHT);
        this.figuresPlot.resize(width, isPhone ? 160 : FIGURES_HEIGHT);
    }

    // First half of drawing: what there is, and so how high it goes.
    prepare(range) {
        const { subject, drawing } = this;
        const track = this.store.tracks.get(this.id);
        if (track?.fault) setText(this.empty, `its samples could not be read: ${track.fault}`);
        if (!subject || !track || !track.isLoaded || !this.accountPlot) return 0;
        this.series = track.seriesFor(range.from, range.to);
        this.account.events = this.store.eventsOf(this.id);
        const until = subject.ended ? subject.last_ms : this.store.end;
        const { count, perMs } = this.accountPlot.columnsOf(range);
        drawing.prepare(this.series, { from: range.from, to: range.from + count / perMs }, count,
            this.gaps(), until);
        setHidden(this.empty, !drawing.isEmpty);
        if (drawing.isEmpty) setText(this.empty, "nothing was read in this time");
        this.figures.update();
        return drawing.top;
    }

    // Looked for when there are other events, not in each frame.
    gaps() {
        if (this.gapEvents !== this.account.events) {
            this.gapEvents = this.account.events;
            this.foundGaps = findGaps(this.gapEvents);
        }
        return this.foundGaps;
    }

    // Second half: so many bytes high, the same for both panes.
    draw(range, top, figuresTop) {
        if (!this.drawing.series || !this.accountPlot) return;
        this.accountPlot.show(range, niceTop(top));
        this.figuresPlot.show(range, niceTop(figuresTop));
    }

    // For those who cannot see a chart.
    describe(range) {
        if (!this.subject || !this.drawing.series) return;
        const { name, pid } = this.subject;
        const span = `${formatTime(range.from)} to ${formatTime(range.to)}`;
        const top = formatBytes(this.drawing.top);
        this.accountRoot.setAttribute("aria-label",
            `Account of ${name} ${pid}, ${span}: RSS up to ${top}. The table has the figures.`);
        this.figuresRoot.setAttribute("aria-label",
            `Figures of the runtime of ${name} ${pid}, ${span}. The list above has the values.`);
    }

    // The sample that the texts are about: at the cursor, or the newest, which need not be among
    // the finer ones of a window.
    get pointed() {
        const { time } = this.cursor;
        const newest = this.store.tracks.get(this.id)?.overview;
        if (time !== null || !newest) {
            return { series: this.series, index: this.series ? this.series.indexAt(time) : -1 };
        }
        return { series: newest, index: newest.count - 1 };
    }

    showCursor() {
        const { series, index } = this.pointed;
        if (!series) return;
        this.figures.showValues(series, index);
        setText(this.readout, index < 0 ? "nothing was read before that"
            : describeSample(series, index, this.cursor.time));
        this.showTip();
    }

    showTip() {
        if (!this.tip || !this.series) return;
        const { from, to } = this.accountPlot.range;
        const { left: start, width } = this.accountPlot.box;
        const perPixel = (to - from) / width;
        const left = this.cursor.time === null ? 0 : (this.cursor.time - from) / perPixel;
        this.tip.show(this.account.events, this.cursor.time, perPixel, left + start,
            this.accountPlot.plot.width);
    }
}

// Says what was measured and what is an estimate, and since when.
function describeSample(series, index, time) {
    const { isAccount, account, age } = provenanceAt(series, index);
    const rss = series.rss[index];
    const lazy = series.lazy[index];
    // Of another day than the newest: with the day.
    const isOtherDay = formatDay(series.time[index]) !== formatDay(series.last);
    const when = (isOtherDay ? formatTime : formatClock)(series.time[index]);
    const sizes = `${when} · RSS ${formatBytes(rss)} · effective ` +
        `${formatBytes(rss - lazy)} · lazily freed ${formatBytes(lazy)}`;
    const prefix = time === null ? "now: " : "";
    if (isAccount) return `${prefix}${sizes} · measured`;
    const rows = account ? `rows estimated, account ${formatSpan(age)} before` : "no account yet";
    return `${prefix}${sizes} · ${rows}`;
}
