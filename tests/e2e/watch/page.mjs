// SPDX-License-Identifier: Apache-2.0
// The page of ebb watch in a real browser: it loads, streams, zooms, survives what happens to it,
// and can be read. Run by ../watch-page.t.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { openBrowser, openPage } from "./browser.mjs";
import { findFaint } from "./contrast.mjs";
import { end, startTarget, startWatch } from "./servers.mjs";
import { done, report, waitUntil } from "./tap.mjs";

const { BUILD, EBB, TMPDIR } = process.env;
const HOSTILE = "<b id=x>&amp;"; // as long as a comm may be
const text = (page, selector) => page.locator(selector).first().textContent();
const isState = (page, state) => page.locator(`#status[data-state=${state}]`).isVisible();

// Pixels of the account's plot that differ from its corner: is anything drawn?
function countPainted() {
    const canvas = document.querySelector(".plot canvas:not(.swatch)");
    if (!canvas) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let painted = 0;
    for (let at = 4; at < data.length; at += 4) painted += data[at + 3] > 0 ? 1 : 0;
    return painted;
}

async function loads({ page }, url) {
    await page.goto(url);
    report(await waitUntil(() => isState(page, "live")), "the page loads and is live",
        await text(page, "#status"));
    const drawn = () => page.evaluate(countPainted);
    report(await waitUntil(async () => await drawn() > 20000), "the account is drawn",
        `${await drawn()} pixels`);
    const readout = await text(page, ".readout");
    report(await waitUntil(async () => await text(page, ".readout") !== readout),
        "it streams: newer samples come", readout);
    report(await waitUntil(async () => await text(page, ".rows tbody tr:last-child td") !== "0 B"),
        "an account comes, and the table has its rows");
    report(await waitUntil(async () => /\d/.test(await text(page, ".verdict .word"))
        || (await text(page, ".verdict .word")).length > 3), "the verdict is in words");
}

async function isHostileNameText({ page }) {
    const names = await page.locator("#processes .name").allTextContents();
    report(names.includes(HOSTILE), "a name that is markup is shown as it is", names.join(" | "));
    report(await page.locator("#x").count() === 0, "and makes no element");
}

async function obeysKeys({ page }) {
    const press = (key) => page.keyboard.press(key);
    await press("?");
    const opened = await page.locator("#help").isVisible();
    await press("Escape");
    report(opened && !await page.locator("#help").isVisible(), "? opens the help, Esc closes it");
    await press("6");
    const all = page.locator('#ranges button[aria-pressed=true]:text-is("all")');
    report(await waitUntil(() => all.isVisible()), "6 shows all of the time");
    await press(" ");
    report(await waitUntil(() => isState(page, "paused")), "space pauses");
    const span = await text(page, "#span");
    await page.waitForTimeout(400);
    report(await text(page, "#span") === span, "a window that is paused stands still");
    await press("n");
    report(await waitUntil(() => isState(page, "live")), "n follows again");
    const theme = () => page.locator("html").getAttribute("data-theme");
    const before = await theme();
    await press("t");
    report(await theme() !== before, "t changes dark and light");
    await press("t");
}

async function compares({ page }) {
    await page.keyboard.press("c");
    report(await waitUntil(async () => await page.locator(".pane").count() === 2),
        "c compares two processes");
    const boxes = await page.locator(".pane .u-over").all();
    const box = await boxes[0].boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + 50);
    const cursors = () => page.locator(".pane .u-cursor-x:not(.u-off)").evaluateAll((nodes) =>
        nodes.map((node) => node.style.transform));
    const areAlike = async () => new Set(await cursors()).size === 1;
    report(boxes.length === 4 && await waitUntil(areAlike), "one cursor for all charts",
        (await cursors()).join());
    report((await page.locator(".rows thead th").allTextContents())[3] === "B − A",
        "the table has both, and their difference");
    await page.keyboard.press("c");
    report(await waitUntil(async () => await page.locator(".pane").count() === 1),
        "c again: one process");
}

async function zooms(browser, url) {
    const opened = await openPage(browser);
    const { page, requests, faults } = opened;
    await page.goto(url);
    await waitUntil(async () => await page.evaluate(countPainted) > 20000);
    await page.keyboard.press("6");
    await waitUntil(async () => (await text(page, "#span")).includes("Nov"));
    const span = () => text(page, "#span");
    const before = await span();
    const box = await page.locator(".u-over").first().boundingBox();
    const drag = async (from, to) => {
        await page.mouse.move(box.x + from * box.width, box.y + 80);
        await page.mouse.down();
        await page.mouse.move(box.x + (from + to) / 2 * box.width, box.y + 80);
        await page.mouse.move(box.x + to * box.width, box.y + 80);
        await page.mouse.up();
    };
    await drag(0.4, 0.45);
    report(await waitUntil(async () => await span() !== before), "dragging zooms", before);
    const isFiner = (one) => /api\/series.*from=\d+/.test(one);
    report(await waitUntil(() => requests.some(isFiner)), "a zoom asks for finer points",
        requests.join("\n"));
    const zoomed = await span();
    await page.keyboard.down("Shift");
    await drag(0.7, 0.3);
    await page.keyboard.up("Shift");
    report(await waitUntil(async () => await span() !== zoomed), "shift and drag pans", zoomed);
    await page.keyboard.press("0");
    report(await waitUntil(async () => await span() === before), "0 goes back", await span());
    report(faults.length === 0, "a recording of 100,000 samples makes no errors",
        faults.join("\n"));
    await page.context().close();
}

