#!/usr/bin/env python3
"""Measures reconciliation over a grid of sizes and draws the curves.

    cargo build --release -p liangdi
    docs/plots/reconciliation.py target/release/liangdi     # measures anew, writes the CSV and the SVG
    docs/plots/reconciliation.py                            # draws the SVG from the CSV
"""

import csv
import json
import math
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
CSV, SVG = HERE / "reconciliation.csv", HERE / "reconciliation.svg"
FIELDS = ["entries", "differences", "bytes", "rounds", "seconds", "peak_rss_mb", "found", "listed"]
GRID = [(n, d) for n in (10_000, 100_000, 1_000_000, 10_000_000) for d in (0, 10, 1_000, 10_000, 100_000)]
ITEM = 24
COLOURS = {10_000: "#0b6e4f", 100_000: "#1d5fa8", 1_000_000: "#8a3ffc", 10_000_000: "#b5400a"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 470, 330, 78, 60, 110


def measure(binary):
    rows = []
    for entries, differences in GRID:
        words = [binary, "bench", "reconcile", "--entries", str(entries), "--differences", str(differences), "--json"]
        told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        rows.append({field: told[field] for field in FIELDS})
        print(rows[-1], flush=True)
    with CSV.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def text(x, y, words, anchor="middle", size=12, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {more}>{words}</text>'


def name(number):
    for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= power:
            return f"{number / power:g} {unit}"
    return f"{number:g}"


class Panel:
    """A log-log panel; zero differences stand at a place of their own on the left."""

    def __init__(self, left, title, unit, low, high):
        self.left, self.low, self.high = left, math.log10(low), math.log10(high)
        self.out = [text(left + WIDTH / 2, TOP - 18, title, size=15, more='font-weight="bold"')]
        self.out.append(f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#444"/>')
        for differences in (0, 10, 100, 1_000, 10_000, 100_000):
            x = self.x(differences)
            self.out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="#ddd"/>')
            self.out.append(text(x, TOP + HEIGHT + 18, name(differences)))
        for power in range(math.ceil(self.low), math.floor(self.high) + 1):
            y = self.y(10**power)
            self.out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
            label = name(10**power)
            between = "" if label[-1].isalpha() else " "
            self.out.append(text(left - 8, y + 4, f"{label}{between}{unit}", "end"))
        self.out.append(text(left + WIDTH / 2, TOP + HEIGHT + 38, "differences"))

    def x(self, differences):
        place = -0.2 if differences == 0 else math.log10(differences) - 0.2
        return self.left + WIDTH * (place + 0.5) / 5.5

    def y(self, value):
        return TOP + HEIGHT * (1 - (math.log10(value) - self.low) / (self.high - self.low))

    def line(self, points, colour, dash=""):
        path = " ".join(f"{self.x(x):.1f},{self.y(max(y, 10**self.low)):.1f}" for x, y in points)
        self.out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" {dash}/>')

    def dots(self, points, colour):
        for x, y in points:
            self.out.append(f'<circle cx="{self.x(x):.1f}" cy="{self.y(max(y, 10**self.low)):.1f}" r="3.5" fill="{colour}"/>')


def draw():
    with CSV.open() as file:
        rows = [{key: float(value) if key != "listed" else value for key, value in row.items()} for row in csv.DictReader(file)]
    sizes = sorted({int(row["entries"]) for row in rows})
    bytes_, seconds = Panel(LEFT, "Bytes on the wire", "B", 100, 1e9), Panel(LEFT + WIDTH + GAP, "Time, both sides", "s", 0.001, 100)
    bytes_.line([(d, ITEM * d) for d in (10, 100_000)], "#333", 'stroke-dasharray="7 4"')
    legend = [("#333", 'stroke-dasharray="7 4"', "what differs alone, 24 bytes each")]
    for size in sizes:
        mine = sorted((row for row in rows if row["entries"] == size), key=lambda row: row["differences"])
        for panel, field in ((bytes_, "bytes"), (seconds, "seconds")):
            points = [(row["differences"], row[field]) for row in mine]
            panel.line(points, COLOURS[size])
            panel.dots(points, COLOURS[size])
        bytes_.line([(0, ITEM * size), (100_000, ITEM * size)], COLOURS[size], 'stroke-dasharray="2 4"')
        legend.append((COLOURS[size], "", f"{name(size)} entries in common"))
    legend.append(("#777", 'stroke-dasharray="2 4"', "the whole list, of that colour's size"))
    out = bytes_.out + seconds.out
    for place, (colour, dash, words) in enumerate(legend):
        x, y = LEFT + (place % 3) * 370, TOP + HEIGHT + 66 + (place // 3) * 22
        out.append(f'<line x1="{x}" y1="{y}" x2="{x + 34}" y2="{y}" stroke="{colour}" stroke-width="2" {dash}/>')
        out.append(text(x + 42, y + 4, words, "start"))
    whole = (2 * WIDTH + GAP + LEFT + 30, TOP + HEIGHT + 110)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" font-family="sans-serif" fill="#111">'
    SVG.write_text("\n".join([head, f'<rect width="{whole[0]}" height="{whole[1]}" fill="#fff"/>', *out, "</svg>", ""]))


if len(sys.argv) > 1:
    measure(sys.argv[1])
draw()
