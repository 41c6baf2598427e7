// SPDX-License-Identifier: Apache-2.0
// The moment that the user points at: one for all charts, so that two processes are compared at
// the same time. null: nobody points, and tables show the newest.
export class Cursor {
    constructor() {
        this.time = null;
        this.listeners = [];
    }

    // Returns what ends it.
    listen(listener) {
        this.listeners.push(listener);
        return () => (this.listeners = this.listeners.filter((one) => one !== listener));
    }

    set(time) {
        if (time === this.time) return;
        this.time = time;
        for (const listener of this.listeners) listener();
    }
}
