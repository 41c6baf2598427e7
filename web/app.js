// SPDX-License-Identifier: Apache-2.0
// The page: puts the parts together, and draws once for each frame in which something changed.
import { Cursor } from "./cursor.js";
import { Details } from "./details.js";
import { byId, element, fileName, saveFile, setHidden } from "./dom.js";
import { startKeys } from "./keys.js";
import { Levers } from "./levers.js";
import { Pane } from "./pane.js";
import { makePicture } from "./picture.js";
import { ProcessList } from "./processes.js";
import { RowsTable } from "./rows_table.js";
import { openSource } from "./source.js";
import { Store } from "./store.js";
import { listenTheme, startTheme, toggleTheme } from "./theme.js";
import { Toolbar } from "./toolbar.js";
import { toldAccount } from "./verdict.js";
import { View } from "./view.js";

const REFINE_AFTER_MS = 150; // a window that still moves is not asked for
const ACCOUNT_AFTER_MS = 120;
const WORDS_EVERY_MS = 150; // while the window moves: texts are read when it rests

class App {
    constructor() {
        this.store = new Store(openSource());
        this.view = new View();
        this.cursor = new Cursor();
        this.panes = [];
        this.accounts = new Map(); // the last answer of /api/account for each subject
        this.dirty = new Set();
        this.table = new RowsTable(byId("rows"));
        this.details = new Details(byId("details"), this.cursor);
        this.processes = new ProcessList(byId("processes"),
            (id, isCompare) => this.choose(id, isCompare));
        this.levers = new Levers(this.store);
        const actions = this.actions();
        const { png, csv, now, theme, help } = actions;
        const { store, view } = this;
        this.toolbar = new Toolbar({ store, view,
            actions: { png, csv, now, theme, "help-open": help } });
        startKeys({ view: this.view, actions });
        this.listen();
    }

    actions() {
        return {
            pointed: () => this.cursor.time ?? undefined,
            stepCursor: (by) => this.stepCursor(by),
            stepProcess: (by) => this.processes.step(by),
            compare: () => this.processes.compareNext(),
            filter: () => this.processes.filter.focus(),
            png: () => this.attempt("The picture could not be made", () => this.savePicture()),
            csv: () => this.attempt("The data could not be read", () => this.saveData()),
            // Not even where somebody pointed: on a phone nothing else takes the cursor away.
            now: () => {
                this.cursor.set(null);
                this.view.follow();
            },
            theme: () => toggleTheme(),
            help: () => byId("help").showModal(),
            closePick: () => this.toolbar.closePick(),
            escape: () => this.toolbar.closePick() || this.cursor.set(null),
        };
    }

    listen() {
        this.store.listen((what) => {
            if (what === "subjects") this.keepPanes();
            this.mark("draw", "lists");
        });
        this.view.listen(() => {
            this.mark("draw", "refine");
        });
        this.cursor.listen(() => this.mark("cursor"));
        listenTheme(() => this.mark("draw"));
        // A token that is written behind the address of a page that is there already.
        addEventListener("hashchange", () => location.reload());
        new ResizeObserver(() => {
            for (const pane of this.panes) pane.resize();
            this.mark("draw", "refine");
        }).observe(byId("panes"));
        // It has one line or two: what sticks below it begins there.
        const bar = document.querySelector("header");
        new ResizeObserver(() => document.documentElement.style
            .setProperty("--bar", `${bar.getBoundingClientRect().height}px`)).observe(bar);
    }

    // What changed within a frame is drawn once.
    mark(...what) {
        if (!this.dirty.size) requestAnimationFrame(() => this.frame());
        for (const one of what) this.dirty.add(one);
    }

