#!/usr/bin/python3
"""check.py [ROOT]: the house's rules, as far as a script can check them.

Each rule is a function that finds `file:line: what` and returns nothing when all is well. tests/rules/test_rules.py runs the same functions
under pytest, and shows each a tree that breaks it. The last line is "rules: N passed, N failed"; the exit status is 1 when any failed.
"""

import json
import os
import re
import shutil
import subprocess
import sys

PRODUCT = ("consumer/", "delivery/", "dedupe/")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

# What each folder may include; the first match counts.
LAYERS = [
    ("consumer/base/", ("consumer/base/",)),
    ("dedupe/", ("dedupe/", "consumer/base/")),
    ("delivery/", ("delivery/", "dedupe/", "consumer/base/")),
    ("consumer/", ("consumer/", "delivery/", "dedupe/")),
]

# Which files own which library. Nobody else sees its types, so that it can be replaced, or understood, in one place.
OWNERS = {
    "librdkafka": (r"librdkafka/", r"consumer/(kafka|readback|attempt_log|intake|offsets|arrival|overtaken|partitions|delay|outbox|survey)\.c|consumer/commands/(topics(_admin)?|doctor_(kafka|brokers)|topic_reader)\.c"),
    "libcurl": (r"curl/", r"delivery/(post|post_\w+|lane)\.c|consumer/spans\.c"),
    "hiredis": (r"hiredis/", r"dedupe/redis(_\w+)?\.c"),
    "yajl": (r"yajl/", r"delivery/event\.c"),
    # post_tls.c, post_bounds.c, tls_context.c, tls_sessions.c: libcurl hands them OpenSSL's own context of its connections, or takes one from them.
    "OpenSSL": (r"openssl/", r"delivery/(signature|signature_keys|verifier|request|post_tls|post_bounds|tls_context|tls_moment|tls_sessions)\.c|dedupe/redis_tls\.c|consumer/certificates\.c"),
    "c-ares": (r"ares", r"delivery/names_(servers|cares|addresses)\.c"),
    "libmicrohttpd": (r"microhttpd", r"consumer/http/\w+\.c"),
    # A header called X_inside.h is no interface: only the X*.c that share one structure include it (rule private_headers).
    "libuv": (r"uv(\.h|/)", r"(consumer|delivery|dedupe)/(\w+/)*\w+(\.c|_inside\.h)"),
}

BANNED = {
    "strcpy": "memory_copy or a text",
    "strcat": "a text",
    "strncpy": "memory_copy or a text",
    "strncat": "a text",
    "sprintf": "snprintf or text_printf",
    "vsprintf": "vsnprintf",
    "strtok": "slices",
    "atoi": "slice_to_u64",
    "atol": "slice_to_u64",
    "atoll": "slice_to_u64",
    "gmtime": "gmtime_r",
    "localtime": "gmtime_r",
    "gets": "fgets",
    "alloca": "memory_create",
}
BANNED_IN_PRODUCT = {"system": "no shell", "popen": "no shell"}

VAGUE_NAMES = {"utils", "util", "common", "types", "helpers", "misc"}

TOP_REQUIRED = {"consumer", "delivery", "dedupe", "tests", "CMakeLists.txt", "README.md", "LICENSE", "CONTRIBUTING.md"}
# CMakePresets.json stands beside HOUSE's list: cmake looks for it nowhere else, and it keeps the sanitizers' options in one place instead of
# in every reader's shell history.
TOP_ALLOWED = TOP_REQUIRED | {"deploy", "helm", "Dockerfile", "CMakePresets.json"}


