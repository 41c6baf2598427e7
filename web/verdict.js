// SPDX-License-Identifier: Apache-2.0
// The verdict on one process in words, the three sizes that it is about, and what to do next.
import { element, setHidden, setText } from "./dom.js";
import { formatBytes, formatSpan, MINUTE } from "./units.js";

const AGE_TOLD_MS = 5000; // of a verdict; figures beside it are of each sample

// "ebb reclaim 4121: the kernel takes it now" is a command and what it does; "Does it grow? ebb
// explain --for 60s 4121" has its reason first; what begins a program ends with COMMAND.
const NEXT = /^(?:(.*?[?:.]) )?(?:(ebb [^:]*?COMMAND)\.?(?: (.*))?|(ebb [^:]+?)\.?(?:: (.*))?)$/s;

export function splitNext(next) {
    const found = NEXT.exec(next || "");
    if (!found) return { reason: "", command: "", note: next || "" };
    const [, reason, start, after, command, what] = found;
    return { reason: reason || "", command: start || command, note: after || what || "" };
}

// "lazy, not a leak. 77 % of RSS is ..." is the verdict and the numbers behind it.
export function splitHeadline(headline) {
    const found = /^(.+?[.:]) (.+)$/s.exec(headline || "");
    if (!found) return { short: headline || "", rest: "" };
    return { short: found[1].replace(/[.:]$/, ""), rest: found[2] };
}

// The account that the words are about. A verdict is told once it has stood for a while, and an
// account meanwhile may have come to another one: its figures and its advice would not fit.
export function toldAccount(newest, before, verdict) {
    return [newest, before].find((account) => account && account.verdict === verdict);
}

// Whole seconds, then whole minutes: nobody reads more of an age.
function formatAge(ms) {
    return formatSpan(ms - ms % (ms > MINUTE ? MINUTE : 1000));
}

// When lazily freed bytes were last read, NaN if they never were; cheap samples repeat them.
function lastLazyTime(series) {
    if (!series) return NaN;
    let at = series.count - 1;
    while (at >= 0 && !(series.kind[at] >= 1)) at--;
    return at >= 0 ? series.time[at] : NaN;
}

function figure(title, hint) {
    const value = element("dd", { class: "number" });
    const node = element("div", { title: hint }, element("dt", {}, title), value);
    return { node, value };
}

export class VerdictStrip {
    constructor() {
        this.name = element("h2", {});
        this.about = element("p", { class: "about" });
        // Heard when it changes; the figures behind it do so with each account.
        this.word = element("p", { class: "word", role: "status" });
        this.rest = element("p", { class: "rest" });
        // Not part of the words: a screen reader would hear it each second.
        this.age = element("span", { class: "age note", hidden: "" });
        this.command = element("code", { tabindex: "0" });
        this.copy = element("button",
            { type: "button", class: "small", click: () => this.copyNext() }, "copy");
        this.note = element("span", { class: "note" });
        this.reason = element("span", { class: "note" });
        this.next = element("p", { class: "next" }, this.reason, this.command, this.copy,
            this.note, this.age);
        this.sizes = {
            rss: figure("RSS", "pages in memory now, as the kernel counts them"),
            lazy: figure("lazily freed", "in RSS, and free: the kernel takes it when it is needed"),
            effective: figure("effective RSS", "RSS - lazily freed: the number for alarms"),
        };
        this.sizes.effective.node.className = "matters";
        this.words = element("div", { class: "words" }, this.word, this.rest);
        this.node = element("section", { class: "verdict", "aria-label": "verdict" },
            element("div", { class: "who" }, this.name, this.about),
            this.words,
            element("dl", { class: "sizes" },
                ...Object.values(this.sizes).map((size) => size.node)),
            this.next);
    }

    show(subject, account) {
        const parts = [`pid ${subject.pid}`, subject.runtimes, subject.cgroup];
        setText(this.name, subject.name);
        setText(this.about, parts.filter(Boolean).join(" · "));
        this.about.title = subject.cmdline || "";
        const { short, rest } = splitHeadline(account?.headline || subject.headline);
        this.node.dataset.verdict = subject.verdict || "none";
        setText(this.word, short || subject.verdict || "no account yet");
        const waiting = subject.verdict ? "" : "RSS is measured; whose it is, not yet.";
        setText(this.rest, rest || waiting);
        setText(this.sizes.rss.value, formatBytes(subject.rss_bytes));
        setText(this.sizes.lazy.value, formatBytes(subject.lazy_bytes));
        setText(this.sizes.effective.value, formatBytes(subject.effective_bytes));
        const { reason, command, note } = splitNext(account?.next);
        setText(this.reason, reason);
        setText(this.command, command);
        setText(this.note, note);
        setHidden(this.reason, !reason);
        setHidden(this.note, !note);
        setHidden(this.command, !command);
        setHidden(this.copy, !command);
        setHidden(this.next, false);
    }

    // RSS is that of the newest sample; lazily freed bytes are those of the last reading of smaps,
    // words those of the last account: of which moment that is, where it is not the same.
    showAge(track, now, told) {
        const series = track?.overview;
        const account = told ? { time: told.time_ms } : series?.accounts.at(-1);
        const end = Math.max(series?.count ? series.last : now, now);
        const parts = [];
        const lazy = lastLazyTime(series);
        if (end - lazy > AGE_TOLD_MS) parts.push(`lazily freed of ${formatAge(end - lazy)} ago`);
        if (account && end - account.time > AGE_TOLD_MS) {
            const rss = series.rss[series.indexAt(account.time)];
            const hasMoved = Math.abs(rss - series.rss[series.count - 1]) > 0.02 * rss;
            parts.push(`verdict of ${formatAge(end - account.time)} ago${hasMoved
                ? `, when RSS was ${formatBytes(rss)}` : ""}`);
        }
        setText(this.age, parts.join(" · "));
        setHidden(this.age, !parts.length);
    }

    // The clipboard is not given to pages from plain addresses: then the text is selected.
    async copyNext() {
        try {
            await navigator.clipboard.writeText(this.command.textContent);
            setText(this.copy, "copied");
        } catch {
            getSelection().selectAllChildren(this.command);
            setText(this.copy, "selected");
        }
        setTimeout(() => setText(this.copy, "copy"), 1500);
    }
}
