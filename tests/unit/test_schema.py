"""The JSON Schemas of the event and the payload (deploy/schema) say what the code does.

Every event of the corpus is put to the code (tests/system/event_check.c) and to the schema, and both must give the same verdict. What no JSON Schema
can express is listed apart: there the schema lets pass what the code refuses. Each payload must fit the payload's schema, and hold the bytes of the
event's result or error.
"""

import itertools
import json
import os
import pathlib
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JOBHOOK_BUILD", ROOT / ".build/release"))
SCHEMAS = ROOT / "deploy/schema"


def schema(name):
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def validator(name):
    return jsonschema.Draft202012Validator(schema(name))


def check(lines):
    """What the code says about each line: (True, payload) or (False, problem)."""
    program = BUILD / "tests" / "event_check"
    answer = subprocess.run([program], input=b"".join(line + b"\n" for line in lines), stdout=subprocess.PIPE, check=True, timeout=60)
    answers = answer.stdout.splitlines()
    assert len(answers) == len(lines)
    return [(word == b"ok", rest) for word, _, rest in (line.partition(b" ") for line in answers)]


def event(**members):
    """A good completed event with some members replaced; MISSING takes one away, RAW is put in as it is."""
    whole = {"task_id": "t-1", "status": "completed", "task_type": "find_email", "result": {"email": "a@example.com"}}
    whole.update(members)
    return object_of(whole)


def failed(**members):
    return event(**{"status": "failed", "result": MISSING, "error": "no lead", **members})


MISSING = object()


class Raw(str):
    """JSON text of one value, spliced into the event as it is."""


def object_of(members):
    parts = []
    for name, value in members.items():
        if value is not MISSING:
            parts.append(f"{json.dumps(name)}:{value if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)}")
    return ("{" + ",".join(parts) + "}").encode()


# One of each kind of value, and what may be mistaken for something else.
KINDS = [None, True, False, 0, 1, -1.5, "", "x", [], [1], ["x"], {}, {"a": 1}, Raw("1e400"), Raw("12345678901234567890"), "completed", "failed", "null"]


def of_every_kind():
    for name in ("task_id", "status", "task_type", "result", "error", "webhook_url", "other"):
        for value in [MISSING, *KINDS]:
            yield event(**{name: value})
            yield failed(**{name: value})


def of_every_ending():
    endings = [MISSING, None, "", "x", {}, {"a": None}, [], 0, False]
    for status, result, error in itertools.product(["completed", "failed", "running", None, MISSING], endings, endings):
        yield event(status=status, result=result, error=error)


def of_every_length():
    for length in (0, 1, 127, 128, 129, 255, 256, 257, 1000):
        yield event(task_id="a" * length)
        yield event(task_type="a" * length)
        yield event(webhook_url="https://example.com/" + "a" * length)
    yield event(webhook_url="https://example.com/" + "a" * 10000)


def of_every_control_character():
    for code in [*range(0x00, 0x22), 0x7e, 0x7f, *range(0x80, 0xa2), 0xad, 0x2028, 0xfeff, 0xffff, 0x1f600]:
        for text in (chr(code), f"a{chr(code)}", f"{chr(code)}b", f"a{chr(code)}b"):
            escaped = Raw(json.dumps(text))
            yield event(task_id=escaped)
            yield event(task_type=escaped)
            yield event(webhook_url=escaped)
            yield failed(error=escaped)
            if code >= 0x20:
                yield event(task_id=text)
                yield event(task_type=text)


def of_other_shapes():
    yield from (b"[]", b"1", b"null", b"true", b'"x"', b"{}", b'["task_id"]', b'[{"task_id":"t"}]')
    yield event(**{"": 1, "Task_id": 2, "unknown": {"task_id": 3}})
    yield event(result={"a" * 100: [{"b": [None, True, 1.5, "\u00fc\U0001f600"]}] * 20})
    yield event(result=Raw('{ "n" : 1e400 , "n":0.10, "s":"\\u0000\\/" }'))
    yield failed(error="z\u00fcrich \U0001f600 \" \\ / \u2028")
    yield failed(error=Raw('"\\u0000\\n\\/"'))
    yield object_of({f"m{i}": i for i in range(252)})[:-1] + b"," + event()[1:]
    yield object_of({f"m{i}": i for i in range(253)})[:-1] + b"," + event()[1:]
    yield b" " + event().replace(b":", b" :\t") + b" \r"
    yield event().replace(b"task_id", b"task\\u005fid")
    yield event().replace(b"completed", b"\\u0063ompleted")


CORPUS = [*of_every_kind(), *of_every_ending(), *of_every_length(), *of_every_control_character(), *of_other_shapes()]

