// SPDX-License-Identifier: Apache-2.0
// A series as CSV, for a page that stands alone: the server writes the same columns itself.

// A cell that a spreadsheet would take for a formula gets a quote in front of it.
function cell(value) {
    if (value === null || value === undefined) return "";
    const text = String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Figures of all parts: a runtime may be found late.
function listFigures(parts) {
    const found = new Map();
    for (const { figures } of parts) {
        for (const { runtime, name } of figures) found.set(`${runtime} ${name}`, true);
    }
    return [...found.keys()];
}

// RFC 4180: a header, then a line for each sample in [from, to], with CRLF.
export function seriesCsv({ columns, parts }, from, to) {
    const figures = listFigures(parts);
    const lines = [[...columns, ...figures].map(cell).join(",")];
    const at = columns.indexOf("time_ms");
    for (const part of parts) {
        const values = figures.map((key) => part.figures.find((figure) =>
            `${figure.runtime} ${figure.name}` === key)?.values);
        const all = [...part.data, ...values];
        part.data[at].forEach((time, i) => {
            if (time < from || time > to) return;
            lines.push(all.map((column) => cell(column?.[i])).join(","));
        });
    }
    return `${lines.join("\r\n")}\r\n`;
}
