// SPDX-License-Identifier: Apache-2.0
// Events on the time axis: a lane of marks below the plot, and a line through it for the rare ones.
import { element, setHidden } from "./dom.js";
import { formatSpan, formatTime } from "./units.js";
import { color } from "./theme.js";

// What each kind looks like. Collections and purges come by the hundred: they are only ticks.
const LOOKS = {
    appeared: { title: "appeared", shape: "right" },
    ended: { title: "ended", shape: "square", hasLine: true },
    exec: { title: "became another program", shape: "right", hasLine: true },
    verdict: { title: "verdict", shape: "diamond", hasLine: true },
    gc: { title: "collections", shape: "tick" },
    purge: { title: "purges", shape: "tick" },
    lever: { title: "lever", shape: "up", hasLine: true },
    gap: { title: "no readings", shape: "square" },
    clock: { title: "the clock was set", shape: "square", hasLine: true },
    unreadable: { title: "unreadable", shape: "square" },
    alarm: { title: "alarm", shape: "up", hasLine: true, isBad: true },
};
const OTHER = { title: "", shape: "tick" };
const NEAR_PX = 7;
const TIP_LINES = 6;

function look(event) {
    return LOOKS[event.kind] || OTHER;
}

export function isRare(event) {
    return look(event).shape !== "tick";
}

// "verdict: lazy, not a leak. ...", "3 collections", "no readings for 2 min".
export function describeEvent(event) {
    const { kind, value, text } = event;
    if (kind === "gc" || kind === "purge") {
        const noun = kind === "gc" ? "collection" : "purge";
        return `${value} ${noun}${value === 1 ? "" : "s"}${text ? `: ${text}` : ""}`;
    }
    if (kind === "gap") return `no readings for ${formatSpan(value)}`;
    if (kind === "clock") {
        const way = value < 0 ? "back" : "forward";
        return `the clock was set ${way} by ${formatSpan(Math.abs(value))}`;
    }
    if (kind === "alarm") return `alarm ${value ? "began" : "ended"}${text ? `: ${text}` : ""}`;
    const title = look(event).title || kind;
    return text ? `${title}: ${text}` : title;
}

function traceShape(context, shape, x, y, size) {
    context.beginPath();
    if (shape === "diamond") {
        context.moveTo(x, y - size);
        context.lineTo(x + size, y);
        context.lineTo(x, y + size);
        context.lineTo(x - size, y);
    } else if (shape === "up") {
        context.moveTo(x, y - size);
        context.lineTo(x + size, y + size * 0.8);
        context.lineTo(x - size, y + size * 0.8);
    } else if (shape === "right") {
        context.moveTo(x - size * 0.7, y - size);
        context.lineTo(x + size, y);
        context.lineTo(x - size * 0.7, y + size);
    } else {
        context.rect(x - size * 0.75, y - size * 0.75, size * 1.5, size * 1.5);
    }
    context.closePath();
    context.fill();
}

// Draws the marks, and lines for those that have one. Ticks that fall on one pixel are drawn once.
export function paintMarks(context, events, geometry) {
    const { left, top, width, height, ratio } = geometry;
    const y = top + height + 8 * ratio;
    let lastTick = -Infinity;
    for (const event of events) {
        const x = geometry.x(event.time_ms);
        if (x < left - 8 || x > left + width + 8) continue;
        const { shape, hasLine, isBad } = look(event);
        context.fillStyle = color(isBad ? "bad" : shape === "tick" ? "text-faint" : "text-soft");
        if (shape === "tick") {
            if (x - lastTick < ratio) continue;
            lastTick = x;
            context.fillRect(Math.round(x), y - 3 * ratio, ratio, 6 * ratio);
            continue;
        }
        if (hasLine) paintLine(context, x, geometry, isBad);
        context.fillStyle = color(isBad ? "bad" : "text-soft");
        traceShape(context, shape, x, y, 4.5 * ratio);
    }
}

function paintLine(context, x, { top, height, ratio }, isBad) {
    context.strokeStyle = color(isBad ? "bad" : "event-line");
    context.lineWidth = ratio;
    context.setLineDash([2 * ratio, 3 * ratio]);
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, top);
    context.lineTo(Math.round(x) + 0.5, top + height);
    context.stroke();
    context.setLineDash([]);
}

// Collections that are one place on the screen are one line: what counts is how many.
function sumTicks(events) {
    const sums = new Map();
    const told = [];
    for (const event of events) {
        const sum = sums.get(event.kind);
        if (isRare(event)) told.push(event);
        else if (sum) sum.value += event.value;
        else sums.set(event.kind, { ...event, text: "" });
    }
    return told.concat([...sums.values()]);
}

// The text beside the cursor where there are events near it.
export class EventTip {
    constructor(root) {
        this.node = element("div", { class: "tip", hidden: "" });
        root.append(this.node);
    }

    show(events, time, perPixel, left, width) {
        const near = time === null ? []
            : events.filter((event) => Math.abs(event.time_ms - time) <= NEAR_PX * perPixel);
        setHidden(this.node, near.length === 0);
        if (!near.length) return;
        // Rare ones first: ticks may be many.
        near.sort((a, b) => isRare(b) - isRare(a) || a.time_ms - b.time_ms);
        const told = sumTicks(near);
        const lines = told.slice(0, TIP_LINES).map((event) => element("div", {},
            element("b", {}, formatTime(event.time_ms)), ` ${describeEvent(event)}`));
        if (told.length > TIP_LINES) lines.push(`and ${told.length - TIP_LINES} more`);
        this.node.replaceChildren(...lines);
        this.node.classList.toggle("flipped", left > width / 2);
        this.node.style.setProperty("--x", `${Math.round(left)}px`);
    }
}
