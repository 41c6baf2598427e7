// SPDX-License-Identifier: Apache-2.0
// The page of ebb watch in a real browser: it loads, streams, zooms, survives what happens to it,
// and can be read. Run by ../watch-page.t.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { openBrowser, openPage } from "./browser.mjs";
import { findFaint } from "./contrast.mjs";
import { end, HOLDS, startTarget, startWatch } from "./servers.mjs";
import { done, report, skip, waitUntil } from "./tap.mjs";

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

// Pixels of the plot in the colour of the marks of peaks that no reading saw.
function countPeaks() {
    const style = getComputedStyle(document.documentElement);
    const [, ...wanted] = /#(..)(..)(..)/.exec(style.getPropertyValue("--peak"));
    const canvas = document.querySelector(".plot canvas:not(.swatch)");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
        found += wanted.every((hex, i) => data[at + i] === parseInt(hex, 16)) ? 1 : 0;
    }
    return found;
}

async function marksPeaks(page) {
    for (const theme of ["light", "dark"]) {
        const found = () => page.evaluate(countPeaks);
        report(await waitUntil(async () => await found() > 50),
            `peaks that no reading saw are marked, ${theme}`, `${await found()} pixels`);
        await page.keyboard.press("t");
    }
    report(await page.locator(".rows tr.peak").isVisible(), "and the legend has their mark");
}

