// SPDX-License-Identifier: Apache-2.0
// Server-sent events over fetch(): EventSource can send no Authorization header.

// Cuts text that comes in pieces into messages: {id, event, data}. The rules are those of the
// HTML standard, "Parsing an event stream".
export class MessageParser {
    constructor(onMessage) {
        this.onMessage = onMessage;
        this.rest = "";
        this.retryMs = null;
        this.clear();
    }

    clear() {
        this.data = [];
        this.event = "message";
    }

    push(text) {
        const lines = (this.rest + text).split(/\r\n|\n|\r/);
        this.rest = lines.pop();
        for (const line of lines) this.pushLine(line);
    }

    pushLine(line) {
        if (line === "") {
            if (this.data.length) {
                this.onMessage({ id: this.id, event: this.event, data: this.data.join("\n") });
            }
            this.clear();
            return;
        }
        const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
        if (name === "data") this.data.push(value);
        else if (name === "event") this.event = value;
        else if (name === "id") this.id = value;
        else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    }
}

// A line end may be cut in two between pieces: a lone CR at the end waits for what follows.
function holdBack(text) {
    return text.endsWith("\r") ? [text.slice(0, -1), "\r"] : [text, ""];
}

// Reads messages until the answer ends or `signal` is aborted; throws what fetch() throws, and an
// Error where the answer is none of events. `onBytes` hears of anything that comes.
export async function readMessages(response, onBytes, onMessage) {
    const kind = response.headers.get("content-type") || "";
    if (!response.ok || !kind.startsWith("text/event-stream")) {
        throw new Error(`no events: ${response.status}`);
    }
    const parser = new MessageParser(onMessage);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
        const { done, value } = await reader.read();
        onBytes();
        if (done) return parser;
        const [text, next] = holdBack(held + value);
        held = next;
        parser.push(text);
    }
}
