// SPDX-License-Identifier: Apache-2.0
// Measures the page's frames; see bench/page.
import { openBrowser, openPage } from "../tests/e2e/watch/browser.mjs";
import { endAll, startWatch } from "../tests/e2e/watch/servers.mjs";
import { waitUntil } from "../tests/e2e/watch/tap.mjs";

const ROUNDS = 3;
const [recording, frames] = [process.argv[2], Number(process.argv[3])];
const HUNDRED_THOUSAND = "#points=100000";

// In the page: turns the wheel once in each frame. Gives the times between frames, and what our own
// work took of each.
function turnWheel({ count, how }) {
    const over = document.querySelector(".u-over") || document.body;
    const box = over.getBoundingClientRect();
    const times = [];
    return new Promise((resolve) => {
        const step = (now) => {
            times.push(now);
            if (times.length > count) {
                resolve(times.slice(1).map((time, at) => time - times[at]));
                return;
            }
            const sign = Math.floor(times.length / 30) % 2 ? -1 : 1;
            over.dispatchEvent(new WheelEvent("wheel", {
                clientX: box.left + box.width / 2, bubbles: true, cancelable: true,
                deltaX: how === "pan" ? 15 * sign : 0,
                deltaY: how === "zoom" ? 12 * sign : 0, ctrlKey: how === "zoom",
            }));
            requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
    });
}

function describe(name, intervals) {
    const sorted = intervals.toSorted((a, b) => a - b);
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const rate = 1000 / (sorted.reduce((sum, one) => sum + one, 0) / sorted.length);
    console.log(`${name.padEnd(30)} ${rate.toFixed(1).padStart(6)} frames/s   median ` +
        `${at(0.5).toFixed(1)} ms   p95 ${at(0.95).toFixed(1)} ms   worst ${at(1).toFixed(1)} ms`);
}

async function firstPicture(browser, url) {
    const { page } = await openPage(browser);
    await page.goto(url);
    const drawn = () => page.evaluate(() =>
        performance.getEntriesByName("ebb:drawn")[0]?.startTime ?? null);
    await waitUntil(async () => await drawn() !== null, 60);
    const time = await drawn();
    const heap = await page.evaluate(() => performance.memory?.usedJSHeapSize ?? NaN);
    return { page, time, heap };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function main() {
    const { url } = await startWatch("--port", "0", recording);
    const browser = await openBrowser(["--enable-precise-memory-info"]);
    for (const [name, hash] of [["overview", ""], ["100,000 points", HUNDRED_THOUSAND]]) {
        const times = [];
        for (let round = 0; round < ROUNDS; round++) {
            const { page, time } = await firstPicture(browser, url + hash);
            times.push(time);
            await page.context().close();
        }
        console.log(`first picture, ${name.padEnd(15)} ${median(times).toFixed(0)} ms`);
    }
    const { page, heap } = await firstPicture(browser, url + HUNDRED_THOUSAND);
    const { page: empty } = await openPage(browser);
    console.log(`JavaScript heap with 100,000 points ${(heap / 2 ** 20).toFixed(0)} MiB`);
    // In turn, so that whatever else the machine does meets all of them.
    const results = { empty: [], pan: [], zoom: [] };
    for (let round = 0; round < ROUNDS; round++) {
        for (const how of Object.keys(results)) {
            const where = how === "empty" ? empty : page;
            await where.bringToFront();
            if (how !== "empty") await page.keyboard.press("6");
            results[how].push(...await where.evaluate(turnWheel, { count: frames, how }));
        }
    }
    describe("an empty page", results.empty);
    describe("100,000 points, panning", results.pan);
    describe("100,000 points, zooming", results.zoom);
    await browser.close();
}

main().catch((error) => console.error(error.stack)).finally(() => {
    endAll();
    process.exit();
});
