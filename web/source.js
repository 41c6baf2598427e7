// SPDX-License-Identifier: Apache-2.0
// Where the data comes from: the server, or a recording that stands in the page itself. Both have
// the same five questions, so nothing else asks which one it is.
import { InlinedSource } from "./source_inlined.js";
import { LiveSource } from "./source_live.js";

export function openSource() {
    const recording = document.getElementById("recording");
    return recording ? new InlinedSource(JSON.parse(recording.textContent)) : new LiveSource();
}
