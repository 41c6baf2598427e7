// SPDX-License-Identifier: Apache-2.0
// What the page's tests and pictures start: `ebb watch`, and processes for it to watch. All that
// was started ends with this process, by its own number.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { createInterface } from "node:readline";

const started = new Set();

export function endAll() {
    for (const child of started) child.kill("SIGKILL");
}
process.on("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

function start(command, options, environment = {}) {
    const env = { ...process.env, ...environment };
    const child = spawn(command, options, { stdio: ["ignore", "pipe", "inherit"], env });
    started.add(child);
    child.on("exit", () => started.delete(child));
    return child;
}

async function firstLine(child) {
    for await (const line of createInterface({ input: child.stdout })) return line;
    throw new Error("it ended without a word");
}

// The server's process, and the address that it printed.
export async function startWatch(...options) {
    const child = start(process.env.EBB, ["watch", ...options]);
    return { child, url: await firstLine(child) };
}

export async function end(child, signal = "SIGKILL") {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
}

// A few tens of MiB that come, go back lazily and come again.
const WAVES = `
import mmap, os, time
area = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
print("ready", flush=True)
while True:
    for at in range(0, 48 << 20, 1 << 20):
        area[at:at + (1 << 20)] = bytes([1]) * (1 << 20)
        time.sleep(0.005)
    area.madvise(mmap.MADV_FREE, 8 << 20, 40 << 20)
    time.sleep(0.6 + os.getpid() % 5 / 10)
`;

// Most of it lazily freed, and a part that it looks at all the time: it ends when that is harmed.
export const HOLDS = `
import mmap, sys, time
area = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
held = bytes(range(256)) * (8 << 12)
area[:8 << 20] = held
for at in range(8 << 20, 64 << 20, 1 << 20):
    area[at:at + (1 << 20)] = bytes([1]) * (1 << 20)
area.madvise(mmap.MADV_FREE, 8 << 20, 56 << 20)
print("ready", flush=True)
while area[:8 << 20] == held:
    time.sleep(0.1)
`;

// A Python under this name: the kernel takes it from the file's.
export async function startTarget(folder, name, program = WAVES) {
    const path = `${folder}/${name}`;
    symlinkSync(process.env.PYTHON || "/usr/bin/python3", path);
    const child = start(path, ["-c", program]);
    await firstLine(child);
    return child;
}

export async function startProgram(command, options, environment) {
    const child = start(command, options, environment);
    await firstLine(child);
    child.stdout.resume();
    return child;
}
