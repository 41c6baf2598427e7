// SPDX-License-Identifier: Apache-2.0
// The picture as PNG: what the charts show, with title, time, verdict and legend, on a solid
// background, so that it can stand alone in a ticket.
import { paintPeak } from "./account_plot.js";
import { rowFill } from "./patterns.js";
import { ROWS } from "./rows.js";
import { rowsAt } from "./stack.js";
import { color } from "./theme.js";
import { pixelRatio } from "./time_plot.js";
import { formatBytes, formatTime } from "./units.js";

const MARGIN = 20;
const LINE = 20;
const WORDS_FONT = "13px";
const WORDS_LINE = 0.9; // of a line

// A blob of all panes side by side.
export function makePicture(panes, about, range) {
    const ratio = pixelRatio();
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    const parts = panes.map((pane) => measurePart(context, pane, ratio));
    // Charts that are compared stand side by side.
    const words = Math.max(...parts.map((part) => part.words.length)) * WORDS_LINE * LINE * ratio;
    const width = parts.reduce((sum, part) => sum + part.width + MARGIN * ratio, MARGIN * ratio);
    const height = Math.max(...parts.map((part) => part.height)) + words + 2 * MARGIN * ratio;
    canvas.width = width;
    canvas.height = height;
    context.fillStyle = color("surface");
    context.fillRect(0, 0, width, height);
    let x = MARGIN * ratio;
    for (const part of parts) {
        paintPart(context, { ...part, wordsHeight: words }, x, MARGIN * ratio, about, range, ratio);
        x += part.width + MARGIN * ratio;
    }
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

// As many lines as the words need, instead of letters that are squeezed.
function wrap(context, text, width) {
    const lines = [];
    for (const word of text.split(" ")) {
        const longer = `${lines.at(-1)} ${word}`;
        const hasRoom = lines.length && context.measureText(longer).width <= width;
        if (hasRoom) lines[lines.length - 1] = longer;
        else lines.push(word);
    }
    return lines;
}

function measurePart(context, pane, ratio) {
    const plots = [pane.accountPlot, pane.figuresPlot].map((plot) => plot.plot.ctx.canvas);
    const width = plots[0].width;
    const rows = legendRows(pane);
    const columns = Math.max(1, Math.floor(width / (190 * ratio)));
    const lines = pane.figures.lines.filter((line) => line.isShown);
    const legendHeight = (Math.ceil(rows.length / columns) + Math.ceil(lines.length / columns) + 1)
        * LINE * ratio;
    const height = plots[0].height + plots[1].height + legendHeight + 3 * LINE * ratio;
    context.font = fontOf(WORDS_FONT, ratio);
    const words = wrap(context, pane.subject.headline || "", width);
    return { pane, plots, width, height, rows, lines, columns, words };
}

function fontOf(font, ratio) {
    return `${font.replace(/(\d+)px/, (_, size) => `${size * ratio}px`)} system-ui`;
}

// Rows that are there at the end of what is shown, with their bytes.
function legendRows({ series, drawing }) {
    if (drawing.isEmpty) return [];
    const last = drawing.newest;
    const bytes = rowsAt(series, last, new Float64Array(ROWS.length));
    const rows = ROWS.map((row, index) => ({ index,
        text: `${row.title} ${formatBytes(bytes[index])}` }))
        .filter((entry) => bytes[entry.index] > 0).reverse();
    const hasPeak = drawing.peaks.some((peak) => peak > 0);
    return hasPeak ? [...rows, { isPeak: true, text: "missed peak" }] : rows;
}

function paintPart(context, part, x, y, about, range, ratio) {
    const { pane, plots, rows, lines } = part;
    const { subject } = pane;
    const step = LINE * ratio;
    const say = (text, top, font, ink) => {
        context.font = fontOf(font, ratio);
        context.fillStyle = color(ink);
        context.textBaseline = "top";
        context.textAlign = "left";
        context.fillText(text, x, top, part.width);
    };
    const span = `${formatTime(range.from)} – ${formatTime(range.to)}`;
    say(`${subject.name} · pid ${subject.pid}`, y, "600 17px", "text");
    const where = [about.host, span, `ebb ${about.version || ""}`].filter(Boolean).join(" · ");
    say(where, y + 1.2 * step, "12px", "text-soft");
    part.words.forEach((line, at) =>
        say(line, y + (2.1 + WORDS_LINE * at) * step, WORDS_FONT, "text"));
    let top = y + 2.4 * step + part.wordsHeight;
    context.drawImage(plots[0], x, top);
    top += plots[0].height;
    top = paintLegend(context, part, rows, x, top, ratio, (entry, left, middle) => {
        if (entry.isPeak) {
            paintPeak(context, left + 6 * ratio, middle - 6 * ratio, middle + 6 * ratio, ratio);
            return;
        }
        context.fillStyle = rowFill(context, entry.index, ratio);
        context.fillRect(left, middle - 6 * ratio, 12 * ratio, 12 * ratio);
    });
    context.drawImage(plots[1], x, top + 0.5 * step);
    paintLegend(context, part, lines.map((line) => ({ line, text: line.entry.name })), x,
        top + plots[1].height + 0.5 * step, ratio,
        (entry, left, middle) => context.drawImage(entry.line.sample, left, middle - 4 * ratio));
}

function paintLegend(context, part, entries, x, y, ratio, paintSample) {
    const width = part.width / part.columns;
    context.font = `${12 * ratio}px system-ui`;
    context.textBaseline = "middle";
    entries.forEach((entry, at) => {
        const left = x + (at % part.columns) * width;
        const middle = y + (Math.floor(at / part.columns) + 0.5) * LINE * ratio;
        paintSample(entry, left, middle);
        context.fillStyle = color("text");
        context.fillText(entry.text, left + 26 * ratio, middle, width - 30 * ratio);
    });
    return y + Math.ceil(entries.length / part.columns) * LINE * ratio;
}
