// SPDX-License-Identifier: Apache-2.0
// Takes pictures of the page; see scripts/page-pictures.
import { openBrowser, openPage } from "./browser.mjs";
import { endAll, startProgram, startWatch } from "./servers.mjs";

const [scratch, out] = process.argv.slice(2);
const WATCHED_MS = Number(process.env.SECONDS_WATCHED || 100) * 1000; // between two waves
const HEIGHT_MIB = "400";
const WAVE_SECONDS = "22";
const TROUGH_MS = 13500; // from a wave's begin: what is told first stands

// Where the picture was taken is nobody's business: stands still, and leaves the host out.
function settle() {
    window.requestAnimationFrame = () => 0;
    document.getElementById("host").hidden = true; // it is of no use to a reader
    for (const node of document.querySelectorAll(".verdict .about")) {
        node.textContent = node.textContent.split(" · ").slice(0, 2).join(" · ");
    }
}

async function take(browser, url, name, { keys = [], point = null, ...options }) {
    const { page } = await openPage(browser, options);
    await page.goto(url);
    await page.waitForFunction(() => performance.getEntriesByName("ebb:drawn").length > 0);
    for (const key of keys) {
        await page.keyboard.press(key);
        await page.waitForTimeout(700);
    }
    if (point) {
        const box = await page.locator(".u-over").first().boundingBox();
        await page.mouse.move(box.x + point * box.width, box.y + 60);
    }
    // The trough after a wave: what the story is about.
    await page.locator(".verdict[data-verdict=lazy]").first().waitFor({ timeout: 60000 })
        .catch(() => console.error(`${name}: no verdict of lazy came`));
    await page.waitForTimeout(1500);
    await page.evaluate(settle);
    await page.screenshot({ path: `${out}/${name}.png` });
    await page.context().close();
}

async function main() {
    const arguments_ = [HEIGHT_MIB, WAVE_SECONDS];
    const start = (name, knob) => startProgram(`${scratch}/${name}`, arguments_,
        { GODEBUG: `madvdontneed=${knob}` });
    const [lazy, atOnce] = await Promise.all([start("api", 0), start("api-at-once", 1)]);
    await new Promise((resolve) => setTimeout(resolve, TROUGH_MS));
    const one = await startWatch("--port", "0", "--interval", "250ms", String(lazy.pid));
    const both = await startWatch("--port", "0", "--interval", "250ms", String(lazy.pid),
        String(atOnce.pid));
    await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
    const browser = await openBrowser();
    const size = (width, height) => ({ viewport: { width, height } });
    await take(browser, one.url, "watch", { ...size(1360, 880), keys: ["6"], point: 0.62 });
    await take(browser, both.url, "watch-compare",
        { ...size(1500, 900), colorScheme: "dark", keys: ["6", "c"], point: 0.55 });
    await take(browser, one.url, "watch-phone", { ...size(360, 760), keys: ["6"],
        isMobile: true, hasTouch: true });
    await browser.close();
}

main().catch((error) => console.error(error.stack)).finally(() => {
    endAll();
    process.exit();
});
