// SPDX-License-Identifier: Apache-2.0
// Everything about one process: its verdict, the account over time, the runtime's figures. There
// is one, or two side by side when processes are compared.
import { AccountPainter } from "./account_plot.js";
import { niceTop, prepareDrawing } from "./drawing.js";
import { element, setHidden, setText } from "./dom.js";
import { EventTip } from "./event_marks.js";
import { FiguresPainter } from "./figures_plot.js";
import { findGaps } from "./paint.js";
import { TimePlot } from "./time_plot.js";
import { formatBytes, formatSpan, formatTime } from "./units.js";
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
        this.account = new AccountPainter();
        this.figures = new FiguresPainter(this.legend, onChange);
        this.drawing = null;
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
        const { subject } = this;
        const track = this.store.tracks.get(this.id);
        if (!subject || !track || !track.isLoaded) return 0;
        this.series = track.seriesFor(range.from, range.to);
        this.account.events = this.store.eventsOf(this.id);
        const until = subject.ended ? subject.last_ms : this.store.end;
        this.drawing = prepareDrawing(this.series, range, this.pixels,
            findGaps(this.account.events), until);
        setHidden(this.empty, this.drawing.picked.length > 0);
        if (!this.drawing.picked.length) setText(this.empty, "nothing was read in this time");
        this.account.drawing = this.drawing;
        this.figures.update(this.drawing);
        return this.drawing.top;
    }

    // Second half: so many bytes high, the same for both panes.
    draw(range, top, figuresTop) {
        if (!this.drawing || !this.accountPlot) return;
        this.accountPlot.show(range, niceTop(top));
        this.figuresPlot.show(range, niceTop(figuresTop));
        this.describe(range);
    }

    // For those who cannot see a chart.
    describe(range) {
        const { name, pid } = this.subject;
        const span = `${formatTime(range.from)} to ${formatTime(range.to)}`;
        const top = formatBytes(this.drawing.top);
        this.accountRoot.setAttribute("aria-label",
            `Account of ${name} ${pid}, ${span}: RSS up to ${top}. The table has the figures.`);
        this.figuresRoot.setAttribute("aria-label",
            `Figures of the runtime of ${name} ${pid}, ${span}. The list above has the values.`);
    }

    // Index of the sample that the tables are about: at the cursor, or the newest.
    get index() {
        if (!this.series) return -1;
        const { time } = this.cursor;
        return time === null ? this.series.count - 1 : this.series.indexAt(time);
    }

    showCursor() {
        const { index, series } = this;
        if (!series) return;
        this.figures.showValues(index);
        setText(this.readout, index < 0 ? "nothing was read before that"
            : describeSample(series, index, this.cursor.time));
        if (!this.tip) return;
        const { from, to } = this.accountPlot.range;
        const over = this.accountPlot.plot.over;
        const perPixel = (to - from) / over.clientWidth;
        const left = this.cursor.time === null ? 0 : (this.cursor.time - from) / perPixel;
        this.tip.show(this.account.events, this.cursor.time, perPixel, left + over.offsetLeft,
            this.accountRoot.clientWidth);
    }
}

// Says what was measured and what is an estimate, and since when.
function describeSample(series, index, time) {
    const { isAccount, account, age } = provenanceAt(series, index);
    const rss = series.rss[index];
    const lazy = series.lazy[index];
    const sizes = `${formatTime(series.time[index])} · RSS ${formatBytes(rss)} · effective ` +
        `${formatBytes(rss - (lazy || 0))} · lazily freed ${formatBytes(lazy)}`;
    const prefix = time === null ? "now: " : "";
    if (isAccount) return `${prefix}${sizes} · measured`;
    const rows = account ? `rows estimated, account ${formatSpan(age)} before` : "no account yet";
    return `${prefix}${sizes} · ${rows}`;
}
