// SPDX-License-Identifier: Apache-2.0
// The account at the cursor as a table: bytes, share of RSS, how it is known, and its error. It is
// the legend of the chart as well. With two processes they stand side by side.
import { element, setHidden, setText } from "./dom.js";
import { drawSwatch, makeSwatch } from "./patterns.js";
import { LAZY, ROW_COUNT, ROWS, UNMEASURED } from "./rows.js";
import { listenTheme } from "./theme.js";
import { formatBytes, formatChange, formatPercent, formatTime } from "./units.js";
import { provenanceAt, rowsAt } from "./stack.js";

// Top of the stack first, as the chart has it.
const ORDER = ROWS.map((_, index) => index).reverse();

export class RowsTable {
    constructor(root) {
        this.caption = element("caption", {});
        this.head = element("tr", {});
        this.body = element("tbody", {});
        this.lines = new Map();
        this.node = element("table", { class: "rows" }, this.caption,
            element("thead", {}, this.head), this.body);
        this.note = element("p", { class: "note" });
        root.replaceChildren(this.node, this.note);
        this.count = 0;
        listenTheme(() => {
            for (const index of this.lines.size ? ORDER : []) {
                drawSwatch(this.lines.get(index).swatch, index);
            }
        });
    }

    // `sides`: for each process {name, series, index, account}; one or two.
    show(sides, time) {
        if (sides.length !== this.count) this.build(sides.length);
        const when = time === null ? "now" : `at ${formatTime(time)}`;
        setText(this.caption, `The account ${when}`);
        const columns = sides.map((side) => describeSide(side));
        if (sides.length === 2) {
            sides.forEach((side, at) => setText(this.head.children[at + 1], side.name));
        }
        for (const index of ORDER) this.showRow(this.lines.get(index), index, columns);
        this.showSum(this.lines.get("effective"), columns, "effective");
        this.showSum(this.lines.get("rss"), columns, "rss");
        this.showPeak(this.lines.get("peak"), sides, columns);
        setText(this.note, columns.length === 1 ? columns[0].note : "");
    }

    build(count) {
        this.count = count;
        const titles = count === 1 ? ["bytes", "share", "known by", "±"] : ["A", "B", "B − A"];
        this.head.replaceChildren(element("th", { scope: "col" }, "row"),
            ...titles.map((title) => element("th", { scope: "col" }, title)));
        this.node.dataset.sides = count;
        this.lines.clear();
        for (const index of ORDER) this.lines.set(index, makeRow(index, titles.length));
        this.lines.set("effective", makeSum("effective RSS", titles.length, "effective"));
        this.lines.set("rss", makeSum("RSS", titles.length, "total"));
        this.lines.set("peak", makeSum("missed peak", titles.length, "peak",
            "how high RSS was between two readings, as the kernel noted it (VmHWM)"));
        // Lazily freed is above effective RSS in the chart, and so it is here.
        const lines = [...this.lines.values()].map((line) => line.node);
        this.body.replaceChildren(this.lines.get("peak").node, this.lines.get("rss").node, lines[0],
            this.lines.get("effective").node, ...lines.slice(1, ROW_COUNT));
    }

    showRow(line, index, columns) {
        const known = columns.some((column) => column.rows[index] > 0);
        // The row of what was not told apart exists only while there is something in it.
        setHidden(line.node, index === UNMEASURED && !known);
        line.node.classList.toggle("zero", !known);
        if (columns.length === 2) {
            showDifference(line, columns[0].rows[index], columns[1].rows[index]);
            return;
        }
        const { rows, rss, sources, errors } = columns[0];
        setText(line.cells[0], formatBytes(rows[index]));
        setText(line.cells[1], formatPercent(rows[index], rss));
        line.cells[1].style.setProperty("--share", rows[index] / rss || 0);
        setText(line.cells[2], rows[index] > 0 ? sources[index === LAZY ? "lazy" : "rows"] : "");
        const error = errors.get(ROWS[index].key);
        setText(line.cells[3], error ? formatBytes(error) : "");
    }

    // Seldom there is one; then its mark needs a word, wherever the cursor is.
    showPeak(line, sides, columns) {
        setHidden(line.node, !sides.some((side) => side.series?.peaks.length > 0));
        this.showSum(line, columns, "peak");
    }

    showSum(line, columns, name) {
        if (columns.length === 2) {
            showDifference(line, columns[0][name], columns[1][name]);
            return;
        }
        setText(line.cells[0], formatBytes(columns[0][name]));
        // A peak is of another moment than RSS.
        setText(line.cells[1], name === "peak" ? ""
            : formatPercent(columns[0][name], columns[0].rss));
        const source = { rss: "measured", peak: columns[0].peak > 0 ? "kernel" : "" };
        setText(line.cells[2], source[name] || "");
    }
}

function showDifference(line, one, other) {
    setText(line.cells[0], formatBytes(one));
    setText(line.cells[1], formatBytes(other));
    setText(line.cells[2], formatChange(other - one));
}

function makeCells(count) {
    return Array.from({ length: count }, () => element("td", { class: "number" }));
}

function makeRow(index, count) {
    const cells = makeCells(count);
    const swatch = makeSwatch(index);
    const name = element("th", { scope: "row", title: ROWS[index].hint }, swatch,
        ROWS[index].title);
    if (count === 4) {
        cells[1].classList.add("share");
        cells[2].className = "source";
    }
    return { cells, swatch, node: element("tr", {}, name, ...cells) };
}

function makeSum(title, count, kind, hint = "") {
    const cells = makeCells(count);
    if (count === 4) cells[2].className = "source";
    const name = element("th", { scope: "row", title: hint },
        element("span", { class: `swatch line-${kind}`, "aria-hidden": "true" }), title);
    return { cells, node: element("tr", { class: `sum ${kind}` }, name, ...cells) };
}

// A figure that nobody could read is no zero.
function withUnknown(rows, lazy, account) {
    if (Number.isNaN(lazy)) rows[LAZY] = NaN;
    for (let row = 0; row < UNMEASURED && account; row++) {
        if (Number.isNaN(account.rows[row])) rows[row] = NaN;
    }
    return rows;
}

// A peak lies between the sample that tells it and the one before: at both it is told.
function peakAround(series, index) {
    const behind = index + 1 < series.count ? series.peak[index + 1] : NaN;
    return Number.isNaN(behind) ? series.peak[index] : behind;
}

// Rows of one process at its sample, and how they are known.
function describeSide({ series, index, account }) {
    const empty = new Float64Array(ROW_COUNT);
    if (!series || index < 0) {
        return { rows: empty.fill(NaN), rss: NaN, effective: NaN, peak: NaN, sources: {},
            errors: new Map(), note: "" };
    }
    const found = provenanceAt(series, index);
    const rows = withUnknown(rowsAt(series, index, empty), series.lazy[index], found.account);
    const errors = new Map();
    // Errors belong to the account itself: an estimate from it has more, and nobody knows how much.
    if (found.isAccount && account && account.time_ms === series.time[index]) {
        for (const row of account.rows) errors.set(row.key, row.error_bytes);
    }
    return {
        rows, errors,
        rss: series.rss[index],
        effective: series.rss[index] - rows[LAZY],
        peak: peakAround(series, index),
        sources: {
            rows: found.isAccount ? "account" : "estimate",
            lazy: found.isLazyMeasured ? "kernel" : "earlier",
        },
        note: found.isAccount || !found.account ? ""
            : "Between two accounts RSS is measured; how it is divided is an estimate.",
    };
}