    frame() {
        const { dirty } = this;
        this.dirty = new Set();
        if (!this.store.about) {
            this.toolbar.update([]);
            return;
        }
        // A recording is shown whole until the user wants less of it.
        if (!this.store.about.live && !this.view.isChosen) this.view.span = 0;
        this.view.setBounds(this.store.first, this.store.end);
        if (dirty.has("lists")) this.updateLists();
        if (dirty.has("draw")) this.draw();
        if (dirty.has("lists") || dirty.has("cursor") || dirty.has("words")) this.showWords();
        else this.showWordsSoon();
        if (dirty.has("refine") || dirty.has("lists")) this.refineSoon();
    }

    updateLists() {
        this.processes.update(this.store.subjects, this.panes.map((pane) => pane.id));
        this.levers.update(this.panes[0]?.subject);
    }

    draw() {
        const range = this.view.window();
        if (!Number.isFinite(range.from)) return;
        // Two processes are drawn on one scale, or they could not be compared.
        const top = Math.max(0, ...this.panes.map((pane) => pane.prepare(range)));
        const figuresTop = Math.max(0, ...this.panes.map((pane) => pane.figures.top));
        for (const pane of this.panes) {
            pane.draw(range, top, figuresTop);
            pane.showTip();
            if (!pane.drawing.isEmpty) markFirst();
        }
    }

    // All that is written. A text that changed costs a browser more than a chart: it lays the page
    // out anew, and composes all between the text and the chart.
    showWords() {
        const range = this.view.window();
        this.toolbar.update(this.panes.map((pane) => pane.subject).filter(Boolean));
        for (const pane of this.panes) {
            pane.showCursor();
            pane.describe(range);
            if (pane.subject) {
                const told = this.toldAccount(pane);
                pane.verdict.show(pane.subject, told);
                pane.verdict.showAge(this.store.tracks.get(pane.id), this.store.end, told);
            }
        }
        const sides = this.panes.map((pane) => ({
            name: pane.subject?.name, ...pane.pointed, account: this.accounts.get(pane.id),
        }));
        if (!sides.length) return;
        this.table.show(sides, this.cursor.time);
        const [{ account, series, index }] = sides;
        this.details.showAccount(account, series, index);
        this.details.showEvents(this.store.eventsOf(this.panes[0].id), range);
        this.askAccountsSoon();
    }

    showWordsSoon() {
        this.wordsTimer ??= setTimeout(() => {
            this.wordsTimer = null;
            this.mark("words");
        }, WORDS_EVERY_MS);
    }

    // Another server may know the same processes under other ids, or not at all.
    keepPanes() {
        const { moved } = this.store;
        for (const pane of this.panes) if (moved.has(pane.id)) pane.id = moved.get(pane.id);
        // An account that is kept under another's id would be told as its own.
        if ([...moved].some(([before, now]) => before !== now)) this.accounts.clear();
        moved.clear();
        const known = this.panes.map((pane) => pane.id)
            .filter((id) => this.store.subjects.has(id));
        if (!known.length) this.chooseFirst();
        else if (known.length < this.panes.length) this.setPanes(known);
    }

    chooseFirst() {
        if (!this.store.subjects.size) {
            this.setPanes([]);
            const why = this.store.about.live ? "No process that is meant has been seen yet."
                : "There is nothing in this recording.";
            byId("panes").append(element("p", { class: "card" }, why));
            return;
        }
        const all = [...this.store.subjects.values()];
        all.sort((a, b) => (a.ended || 0) - (b.ended || 0)
            || (b.effective_bytes || 0) - (a.effective_bytes || 0));
        this.setPanes([all[0].id]);
    }

    choose(id, isCompare) {
        const [first, second] = this.panes.map((pane) => pane.id);
        if (!isCompare) return this.setPanes([id]);
        return this.setPanes(id === second || id === first ? [first] : [first, id]);
    }

