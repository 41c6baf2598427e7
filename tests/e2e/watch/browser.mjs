// SPDX-License-Identifier: Apache-2.0
// The distribution's Chromium, and a page in it that hears of every fault: errors, violations of
// the policy, requests to anywhere else.
import { createRequire } from "node:module";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-breakpad", "--disable-crash-reporter"];

// BROWSER: the executable; ASSETS: what scripts/browser-assets made.
export async function openBrowser(flags = []) {
    const require = createRequire(`${process.env.ASSETS}/`);
    const { chromium } = require("playwright-core");
    return chromium.launch({ executablePath: process.env.BROWSER, args: [...FLAGS, ...flags] });
}

// Each page has a profile of its own, so none knows the settings of another.
export async function openPage(browser, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 },
        acceptDownloads: true, ...options });
    const page = await context.newPage();
    const faults = [];
    const requests = [];
    page.on("pageerror", (error) => faults.push(error.stack || error.message));
    page.on("console", (message) => {
        // What the browser itself says of a server that is away is what a test is about.
        const isNetwork = /Failed to load resource|ERR_/.test(message.text());
        if (message.type() === "error" && !isNetwork) faults.push(message.text());
    });
    page.on("request", (request) => requests.push(request.url()));
    await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) =>
            console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    return { page, faults, requests };
}
