// SPDX-License-Identifier: Apache-2.0
// All that the page knows: subjects, the series of those that are looked at, events. It is the only
// one to ask the source.
import { Series } from "./series.js";
import { isKnown } from "./units.js";

const OVERVIEW_POINTS = 2000; // "#points=100000" behind the address: more of it at once
const TAIL_POINTS = 500;
const DETAIL_POINTS_MAX = 100000;
const POINTS_KEPT_MAX = 200000;
const EVENTS_KEPT_MAX = 20000;
const ENDED_KEPT_MAX = 500; // processes
const SET_BACK_MS = 1000; // less is a clock that is slewed
const START_SLACK_MS = 5000;

function overviewPoints() {
    const asked = Number(new URLSearchParams(location.hash.slice(1)).get("points"));
    return asked > 0 ? Math.min(asked, DETAIL_POINTS_MAX) : OVERVIEW_POINTS;
}

// PIDs are given again and ids belong to one run of the server: together with its start a PID
// names a process. A server that was started again may round the start otherwise.
function isSame(one, other) {
    return one.pid === other.pid && Math.abs(one.start_ms - other.start_ms) < START_SLACK_MS;
}

// The series of one subject: all of its time, and a finer piece around what is shown.
class Track {
    constructor() {
        this.overview = new Series();
        this.detail = null;
        this.isLoaded = false;
        this.fault = ""; // why it is not there
        this.pending = null;
    }

    append(sample, figures) {
        this.overview.append(sample, figures);
        if (this.detail && this.detail.to === Infinity) this.detail.append(sample, figures);
    }

    // What was fetched takes the place of what was known; what came meanwhile goes on from it.
    load(fetched) {
        const known = this.overview;
        this.overview = this.isLoaded ? known.joinedWith(fetched) : fetched;
        this.overview.appendNewer(known);
        this.detail = null;
        this.isLoaded = true;
    }

    refine(fetched) {
        if (fetched.to === Infinity) fetched.appendNewer(this.overview);
        this.detail = fetched;
    }

    // The finest that knows all of the window.
    seriesFor(from, to) {
        const detail = this.detail;
        return detail && detail.from <= from && detail.to >= to ? detail : this.overview;
    }
}

export class Store {
    constructor(source) {
        this.source = source;
        this.about = null;
        this.subjects = new Map();
        this.tracks = new Map();
        this.moved = new Map(); // ids from before the last refresh: what they are now, if anything
        this.heardMs = NaN; // the server's time of the last batch
        this.events = [];
        this.eventsBySubject = new Map(); // what eventsOf() found
        this.state = "connecting";
        this.reason = "";
        this.listeners = [];
    }

    // Hears what has changed: "data", "subjects", "events" or "state".
    listen(listener) {
        this.listeners.push(listener);
    }

    changed(what) {
        if (what === "events") this.eventsBySubject.clear();
        for (const listener of this.listeners) listener(what);
    }

    async start() {
        if (!this.source.isLive) {
            await this.refresh();
            this.setState("recorded");
            return;
        }
        this.source.follow((batch) => this.take(batch), (state, reason, status) =>
            state === "open" ? this.reconnect() : this.setState(status === 401 || status === 403
                ? "denied" : "gone", reason));
    }

    // What there is now, also what came while nobody listened.
    async reconnect() {
        await this.refresh();
        this.setState(this.about.live ? "live" : "recorded");
    }

    setState(state, reason = "") {
        this.state = state;
        this.reason = reason;
        this.changed("state");
    }

    async refresh() {
        const about = await this.source.about();
        const known = [...this.subjects.values()];
        const followed = this.tracks;
        this.about = about;
        this.subjects = new Map();
        this.tracks = new Map();
        for (const subject of about.subjects) this.addSubject(subject);
        // The same process under the id that it has now.
        this.moved = new Map(known.map((one) =>
            [one.id, about.subjects.findLast((other) => isSame(one, other))?.id]));
        for (const [before, track] of followed) {
            const id = this.moved.get(before);
            if (id !== undefined) this.tracks.set(id, track);
        }
        this.events = this.events.flatMap((event) => {
            const subject = event.subject && this.moved.get(event.subject);
            return event.subject && !subject ? [] : [{ ...event, subject }];
        });
        this.changed("subjects");
        const loads = [...this.tracks.keys()].map((id) => this.load(id));
        await Promise.all([...loads, this.refreshEvents()]);
    }

    async refreshEvents() {
        const fetched = await this.source.events();
        const first = fetched.length ? fetched[0].time_ms : Infinity;
        this.events = this.events.filter((event) => event.time_ms < first).concat(fetched);
        this.changed("events");
    }

    // What a round does not tell is null: the last that was known stands, above all when it ended.
    addSubject(subject) {
        const told = Object.entries(subject).filter(([, value]) => value !== null && value !== "");
        this.subjects.set(subject.id, { ...subject, ...this.subjects.get(subject.id),
            ...Object.fromEntries(told) });
    }

    get now() {
        return this.about ? Math.max(this.about.now_ms || 0, this.about.last_ms || 0) : NaN;
    }

    // What we have seen of a server that was started again counts as well.
    get first() {
        let first = this.about.first_ms || this.end;
        for (const { overview } of this.tracks.values()) {
            if (overview.count) first = Math.min(first, overview.first);
        }
        return first;
    }

    // The end of what is known: a recording ends with its last sample, whatever the clock says now.
    get end() {
        return this.source.isLive && this.about.live ? this.now : this.about.last_ms || NaN;
    }

