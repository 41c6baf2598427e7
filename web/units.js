// SPDX-License-Identifier: Apache-2.0
// Sizes, shares and times as people read them; sizes exactly as `ebb explain` prints them.
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const NOTHING = "–";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// Unknown figures are null in what the server sends, and NaN in columns of numbers.
export function isKnown(value) {
    return value !== null && value !== undefined && !Number.isNaN(value);
}

// "2.57 GiB", "412 MiB", "8.00 KiB", "17 B": three digits.
export function formatBytes(bytes) {
    if (!isKnown(bytes)) return NOTHING;
    let value = Math.abs(bytes);
    let unit = 0;
    // 999.5 would be printed with four digits, so the next unit begins there.
    while (value >= 999.5 && unit + 1 < UNITS.length) {
        value /= 1024;
        unit++;
    }
    const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function formatChange(bytes) {
    if (!isKnown(bytes)) return NOTHING;
    return bytes < 0 ? formatBytes(bytes) : `+${formatBytes(bytes)}`;
}

// For axes, whose marks are round numbers: no digits that say nothing.
export function formatMark(bytes) {
    let value = bytes;
    let unit = 0;
    while (value >= 1024 && unit + 1 < UNITS.length) {
        value /= 1024;
        unit++;
    }
    return bytes === 0 ? "0" : `${Number(value.toFixed(3))} ${UNITS[unit]}`;
}

export function formatPercent(part, whole) {
    if (!isKnown(part) || !whole) return NOTHING;
    const percent = (100 * part) / whole;
    return `${percent.toFixed(percent > 0 && percent < 9.95 ? 1 : 0)} %`;
}

// "3 d 4 h", "5 min 2 s", "12 s".
export function formatSpan(ms) {
    const s = Math.max(0, Math.round(ms / SECOND));
    if (s < 60) return ms < 9950 && ms % SECOND ? `${(ms / SECOND).toFixed(1)} s` : `${s} s`;
    const pairs = [[86400, 3600, "d", "h"], [3600, 60, "h", "min"], [60, 1, "min", "s"]];
    const [large, small, one, other] = pairs.find((pair) => s >= pair[0]);
    const rest = Math.floor((s % large) / small);
    return `${Math.floor(s / large)} ${one}${rest ? ` ${rest} ${other}` : ""}`;
}

function two(number) {
    return String(number).padStart(2, "0");
}

export function formatClock(ms, withSeconds = true) {
    const date = new Date(ms);
    const text = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return withSeconds ? `${text}:${two(date.getSeconds())}` : text;
}

export function formatDay(ms) {
    const date = new Date(ms);
    return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

export function formatTime(ms) {
    return isKnown(ms) ? `${formatDay(ms)} ${formatClock(ms)}` : NOTHING;
}

// A number of a ledger in its own unit; ratios are shares of one.
export function formatFigure(value, unit) {
    if (!isKnown(value)) return NOTHING;
    if (unit === "bytes") return formatBytes(value);
    // Go's LastGC is a moment, all others are durations.
    if (unit === "nanoseconds") return (value > 1e18 ? formatTime : formatSpan)(value / 1e6);
    if (unit === "ratio") return formatPercent(value, 1);
    return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
