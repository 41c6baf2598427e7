// SPDX-License-Identifier: Apache-2.0
// The rows of the account: their order in the chart, their names and what they mean.

// From the bottom of the stack to its top, so that effective RSS is one border: all below it is
// held, all above it is free for the kernel to take. `pattern` tells rows apart without colour.
export const ROWS = [
    row("in_use", "in use", "solid", "objects that the program has allocated and not freed"),
    row("slack", "slack", "falling", "room in pages of live objects that no object occupies"),
    row("kept", "kept", "dots", "free pages that the runtime holds, still dirty"),
    row("metadata", "metadata", "solid", "the runtime's own tables"),
    row("stacks", "stacks", "level", "stacks of threads and goroutines"),
    row("code_files", "code and files", "solid", "mapped files: code and data"),
    row("shared", "shared", "level", "shared memory"),
    row("held", "held", "cross", "a runtime's memory whose inside cannot be told from outside"),
    row("unexplained", "unexplained", "sparse", "what no row explains"),
    // Ours alone: what stands where no account has been taken yet.
    row("unmeasured", "no account yet", "level", "whose it is was not told apart until then"),
    row("lazy", "lazily freed", "rising",
        "given back, not yet taken by the kernel: in RSS, and free"),
];

// What a sample with an account has as its kind.
export const KIND_ACCOUNT = 2;

// What comes and goes with load; the others change little between two accounts.
export const ELASTIC = ["in_use", "slack", "kept", "held", "unexplained"].map((key) =>
    ROWS.findIndex((entry) => entry.key === key));
export const ROW_COUNT = ROWS.length;
export const UNMEASURED = ROWS.findIndex((entry) => entry.key === "unmeasured");
export const SHARED = ROWS.findIndex((entry) => entry.key === "shared");
export const FILES = ROWS.findIndex((entry) => entry.key === "code_files");
export const LAZY = ROWS.findIndex((entry) => entry.key === "lazy");

function row(key, title, pattern, hint) {
    const column = key === "lazy" ? "lazy_row_bytes" : `${key}_bytes`;
    return { key, title, pattern, hint, column };
}

// As `--exit-code` numbers them; a series may name them by number or by word.
const VERDICTS = ["", "lazy", "kept", "fragmented", "growing", "in-use", "files", "unknown"];

export function verdictName(verdict) {
    return typeof verdict === "number" ? VERDICTS[verdict] || null : verdict || null;
}

export function verdictNumber(verdict) {
    const number = VERDICTS.indexOf(verdictName(verdict));
    return number > 0 ? number : NaN;
}
