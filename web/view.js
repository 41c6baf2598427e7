// SPDX-License-Identifier: Apache-2.0
// The window in time that all charts show: it follows the newest sample, or stands where the user
// put it. Pure state; who draws listens.
import { DAY, HOUR, MINUTE, SECOND } from "./units.js";

export const RANGES = [
    { title: "5m", span: 5 * MINUTE },
    { title: "1h", span: HOUR },
    { title: "6h", span: 6 * HOUR },
    { title: "24h", span: DAY },
    { title: "7d", span: 7 * DAY },
    { title: "all", span: 0 },
];

const SPAN_MIN = 2 * SECOND;
const HISTORY_MAX = 50;

export class View {
    constructor() {
        this.span = 5 * MINUTE; // of the window while it follows; 0: everything
        this.isChosen = false; // by the user; before that no part of the window is without data
        this.fixed = null; // {from, to}, or null while it follows
        this.isPaused = false;
        this.first = NaN; // of all data
        this.now = NaN;
        this.history = [];
        this.listeners = [];
    }

    listen(listener) {
        this.listeners.push(listener);
    }

    changed() {
        for (const listener of this.listeners) listener();
    }

    get isFollowing() {
        return !this.fixed && !this.isPaused;
    }

    // The whole of the data; while paused it grows, and the window does not.
    setBounds(first, now) {
        this.first = first;
        this.now = now;
    }

    window() {
        if (this.fixed) return this.fixed;
        let from = this.span ? this.now - this.span : this.first;
        if (!this.isChosen) from = Math.max(from, this.first);
        // A recording of one moment still needs a width.
        return { from: Math.min(from, this.now - SPAN_MIN), to: this.now };
    }

    follow(span = this.span) {
        this.isChosen ||= span !== this.span;
        this.span = span;
        this.fixed = null;
        this.isPaused = false;
        this.history = [];
        this.changed();
    }

    // What the user has zoomed into stands still already, and stays what it is.
    togglePause() {
        if (this.isPaused) return this.follow();
        this.fixed = this.window();
        this.isPaused = true;
        return this.changed();
    }

    // Before this the window is remembered, so that the way back is one step at a time.
    zoom(from, to) {
        this.history.push(this.fixed);
        if (this.history.length > HISTORY_MAX) this.history.shift();
        this.show(from, to);
    }

    back() {
        if (!this.history.length) return this.follow();
        this.fixed = this.history.pop();
        return this.changed();
    }

    show(from, to) {
        const middle = (from + to) / 2;
        const span = Math.max(to - from, SPAN_MIN);
        this.fixed = { from: middle - span / 2, to: middle + span / 2 };
        this.changed();
    }

    // By a share of its width, towards later for positive ones; part of the data stays in view.
    pan(share) {
        const { from, to } = this.window();
        const width = to - from;
        const least = this.first - 0.9 * width;
        const most = this.now - 0.1 * width;
        const moved = Math.min(Math.max(from + share * width, least), Math.max(least, most));
        this.fixed = { from: moved, to: moved + width };
        this.changed();
    }

    // Around a moment that stays where it is on the screen.
    scale(factor, around) {
        const { from, to } = this.window();
        const centre = around === undefined ? (from + to) / 2 : around;
        const widest = 4 * Math.max(this.now - this.first, MINUTE);
        const span = Math.min(Math.max((to - from) * factor, SPAN_MIN), widest);
        const left = (centre - from) / (to - from);
        this.show(centre - left * span, centre + (1 - left) * span);
    }
}
