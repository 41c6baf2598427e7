// SPDX-License-Identifier: Apache-2.0
// Contrast of all text that a page shows, as WCAG 2.2 (1.4.3) computes it. Runs in the page.
export function findFaint(least) {
    const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
        return { r, g, b, a };
    };
    const over = (top, below) => ({
        r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
        b: top.b * top.a + below.b * (1 - top.a), a: 1,
    });
    const luminance = ({ r, g, b }) => {
        const [x, y, z] = [r, g, b].map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const backgroundOf = (node) => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) {
            layers.push(parse(getComputedStyle(at).backgroundColor));
        }
        return layers.reverse().reduce((below, layer) => over(layer, below),
            { r: 255, g: 255, b: 255, a: 1 });
    };
    const faint = [];
    for (const node of document.querySelectorAll("body *")) {
        const texts = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE);
        const text = texts.map((child) => child.data.trim()).join("");
        // What cannot be used need not be read (1.4.3, "incidental"), and svg has no text here.
        if (!text || !node.checkVisibility({ checkOpacity: true }) || node.disabled) continue;
        const background = backgroundOf(node);
        const ink = over(parse(getComputedStyle(node).color), background);
        const [high, low] = [luminance(ink), luminance(background)].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < least) faint.push(`${ratio.toFixed(2)} ${node.tagName} "${text.slice(0, 40)}"`);
    }
    return faint;
}
