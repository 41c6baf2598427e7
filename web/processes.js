// SPDX-License-Identifier: Apache-2.0
// The list of processes: filter, order, a bar for each, and which one or two are looked at.
import { element, setHidden, setPressed, setText } from "./dom.js";
import { formatBytes, isKnown } from "./units.js";

const SHOWN_MAX = 200; // more rows than anybody reads: the filter finds the others
const ORDERS = {
    // Where lazy is unknown, effective RSS may be as much as RSS is.
    effective: { title: "effective", key: (one) => -(one.effective_bytes ?? one.rss_bytes ?? 0) },
    rss: { title: "RSS", key: (one) => -(one.rss_bytes || 0) },
    lazy: { title: "lazy", key: (one) => -(one.lazy_bytes || 0) },
    name: { title: "name", key: (one) => one.name },
    pid: { title: "PID", key: (one) => one.pid },
};

export class ProcessList {
    // `onChoose` hears (id, isCompare).
    constructor(root, onChoose) {
        this.root = root;
        this.onChoose = onChoose;
        this.order = "effective";
        this.items = new Map();
        this.places = new Map(); // of those that are listed
        this.chosen = [];
        this.filter = element("input", {
            type: "search", placeholder: "filter …", "aria-label": "filter",
            title: "words of a name, PID, command line, cgroup, runtime or verdict",
            input: () => this.refresh(),
        });
        this.orders = element("select", { "aria-label": "order", change: () => {
            this.order = this.orders.value;
            this.places.clear();
            this.refresh();
        } }, ...Object.entries(ORDERS).map(([value, { title }]) =>
            element("option", { value }, `by ${title}`)));
        this.list = element("ul", {});
        // A finger has gone when the list moves; a mouse would press what has just come under it.
        const point = (isIn) => (event) => (this.isPointed = isIn && event.pointerType === "mouse");
        this.list.addEventListener("pointerenter", point(true));
        this.list.addEventListener("pointerleave", point(false));
        this.more = element("p", { class: "note" });
        root.replaceChildren(element("div", { class: "find" }, this.filter, this.orders), this.list,
            this.more);
    }

    update(subjects, chosen) {
        this.subjects = [...subjects.values()];
        for (const id of this.items.keys()) if (!subjects.has(id)) this.items.delete(id);
        this.chosen = chosen;
        setHidden(this.root, this.subjects.length < 2);
        this.refresh();
    }

    refresh() {
        if (!this.subjects || this.subjects.length < 2) return;
        const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
        const { key } = ORDERS[this.order];
        // While somebody aims at one of them nothing moves; what is new stands at the end.
        const isHeld = this.isPointed || this.list.querySelector(":focus-visible");
        const place = ({ id }) => (isHeld ? this.places.get(id) ?? Infinity : 0);
        const found = this.subjects.filter((subject) => matches(subject, words))
            .map((subject) => ({ subject, key: key(subject), place: place(subject) }))
            // What has ended is history: behind all that lives.
            .sort((a, b) => (a.place === b.place ? 0 : a.place - b.place)
                || a.subject.ended - b.subject.ended
                || (a.key < b.key ? -1 : a.key > b.key) || a.subject.id - b.subject.id);
        this.shown = found.slice(0, SHOWN_MAX).map((entry) => entry.subject);
        this.places = new Map(this.shown.map((subject, at) => [subject.id, at]));
        const widest = Math.max(1, ...this.subjects.map((subject) => subject.rss_bytes || 0));
        const nodes = this.shown.map((subject) => this.show(subject, widest));
        // Moved only where the order changed: a list that is rebuilt each second loses the focus.
        nodes.forEach((node, at) => {
            const there = this.list.children[at];
            if (there !== node) this.list.insertBefore(node, there || null);
        });
        while (this.list.children.length > nodes.length) this.list.lastChild.remove();
        const left = found.length - this.shown.length;
        setText(this.more, found.length === 0 ? "none matches"
            : left > 0 ? `and ${left} more: filter to find them` : "");
    }

    show(subject, widest) {
        if (!this.items.has(subject.id)) this.items.set(subject.id, this.makeItem(subject));
        const item = this.items.get(subject.id);
        const at = this.chosen.indexOf(subject.id);
        setText(item.name, subject.name);
        setText(item.pid, subject.ended ? `${subject.pid} ended` : String(subject.pid));
        setText(item.verdict, subject.verdict || "");
        setText(item.size, formatBytes(subject.effective_bytes));
        item.node.dataset.verdict = subject.verdict || "none";
        item.node.classList.toggle("ended", subject.ended);
        const isUnknown = !isKnown(subject.effective_bytes);
        item.bar.classList.toggle("unknown", isUnknown);
        item.bar.style.setProperty("--effective", (subject.effective_bytes || 0) / widest);
        item.bar.style.setProperty("--rss", (subject.rss_bytes || 0) / widest);
        item.choose.title = subject.cmdline || "";
        item.choose.setAttribute("aria-current", at === 0 ? "true" : "false");
        setPressed(item.compare, at === 1);
        setHidden(item.compare, at === 0);
        return item.node;
    }

    makeItem({ id, name, pid }) {
        const item = {
            name: element("span", { class: "name" }),
            pid: element("span", { class: "pid" }),
            verdict: element("span", { class: "badge" }),
            size: element("span", { class: "number" }),
            bar: element("span", { class: "bar", "aria-hidden": "true" }),
        };
        item.choose = element("button", { type: "button", class: "choose",
            click: () => this.onChoose(id, false) },
            item.name, item.pid, item.size, item.bar, item.verdict);
        item.compare = element("button", { type: "button", class: "small compare",
            title: "compare with the one that is shown", "aria-label": `compare ${name} ${pid}`,
            click: () => this.onChoose(id, true) }, "compare");
        item.node = element("li", {}, item.choose, item.compare);
        return item;
    }

    // The one before or after the chosen one.
    step(by) {
        if (!this.shown?.length) return;
        const at = this.shown.findIndex((subject) => subject.id === this.chosen[0]);
        const next = this.shown[Math.min(Math.max(at + by, 0), this.shown.length - 1)];
        this.onChoose(next.id, false);
        this.items.get(next.id).node.scrollIntoView({ block: "nearest" });
    }

    // What "compare" on the keyboard means: the next in the list, or no longer.
    compareNext() {
        if (this.chosen.length === 2) return this.onChoose(this.chosen[1], true);
        const other = this.shown?.find((subject) => subject.id !== this.chosen[0]);
        return other && this.onChoose(other.id, true);
    }
}

function matches(subject, words) {
    const { name, pid, cmdline, cgroup, runtimes, verdict } = subject;
    const text = [name, pid, cmdline, cgroup, runtimes, verdict].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
}