# What the code refuses and no JSON Schema can express; each with words of the code's reason.
BEYOND_SCHEMA = {
    "task_id of 257 bytes, but fewer characters": (event(task_id="\u00fc" * 128 + "a"), b"bytes long"),
    "task_id of 260 bytes, escaped": (event(task_id=Raw('"' + "\\ud83d\\ude00" * 65 + '"')), b"bytes long"),
    "task_type of 129 bytes, but fewer characters": (event(task_type="\u20ac" * 43), b"bytes long"),
    "a member given twice": (event()[:-1] + b',"task_id":"t-1"}', b"given twice"),
    "a member given twice, once escaped": (event()[:-1] + b',"task\\u005fid":"t-1"}', b"given twice"),
    "an ignored member given twice": (event()[:-1] + b',"x":1,"x":1}', b"given twice"),
    "nesting of 513": (event(result=Raw('{"r":' + "[" * 511 + "]" * 511 + "}")), b"512 deep"),
    "half of a surrogate pair in task_id": (event(task_id=Raw('"\\ud800"')), b"surrogate pair"),
    "half of a surrogate pair in task_type": (event(task_type=Raw('"\\udc00"')), b"surrogate pair"),
    "half of a surrogate pair in webhook_url": (event(webhook_url=Raw('"https://example.com/\\ud800"')), b"surrogate pair"),
    "half of a surrogate pair in a name": (event()[:-1] + b',"\\ud800":1}', b"surrogate pair"),
}

# What is no JSON at all, or not in UTF-8, and so never comes before a schema.
NOT_JSON = {
    "nothing": (b"", b"empty"),
    "white space": (b" \t\r", b"empty"),
    "a schema-registry frame": (b"\0\0\0\0\x01" + event(), b"schema-registry"),
    "a byte order mark": (b"\xef\xbb\xbf" + event(), b"byte order mark"),
    "Latin-1": (event(task_id="\u00fc").decode().encode("latin-1"), b"UTF-8"),
    "UTF-16": (event().decode().encode("utf-16-le"), b"control character"),
    "a form feed": (b"\f" + event(), b"control character"),
    "a second value": (event() + b" {}", b"follows"),
    "an unfinished string behind it": (event() + b'"', b"follows"),
    "an end too early": (event()[:-1], b"ends in the middle"),
    "a comma too many": (event()[:-1] + b",}", b"not valid JSON"),
    "a comment": (event()[:-1] + b"/**/}", b"not valid JSON"),
    "single quotes": (event().replace(b'"', b"'"), b"not valid JSON"),
    "NaN": (event(other=Raw("NaN")), b"not valid JSON"),
    "a leading zero": (event(other=Raw("01")), b"not valid JSON"),
}


@pytest.mark.parametrize("name", ["event", "payload"])
def test_schemas_are_valid_themselves_and_so_are_their_examples(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["examples"]
    for example in schema(name)["examples"]:
        validator(name).validate(example)


def test_every_member_is_described():
    for name in ("event", "payload"):
        for member, rules in schema(name)["properties"].items():
            assert rules["description"], f"{name}: {member}"


def test_code_and_schema_agree_about_every_event():
    judge = validator("event")
    verdicts = check(CORPUS)
    for line, (passed, answer) in zip(CORPUS, verdicts):
        assert judge.is_valid(json.loads(line)) == passed, f"{line[:300]!r}: the code says {answer[:300]!r}"
    passed = sum(verdict for verdict, _ in verdicts)
    assert passed > 200 and len(CORPUS) - passed > 500, "the corpus has many events of both kinds"


def test_every_payload_fits_its_schema_and_holds_the_bytes_of_the_event():
    judge = validator("payload")
    for line, (passed, payload) in zip(CORPUS, check(CORPUS)):
        if not passed:
            continue
        sent, given = json.loads(payload), json.loads(line)
        judge.validate(sent)
        wanted = ["task_id", "status", "task_type", "result" if given["status"] == "completed" else "error"]
        assert list(sent) == wanted
        assert all(sent[member] == given[member] for member in wanted)
        last = payload[payload.index(b',"' + wanted[3].encode() + b'":') + len(wanted[3]) + 4 : -1]
        assert last in line, f"{last[:300]!r} was not written so in {line[:300]!r}"


@pytest.mark.parametrize("name", BEYOND_SCHEMA)
def test_code_refuses_what_the_schema_cannot_express(name):
    line, reason = BEYOND_SCHEMA[name]
    [(passed, problem)] = check([line])
    assert not passed and reason in problem
    assert validator("event").is_valid(json.loads(line)), "the schema has learned it: move the case to the corpus"


@pytest.mark.parametrize("name", NOT_JSON)
def test_code_refuses_what_is_not_json(name):
    line, reason = NOT_JSON[name]
    [(passed, problem)] = check([line])
    assert not passed and reason in problem


def test_members_of_the_payload_are_members_of_the_event_under_the_same_rules():
    of_event, of_payload = schema("event")["properties"], schema("payload")["properties"]
    for member in ("task_id", "status", "task_type"):
        for rules in (of_event[member], of_payload[member]):
            rules.pop("description")
        assert of_event[member] == of_payload[member]
    assert set(of_payload) == {"task_id", "status", "task_type", "result", "error"}
