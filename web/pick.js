// SPDX-License-Identifier: Apache-2.0
// Which samples to draw: about two for each column of pixels, so that a hundred thousand stay
// smooth and no peak and no valley is lost.

// Indices, ascending. A bucket gives its highest RSS and its lowest effective RSS, as the server
// does; buckets lie on multiples of their width, so that nothing flickers while the window moves.
export function pickPoints(series, from, to, buckets) {
    const first = Math.max(0, series.indexAt(from));
    const end = Math.min(series.count, series.indexAt(to) + 2);
    const picked = [];
    if (end - first <= 2 * buckets) {
        for (let i = first; i < end; i++) picked.push(i);
        return picked;
    }
    const width = Math.max(1, (to - from) / buckets);
    const { time, rss, lazy } = series;
    let bucket = NaN;
    let high = -1;
    let low = -1;
    let lowValue = 0;
    for (let i = first; i < end; i++) {
        const effective = lazy[i] >= 0 ? rss[i] - lazy[i] : rss[i];
        const mine = Math.floor(time[i] / width);
        if (mine !== bucket) {
            if (high >= 0) pushPair(picked, high, low);
            bucket = mine;
            high = low = i;
            lowValue = effective;
            continue;
        }
        if (rss[i] > rss[high]) high = i;
        if (effective < lowValue) {
            low = i;
            lowValue = effective;
        }
    }
    if (high >= 0) pushPair(picked, high, low);
    return picked;
}

function pushPair(picked, one, other) {
    picked.push(Math.min(one, other));
    if (one !== other) picked.push(Math.max(one, other));
}