    setPanes(ids) {
        const kept = ids.map((id) => this.panes.find((pane) => pane.id === id));
        for (const pane of this.panes) if (!kept.includes(pane)) pane.destroy();
        const context = { store: this.store, view: this.view, cursor: this.cursor,
            onChange: () => this.mark("draw", "words") };
        this.panes = ids.map((id, at) => kept[at] || new Pane(id, context));
        byId("panes").replaceChildren(...this.panes.map((pane) => pane.node));
        byId("panes").dataset.count = ids.length;
        this.panes.forEach((pane, at) => (kept[at] ? pane.resize() : pane.start()));
        this.store.follow(ids);
        for (const key of this.accounts.keys()) {
            if (!ids.includes(Number.parseInt(key, 10))) this.accounts.delete(key);
        }
        this.mark("draw", "lists");
    }

    refineSoon() {
        clearTimeout(this.refineTimer);
        this.refineTimer = setTimeout(() => {
            const range = this.view.window();
            for (const pane of this.panes) this.store.refine(pane.id, range, pane.pixels);
        }, REFINE_AFTER_MS);
    }

    toldAccount({ id, subject }) {
        const told = toldAccount(this.accounts.get(`${id} newest`),
            this.accounts.get(`${id} told`), subject.verdict);
        this.accounts.set(`${id} told`, told);
        return told;
    }

    // Errors, and what to do next, come from the account itself: that at the cursor, asked for when
    // it rests, and the newest, which is what the verdict is about.
    askAccountsSoon() {
        for (const pane of this.panes) {
            const { series, index } = pane.pointed;
            const pointed = series?.accountAt(index);
            const newest = this.store.tracks.get(pane.id)?.overview.accounts.at(-1);
            const wanted = [[pane.id, pointed], [`${pane.id} newest`, newest]].filter(
                ([key, account]) => account && this.accounts.get(key)?.time_ms !== account.time);
            // What is waited for is not put off: at ten samples a second it would never come.
            const asks = wanted.map(([key, { time }]) => `${key} ${time}`).join();
            if (!wanted.length || pane.asks === asks) continue;
            pane.asks = asks;
            clearTimeout(pane.accountTimer);
            pane.accountTimer = setTimeout(() => {
                pane.asks = null;
                for (const [key, account] of wanted) this.askAccount(pane.id, key, account.time);
            }, ACCOUNT_AFTER_MS);
        }
    }

    async askAccount(id, key, time) {
        try {
            const account = await this.store.source.account(id, time);
            if (!account) return;
            // What was asked for counts: asking again would give the same.
            this.accounts.set(key, { ...account, time_ms: time });
            this.mark("words");
        } catch {
            // Without it the table has no errors; the next moment asks again.
        }
    }

    stepCursor(by) {
        const [pane] = this.panes;
        const { series } = pane || {};
        if (!series?.count) return;
        // The first step is from the newest sample that is drawn.
        const index = this.cursor.time === null ? series.count : pane.pointed.index;
        const next = Math.min(Math.max(index + by, 0), series.count - 1);
        this.cursor.set(series.time[next]);
    }

    async savePicture() {
        const [pane] = this.panes;
        if (!pane?.accountPlot) return;
        const picture = await makePicture(this.panes, this.store.about, this.view.window());
        saveFile(picture, fileName(pane.subject, "png"));
    }

    async saveData() {
        const { from, to } = this.view.window();
        for (const { id, subject } of this.panes) {
            saveFile(await this.store.source.csv(id, from, to), fileName(subject, "csv"));
        }
    }

    // What a user waits for does not fail in silence; the next try takes the words away.
    async attempt(what, action) {
        setHidden(byId("fault"), true);
        try {
            await action();
        } catch (error) {
            byId("fault").textContent = `${what}: ${error.message}`;
            setHidden(byId("fault"), false);
        }
    }

    start() {
        return this.attempt("This page could not be drawn", () => this.store.start());
    }
}

// How long the first picture took: for those who measure.
function markFirst() {
    if (!performance.getEntriesByName("ebb:drawn").length) performance.mark("ebb:drawn");
}

startTheme();
new App().start();
