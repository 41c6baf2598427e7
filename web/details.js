// SPDX-License-Identifier: Apache-2.0
// Beside the account: what lies across its rows (swap, huge pages, the group's limit), the whole
// ledger of the runtime, and the events in the window.
import { element, setHidden, setText } from "./dom.js";
import { describeEvent, isRare } from "./event_marks.js";
import { formatBytes, formatFigure, formatTime, isKnown } from "./units.js";

const EVENTS_LISTED = 40;
const BESIDE = [
    ["swap_bytes", "swapped out"],
    ["huge_bytes", "in huge pages"],
    ["locked_bytes", "locked"],
    ["group_usage_bytes", "its memory group uses"],
    ["group_limit_bytes", "the group’s limit"],
];

export class Details {
    constructor(root, cursor) {
        this.cursor = cursor;
        this.beside = element("dl", { class: "pairs" });
        this.ledger = element("dl", { class: "pairs" });
        this.events = element("ol", { class: "events" });
        this.ledgerBox = element("details", { open: "" },
            element("summary", {}, "Ledger at that time"), this.ledger);
        this.eventsBox = element("details", { open: "" },
            element("summary", {}, "Events in this window"), this.events);
        root.replaceChildren(this.beside, this.ledgerBox, this.eventsBox);
    }

    showAccount(account, series, index) {
        const beside = BESIDE.filter(([name]) => account && isKnown(account[name])
            && (account[name] > 0 || name === "group_limit_bytes"))
            .map(([name, title]) => [title, formatBytes(account[name])]);
        setPairs(this.beside, beside);
        const values = series?.accountAt(index)?.figures || [];
        // Two runtimes of one process may have figures of one name.
        const known = series?.figures || [];
        const several = new Set(known.map(({ runtime }) => runtime)).size > 1;
        const figures = known.map(({ runtime, name, unit }, at) =>
            [several ? `${runtime} ${name}` : name, formatFigure(values[at], unit)]);
        setPairs(this.ledger, figures);
        setHidden(this.ledgerBox, figures.length === 0);
    }

    // The newest first; those that come by the hundred are on the chart alone.
    showEvents(events, { from, to }) {
        const shown = events.filter((event) => isRare(event) && event.time_ms >= from
            && event.time_ms <= to).slice(-EVENTS_LISTED).reverse();
        const key = shown.map((event) => `${event.time_ms} ${event.kind}`).join();
        setHidden(this.eventsBox, shown.length === 0);
        if (key === this.eventsKey) return;
        this.eventsKey = key;
        this.events.replaceChildren(...shown.map((event) => element("li", {},
            element("button", { type: "button", title: "point at it",
                click: () => this.cursor.set(event.time_ms) }, formatTime(event.time_ms)),
            element("span", {}, describeEvent(event)))));
    }
}

// Texts are written where the terms are the same, so that nothing jumps while figures change.
function setPairs(list, pairs) {
    const key = pairs.map(([term]) => term).join("\n");
    if (list.dataset.key !== key) {
        list.dataset.key = key;
        list.replaceChildren(...pairs.map(([term]) => element("div", {},
            element("dt", {}, term), element("dd", { class: "number" }))));
    }
    pairs.forEach(([, value], at) => setText(list.children[at].lastChild, value));
}