class Tree:
    """The files under a root: those that git knows or would add, without git all of them."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._list())
        self.texts = {}

    def _list(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            command = ["git", "-C", self.root, "-c", f"safe.directory={os.path.realpath(self.root)}", "ls-files", "-co", "--exclude-standard"]
            names = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())
            return [name for name in names if os.path.isfile(os.path.join(self.root, name))]
        found = []
        for folder, _, names in os.walk(self.root):
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return found

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self.texts[path] = file.read()
        return self.texts[path]

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def code(self, path):
        """The lines without comments, strings and character constants."""
        return enumerate(without_comments_and_strings(self.text(path)).splitlines(), 1)

    def c_files(self, *folders):
        return [path for path in self.files if path.endswith((".c", ".h")) and path.startswith(folders or ("",))]


TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def without_comments_and_strings(text):
    def blank(match):
        token = match.group(0)
        if token.startswith("/"):
            return "\n" * token.count("\n") or " "
        return token[0] * 2
    return TOKENS.sub(blank, text)


def calls(tree, paths, names):
    """Where one of the functions is called."""
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")(?=\s*\()")
    for path in paths:
        for number, line in tree.code(path):
            for match in pattern.finditer(line):
                yield path, number, match.group(1)


# --- includes ---


def includes(tree, path):
    for number, line in tree.lines(path):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(1), match.group(2)


def includes_follow_the_dependency_rule(tree):
    for path in tree.c_files(*PRODUCT):
        allowed = next(folders for start, folders in LAYERS if path.startswith(start))
        for number, kind, name in includes(tree, path):
            if kind == '"' and not name.startswith(allowed):
                yield f"{path}:{number}: includes {name}, may include only {', '.join(allowed)}"
            if name.startswith("consumer/commands/") and not (path == "consumer/main.c" or path.startswith("consumer/commands/")):
                yield f"{path}:{number}: includes {name}: commands call the service, not the other way round"


def includes_exist_and_start_at_the_root(tree):
    for path in tree.c_files(*PRODUCT):
        for number, kind, name in includes(tree, path):
            if kind == '"' and name not in tree.files:
                yield f"{path}:{number}: there is no {name}; paths start at the project's root"


def third_party_headers_only_in_their_owners(tree):
    for path in tree.c_files(*PRODUCT):
        for number, kind, name in includes(tree, path):
            for library, (header, owners) in OWNERS.items():
                if kind == "<" and re.match(header, name) and not re.fullmatch(owners, path):
                    yield f"{path}:{number}: includes <{name}>, but {library} belongs to {owners}"


def private_headers_stay_in_their_module(tree):
    for path in tree.c_files(*PRODUCT):
        for number, _, name in includes(tree, path):
            if name.endswith("_inside.h"):
                stem = name[: -len("_inside.h")]
                if not (path.endswith(".c") and re.fullmatch(re.escape(stem) + r"(_\w+)?\.c", path)):
                    yield f"{path}:{number}: includes {name}, which only {stem}*.c may see"


def no_vague_file_names(tree):
    for path in tree.files:
        if os.path.splitext(os.path.basename(path))[0] in VAGUE_NAMES and path.endswith((".c", ".h", ".py")):
            yield f"{path}:1: a thing without a home means a missing noun"


# --- calls ---


def no_banned_calls(tree):
    for path, number, name in calls(tree, tree.c_files(*PRODUCT, "tests/"), BANNED):
        yield f"{path}:{number}: {name} is banned, use {BANNED[name]}"
    for path, number, name in calls(tree, tree.c_files(*PRODUCT), BANNED_IN_PRODUCT):
        yield f"{path}:{number}: {name} is banned, {BANNED_IN_PRODUCT[name]}"


def only_the_settings_read_the_environment(tree):
    paths = [path for path in tree.c_files(*PRODUCT) if not re.fullmatch(r"consumer/settings(_\w+)?\.[ch]|consumer/base/crash\.c", path)]  # crash.c: test builds only
    for path in paths:
        for number, line in tree.code(path):
            match = re.search(r"\b(getenv|secure_getenv|environ|__environ)\b", line)
            if match:
                yield f"{path}:{number}: {match.group(1)}: only the settings read the environment"


def only_main_service_and_memory_end_the_process(tree):
    paths = [path for path in tree.c_files(*PRODUCT) if path not in ("consumer/main.c", "consumer/service.c", "consumer/base/memory.c")]
    for path, number, name in calls(tree, paths, ["exit", "_exit", "_Exit", "quick_exit", "abort"]):
        yield f"{path}:{number}: {name}: only main, service and memory end the process"


def only_the_log_and_commands_write_to_standard_output(tree):
    allowed = re.compile(r"consumer/base/log\.c|consumer/main\.c|consumer/commands/\w+\.c")
    paths = [path for path in tree.c_files(*PRODUCT) if not allowed.fullmatch(path)]
    for path in paths:
        for number, line in tree.code(path):
            match = re.search(r"\b(v?printf|puts|putchar)\s*\(|\b(stdout|STDOUT_FILENO)\b", line)
            if match and "__attribute__" not in line:
                yield f"{path}:{number}: {match.group(0).rstrip('(')}: only the log and the commands write to standard output"


def pure_modules_read_no_clock_and_do_no_io(tree):
    pure = r"delivery/(attempt|egress|event|standing|guard|hold_list|verdict|retry|endpoint|origin|scheduler|request|signature|signature_keys|span|tls_chain|verifier|window|site|slots|witnesses)\.c|dedupe/record\.c|consumer/(bearer|attempt_record|span_headers|span_record|http/task_path|ledger|envelope|careful|base/moment|base/json|commands/(shown|attempt_row|broker_release))\.c"
    paths = [path for path in tree.files if re.fullmatch(pure, path)]
    names = ["clock_wall_ms", "clock_monotonic_ms", "clock_monotonic_us", "clock_gettime", "time", "random_bytes", "random_below", "getrandom",
             "open", "fopen", "read", "write", "socket", "connect", "send", "recv", "fprintf"]
    for path, number, name in calls(tree, paths, names):
        yield f"{path}:{number}: {name} in a pure module: time, randomness and bytes are arguments"


# --- size and form ---


def functions_are_at_most_70_lines(tree):
    for path in tree.c_files(*PRODUCT, "tests/"):
        start = None
        for number, line in tree.code(path):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield f"{path}:{start}: a function of {number - start + 1} lines"
                start = None


def source_files_are_at_most_500_lines(tree):
    for path in tree.c_files(*PRODUCT):
        count = tree.text(path).count("\n")
        if path.endswith(".c") and count > FILE_LINES_MAX:
            yield f"{path}:{FILE_LINES_MAX + 1}: {count} lines: split it along its nouns"


def headers_open_with_their_contract_and_a_guard(tree):
    for path in tree.c_files(*PRODUCT):
        text = tree.text(path)
        if path.endswith(".h"):
            if not text.startswith("/* "):
                yield f"{path}:1: a header opens with its contract"
            if not re.search(r"^#ifndef JOBHOOK_\w+_H\n#define JOBHOOK_\w+_H$", text, re.MULTILINE):
                yield f"{path}:1: has no include guard JOBHOOK_…_H"


def formatted_by_clang_format(tree):
    """Formatting differs from version to version: Debian 12's, 14, is the one that counts; others are not asked."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout if program else ""
    paths = tree.c_files()
    if " 14." not in version or not paths or ".clang-format" not in tree.files:
        return
    result = subprocess.run([program, "--style=file", "--dry-run", "--Werror", "--ferror-limit=1", *paths], cwd=tree.root, capture_output=True,
                            text=True, check=False)
    for line in result.stderr.splitlines():
        if "error:" in line:
            yield line.replace("error: ", "").replace("[-Wclang-format-violations]", "(clang-format -i --style=file)")