    // Follows the series of these subjects, and of no others: what nobody looks at would grow for
    // as long as the page is open. Drawn when they are there.
    follow(ids) {
        for (const id of this.tracks.keys()) if (!ids.includes(id)) this.tracks.delete(id);
        for (const id of ids) {
            if (this.tracks.has(id)) continue;
            this.tracks.set(id, new Track());
            this.load(id).catch((error) => this.fail(id, error));
        }
    }

    // Tried again with the next batch, or with the next connection.
    fail(id, error) {
        const track = this.tracks.get(id);
        if (track) track.fault = error.message;
        this.changed("data");
    }

    // Two that want it at the same time wait for the same answer.
    load(id) {
        const track = this.tracks.get(id);
        track.loading ||= this.loadNow(id, track).finally(() => (track.loading = null));
        return track.loading;
    }

    async loadNow(id, track) {
        track.fault = "";
        track.load(await this.source.series(id, -Infinity, Infinity, overviewPoints()));
        this.changed("data");
        // The last of those that stand for many need not be the newest sample.
        const { overview } = track;
        if (!overview.step || !(overview.last < this.subjects.get(id)?.last_ms)) return;
        const tail = await this.source.series(id, overview.last + 1, Infinity, TAIL_POINTS);
        overview.appendNewer(tail);
        this.changed("data");
    }

    // Asks for a finer piece where the overview is too coarse for what is shown; neighbours come
    // with it, so that panning has something to show at once.
    async refine(id, { from, to }, pixels) {
        const track = this.tracks.get(id);
        if (!track || !track.isLoaded || track.pending) return;
        const span = to - from;
        const series = track.seriesFor(from, to);
        if (series.step === 0 || series.step <= (1.5 * span) / pixels) return;
        const isOpen = to + span >= this.end;
        const points = Math.min(6 * pixels, DETAIL_POINTS_MAX);
        track.pending = this.source.series(id, from - span, isOpen ? Infinity : to + span, points);
        try {
            track.refine(await track.pending);
            this.changed("data");
        } catch {
            // The overview stays; the next change of the window asks again.
        } finally {
            track.pending = null;
        }
    }

    // The server believes the later clock, and so moves what came before: all that is known here
    // stands at other times now.
    setBack(now) {
        for (const id of this.tracks.keys()) this.tracks.set(id, new Track());
        this.events = [];
        Object.assign(this.about, { now_ms: now, last_ms: null });
        this.refresh().catch((error) => {
            for (const id of this.tracks.keys()) this.fail(id, error);
        });
    }

    take(batch) {
        if (!this.about) return;
        if (batch.now_ms < this.heardMs - SET_BACK_MS) this.setBack(batch.now_ms);
        this.heardMs = batch.now_ms;
        this.about.now_ms = Math.max(batch.now_ms, this.about.now_ms || 0);
        const figures = new Map();
        for (const figure of batch.figures || []) {
            if (!figures.has(figure.subject)) figures.set(figure.subject, []);
            figures.get(figure.subject).push(figure);
        }
        for (const subject of batch.subjects || []) this.addSubject(subject);
        for (const sample of batch.samples || []) {
            this.takeSample(sample, figures.get(sample.subject));
        }
        if (batch.events?.length) this.takeEvents(batch.events);
        if (batch.subjects?.length) {
            this.forgetEnded();
            this.changed("subjects");
        }
        this.changed("data");
    }

    // Of those that ended long ago, and that nobody looks at: a page that shows every process of a
    // host may be open for weeks.
    forgetEnded() {
        const ended = [...this.subjects.values()].filter((one) => one.ended
            && !this.tracks.has(one.id));
        ended.sort((a, b) => a.last_ms - b.last_ms);
        for (const { id } of ended.slice(0, Math.max(0, ended.length - ENDED_KEPT_MAX))) {
            this.subjects.delete(id);
        }
    }

    takeSample(sample, figures) {
        this.about.last_ms = Math.max(sample.time_ms, this.about.last_ms || 0);
        const subject = this.subjects.get(sample.subject);
        if (!subject) return;
        subject.last_ms = sample.time_ms;
        for (const name of ["rss_bytes", "lazy_bytes", "effective_bytes"]) {
            if (isKnown(sample[name])) subject[name] = sample[name];
        }
        const track = this.tracks.get(sample.subject);
        if (!track) return;
        track.append(sample, figures);
        // After days of following: from now on the server's coarser overview.
        if (track.overview.count > POINTS_KEPT_MAX) {
            track.overview = new Series();
            track.isLoaded = false;
            this.load(sample.subject).catch((error) => this.fail(sample.subject, error));
        } else if (track.fault && !track.loading) {
            this.load(sample.subject).catch((error) => this.fail(sample.subject, error));
        }
    }

    takeEvents(events) {
        const last = this.events.length ? this.events[this.events.length - 1].time_ms : -Infinity;
        // A refill and the stream may both bring the newest ones.
        const known = new Set(this.events.slice(-200).map((event) => JSON.stringify(event)));
        for (const event of events) {
            if (event.time_ms > last || !known.has(JSON.stringify(event))) this.events.push(event);
        }
        this.events.splice(0, Math.max(0, this.events.length - EVENTS_KEPT_MAX));
        this.changed("events");
    }

    // Of a subject and of the host. The same array until there are others.
    eventsOf(id) {
        if (!this.eventsBySubject.has(id)) {
            this.eventsBySubject.set(id,
                this.events.filter((event) => event.subject === id || !event.subject));
        }
        return this.eventsBySubject.get(id);
    }
}
