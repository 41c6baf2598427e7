// SPDX-License-Identifier: Apache-2.0
// The levers, where the server was started to allow them: a button, what it would do, a question,
// and what it did.
import { byId, element, setHidden, setText } from "./dom.js";
import { formatBytes, isKnown } from "./units.js";

function sizeOf(reading) {
    return reading && isKnown(reading.rss_bytes) ? formatBytes(reading.rss_bytes) : null;
}

// The lever's own report in words: docs/json.md has its fields.
function describeReport({ outcome, refusal, needs, before, after }) {
    if (refusal) return [refusal, needs].filter(Boolean).join(". ");
    if (outcome === "nothing") return "There is nothing to reclaim.";
    if (outcome === "planned") return "Nothing that it holds is lost.";
    const [from, to] = [sizeOf(before), sizeOf(after)];
    return from && to ? `${outcome}: RSS ${from} → ${to}.` : `${outcome}.`;
}

function listSteps({ steps, untouched, warnings, notes }) {
    const lines = (steps || []).map(({ what, result }) => [what, result].filter(Boolean)
        .join(": "));
    for (const { what, why, bytes } of untouched || []) {
        const size = bytes ? `${formatBytes(bytes)} of ` : "";
        lines.push(`left alone: ${size}${what}${why ? `, ${why}` : ""}`);
    }
    return [...lines, ...(warnings || []), ...(notes || [])];
}

export class Levers {
    constructor(store) {
        this.store = store;
        this.dialog = byId("lever");
        this.title = byId("lever-title");
        this.text = byId("lever-text");
        this.steps = byId("lever-steps");
        this.go = byId("lever-go");
        this.button = byId("reclaim");
        this.button.addEventListener("click", () => this.ask());
        this.go.addEventListener("click", () => this.pull(false));
    }

    // Only with the token: without one the server would refuse.
    update(subject) {
        this.subject = subject;
        const isAllowed = this.store.about?.levers && this.store.source.token;
        setHidden(this.button, !isAllowed || !subject || subject.ended);
    }

    // The plan comes before the question. What is asked about stays the same, whatever is looked
    // at meanwhile.
    ask() {
        this.id = this.subject.id;
        setText(this.title, `Let the kernel take what ${this.subject.name} (pid ${
            this.subject.pid}) has lazily freed?`);
        setHidden(this.go, true);
        this.dialog.showModal();
        return this.pull(true);
    }

    async pull(isDryRun) {
        const { id } = this;
        setHidden(this.go, true);
        this.steps.replaceChildren();
        setText(this.text, isDryRun ? "looking at its pages …" : "reclaiming …");
        try {
            const report = await this.store.source.lever(id, "reclaim", isDryRun);
            // Closed, and asked about another meanwhile.
            if (id !== this.id) return;
            setText(this.text, describeReport(report));
            this.steps.replaceChildren(...listSteps(report).map((line) =>
                element("li", {}, line)));
            setHidden(this.go, report.outcome !== "planned");
        } catch (error) {
            setText(this.text, error.message);
        }
    }
}
