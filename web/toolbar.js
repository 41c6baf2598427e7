// SPDX-License-Identifier: Apache-2.0
// The bar at the top: what is watched, how it stands, and the window in time.
import { byId, element, setHidden, setPressed, setText } from "./dom.js";
import { RANGES } from "./view.js";
import { formatClock, formatDay, formatTime } from "./units.js";

const STATES = {
    connecting: "connecting …",
    live: "live",
    recorded: "recording",
    gone: "server is gone, trying again",
    denied: "the server wants a token: #token=… behind the address",
    ended: "target ended",
    paused: "paused",
};

export class Toolbar {
    constructor({ store, view, actions }) {
        this.store = store;
        this.view = view;
        this.status = byId("status");
        this.span = byId("span");
        this.from = byId("from");
        this.to = byId("to");
        this.pause = byId("pause");
        this.ranges = RANGES.map(({ title, span }) => element("button",
            { type: "button", click: () => view.follow(span) }, title));
        byId("ranges").prepend(...this.ranges);
        this.pause.addEventListener("click", () => view.togglePause());
        for (const [id, action] of Object.entries(actions)) {
            byId(id).addEventListener("click", action);
        }
        byId("pick").addEventListener("toggle", () => this.fillBetween());
        byId("between").addEventListener("submit", (event) => this.showBetween(event));
    }

    showBetween(event) {
        event.preventDefault();
        const from = Date.parse(this.from.value);
        const to = Date.parse(this.to.value);
        if (to > from) this.view.zoom(from, to);
        this.closePick();
    }

    // True where it was open; who was in it stands at what opens it again.
    closePick() {
        const pick = byId("pick");
        if (!pick.open) return false;
        pick.open = false;
        pick.firstElementChild.focus();
        return true;
    }

    update(subjects) {
        const { about } = this.store;
        if (about) {
            // PIDs are no title: processes have their names below.
            const title = /^[\d ]+$/.test(about.title || "") ? "" : about.title;
            setText(byId("title"), title || "");
            setText(byId("host"), [about.host, about.kernel].filter(Boolean).join(" · "));
            setText(byId("version"), `ebb ${about.version}`);
            setTitle(`${title || subjects[0]?.name || "watch"} · ebb`);
        }
        this.showState(subjects);
        this.showRange();
    }

    // The worst of what is true: without a server nothing else is known.
    showState(subjects) {
        const { state, reason } = this.store;
        const hasEnded = subjects.length > 0 && subjects.every((subject) => subject.ended);
        let shown = state;
        if (state === "live" && hasEnded) shown = "ended";
        else if (state === "live" && this.view.isPaused) shown = "paused";
        this.status.dataset.state = shown;
        const last = Math.max(...subjects.map((subject) => subject.last_ms || 0));
        const when = shown === "ended" ? ` ${formatTime(last)}` : "";
        setText(this.status, `${STATES[shown]}${when}`);
        const why = state === "gone" ? reason : "";
        if (this.status.title !== why) this.status.title = why;
    }

    showRange() {
        const { from, to } = this.view.window();
        const { view } = this;
        this.ranges.forEach((button, at) =>
            setPressed(button, !view.fixed && view.span === RANGES[at].span));
        setPressed(this.pause, view.isPaused);
        setText(this.pause, view.isPaused ? "resume" : "pause");
        setHidden(this.pause, !this.store.about?.live);
        byId("now").disabled = !view.fixed;
        if (!Number.isFinite(from)) return;
        const isOneDay = formatDay(from) === formatDay(to);
        setText(this.span, `${formatTime(from)} – ${isOneDay ? formatClock(to) : formatTime(to)}`);
    }

    // What the form begins with when it is opened: the present window.
    fillBetween() {
        if (!byId("pick").open) return;
        const { from, to } = this.view.window();
        this.from.value = localInput(from);
        this.to.value = localInput(to);
    }
}

// The browser tells its own window of each one, changed or not.
function setTitle(text) {
    if (document.title !== text) document.title = text;
}

// As <input type="datetime-local"> wants it: the local time, without a zone.
function localInput(ms) {
    const shifted = ms - new Date(ms).getTimezoneOffset() * 60000;
    return new Date(shifted).toISOString().slice(0, 19);
}
