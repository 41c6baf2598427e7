// SPDX-License-Identifier: Apache-2.0
// The keyboard: one table for what keys do and for the help that lists them.
import { byId, element } from "./dom.js";
import { RANGES } from "./view.js";

// `actions` are the page's own: see app.js. Groups of keys share a line of the help.
function makeTable({ view, actions }) {
    return [
        { keys: ["1", "2", "3", "4", "5", "6"], says: "5m, 1h, 6h, 24h, 7d, all",
            run: (key) => view.follow(RANGES[Number(key) - 1].span) },
        { keys: [" "], label: "space", says: "pause, resume", run: () => view.togglePause() },
        { keys: ["n", "End"], says: "now: follow the newest", run: () => actions.now() },
        { keys: ["ArrowLeft"], label: "←", says: "earlier", run: () => view.pan(-0.1) },
        { keys: ["ArrowRight"], label: "→", says: "later", run: () => view.pan(0.1) },
        { keys: ["+", "="], says: "zoom in", run: () => view.scale(0.5, actions.pointed()) },
        { keys: ["-"], says: "zoom out", run: () => view.scale(2, actions.pointed()) },
        { keys: ["0", "Backspace"], says: "back to the window before", run: () => view.back() },
        { keys: [","], says: "cursor to the sample before", run: () => actions.stepCursor(-1) },
        { keys: ["."], says: "cursor to the sample after", run: () => actions.stepCursor(1) },
        { keys: ["j"], says: "next process", run: () => actions.stepProcess(1) },
        { keys: ["k"], says: "previous process", run: () => actions.stepProcess(-1) },
        { keys: ["c"], says: "compare two processes, or stop", run: () => actions.compare() },
        { keys: ["/"], says: "filter processes", run: () => actions.filter() },
        { keys: ["p"], says: "picture as PNG", run: () => actions.png() },
        { keys: ["d"], says: "data as CSV", run: () => actions.csv() },
        { keys: ["t"], says: "dark or light", run: () => actions.theme() },
        { keys: ["?"], says: "this help", run: () => actions.help() },
        { keys: ["Escape"], label: "Esc", says: "close, or take the cursor away",
            run: () => actions.escape() },
    ];
}

const MOUSE = [
    ["drag", "zoom into what is selected"],
    ["double click", "back to the window before"],
    ["shift + drag, wheel sideways, finger", "earlier, later"],
    ["ctrl + wheel, two fingers", "zoom"],
];

function isTyping(target) {
    return target.closest("input, select, textarea") !== null;
}

export function startKeys(context) {
    const table = makeTable(context);
    fillHelp(table);
    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        // A dialog has its own keys: the browser's Esc closes it, and so does what opened the help.
        const dialog = document.querySelector("dialog[open]");
        if (dialog) {
            if (event.key === "?" && dialog.id === "help") dialog.close();
            return;
        }
        const isEscape = event.key === "Escape";
        if (isTyping(event.target)) {
            if (isEscape && !context.actions.closePick()) event.target.blur();
            return;
        }
        // Space on a button presses the button.
        if (event.key === " " && event.target.closest("button, summary, a")) return;
        const entry = table.find((one) => one.keys.includes(event.key));
        if (!entry) return;
        event.preventDefault();
        entry.run(event.key);
    });
}

function fillHelp(table) {
    const rows = table.map(({ keys, label, says }) => helpRow(
        label ? [label] : keys.length > 2 ? [keys[0], "…", keys[keys.length - 1]] : keys, says));
    const hands = MOUSE.map(([what, says]) =>
        element("tr", {}, element("th", { scope: "row" }, what), element("td", {}, says)));
    byId("keys").replaceChildren(...rows, ...hands);
}

function helpRow(keys, says) {
    const marks = keys.map((key) => (key === "…" ? "…" : element("kbd", {}, key)));
    return element("tr", {}, element("th", { scope: "row" }, ...marks), element("td", {}, says));
}