async function zooms(browser, url) {
    const opened = await openPage(browser);
    const { page, requests, faults } = opened;
    await page.goto(url);
    await waitUntil(async () => await page.evaluate(countPainted) > 20000);
    await page.keyboard.press("6");
    await waitUntil(async () => (await text(page, "#span")).includes("Nov"));
    await marksPeaks(page);
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
    report(faults.length === 0, "a long recording makes no errors",
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
    await page.locator("#pick summary").click();
    const form = await page.locator("#between").boundingBox();
    await page.keyboard.press("Escape");
    await page.locator("#help-open").click();
    const help = await page.locator("#help")
        .evaluate((node) => node.scrollWidth - node.clientWidth);
    await page.keyboard.press("Escape");
    report(form.x >= 0 && form.x + form.width <= 360 && help === 0
        && !await page.locator("#between").isVisible(), "nor does what it opens",
    `${form.x} ${form.width} ${help}`);
    // The bar has one line or two: what stays below it begins where all else does.
    for (const width of [800, 1250, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        const tops = () => page.evaluate(() => ["#processes", "#panes"].map((selector) =>
            document.querySelector(selector).getBoundingClientRect().top));
        report(await waitUntil(async () => new Set(await tops()).size === 1),
            `the list and the charts begin at one height, ${width} pixels wide`,
            (await tops()).join());
    }
}

// With colours of the system's, backgrounds of the page's own are gone, and states with them.
async function hasSystemColors({ page }) {
    await page.emulateMedia({ forcedColors: "active" });
    const colors = (selector) => page.locator(selector).first()
        .evaluate((node) => getComputedStyle(node).backgroundColor);
    const pairs = await Promise.all(["#ranges button[aria-pressed=true]",
        "#ranges button[aria-pressed=false]", ".choose[aria-current=true]",
        ".choose[aria-current=false]"].map(colors));
    report(pairs[0] !== pairs[1] && pairs[2] !== pairs[3],
        "with the system's colours it is seen what is chosen", pairs.join());
    await page.emulateMedia({ forcedColors: "none" });
}

// While somebody aims at one of them: processes whose sizes pass each other all the time.
async function standsStill({ page }) {
    await page.mouse.move(700, 500);
    await page.evaluate(() => {
        globalThis.moves = 0;
        new MutationObserver((records) => (globalThis.moves += records.length))
            .observe(document.querySelector("#processes ul"), { childList: true });
    });
    const moves = () => page.evaluate(() => globalThis.moves);
    const hasMoved = await waitUntil(async () => await moves() > 0);
    await page.locator("#processes li").first().hover();
    const before = await moves();
    await page.waitForTimeout(1500);
    report(hasMoved && await moves() === before, "a list that is pointed at does not move",
        `${hasMoved} ${before} ${await moves()}`);
    await page.mouse.move(700, 500);
}

// A tab that nobody looks at lets go of its stream, and knows all when it is looked at again.
async function hides({ page }) {
    const show = (isHidden) => page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
    await show(true);
    await page.waitForTimeout(200);
    const readout = await text(page, ".readout");
    await page.waitForTimeout(600);
    const isStill = await text(page, ".readout") === readout;
    await show(false);
    report(isStill && await waitUntil(async () => await text(page, ".readout") !== readout)
        && await isState(page, "live"), "a tab that was hidden goes on", readout);
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
    report(/\d/.test(await text(page, ".sizes dd"))
        && /MiB/.test(await text(page, ".choose .number")), "and so do its figures",
    await text(page, ".verdict"));
    await end(again.child);
}

function rssMib(pid) {
    return Number(readFileSync(`/proc/${pid}/statm`, "ascii").split(" ")[1]) / 256;
}

// What a page of another origin can send without being asked: none of it may reach the lever.
function attack(url) {
    const wish = JSON.stringify({ subject: 1, lever: "reclaim" });
    const send = (options) => fetch(`${url}api/lever`, { method: "POST", body: wish, ...options })
        .then((answer) => `${answer.type} ${answer.status}`, (error) => error.name);
    const form = Object.assign(document.createElement("form"), { method: "POST",
        action: `${url}api/lever`, enctype: "text/plain", target: "attack" });
    form.append(Object.assign(document.createElement("input"), { name: wish }));
    document.body.append(form);
    form.submit();
    navigator.sendBeacon(`${url}api/lever`, wish);
    return Promise.all([send({ mode: "no-cors" }), send({}), send({ headers: {
        "Content-Type": "application/json", Authorization: "Bearer 0123456789abcdef" } })]);
}

// A page of another origin, without a policy that would keep it from anything.
async function openForeign(browser) {
    const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html")
        .end("<!doctype html><title>foreign</title>"));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { page } = await openPage(browser);
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    return { page, close: () => page.context().close().then(() => server.close()) };
}

// The one thing that a page can change: asked with its plan, done, told and marked.
async function reclaims(browser) {
    const target = await startTarget(TMPDIR, "holder", HOLDS);
    const { pid } = target;
    const plan = JSON.parse(execFileSync(EBB, ["reclaim", "--dry-run", "--json", String(pid)],
        { stdio: ["ignore", "pipe", "ignore"] }));
    if (plan.outcome !== "planned") return skip("a reclaim from the page", plan.refusal);
    const watch = await startWatch("--port", "0", "--interval", "100ms", "--allow-levers",
        String(pid));
    const origin = watch.url.replace(/#.*/, "");
    const { page, faults } = await openPage(browser);
    await page.goto(origin);
    await waitUntil(() => isState(page, "denied"));
    report(await isState(page, "denied") && !await page.locator("#reclaim").isVisible(),
        "without the token nothing is shown, and nothing can be done", await text(page, "#status"));
    const foreign = await openForeign(browser);
    const answers = await foreign.page.evaluate(attack, origin);
    await foreign.close();
    const own = await page.evaluate(() => fetch("api/lever", { method: "POST",
        body: '{"subject":1,"lever":"reclaim"}' }).then((answer) => answer.status));
    report(own === 401 && rssMib(pid) > 60 && !answers.some((one) => /200/.test(one)),
        "nor can a page of another origin", `${own} ${rssMib(pid)} ${answers}`);
    // As one who writes it behind the address: to a browser that is the same page.
    await page.goto(watch.url);
    report(await waitUntil(() => isState(page, "live")), "with the token it is live",
        await text(page, "#status"));
    await page.locator("#reclaim").click();
    const words = async () => `${await text(page, "#lever-text")} ${await text(page,
        "#lever-steps")}`;
    report(await waitUntil(() => page.locator("#lever-go").isVisible())
        && /holder/.test(await text(page, "#lever-title")) && rssMib(pid) > 60,
    "a reclaim is asked about with its plan, and nothing done yet", await words());
    // Keys of the page do nothing behind it, and Esc is the dialog's.
    await page.keyboard.press("?");
    await page.keyboard.press("Escape");
    const isOpen = await page.locator("dialog[open]").count();
    await page.locator("#reclaim").click();
    report(isOpen === 0 && await waitUntil(() => page.locator("#lever-go").isVisible()),
        "Esc takes the question back", isOpen);
    await page.locator("#lever-go").click();
    report(await waitUntil(async () => /done: RSS .* → /.test(await text(page, "#lever-text"))),
        "then it is done, and told in words", await words());
    report(rssMib(pid) < 45 && target.exitCode === null, "memory is back, and none harmed",
        rssMib(pid));
    await page.keyboard.press("Escape");
    const events = page.locator("#details .events");
    report(await waitUntil(async () => /lever: reclaim: done/.test(await events.textContent())),
        "and it is an event on the chart", await events.textContent());
    report(faults.filter((one) => !/401/.test(one)).length === 0, "without errors",
        faults.join("\n"));
    await page.context().close();
    await end(watch.child);
    await end(target);
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
    const foreign = requests.filter((one) => !/^(file|blob|data):/.test(one));
    report(faults.length === 0 && foreign.length === 0, "without errors, and asking nobody",
        [...faults, ...foreign].join("\n"));
    await page.context().close();
}

async function livesOn(browser) {
    const targets = [await startTarget(TMPDIR, HOSTILE), await startTarget(TMPDIR, "waves")];
    const pids = targets.map((child) => String(child.pid));
    const watch = await startWatch("--port", "0", "--interval", "100ms", ...pids);
    const opened = await openPage(browser);
    await loads(opened, watch.url);
    await isHostileNameText(opened);
    await obeysKeys(opened);
    await compares(opened);
    await standsStill(opened);
    await saves(opened);
    await canBeRead(opened);
    await hasSystemColors(opened);
    await hides(opened);
    await survives(opened, watch, targets);
    const origin = new URL(watch.url).origin;
    const foreign = opened.requests.filter((one) => !one.startsWith(origin)
        && !one.startsWith(`blob:${origin}`) && !one.startsWith("data:image/png"));
    report(foreign.length === 0, "no request leaves the origin", foreign.join("\n"));
    report(opened.faults.length === 0, "no errors, and the policy is kept",
        opened.faults.join("\n"));
}

function record(name, samples) {
    execFileSync(`${BUILD}/tests/programs/test_recording`, [`${TMPDIR}/${name}`, "1", samples]);
    return `${TMPDIR}/${name}`;
}

async function tellsNothing(browser) {
    const { child, url } = await startWatch("--port", "0", record("empty.ebb", "0"));
    const { page, faults } = await openPage(browser);
    await page.goto(url);
    report(await waitUntil(async () => /nothing/.test(await text(page, "#panes")))
        && !/19\d\d|Jan/.test(await text(page, "#span")) && !faults.length,
    "an empty recording is told to be one", await text(page, "#span"));
    await page.context().close();
    await end(child);
}

async function showsFiles(browser) {
    const recording = record("long.ebb", "20000");
    const { child, url } = await startWatch("--port", "0", recording);
    await zooms(browser, url);
    await standsAlone(browser, recording);
    await end(child);
}

// Side by side: most of the time each of them waits for something to come.
async function main() {
    const browser = await openBrowser();
    await Promise.all([livesOn(browser), showsFiles(browser), reclaims(browser),
        tellsNothing(browser)]);
    await browser.close();
    done();
}

main().then(() => process.exit(0), (error) => {
    report(false, "the test itself", error.stack);
    process.exit(1);
});
