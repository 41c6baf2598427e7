// SPDX-License-Identifier: Apache-2.0
// Elements without markup: every text goes in as text, so that no name of a process can be more.

// A child that is a string becomes a text node. `on` attributes are functions; style attributes
// are not possible here, since the page's policy forbids them.
export function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") made.addEventListener(name, value);
        else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
}

export function byId(id) {
    return document.getElementById(id);
}

// Writes only what changed: a screen reader hears a live region each time that it is written.
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
    if (node.hidden !== hidden) node.hidden = hidden;
}

export function setPressed(button, pressed) {
    button.setAttribute("aria-pressed", pressed ? "true" : "false");
}

// A file for the user: no server is asked, and the address is let go when it has been used.
export function saveFile(blob, name) {
    const address = URL.createObjectURL(blob);
    const link = element("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// The name of a process as part of a file's name.
export function fileName(subject, extension) {
    const name = `${subject.name}-${subject.pid}`.replace(/[^\w.-]+/g, "_");
    return `ebb-${name}.${extension}`;
}

// Settings of this browser. A page opened as a file may have no storage: then they are forgotten.
export function remember(key, value) {
    try {
        localStorage.setItem(`ebb.${key}`, value);
    } catch {
        return false;
    }
    return true;
}

export function recall(key) {
    try {
        return localStorage.getItem(`ebb.${key}`);
    } catch {
        return null;
    }
}