async function saves({ page }) {
    const file = async (selector) => {
        const [download] = await Promise.all([page.waitForEvent("download"),
            page.click(selector)]);
        return readFileSync(await download.path());
    };
    const png = await file("#png");
    report(png.subarray(1, 4).toString() === "PNG" && png.length > 5000, "the picture is a PNG",
        png.length);
    const csv = (await file("#csv")).toString();
    report(/^"?time_ms.*rss_bytes.*\r?\n\d{13},/.test(csv) || /time/.test(csv.split("\n")[0]),
        "the data is CSV", csv.slice(0, 200));
}

async function canBeRead({ page }) {
    for (const theme of ["light", "dark"]) {
        if (await page.locator("html").getAttribute("data-theme") !== theme) {
            await page.keyboard.press("t");
        }
        const faint = await page.evaluate(findFaint, 4.5);
        report(faint.length === 0, `${theme}: all text has a contrast of 4.5`, faint.join("\n"));
    }
    await page.setViewportSize({ width: 360, height: 740 });
    await page.waitForTimeout(200);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    report(width <= 360, "a phone of 360 pixels needs no scrolling sideways", width);
    await page.setViewportSize({ width: 1440, height: 900 });
}

async function survives({ page }, watch, targets) {
    await page.keyboard.press("6");
    await page.waitForTimeout(200);
    const first = (await text(page, "#span")).slice(0, 15);
    const port = new URL(watch.url).port;
    await end(watch.child);
    report(await waitUntil(() => isState(page, "gone")), "a server that is gone is told",
        await text(page, "#status"));
    const pids = targets.map((child) => String(child.pid));
    const again = await startWatch("--port", port, "--interval", "100ms", ...pids);
    report(await waitUntil(() => isState(page, "live")), "a server that comes back is found",
        await text(page, "#status"));
    report((await text(page, "#span")).slice(0, 15) === first,
        "what was seen before is still there", `${first} ${await text(page, "#span")}`);
    for (const child of targets) await end(child);
    report(await waitUntil(() => isState(page, "ended")), "the end of the target is told",
        await text(page, "#status"));
    report(await page.evaluate(countPainted) > 20000, "its charts stay");
    await end(again.child);
}

async function asksForToken(browser, pid) {
    const watch = await startWatch("--port", "0", "--token", "auto", pid);
    const { page } = await openPage(browser);
    await page.goto(watch.url.replace(/#.*/, ""));
    report(await waitUntil(() => isState(page, "denied")), "without the token nothing is shown",
        await text(page, "#status"));
    await page.goto("about:blank");
    await page.goto(watch.url);
    report(await waitUntil(() => isState(page, "live")), "with the token it is live",
        await text(page, "#status"));
    await page.context().close();
    await end(watch.child);
}

// The page as one file: no server, and no request at all.
async function standsAlone(browser, recording) {
    const file = `${TMPDIR}/report.html`;
    execFileSync(EBB, ["report", "--format=html", "-o", file, recording]);
    const { page, faults, requests } = await openPage(browser);
    await page.goto(pathToFileURL(file).href);
    const drawn = () => page.evaluate(countPainted);
    report(await waitUntil(async () => await drawn() > 20000),
        "a report as a page draws its recording", faults.join("\n"));
    const foreign = requests.filter((one) => !/^(file|blob):/.test(one));
    report(faults.length === 0 && foreign.length === 0, "without errors, and asking nobody",
        [...faults, ...foreign].join("\n"));
    await page.context().close();
}

async function main() {
    const targets = [await startTarget(TMPDIR, HOSTILE), await startTarget(TMPDIR, "waves")];
    const pids = targets.map((child) => String(child.pid));
    const watch = await startWatch("--port", "0", "--interval", "100ms", ...pids);
    const record = (name, samples) => {
        execFileSync(`${BUILD}/tests/programs/test_recording`, [`${TMPDIR}/${name}`, "1", samples]);
        return `${TMPDIR}/${name}`;
    };
    const browser = await openBrowser();
    const opened = await openPage(browser);
    await loads(opened, watch.url);
    await isHostileNameText(opened);
    await obeysKeys(opened);
    await compares(opened);
    await saves(opened);
    await canBeRead(opened);
    await asksForToken(browser, pids[1]);
    await survives(opened, watch, targets);
    const origin = new URL(watch.url).origin;
    const foreign = opened.requests.filter((one) => !one.startsWith(origin)
        && !one.startsWith(`blob:${origin}`));
    report(foreign.length === 0, "no request leaves the origin", foreign.join("\n"));
    report(opened.faults.length === 0, "no errors, and the policy is kept",
        opened.faults.join("\n"));
    const file = await startWatch("--port", "0", record("long.ebb", "100000"));
    await zooms(browser, file.url);
    await standsAlone(browser, record("short.ebb", "5000"));
    await end(file.child);
    await browser.close();
    done();
}

main().then(() => process.exit(0), (error) => {
    report(false, "the test itself", error.stack);
    process.exit(1);
});
