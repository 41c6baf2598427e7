// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system says, or as the user chose. Colours stand in style.css alone; what
// is drawn on a canvas reads them from there.
import { recall, remember } from "./dom.js";
import { solidInk } from "./raster.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
// With colours of the system's all but the canvases have them, so these go with the system too.
const forced = matchMedia("(forced-colors: active)");
const contrast = matchMedia("(prefers-contrast: more)");
let listeners = [];
const cache = new Map();

// Called after every change of the colours. Returns what ends it.
export function listenTheme(listener) {
    listeners.push(listener);
    return () => (listeners = listeners.filter((one) => one !== listener));
}

// The same as what a raster writes.
export function ink(name) {
    const key = `${name} as ink`;
    if (!cache.has(key)) cache.set(key, solidInk(color(name)));
    return cache.get(key);
}

// The value of the custom property --NAME.
export function color(name) {
    if (!cache.has(name)) {
        const style = getComputedStyle(document.documentElement);
        cache.set(name, style.getPropertyValue(`--${name}`).trim());
    }
    return cache.get(name);
}

// style.css has the colours of both under this attribute.
function apply(chosen) {
    const system = dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = forced.matches ? system : chosen || system;
    cache.clear();
}

function announce() {
    apply(recall("theme"));
    for (const listener of listeners) listener();
}

export function toggleTheme() {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remember("theme", next);
    apply(next);
    for (const listener of listeners) listener();
}

export function startTheme() {
    apply(recall("theme"));
    for (const wish of [dark, forced, contrast]) wish.addEventListener("change", announce);
}
