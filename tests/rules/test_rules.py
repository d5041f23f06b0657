"""The rules hold for this tree, and each finds what breaks it."""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check  # noqa: E402

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


@pytest.fixture(scope="module")
def project():
    return check.Tree(ROOT)


@pytest.mark.parametrize("rule", check.RULES, ids=lambda rule: rule.__name__)
def test_holds(rule, project):
    found = list(rule(project))
    assert not found, "\n" + "\n".join(found)


# rule → trees that break it: {path: content}, and what must be said
GUARDED = "/* A contract. */\n#ifndef JOBHOOK_A_H\n#define JOBHOOK_A_H\n#endif\n"
TABLE = 'const struct row settings_rows[] = {\n    { ROW("JOBHOOK_A_ONE", "1s", "one") },\n    { ROW("JOBHOOK_A_TWO", "", "two") },\n};\n'
BROKEN = [
    ("includes_follow_the_dependency_rule", {"consumer/base/a.c": '#include "delivery/event.h"\n'}, "consumer/base/a.c:1: includes delivery/event.h"),
    ("includes_follow_the_dependency_rule", {"dedupe/a.c": '#include "delivery/event.h"\n'}, "dedupe/a.c:1: "),
    ("includes_follow_the_dependency_rule", {"delivery/a.h": '\n#include "consumer/settings.h"\n'}, "delivery/a.h:2: "),
    ("includes_follow_the_dependency_rule", {"consumer/a.c": '#include "consumer/commands/commands.h"\n'}, "the other way round"),
    ("includes_exist_and_start_at_the_root", {"consumer/a.c": '#include "settings.h"\n', "consumer/settings.h": GUARDED}, "there is no settings.h"),
    ("third_party_headers_only_in_their_owners", {"consumer/worker.c": "#include <librdkafka/rdkafka.h>\n"}, "librdkafka belongs to"),
    ("third_party_headers_only_in_their_owners", {"delivery/post.h": "#include <curl/curl.h>\n"}, "libcurl belongs to"),
    ("third_party_headers_only_in_their_owners", {"delivery/a.c": "#include <openssl/evp.h>\n"}, "OpenSSL belongs to"),
    ("third_party_headers_only_in_their_owners", {"dedupe/claims.c": "# include <hiredis/hiredis.h>\n"}, "hiredis belongs to"),
    ("third_party_headers_only_in_their_owners", {"delivery/a.c": "#include <yajl/yajl_parse.h>\n"}, "yajl belongs to"),
    ("third_party_headers_only_in_their_owners", {"delivery/a.c": "#include <ares.h>\n"}, "c-ares belongs to"),
    ("third_party_headers_only_in_their_owners", {"consumer/a.c": "#include <microhttpd.h>\n"}, "libmicrohttpd belongs to"),
    ("third_party_headers_only_in_their_owners", {"consumer/worker.h": "#include <uv.h>\n"}, "libuv belongs to"),
    ("private_headers_stay_in_their_module", {"dedupe/claims.c": '#include "dedupe/redis_inside.h"\n'}, "only dedupe/redis*.c"),
    ("private_headers_stay_in_their_module", {"dedupe/redis_x.h": '#include "dedupe/redis_inside.h"\n'}, "only dedupe/redis*.c"),
    ("no_vague_file_names", {"delivery/utils.c": ""}, "missing noun"),
    ("no_banned_calls", {"delivery/a.c": "int f(void)\n{\n    return atoi (x);\n}\n"}, "delivery/a.c:3: atoi is banned"),
    ("no_banned_calls", {"tests/unit/test_a.c": "strcpy(a, b);\n"}, "strcpy is banned"),
    ("no_banned_calls", {"consumer/a.c": "system(a);\n"}, "system is banned"),
    ("only_the_settings_read_the_environment", {"delivery/a.c": 'x = getenv("A");\n'}, "delivery/a.c:1: getenv"),
    ("only_the_settings_read_the_environment", {"consumer/main.c": "extern char **environ;\n"}, "environ"),
    ("only_main_service_and_memory_end_the_process", {"consumer/worker.c": "_exit(1);\n"}, "consumer/worker.c:1: _exit"),
    ("only_the_log_and_commands_write_to_standard_output", {"delivery/a.c": 'printf("a");\n'}, "delivery/a.c:1: printf"),
    ("only_the_log_and_commands_write_to_standard_output", {"consumer/a.c": "fputs(a, stdout);\n"}, "stdout"),
    ("pure_modules_read_no_clock_and_do_no_io", {"delivery/scheduler.c": "a = clock_monotonic_ms();\n"}, "clock_monotonic_ms in a pure module"),
    ("functions_are_at_most_70_lines", {"delivery/a.c": "void f(void)\n{\n" + "    g();\n" * 69 + "}\n"}, "delivery/a.c:2: a function of 71 lines"),
    ("source_files_are_at_most_500_lines", {"delivery/a.c": "\n" * 501}, "501 lines"),
    ("headers_open_with_their_contract_and_a_guard", {"delivery/a.h": "#ifndef JOBHOOK_A_H\n#define JOBHOOK_A_H\n#endif\n"}, "contract"),
    ("headers_open_with_their_contract_and_a_guard", {"delivery/a.h": "/* A contract. */\n#pragma once\n"}, "guard"),
    ("no_marks_and_no_dead_code", {"delivery/a.c": "/* TO" + "DO: later */\n"}, "delivery/a.c:1: TO" + "DO"),
    ("no_marks_and_no_dead_code", {"delivery/a.c": "#if" + " 0\n#endif\n"}, "delivery/a.c:1: "),
    ("readme_shows_the_settings_table", {"consumer/settings_table.c": TABLE, "README.md": "| `JOBHOOK_A_ONE` | `2s` | one |\n"}, "README.md:1: JOBHOOK_A_ONE defaults to '1s', not to '2s'"),
    ("readme_shows_the_settings_table", {"consumer/settings_table.c": TABLE, "README.md": "| `JOBHOOK_A_ONE` | `1s` | one |\n"}, "lacks JOBHOOK_A_TWO"),
    ("readme_shows_the_settings_table", {"consumer/settings_table.c": TABLE, "README.md": "| `JOBHOOK_B` | `1s` | b |\n"}, "JOBHOOK_B is no setting"),
    ("deployment_names_only_settings_that_exist", {"consumer/settings_table.c": TABLE, "CMakeLists.txt": "", "deploy/a.yml": "JOBHOOK_A_TWOO: 1\n"}, "deploy/a.yml:1: JOBHOOK_A_TWOO"),
    ("chart_takes_every_setting", {"consumer/settings_table.c": TABLE, "helm/jobhook/values.schema.json": '{"definitions":{"settingName":{"enum":["JOBHOOK_A_ONE"]}}}'}, "settingName lacks JOBHOOK_A_TWO"),
    ("chart_takes_every_setting", {"consumer/settings_table.c": TABLE, "helm/jobhook/values.schema.json": '{"definitions":{"settingName":{"enum":["JOBHOOK_B"]}}}'}, "JOBHOOK_B is no setting"),
    ("versions_agree", {"CMakeLists.txt": "project(jobhook VERSION 1.2.3 LANGUAGES C)\n", "Dockerfile": "ARG VERSION=1.2.2\n"}, "Dockerfile:1: says version 1.2.2, CMakeLists.txt 1.2.3"),
    ("versions_agree", {"CMakeLists.txt": "project(jobhook VERSION 1.2.3 LANGUAGES C)\n", "helm/jobhook/Chart.yaml": "version: 1.2.3\nappVersion: 1.2.2\n"}, "Chart.yaml:2: says"),
    ("top_level_is_as_the_house_says", {"src/a.c": "", "README.md": ""}, "src:1: has no place"),
    ("top_level_is_as_the_house_says", {"README.md": ""}, "LICENSE:1: is missing"),
]  # fmt: skip


