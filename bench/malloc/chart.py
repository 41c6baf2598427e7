# SPDX-License-Identifier: Apache-2.0
# docs/malloc-bench.svg: geometric means as bars, and what is left over time in the six scenarios as
# curves. Plain SVG on a card of its own, which turns dark with the reader's page.
import html
import math

import figures
from allocators import OURS
from tables import WHAT

WIDTH, MARGIN, GAP = 960, 24, 24
COLORS = ["#d1242f", "#0969da", "#1a7f37", "#8250df", "#bf8700", "#0a7d8c", "#9a6700", "#57606a"]
DARK = ["#ff7b72", "#58a6ff", "#56d364", "#d2a8ff", "#e3b341", "#39c5cf", "#f0883e", "#8b949e"]
SECONDS_MAX = 5


def style(count):
    light = "".join(f".c{i}{{stroke:{COLORS[i % 8]};fill:{COLORS[i % 8]}}}" for i in range(count))
    dark = "".join(f".c{i}{{stroke:{DARK[i % 8]};fill:{DARK[i % 8]}}}" for i in range(count))
    return (".card{fill:#ffffff}.text{fill:#1f2328}.faint{fill:#59636e}.rule{stroke:#d1d9e0}"
            f".goal{{stroke:#59636e;stroke-dasharray:2 3}}{light}"
            "text{stroke:none}"
            ".over{fill:#59636e;stroke:#ffffff;stroke-width:3;paint-order:stroke}"
            "polyline{fill:none!important;stroke-width:1.8}"
            ".tuned{stroke-dasharray:5 4;stroke-width:1.2}"
            "@media(prefers-color-scheme:dark){.card{fill:#0d1117}.text{fill:#e6edf3}"
            f".faint,.over{{fill:#9198a1}}.over{{stroke:#0d1117}}"
            f".rule{{stroke:#3d444d}}.goal{{stroke:#9198a1}}{dark}}}")


def text(x, y, words, kind="text", anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}" '
            f'font-size="{size}" font-weight="{weight}">{html.escape(words)}</text>')


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def base_name(name):
    return name.partition(",")[0]


class Chart:
    def __init__(self, results):
        self.results = results
        self.names = []
        for name in results["allocators"]:
            if base_name(name) not in self.names:
                self.names.append(base_name(name))
        self.drawn, self.y = [], MARGIN

    def add(self, *items):
        self.drawn += items

    def color(self, name):
        return f"c{self.names.index(base_name(name))}"

    def bars(self, x, width, title, means, goal):
        """Horizontal bars, the best peer at 1; what is beyond the scale ends with its figure."""
        self.add(text(x, self.y + 12, title, size=13, weight="bold"))
        left, scale = x + 92, (width - 140) / 2.5
        y, bottom = self.y + 26, self.y + 28 + 19 * len(means)
        self.add(line(left + goal * scale, self.y + 22, left + goal * scale, bottom, "goal"),
                 text(left + goal * scale, bottom + 12, f"goal {goal}", "faint", "middle", 10))
        for name, value in means.items():
            length = min(value, 2.5) * scale
            self.add(text(left - 8, y + 12, name, anchor="end", size=11),
                     f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="13" rx="2" '
                     f'class="{self.color(name)}" stroke="none" '
                     f'opacity="{1 if name == OURS else 0.75}"/>',
                     text(left + length + 6, y + 12, f"{value:.2f}", "over", size=11))
            y += 19
        return y + 22

    def means(self):
        programs = self.results["programs"]
        ends = [self.y]
        half = (WIDTH - 2 * MARGIN - GAP) / 2
        for index, (title, figure, goal) in enumerate((
                ("CPU, geometric mean; best peer = 1", "cpu_s", 0.97),
                ("Peak RSS, geometric mean; lowest peer = 1", "peak_kib", 1.07))):
            means, _ = figures.relative(programs, figure)
            if means:
                ends.append(self.bars(MARGIN + index * (half + GAP), half, title, means, goal))
        self.y = max(ends) + 10

    def legend(self):
        self.add(text(MARGIN, self.y + 12, "What is left: effective RSS over live bytes, seconds "
                      "after nine tenths were freed", size=13, weight="bold"))
        x, self.y = MARGIN, self.y + 24
        for name in self.names:
            self.add(f'<rect x="{x:.0f}" y="{self.y + 2}" width="14" height="4" '
                     f'class="{self.color(name)}"/>', text(x + 19, self.y + 9, name, size=11))
            x += 40 + 7 * len(name)
        self.add(text(x, self.y + 9, "dashed: tuned", "faint", size=11))
        self.y += 20

    def curve(self, name, row, place_x, place_y):
        points = [(0.0, row["full_rss"] / row["live_bytes"])]
        points += [(at, (rss - lazy) / row["live_bytes"]) for at, rss, lazy in row["curve"]]
        kind = self.color(name) + ("" if base_name(name) == name else " tuned")
        path = " ".join(f"{place_x(at):.1f},{place_y(ratio):.1f}" for at, ratio in points)
        self.add(f'<polyline points="{path}" class="{kind}"/>')

    def panel(self, x, y, width, height, scenario, rows):
        top, bottom = y + 20, y + height - 22
        # The square root of time shows the first second as well as the fifth.
        def place_x(at):
            return x + 22 + (width - 30) * math.sqrt(min(at, SECONDS_MAX) / SECONDS_MAX)

        def place_y(ratio):
            return bottom - (bottom - top) * min(ratio, 12.5) / 12.5
        self.add(text(x, y + 10, f"{scenario}: {WHAT[scenario]}", size=12))
        for tick in (0, 4, 8, 12):
            self.add(line(x + 22, place_y(tick), x + width - 8, place_y(tick), "rule"),
                     text(x + 16, place_y(tick) + 4, str(tick), "faint", "end", 10))
        for tick in (0.1, 0.5, 1, 2, 5):
            self.add(text(place_x(tick), bottom + 14, f"{tick:g} s", "faint", "middle", 10))
        self.add(line(x + 22, place_y(1.2), x + width - 8, place_y(1.2), "goal"))
        for name, row in sorted(rows.items(), key=lambda item: item[0] == OURS):
            if "curve" in row:
                self.curve(name, row, place_x, place_y)

    def panels(self):
        scenarios = self.results["return"].get("mixed", {})
        if not scenarios:
            return
        self.legend()
        width, height = (WIDTH - 2 * MARGIN - 2 * GAP) / 3, 190
        for index, (scenario, rows) in enumerate(scenarios.items()):
            self.panel(MARGIN + index % 3 * (width + GAP), self.y + index // 3 * (height + 8),
                       width, height, scenario, rows)
        self.y += (len(scenarios) + 2) // 3 * (height + 8)
        self.add(text(MARGIN, self.y + 8, "dotted: the goal, 1.2", "faint", size=10))
        self.y += 12

    def svg(self):
        self.means()
        self.panels()
        height = self.y + MARGIN
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}" '
            'font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif">',
            f"<style>{style(len(self.names))}</style>",
            '<rect width="100%" height="100%" rx="8" class="card"/>', *self.drawn, "</svg>"]) + "\n"


def draw(results):
    return Chart(results).svg()
