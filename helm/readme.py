#!/usr/bin/python3
"""readme.py [--check]: writes the table of values in helm/jobhook/README.md from the comments of values.yaml ("# -- what it is").

With --check nothing is written, and the exit status is 1 when the table is not the one that would be written, or a value has no comment."""
import json
import os
import re
import sys

import yaml

CHART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jobhook")
BEGIN, END = "<!-- values: written by helm/readme.py -->\n", "<!-- end of values -->\n"


def value_at(values, path):
    for name in path:
        values = values[name]
    return values


def rows(text):
    """(path, default, meaning) of every commented value, in the file's order; a missing comment is a mistake."""
    values, path, comment, found, covered = yaml.safe_load(text), [], None, [], None
    for number, line in enumerate(text.splitlines(), 1):
        remark = re.match(r"\s*# -- (.*)$", line)
        entry = re.match(r"( *)([A-Za-z]\w*):(.*)$", line)
        if remark:
            comment = remark.group(1)
        elif entry:
            depth = len(entry.group(1)) // 2
            path = path[:depth] + [entry.group(2)]
            if covered and path[:len(covered)] == covered:
                continue  # a part of a value that was described as a whole
            covered = None
            if comment:
                found.append((".".join(path), value_at(values, path), comment))
                covered, comment = list(path), None
            elif entry.group(3).strip():
                raise SystemExit(f"values.yaml:{number}: {'.'.join(path)} has no comment that begins with '# --'")
    return found


def shown(value):
    text = json.dumps(value, ensure_ascii=False)
    return "–" if value in ("", None, [], {}) else f"`{text}`"


def table(text):
    lines = [f"| `{path}` | {shown(default)} | {meaning} |\n" for path, default, meaning in rows(text)]
    return "| value | default | meaning |\n|---|---|---|\n" + "".join(lines).replace("\\|", "|")


def main():
    with open(os.path.join(CHART, "values.yaml"), encoding="utf-8") as file:
        fresh = table(file.read())
    path = os.path.join(CHART, "README.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    new = before + BEGIN + fresh + END + rest.split(END)[1]
    if "--check" in sys.argv[1:]:
        if new != text:
            sys.exit("helm/jobhook/README.md: the table of values is not that of values.yaml: run helm/readme.py")
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)


if __name__ == "__main__":
    main()