def tree_of(files, folder):
    for path, content in files.items():
        os.makedirs(folder / os.path.dirname(path), exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return check.Tree(str(folder))


@pytest.mark.parametrize("name, files, expected", BROKEN, ids=[f"{number}-{case[0]}" for number, case in enumerate(BROKEN)])
def test_finds(name, files, expected, tmp_path):
    found = list(getattr(check, name)(tree_of(files, tmp_path)))
    assert any(expected in line for line in found), found


def test_every_rule_but_the_formatter_is_shown_a_tree_that_breaks_it():
    shown = {name for name, _, _ in BROKEN}
    assert {rule.__name__ for rule in check.RULES} - shown == {"formatted_by_clang_format"}


def test_comments_and_strings_are_not_code(tmp_path):
    files = {"delivery/a.c": '/* strcpy(a, b);\n exit(1); */\nlog("getenv(x) printf(y)"); // atoi(z)\nchar c = \'"\'; snprintf(a, b);\n'}
    tree = tree_of(files, tmp_path)
    for name in ("no_banned_calls", "only_the_settings_read_the_environment", "only_main_service_and_memory_end_the_process",
                 "only_the_log_and_commands_write_to_standard_output"):
        assert not list(getattr(check, name)(tree)), name


def test_the_readmes_table_may_put_names_and_defaults_together(tmp_path):
    readme = "| variable | default | meaning |\n|---|---|---|\n| `JOBHOOK_A_ONE` / `_TWO` | `1s` / – | both |\n"
    tree = tree_of({"consumer/settings_table.c": TABLE, "README.md": readme}, tmp_path)
    assert not list(check.readme_shows_the_settings_table(tree))


def test_the_program_prints_findings_and_a_summary(tmp_path):
    tree_of({"consumer/settings_table.c": TABLE, "CMakeLists.txt": "", "delivery/a.c": "strcpy(a, b);\n"}, tmp_path)
    run = subprocess.run([sys.executable, check.__file__, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "FAIL no_banned_calls\ndelivery/a.c:1: strcpy is banned" in run.stdout
    assert run.stdout.splitlines()[-1] == f"rules: {len(check.RULES) - 2} passed, 2 failed"
