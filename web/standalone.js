// SPDX-License-Identifier: Apache-2.0
// Links the modules that stand in a page of `ebb report --format html`, and starts the page. A
// browser imports modules by their address: each becomes a blob, with the blobs of those that it
// imports in their place.
const made = new Map();

function addressOf(name) {
    if (!made.has(name)) {
        const { textContent } = document.querySelector(`script[data-module="${name}"]`);
        const linked = textContent.replace(/from "\.\/([a-z_]+\.js)"/g,
            (_, imported) => `from "${addressOf(imported)}"`);
        made.set(name, URL.createObjectURL(new Blob([linked], { type: "text/javascript" })));
    }
    return made.get(name);
}

await import(addressOf("app.js"));
