// SPDX-License-Identifier: Apache-2.0
// Fills of the account's rows: a colour, and for most a pattern on it, so that rows can be told
// apart without seeing colours.
import { ROWS } from "./rows.js";
import { tileInk } from "./raster.js";
import { color, ink, listenTheme } from "./theme.js";

const TILE = 8; // CSS pixels; each pattern meets itself at the tile's borders
const fills = new Map();
listenTheme(() => fills.clear());

const DRAWINGS = {
    rising(tile) {
        tile.moveTo(-2, TILE + 2);
        tile.lineTo(TILE + 2, -2);
        tile.moveTo(-2, 2);
        tile.lineTo(2, -2);
        tile.moveTo(TILE - 2, TILE + 2);
        tile.lineTo(TILE + 2, TILE - 2);
    },
    falling(tile) {
        tile.moveTo(-2, -2);
        tile.lineTo(TILE + 2, TILE + 2);
        tile.moveTo(TILE - 2, -2);
        tile.lineTo(TILE + 2, 2);
        tile.moveTo(-2, TILE - 2);
        tile.lineTo(2, TILE + 2);
    },
    level(tile) {
        tile.moveTo(0, TILE / 4);
        tile.lineTo(TILE, TILE / 4);
        tile.moveTo(0, (3 * TILE) / 4);
        tile.lineTo(TILE, (3 * TILE) / 4);
    },
    cross(tile) {
        DRAWINGS.rising(tile);
        DRAWINGS.falling(tile);
    },
    dots(tile) {
        dot(tile, 2, 2);
        dot(tile, 6, 6);
    },
    sparse(tile) {
        dot(tile, 4, 4);
    },
};

function dot(tile, x, y) {
    tile.moveTo(x + 0.8, y);
    tile.arc(x, y, 0.8, 0, 2 * Math.PI);
}

function makeTile(row, ratio) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.round(TILE * ratio);
    const tile = canvas.getContext("2d");
    tile.scale(canvas.width / TILE, canvas.width / TILE);
    tile.fillStyle = color(`row-${row.key}`);
    tile.fillRect(0, 0, TILE, TILE);
    tile.strokeStyle = color(`mark-${row.key}`) || color("mark");
    tile.lineWidth = 1;
    tile.beginPath();
    DRAWINGS[row.pattern](tile);
    tile.stroke();
    return canvas;
}

// What to fill a row with on this canvas; `ratio` is device pixels per CSS pixel.
export function rowFill(context, index, ratio) {
    const row = ROWS[index];
    if (row.pattern === "solid") return color(`row-${row.key}`);
    const key = `${row.key} ${ratio}`;
    if (!fills.has(key)) fills.set(key, makeTile(row, ratio));
    return context.createPattern(fills.get(key), "repeat");
}

// The same as what a raster writes.
export function rowInk(index, ratio) {
    const row = ROWS[index];
    if (row.pattern === "solid") return ink(`row-${row.key}`);
    const key = `${row.key} ${ratio} as ink`;
    if (!fills.has(key)) fills.set(key, tileInk(makeTile(row, ratio)));
    return fills.get(key);
}

// A small sample of a row's fill, drawn anew when the colours change: a picture and no canvas,
// since each canvas of a page is a layer of its own, composed in every frame.
export function makeSwatch(index) {
    const image = document.createElement("img");
    image.className = "swatch";
    image.alt = "";
    drawSwatch(image, index);
    return image;
}

export function drawSwatch(image, index) {
    const ratio = devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(14 * ratio);
    canvas.height = Math.round(14 * ratio);
    const context = canvas.getContext("2d");
    context.fillStyle = rowFill(context, index, ratio);
    context.fillRect(0, 0, canvas.width, canvas.height);
    image.src = canvas.toDataURL();
}
