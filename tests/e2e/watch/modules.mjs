// SPDX-License-Identifier: Apache-2.0
// What the page draws of a hundred thousand samples, and what it keeps of a stream: spikes, gaps,
// unknown figures, bounds. Run by ../watch-modules.t.
import { pathToFileURL } from "node:url";
import { done, report } from "./tap.mjs";

const load = (name) => import(pathToFileURL(`${process.env.WEB}/${name}.js`).href);
globalThis.location = { hash: "" };
const { Drawing } = await load("drawing");
const { Extremes } = await load("extremes");
const { Series } = await load("series");
const { Store } = await load("store");
const { rowsAt } = await load("stack");
const { LiveSource } = await load("source_live");
const { Painter } = await load("paint");
const { Raster } = await load("raster");
const { splitNext, toldAccount } = await load("verdict");
const { LAZY, ROW_COUNT, ROWS } = await load("rows");

const MIB = 2 ** 20;
const COUNT = 100000;
const WIDTH = 777;
const ACCOUNT = 2;

// The same figures on each machine.
function makeRandom(seed) {
    let state = seed;
    return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

const sample = (at, more = {}) => ({ time_ms: 1000 * at, kind: 0, rss_bytes: 100 * MIB,
    lazy_bytes: 40 * MIB, virtual_bytes: 1000 * MIB, swap_bytes: 0, ...more });
const accountAt = (at, heap) => [sample(at, { kind: ACCOUNT, in_use_bytes: 60 * MIB }),
    [{ runtime: "Go", name: "HeapInuse", unit: "bytes", value: heap }]];

// An account each hundredth sample; `change` may make another of each.
function makeSeries(count, change = (made) => made) {
    const series = new Series();
    for (let at = 0; at < count; at++) {
        const made = at % 100 ? [sample(at)] : accountAt(at, 10 * MIB);
        series.append(...change(made, at));
    }
    return series;
}

function draw(series, from = 0, to = 1000 * COUNT, gaps = []) {
    const drawing = new Drawing();
    drawing.prepare(series, { from, to }, WIDTH, gaps, series.last);
    return drawing;
}

function knowsExtremes() {
    const random = makeRandom(7);
    const extremes = new Extremes();
    const values = [];
    for (let i = 0; i < 1000; i++) {
        // The last of a block is what a block too many would bring in.
        const value = Math.floor(random() * 1e6) + (i % 8 === 7 ? 1e6 + i * 64 : 0);
        values.push(random() < 0.1 ? NaN : value);
        extremes.append(values[i]);
    }
    let wrong = "";
    for (let first = 0; first < values.length; first += first < 200 ? 1 : 97) {
        let [high, low] = [-1, Infinity];
        for (let last = first; last < values.length; last++) {
            if (values[last] > high) high = values[last];
            if (values[last] < low) low = values[last];
            if (extremes.high(first, last) !== high || extremes.low(first, last) !== low) {
                wrong ||= `${first} to ${last}: ${high}, ${low}`;
            }
        }
    }
    report(!wrong, "highest and lowest of any stretch are what a walk finds", wrong);
}

// Shared memory that went away since the account, and came, is not taken from the heap's rows.
function tellsMappedApart() {
    const series = new Series();
    const rows = { in_use_bytes: 100 * MIB, shared_bytes: 80 * MIB, code_files_bytes: 10 * MIB };
    const at = (time, rss, anon, more = {}) => series.append({ time_ms: time, kind: 0,
        rss_bytes: rss * MIB, anon_bytes: anon * MIB, lazy_bytes: 0, ...more }, []);
    at(0, 190, 100, { kind: ACCOUNT, ...rows });
    at(1000, 115, 105);
    at(2000, 260, 100);
    const told = (index) => {
        const found = rowsAt(series, index, new Float64Array(ROW_COUNT));
        return ["in_use", "shared", "code_files"]
            .map((key) => found[ROWS.findIndex((row) => row.key === key)] / MIB).join(" ");
    };
    report(told(0) === "100 80 10" && told(1) === "105 0 10" && told(2) === "100 150 10",
        "shared memory that comes and goes is not the heap's", [0, 1, 2].map(told).join(", "));
}

// What RSS was between two readings: told by a recording, found in a stream; drawn at its sample
// alone, and only where it is above what was read.
function drawsMissedPeaks() {
    const peaksOf = ({ peaks }) => [...peaks.keys()].filter((i) => peaks[i] >= 0)
        .map((i) => `${i}: ${peaks[i] / MIB}`).join();
    const series = makeSeries(1000, ([made, figures], at) => [{ ...made,
        highest_rss_bytes: (at < 300 ? 150 : at < 600 ? 400 : 400.1) * MIB,
        rss_bytes: (at === 700 ? 500 : 100) * MIB }, figures]);
    const drawing = draw(series, 0, 1e6);
    const expected = `${Math.floor(0.3 * WIDTH)}: 400`;
    report(peaksOf(drawing) === expected && drawing.top === 500 * MIB,
        "a peak that no reading of a stream saw is drawn, once", peaksOf(drawing));
    const json = { subject: 1, columns: ["time_ms", "kind", "rss_bytes", "lazy_bytes",
        "virtual_bytes", "swap_bytes", "kernel_peak_rss_bytes"], parts: [{ step_ms: 0, figures: [],
        data: [[0, 1000, 2000], [0, 0, 0], [MIB, MIB, MIB], null, null, null,
            [null, 3 * MIB, null]] }] };
    const parsed = Series.parse(json);
    const shown = draw(parsed, 0, 2000);
    report(peaksOf(shown) === `${Math.floor(0.5 * WIDTH)}: 3` && shown.top === 3 * MIB,
        "and one that a recording tells", peaksOf(shown));
    report(peaksOf(draw(parsed, 1500, 2000)) === "", "not in a window behind it");
    report(peaksOf(draw(new Series().joinedWith(parsed), 0, 2000)) === peaksOf(shown),
        "and in what is joined");
}

// One sample of a hundred thousand is less than a hundredth of a pixel wide, and is seen.
function keepsSpikes() {
    const spikes = { 54321: { rss_bytes: 900 * MIB }, 21111: { rss_bytes: 50 * MIB },
        81234: { rss_bytes: 100 * MIB, lazy_bytes: 0 } };
    const series = makeSeries(COUNT, (made, at) => (at === 33300 ? accountAt(at, 700 * MIB)
        : [{ ...made[0], ...spikes[at] }, made[1]]));
    const drawing = draw(series);
    const columnsWith = (values, is) => [...values.keys()].filter((i) => is(values[i])).join();
    const columnOf = (at) => String(Math.floor(at / COUNT * WIDTH));
    report(columnsWith(drawing.highs[LAZY], (value) => value > 100 * MIB) === columnOf(54321)
        && drawing.top === 900 * MIB, "a spike of RSS in one sample of 100,000 is drawn",
    columnsWith(drawing.highs[LAZY], (value) => value > 100 * MIB));
    report(columnsWith(drawing.lows.rss, (value) => value < 100 * MIB) === columnOf(21111),
        "and so is a valley");
    report(columnsWith(drawing.effective, (value) => value === 100 * MIB) === columnOf(81234),
        "a spike of effective RSS, while RSS stood still");
    const { first, last } = drawing.accounts;
    const heap = series.extremesOfFigure(0);
    const seen = [...first.keys()].filter((i) => heap.high(first[i], last[i]) === 700 * MIB);
    // It stands until the next account: a hundred samples.
    report(seen.length > 0 && seen.length < 3 && String(seen[0]) === columnOf(33300),
        "a spike of a figure in one account", seen.join());
    const spans = [1000 * COUNT, 3e7, 1e6, 77777, 9000, 2500].filter((span) => {
        const from = 1000 * 54321 - 0.37 * span;
        return draw(series, from, from + span).top !== 900 * MIB;
    });
    report(!spans.length, "in windows of any width", spans.join());
}

function keepsGaps() {
    const series = makeSeries(2000, ([made, figures], at) =>
        [{ ...made, time_ms: made.time_ms + (at >= 1000 ? 500000 : 0) }, figures]);
    const empty = (drawing) => [...drawing.columns.first].filter((first) => first < 0).length;
    const drawing = draw(series, 0, 2500000);
    const there = empty(drawing) / WIDTH;
    report(Math.abs(there - 0.2) < 0.01, "where nothing was read for long there is nothing",
        there);
    const close = draw(makeSeries(2000), 0, 2000000, [{ from: 700001, to: 700900 }]);
    report(empty(close) === 0 || empty(close) === 1, "a gap narrower than a pixel hides nothing");
    const zoomed = draw(makeSeries(2000), 690000, 710000, [{ from: 700001, to: 700900 }]);
    report(empty(zoomed) > 20 && empty(zoomed) < 50, "and is seen when it is wide enough",
        empty(zoomed));
    const { first } = draw(makeSeries(100), -100000, 200000).columns;
    const at = (time) => first[Math.floor((time + 100000) / 300000 * WIDTH)];
    report(at(-2000) === -1 && at(2000) >= 0 && at(97000) >= 0 && at(102000) === -1,
        "before the first sample there is nothing, and behind the last");
}

function knowsNoZeroes() {
    const series = makeSeries(1000, ([made, figures], at) =>
        [{ ...made, lazy_bytes: at < 500 ? null : made.lazy_bytes }, figures]);
    const drawing = draw(series, 0, 1e6);
    report(drawing.effective[10] === -1 && drawing.effective[WIDTH - 10] === 60 * MIB,
        "where lazy is unknown, effective RSS has no line", drawing.effective[10]);
    const rows = rowsAt(series, 600, new Float64Array(ROW_COUNT));
    report(rows.reduce((sum, bytes) => sum + bytes, 0) === series.rss[600],
        "rows between accounts sum to RSS");
}

// A source whose answers come when the test wants it.
function makeSource() {
    const waiting = [];
    return {
        isLive: true, waiting,
        about: async () => ({ live: true, now_ms: 0, first_ms: 0, last_ms: 0, subjects: [] }),
        events: async () => [],
        series: () => new Promise((resolve) => waiting.push(resolve)),
        follow: () => {},
    };
}

const subject = (id, more) => ({ id, pid: id, start_ms: 1, last_ms: id, ended: false, ...more });

async function losesNothing() {
    const source = makeSource();
    const store = new Store(source);
    await store.refresh();
    store.take({ now_ms: 1, subjects: [subject(1)] });
    store.follow([1]);
    const [full, figures] = accountAt(20, 5 * MIB);
    store.take({ now_ms: 20000, samples: [{ ...full, subject: 1 }],
        figures: figures.map((figure) => ({ ...figure, subject: 1 })) });
    source.waiting.shift()(makeSeries(10));
    await store.tracks.get(1).loading;
    const { overview } = store.tracks.get(1);
    report(overview.count === 11 && overview.accounts.at(-1).time === 20000
        && overview.accounts.at(-1).figures[0] === 5 * MIB,
    "an account that came while the series was fetched is not lost", overview.count);
    store.follow([]);
    report(store.tracks.size === 0, "a series that nobody looks at is let go");
}

// A page that shows every process of a busy host, for hours.
async function staysSmall() {
    const store = new Store(makeSource());
    await store.refresh();
    let id = 0;
    for (let round = 0; round < 3000; round++) {
        const ended = Array.from({ length: 10 }, () => subject(++id, { ended: true }));
        store.take({ now_ms: id, subjects: ended, samples: [],
            events: ended.map((one) => ({ subject: one.id, time_ms: id, kind: "ended" })) });
    }
    report(store.subjects.size <= 510 && store.events.length <= 20000
        && store.subjects.has(id), "of 30,000 processes that came and went it keeps the last",
    `${store.subjects.size} ${store.events.length}`);
}

// A day's clock that is set back by an hour: the server moves what was before.
async function obeysTheClock() {
    const source = makeSource();
    const store = new Store(source);
    await store.refresh();
    store.take({ now_ms: 7200000, subjects: [subject(1)] });
    store.follow([1]);
    source.waiting.shift()(makeSeries(10));
    await store.tracks.get(1).loading;
    store.take({ now_ms: 7201000, samples: [{ ...sample(7201), subject: 1 }] });
    source.about = async () => ({ live: true, now_ms: 3602000, first_ms: 0, last_ms: 3601000,
        subjects: [subject(1)] });
    store.take({ now_ms: 3602000, samples: [{ ...sample(3602), subject: 1 }] });
    await new Promise((resolve) => setTimeout(resolve));
    source.waiting.shift()?.(makeSeries(5));
    await store.tracks.get(1).loading;
    const { overview } = store.tracks.get(1);
    report(store.end === 3602000 && overview.last === 3602000 && overview.count === 6,
        "behind a clock that was set back it goes on, with what the server knows",
        `${store.end} ${overview.last} ${overview.count}`);
}

// The round in which it ended tells no figures of it.
async function remembersTheDead() {
    const store = new Store(makeSource());
    await store.refresh();
    const told = { rss_bytes: 5, verdict: "lazy", headline: "lazy. Most of it.", runtimes: "Go" };
    store.take({ now_ms: 1, subjects: [subject(1, told)] });
    store.take({ now_ms: 2, subjects: [subject(1, { ended: true, rss_bytes: null, verdict: null,
        headline: null, runtimes: "" })] });
    const { ended, rss_bytes: rss, verdict, headline, runtimes } = store.subjects.get(1);
    report(ended && rss === 5 && verdict === "lazy" && headline && runtimes === "Go",
        "of what has ended the last figures and words stand", `${rss} ${verdict} ${runtimes}`);
}

// The server was started again, and counts its processes anew.
async function knowsThemAgain() {
    const source = makeSource();
    const store = new Store(source);
    source.about = async () => ({ live: true, subjects: [subject(1), subject(2)] });
    await store.refresh();
    store.take({ now_ms: 1, events: [{ subject: 1, time_ms: 1, kind: "exec" },
        { subject: 2, time_ms: 1, kind: "purge" }, { time_ms: 1, kind: "clock" }] });
    source.about = async () => ({ live: true,
        subjects: [{ ...subject(1), pid: 2, start_ms: 900 }, { ...subject(7), pid: 8 }] });
    await store.refresh();
    const kinds = store.eventsOf(1).map((event) => event.kind).join();
    report(kinds === "purge,clock" && store.eventsOf(7).length === 1,
        "events stay with their process, whatever number it has now", kinds);
}

// What fetch() gives: 503 first, then a stream that is never read.
async function letsGo() {
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const asked = [];
    globalThis.fetch = async (path, { signal }) => {
        asked.push({ path, signal });
        const isBusy = asked.filter((one) => one.path === path).length === 1;
        return path === "api/about" && isBusy ? { ok: false, status: 503, json: async () => ({}) }
            : { ok: true, json: async () => ({ live: true }) };
    };
    const source = new LiveSource();
    const gone = new Promise((resolve) => source.follow(() => {}, async (state, why) => {
        if (state === "gone") return resolve(why);
        throw new Error("it could not be read");
    }));
    const [why, about] = await Promise.all([gone, source.about().catch(() => ({}))]);
    report(/could not/.test(why) && asked.find((one) => one.path === "api/stream").signal.aborted,
        "a stream that is given up does not hold its connection", why);
    report(about.live, "a server that is busy is asked again");
}

function splitsAdvice() {
    const wrong = [
        ["ebb reclaim 41: it is taken now.", "", "ebb reclaim 41", "it is taken now."],
        ["Does it grow? ebb explain --for 60s 41", "Does it grow?", "ebb explain --for 60s 41", ""],
        ["From the next start on: ebb run --malloc=ebb -- COMMAND gives it back. Less: A=1 that.",
            "From the next start on:", "ebb run --malloc=ebb -- COMMAND",
            "gives it back. Less: A=1 that."],
        ["Look again; ebb doctor says what.", "", "", "Look again; ebb doctor says what."],
    ].filter(([next, ...parts]) => {
        const { reason, command, note } = splitNext(next);
        return [reason, command, note].join("|") !== parts.join("|");
    });
    report(!wrong.length, "of advice the command alone is one to copy", wrong.join("\n"));
}

// Beside "in use" nobody is told to reclaim what another account found lazily freed.
function fitsWords() {
    const [lazy, inUse] = ["lazy", "in-use"].map((verdict) => ({ verdict }));
    report(toldAccount(lazy, inUse, "in-use") === inUse && toldAccount(lazy, inUse, "lazy") === lazy
        && !toldAccount(lazy, lazy, "in-use") && !toldAccount(undefined, undefined, "lazy"),
    "advice is that of an account with the verdict that is told");
}

// The gaps of a dashed line hide no spike of one column.
function dashesKeepSpikes() {
    globalThis.ImageData = class {
        constructor(width, height) {
            this.data = new Uint8ClampedArray(4 * width * height);
        }
    };
    const raster = new Raster();
    const painter = new Painter(raster);
    const [width, height] = [100, 100];
    painter.begin({ left: 0, top: 0, width, height, ratio: 1, bytes: 100,
        y: (bytes) => height - bytes }, width);
    const [highs, lows] = [new Float32Array(width).fill(10), new Float32Array(width).fill(10)];
    const [inGap, level] = [28, 18];
    highs[inGap] = 90;
    painter.drawSteps(highs, lows, { ink: { pixels: [0xffffffff], size: 1 }, width: 2,
        dash: [7, 3] });
    const painted = (column) => [...Array(height).keys()].filter((y) =>
        raster.pixels[y * width + column]).length;
    report(painted(inGap) > 78 && painted(level) === 0, "the gaps of a dashed line hide no spike",
        `${painted(inGap)} ${painted(level)}`);
}

knowsExtremes();
keepsSpikes();
tellsMappedApart();
drawsMissedPeaks();
keepsGaps();
knowsNoZeroes();
await losesNothing();
await staysSmall();
await obeysTheClock();
await remembersTheDead();
await knowsThemAgain();
splitsAdvice();
fitsWords();
dashesKeepSpikes();
await letsGo();
done();
process.exit(0); // a stream is followed for ever
