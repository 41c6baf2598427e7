// SPDX-License-Identifier: Apache-2.0
// A recording that stands in the page: everything is there, and nothing comes after.
import { Series } from "./series.js";
import { seriesCsv } from "./csv.js";

export class InlinedSource {
    constructor(recording) {
        this.recording = recording;
        this.isLive = false;
        this.parsed = new Map();
    }

    async about() {
        return { ...this.recording.about, live: false, levers: false };
    }

    // All of it whatever the range: the finest there is.
    async series(subject) {
        if (!this.parsed.has(subject)) {
            const found = this.recording.series.find((entry) => entry.subject === subject);
            const made = found ? Series.parse(found) : new Series();
            made.from = -Infinity;
            made.to = Infinity;
            this.parsed.set(subject, made);
        }
        return this.parsed.get(subject);
    }

    async events() {
        return this.recording.events || [];
    }

    // Errors of rows are not part of a page that stands alone.
    async account() {
        return null;
    }

    async csv(subject, from, to) {
        const found = this.recording.series.find((entry) => entry.subject === subject);
        return new Blob([seriesCsv(found, from, to)], { type: "text/csv" });
    }

    follow() {}
}