def no_marks_and_no_dead_code(tree):
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b|^\s*#\s*if\s+0\b")
    for path in tree.files:
        if path.endswith((".c", ".h", ".py", ".sh", ".lua", ".md", ".txt", ".cmake", ".yml", ".yaml", "Dockerfile")) and path != "tests/rules/check.py":
            for number, line in tree.lines(path):
                match = marks.search(line)
                if match:
                    yield f"{path}:{number}: {match.group(0).strip()}: a known limit is a sentence where it lives"


# --- what the user reads ---


def table_in_the_code(tree):
    rows = re.findall(r'ROW\(\s*"(\w+)",\s*"([^"]*)"', tree.text("consumer/settings_table.c"))
    return dict(rows)


def expand(cell, known):
    """`JOBHOOK_A_B` / `_C` → JOBHOOK_A_B, JOBHOOK_A_C."""
    names = []
    for name in re.findall(r"`(\w+)`", cell):
        if name.startswith("_") and names:
            stem = names[-1]
            while "_" in stem and stem + name not in known:
                stem = stem.rsplit("_", 1)[0]
            name = stem + name
        names.append(name)
    return names


def table_in_the_readme(tree, known):
    """name → (line, default); a default is given once for all names of a row or once for each."""
    found = {}
    for number, line in tree.lines("README.md"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("| `JOBHOOK_") or len(cells) < 2:
            continue
        names = expand(cells[0], known)
        defaults = [part.strip().strip("`") for part in cells[1].split(" / ")]
        defaults = ["" if default in ("–", "—", "-") else default for default in defaults]
        if len(defaults) == 1:
            defaults *= len(names)
        for index, name in enumerate(names):
            found[name] = (number, defaults[index] if index < len(defaults) else None)
    return found


def readme_shows_the_settings_table(tree):
    if "README.md" not in tree.files:
        return  # rule top_level_is_as_the_house_says says so
    known = table_in_the_code(tree)
    shown = table_in_the_readme(tree, known)
    for name, default in known.items():
        if name not in shown:
            yield f"README.md:1: the table of settings lacks {name}"
        elif shown[name][1] != default:
            yield f"README.md:{shown[name][0]}: {name} defaults to {default or 'nothing'!r}, not to {shown[name][1] or 'nothing'!r}"
    for name in shown.keys() - known.keys():
        yield f"README.md:{shown[name][0]}: {name} is no setting"


def deployment_names_only_settings_that_exist(tree):
    known = set(table_in_the_code(tree))
    cmake = set(re.findall(r"JOBHOOK_\w+", tree.text("CMakeLists.txt")))
    for path in tree.files:
        if not path.startswith(("deploy/", "helm/")) and path != "Dockerfile":
            continue
        for number, line in tree.lines(path):
            for name in re.findall(r"\bJOBHOOK_[A-Z_]*[A-Z]\b", line):
                if name not in known and name.removesuffix("_FILE") not in known and name not in cmake:
                    yield f"{path}:{number}: {name} is no setting"


def chart_takes_every_setting(tree):
    path = "helm/jobhook/values.schema.json"
    if path not in tree.files:
        return
    taken = set(json.loads(tree.text(path))["definitions"]["settingName"]["enum"])
    known = set(table_in_the_code(tree))
    for name in sorted(known - taken):
        yield f"{path}:1: settingName lacks {name}"
    for name in sorted(taken - known):
        yield f"{path}:1: {name} is no setting"


def versions_agree(tree):
    """CMakeLists.txt has the version; image and chart repeat it, because nothing reads it for them."""
    if "CMakeLists.txt" not in tree.files:
        return
    version = re.search(r"^project\(jobhook VERSION ([\d.]+)", tree.text("CMakeLists.txt"), re.MULTILINE)
    places = {"Dockerfile": r"^ARG VERSION=(.*)$", "helm/jobhook/Chart.yaml": r"^(?:appVersion|version): (.*)$"}
    for path, pattern in places.items():
        for number, line in tree.lines(path) if version and path in tree.files else ():
            found = re.match(pattern, line)
            if found and found.group(1) != version.group(1):
                yield f"{path}:{number}: says version {found.group(1)}, CMakeLists.txt {version.group(1)}"


def top_level_is_as_the_house_says(tree):
    top = {path.split("/")[0] for path in tree.files}
    for name in sorted(top):
        if name not in TOP_ALLOWED and not name.startswith("."):
            yield f"{name}:1: has no place at the top level"
    for name in sorted(TOP_REQUIRED - top):
        yield f"{name}:1: is missing"


RULES = [
    includes_follow_the_dependency_rule,
    includes_exist_and_start_at_the_root,
    third_party_headers_only_in_their_owners,
    private_headers_stay_in_their_module,
    no_vague_file_names,
    no_banned_calls,
    only_the_settings_read_the_environment,
    only_main_service_and_memory_end_the_process,
    only_the_log_and_commands_write_to_standard_output,
    pure_modules_read_no_clock_and_do_no_io,
    functions_are_at_most_70_lines,
    source_files_are_at_most_500_lines,
    headers_open_with_their_contract_and_a_guard,
    formatted_by_clang_format,
    no_marks_and_no_dead_code,
    readme_shows_the_settings_table,
    deployment_names_only_settings_that_exist,
    chart_takes_every_setting,
    versions_agree,
    top_level_is_as_the_house_says,
]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    tree = Tree(os.path.normpath(root))
    failed = 0
    for rule in RULES:
        found = list(rule(tree))
        print(("FAIL " if found else "ok   ") + rule.__name__)
        print("".join(f"{line}\n" for line in found), end="")
        failed += bool(found)
    print(f"rules: {len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
