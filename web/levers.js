// SPDX-License-Identifier: Apache-2.0
// The levers, where the server was started to allow them: a button, a question, and the answer.
import { byId, element, setHidden, setText } from "./dom.js";
import { formatBytes } from "./units.js";

// The lever's own report: docs/json.md has its fields.
function describeReport({ outcome, refusal, needs, before, after }) {
    if (refusal) return [refusal, needs].filter(Boolean).join(". ");
    if (!before || !after) return `${outcome}.`;
    return `${outcome}: RSS ${formatBytes(before.rss_bytes)} → ${formatBytes(after.rss_bytes)}.`;
}

export class Levers {
    constructor(store) {
        this.store = store;
        this.dialog = byId("lever");
        this.text = byId("lever-text");
        this.button = byId("reclaim");
        this.button.addEventListener("click", () => this.ask());
        byId("lever-go").addEventListener("click", () => this.pull());
    }

    // Only with the token: without one the server would refuse.
    update(subject) {
        this.subject = subject;
        const isAllowed = this.store.about?.levers && this.store.source.token;
        setHidden(this.button, !isAllowed || !subject || subject.ended);
    }

    ask() {
        this.id = this.subject.id;
        this.text.replaceChildren("Let the kernel take what ", element("b", {}, this.subject.name),
            ` (pid ${this.subject.pid}) has lazily freed? Nothing that it holds is lost.`);
        setHidden(byId("lever-go"), false);
        this.dialog.showModal();
    }

    async pull() {
        setHidden(byId("lever-go"), true);
        setText(this.text, "reclaiming …");
        try {
            const report = await this.store.source.lever(this.id, "reclaim");
            setText(this.text, describeReport(report));
        } catch (error) {
            setText(this.text, error.message);
        }
    }
}
