// SPDX-License-Identifier: Apache-2.0
// Moving through time by hand: shift and drag, wheel, one finger to pan, two to zoom. Dragging
// without shift is the plot library's own: it selects what to zoom into.

// `place` tells the pixels and times of the plot, `view` takes what is meant.
export function attachGestures(over, view, place) {
    attachWheel(over, view, place);
    attachShiftDrag(over, view, place);
    attachTouch(over, view, place);
}

// Up and down belong to the page; what goes sideways is ours, and so is what holds a key.
function attachWheel(over, view, place) {
    over.addEventListener("wheel", (event) => {
        const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
        if (event.ctrlKey || event.metaKey) {
            event.preventDefault();
            view.scale(Math.exp(event.deltaY / 200), place.timeAt(event));
        } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
            event.preventDefault();
            view.pan(sideways / place.width());
        }
    }, { passive: false });
}

function attachShiftDrag(over, view, place) {
    let last = null;
    over.addEventListener("pointerdown", (event) => {
        const isOurs = event.pointerType === "mouse" &&
            ((event.button === 0 && event.shiftKey) || event.button === 1);
        if (!isOurs) return;
        event.preventDefault();
        last = event.clientX;
        over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => {
        if (last === null) return;
        view.pan((last - event.clientX) / place.width());
        last = event.clientX;
    });
    const end = () => (last = null);
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
}

// style.css leaves up and down to the browser (touch-action: pan-y), so a page still scrolls.
function attachTouch(over, view, place) {
    const fingers = new Map();
    over.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "mouse") return;
        fingers.set(event.pointerId, event.clientX);
        place.pointAt(event);
    });
    over.addEventListener("pointermove", (event) => {
        const before = fingers.get(event.pointerId);
        if (before === undefined) return;
        if (fingers.size === 1) {
            view.pan((before - event.clientX) / place.width());
        } else if (fingers.size === 2) {
            const [[, other]] = [...fingers].filter(([id]) => id !== event.pointerId);
            const spread = Math.max(Math.abs(before - other), 20);
            view.scale(spread / Math.max(Math.abs(event.clientX - other), 20),
                place.timeAt({ clientX: (event.clientX + other) / 2 }));
        }
        fingers.set(event.pointerId, event.clientX);
    });
    const end = (event) => fingers.delete(event.pointerId);
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
        over.addEventListener(name, end);
    }
}
