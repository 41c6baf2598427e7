// SPDX-License-Identifier: Apache-2.0
// The server that sent this page: questions by fetch(), news by its stream, and trying again for
// as long as it is away. tool/serve/PAGE.md has the requests.
import { readMessages } from "./event_stream.js";
import { Series } from "./series.js";

const RETRY_MAX_MS = 10000;
// The server says something at least each ten seconds; behind a tunnel that broke, nobody would
// ever tell that it is gone.
const SILENCE_MAX_MS = 30000;
const BUSY_TRIES = 5;
const BUSY_PAUSE_MS = 1000; // what Retry-After says

// From the address behind "#", which no browser sends to a server.
function tokenFromAddress() {
    return new URLSearchParams(location.hash.slice(1)).get("token");
}

function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

// Browsers keep few connections to a server for all tabs together, so a hidden page lets go of its
// stream, and comes back when it is looked at.
function watchStream() {
    const controller = new AbortController();
    const watch = { signal: controller.signal, isSilent: false };
    const close = () => document.hidden && controller.abort();
    const giveUp = () => {
        watch.isSilent = true;
        controller.abort();
    };
    let timer = setTimeout(giveUp, SILENCE_MAX_MS);
    watch.hear = () => {
        clearTimeout(timer);
        timer = setTimeout(giveUp, SILENCE_MAX_MS);
    };
    watch.done = () => {
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", close);
        // One that was given up, but not read to its end, would hold its connection for ever.
        controller.abort();
    };
    document.addEventListener("visibilitychange", close);
    return watch;
}

function whileHidden() {
    return new Promise((resolve) => {
        const look = () => {
            if (document.hidden) return;
            document.removeEventListener("visibilitychange", look);
            resolve();
        };
        document.addEventListener("visibilitychange", look);
        look();
    });
}

export class LiveSource {
    constructor() {
        this.isLive = true;
        this.token = tokenFromAddress();
        this.retryMs = 1000;
    }

    async request(path, values = {}, options = {}) {
        const query = new URLSearchParams();
        for (const [name, value] of Object.entries(values)) {
            // An open end is left out: all there is.
            if (Number.isFinite(value)) query.set(name, String(Math.round(value)));
        }
        const headers = { ...options.headers };
        if (this.token) headers.Authorization = `Bearer ${this.token}`;
        const address = `${path}${query.size ? `?${query}` : ""}`;
        const settings = { ...options, headers, cache: "no-store" };
        const response = await fetch(address, settings);
        if (!response.ok) throw await refusal(response);
        return response;
    }

    // Where the server has too much to do it says so, and when to come again.
    async patient(path, values) {
        for (let left = BUSY_TRIES; ; left--) {
            try {
                return await this.request(path, values);
            } catch (error) {
                if (error.status !== 503 || left === 0) throw error;
            }
            await pause(BUSY_PAUSE_MS);
        }
    }

    async json(path, values) {
        return (await this.patient(path, values)).json();
    }

    about() {
        return this.json("api/about");
    }

    async series(subject, from, to, points) {
        const answer = await this.json("api/series", { subject, from, to, points });
        const series = Series.parse(answer);
        // What was asked for, not what there was: beyond the last sample nothing is missing.
        series.from = Number.isFinite(from) ? from : -Infinity;
        series.to = Number.isFinite(to) ? to : Infinity;
        return series;
    }

    events(subject, from, to) {
        return this.json("api/events", { subject, from, to });
    }

    account(subject, at) {
        return this.json("api/account", { subject, at });
    }

    async csv(subject, from, to) {
        return (await this.patient("api/csv", { subject, from, to })).blob();
    }

    async lever(subject, lever, isDryRun) {
        const body = JSON.stringify({ subject, lever, dry_run: isDryRun });
        const headers = { "Content-Type": "application/json" };
        return (await this.request("api/lever", {}, { method: "POST", body, headers })).json();
    }

    // Reads the stream for ever. `onState` hears "open" at each connection, before its first batch,
    // and "gone" with the reason; what was missed between is for the caller to ask for.
    async follow(onBatch, onState) {
        for (let wait = this.retryMs; ; wait = Math.min(2 * wait, RETRY_MAX_MS)) {
            await whileHidden();
            const watch = watchStream();
            try {
                const response = await this.request("api/stream", {}, { signal: watch.signal });
                await onState("open");
                wait = this.retryMs;
                const parser = await readMessages(response, watch.hear, (message) => {
                    onBatch(JSON.parse(message.data));
                });
                this.retryMs = parser.retryMs || this.retryMs;
                onState("gone", "its stream ended");
            } catch (error) {
                if (watch.isSilent) onState("gone", "nothing came from it for a while");
                // Closed by ourselves: nobody looks, and nobody need be told.
                else if (!watch.signal.aborted) onState("gone", error.message, error.status);
            } finally {
                watch.done();
            }
            await pause(wait);
        }
    }
}

// The server's own sentence where it sent one.
async function refusal(response) {
    let sentence = `${response.status} ${response.statusText}`;
    try {
        sentence = (await response.json()).error || sentence;
    } catch {
        // Not ours: the status must do.
    }
    const error = new Error(sentence);
    error.status = response.status;
    return error;
}
