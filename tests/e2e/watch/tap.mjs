// SPDX-License-Identifier: Apache-2.0
// TAP for the tests in JavaScript: one line per check, the plan at the end. As ../tap.py.
const SHOWN_LINES = 20;
let count = 0;

export function report(good, name, detail = "") {
    console.log(`${good ? "ok" : "not ok"} ${++count} - ${name}`);
    if (good) return;
    for (const line of String(detail).split("\n").slice(-SHOWN_LINES)) console.log(`# ${line}`);
}

export function skip(name, why) {
    console.log(`ok ${++count} - ${name} # SKIP ${why}`);
}

export function done() {
    console.log(`1..${count}`);
}

// True as soon as it holds; false after that long. Nothing is measured by it.
export async function waitUntil(isTrue, seconds = 15) {
    const end = Date.now() + 1000 * seconds;
    while (Date.now() < end) {
        if (await isTrue()) return true;
        await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return Boolean(await isTrue());
}
