"""From the results of the cases: the table of goals as text, JSON, the picture, and the README's section between its two marks."""
import html
import json
import os

import goals

BEGIN, END = "<!-- figures: written by tests/bench/run.sh --readme -->", "<!-- end of the figures -->"
PICTURE = os.path.join("tests", "bench", "figures.svg")


def read(folder, cases):
    """{case: result} of what has been measured, in the order of the cases."""
    results = {}
    for case in cases:
        path = os.path.join(folder, case + ".json")
        if os.path.exists(path):
            with open(path) as f:
                results[case] = json.load(f)
    return results


def figures(results):
    """[(figure, case, values)] in the goals' order."""
    measured = {name: (case, values) for case, result in results.items() for name, values in result["figures"].items()}
    return [(name, *measured[name]) for name in goals.GOALS if name in measured]


def verdict(name, values):
    return "met" if goals.is_met(name, values) else f"missed ({goals.strain(name, values):.3g}×)"


def figures_text(values_by_name):
    return "\n".join(f"{name}: {goals.measured_text(name, values)} (goal {goals.goal_text(name)}): {verdict(name, values)}"
                     for name, values in values_by_name.items())


def text(results):
    lines = [f"{'':11}{'goal':>20}{'measured':>24}  {'':16}"]
    for name, case, values in figures(results):
        lines.append(f"{name:11}{goals.goal_text(name):>20}{goals.measured_text(name, values):>24}  {verdict(name, values):16} {goals.GOALS[name][0]}")
    return "\n".join(lines)


def write_json(results, path):
    rows = [{"figure": name, "case": case, "measures": goals.GOALS[name][0], "goal": goals.goal_text(name), "values": values,
             "met": goals.is_met(name, values)} for name, case, values in figures(results)]
    with open(path, "w") as f:
        json.dump({"figures": rows, "cases": {case: {key: result.get(key) for key in ("commit", "quick", "round_count", "load_average", "seconds")}
                                              for case, result in results.items()}}, f, indent=1)


# ------------------------------------------------------------------------------------------------------------------------- picture

BARS = (("one keep-alive endpoint", ("wrk", "bare libcurl", "jobhook", "Go worker", "Node worker")),
        ("10,000 endpoints", ("jobhook, 10,000 endpoints", "Go worker, 10,000 endpoints", "Node worker, 10,000 endpoints")))
WIDTH, LABEL, BAR, ROW = 720, 170, 440, 26


def bar(y, name, us, longest):
    colour = "#1f6feb" if name == "jobhook" else "#8c959f"
    length = max(1, us / longest * BAR)
    return (f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="18" fill="{colour}"/>'
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 14}">{us:.0f} µs</text>')


def picture(sides):
    """CPU of one delivery, one bar for each side."""
    parts, y = [], 34
    longest = max(side["us"] for side in sides.values())
    for title, names in BARS:
        parts.append(f'<text x="8" y="{y + 12}" font-weight="bold">{title}</text>')
        y += ROW - 4
        for name in (name for name in names if name in sides):
            parts.append(bar(y, name.split(",")[0], sides[name]["us"], longest))
            y += ROW
        y += 8
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 4}" font-family="sans-serif" font-size="13" fill="#57606a">'
            f'<rect width="100%" height="100%" fill="#ffffff"/><text x="8" y="20" font-size="15">CPU time of one delivery (user and system; '
            f'shorter is better)</text>{"".join(parts)}</svg>\n')


def write_picture(results, path):
    if "delivery" in results:
        with open(path, "w") as f:
            f.write(picture(results["delivery"]["sides"]))


# -------------------------------------------------------------------------------------------------------------------------- README

def goals_table(results):
    lines = ["| | measured is | goal | here | | `tests/bench/run.sh` |", "|---|---|---|---|---|---|"]
    for name, case, values in figures(results):
        cells = (name, goals.GOALS[name][0], goals.goal_text(name), goals.measured_text(name, values), verdict(name, values), f"`{case}`")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def sides_table(sides):
    base = sides["bare libcurl"]["us"]
    lines = ["| CPU of one delivery | µs | of bare libcurl |", "|---|---|---|"]
    return lines + [f"| {name} | {side['us']:.1f} | {side['us'] / base:.2f}× |" for name, side in sides.items()]


def growth_table(points):
    lines = ["| what grows | CPU µs of a delivery (memory at most, MiB) |", "|---|---|"]
    for axis, values in points.items():
        lines.append(f"| {axis} | " + "; ".join(f"{value['at']}: {value['us']:.0f} ({value['peak_mib']:.0f})" for value in values) + " |")
    return lines


def section(results):
    measured = [result for case, result in results.items() if case != "growth"]
    rounds = sorted({result["round_count"] for result in measured})
    loads = [result["load_average"] for result in measured]
    quickly = [result["quick"] for result in measured]
    quick = ", `--quick`" if all(quickly) else ", most of them `--quick`" if any(quickly) else ""
    commits = ", ".join(sorted({result["commit"] for result in measured}))
    counts = " or ".join(map(str, rounds)) + (" round" if rounds == [1] else " rounds")
    lines = [BEGIN, f"Medians of {counts}{quick}; commit {commits}; {os.cpu_count()} cores with a load average of "
             f"{min(loads):.1f} to {max(loads):.1f}, the benchmark's own broker and receivers included.", ""]
    lines += goals_table(results)
    if "delivery" in results:
        lines += ["", f"![CPU time of one delivery]({PICTURE})", ""] + sides_table(results["delivery"]["sides"])
    if "growth" in results:
        lines += ["", "How it grows (`tests/bench/run.sh growth`" + ("" if results["growth"]["full"] else ", without `BENCH_FULL=1`") + "):", ""]
        lines += growth_table(results["growth"]["points"])
    return "\n".join(lines + [END])


def write_readme(results, project):
    path = os.path.join(project, "README.md")
    with open(path) as f:
        before, _, rest = f.read().partition(BEGIN)
    assert rest, f"README.md has no mark {BEGIN}"
    with open(path, "w") as f:
        f.write(before + section(results) + rest.partition(END)[2])
    write_picture(results, os.path.join(project, PICTURE))
