// SPDX-License-Identifier: Apache-2.0
// Painting samples on a canvas. A sample stands until the next one, so everything is drawn in
// steps; where nothing was read for a while there is a break and not a line.

const SILENCE_MS = 150000; // unchanged samples are stored once a minute: longer is no such pause

// Times without readings, from events: {from, to}, ascending.
export function findGaps(events) {
    return events.filter((event) => event.kind === "gap" && event.value > 0)
        .map((event) => ({ from: event.time_ms - event.value, to: event.time_ms }));
}

// Cuts the picked samples where there is a gap: pieces {start, end, until}, `until` being the
// moment to which the last sample of the piece stands.
export function cutPieces(series, picked, gaps, until) {
    const pieces = [];
    const silence = Math.max(SILENCE_MS, 3 * series.step);
    let start = 0;
    for (let i = 1; i <= picked.length; i++) {
        if (i === picked.length) {
            const last = picked[i - 1];
            // What was picked may end before what there is: the next one is then out of sight.
            const stands = last + 1 < series.count ? series.time[last + 1] : until;
            pieces.push({ start, end: i, until: Math.max(series.time[last], stands) });
            break;
        }
        const before = series.time[picked[i - 1]];
        const after = series.time[picked[i]];
        const gap = gaps.find((one) => one.from < after && one.to > before + 1
            && Math.min(one.to, after) - Math.max(one.from, before) > 0.5 * (one.to - one.from));
        if (!gap && after - before <= silence) continue;
        pieces.push({ start, end: i, until: gap ? Math.max(gap.from, before) : before });
        start = i;
    }
    return pieces;
}

// The columns of pixels of the picked samples.
export function columnsOf(series, picked, geometry) {
    return Float64Array.from(picked, (index) => geometry.x(series.time[index]));
}

// The upper edge of a piece, as steps, appended to the present path.
function traceSteps(context, xs, values, piece, geometry) {
    let y = geometry.y(values[piece.start]);
    context.lineTo(xs[piece.start], y);
    for (let i = piece.start + 1; i < piece.end; i++) {
        const next = geometry.y(values[i]);
        // Level stretches need no point of their own.
        if (next === y) continue;
        context.lineTo(xs[i], y);
        context.lineTo(xs[i], next);
        y = next;
    }
    context.lineTo(geometry.x(piece.until), y);
}

// Fills from the edge down to the bottom.
export function fillBelow(context, xs, values, pieces, geometry, fill) {
    context.fillStyle = fill;
    context.beginPath();
    const bottom = geometry.y(0);
    for (const piece of pieces) {
        context.moveTo(xs[piece.start], bottom);
        traceSteps(context, xs, values, piece, geometry);
        context.lineTo(geometry.x(piece.until), bottom);
        context.closePath();
    }
    context.fill();
}

// Strokes the edge; unknown values (NaN) leave a hole.
export function strokeSteps(context, xs, values, pieces, geometry, { stroke, width, dash }) {
    context.strokeStyle = stroke;
    context.lineWidth = width * geometry.ratio;
    context.lineJoin = "round";
    context.setLineDash((dash || []).map((length) => length * geometry.ratio));
    context.beginPath();
    for (const piece of pieces) {
        for (const part of knownParts(values, piece)) {
            context.moveTo(xs[part.start], geometry.y(values[part.start]));
            traceSteps(context, xs, values, { ...part, until: partEnd(part, piece, xs, geometry) },
                geometry);
        }
    }
    context.stroke();
    context.setLineDash([]);
}

function partEnd(part, piece, xs, geometry) {
    return part.end === piece.end ? piece.until : geometry.time(xs[part.end]);
}

function knownParts(values, piece) {
    const parts = [];
    for (let i = piece.start; i < piece.end; i++) {
        if (Number.isNaN(values[i])) continue;
        const start = i;
        while (i < piece.end && !Number.isNaN(values[i])) i++;
        parts.push({ start, end: i });
    }
    return parts;
}
