"""What jobhook accepts and sends, other people's parsers read, and read the same: Python's json and Node's JSON.parse.

The corpus is JSON text made by a generator with a seed (numbers, strings, escapes, surrogates, depth, white space, doubled keys), the same with
bytes changed, and every event cut at every byte. Numbers are compared as they are written, objects with the order and number of their keys.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("JOBHOOK_BUILD", HERE.parents[1] / ".build/release"))
SEED = int(os.environ.get("JOBHOOK_SEED", "20"))
EVENTS, MUTANTS = 3000, 20000
DEPTH_MAX = 512  # delivery/event.h; the event itself is the first level

sys.setrecursionlimit(10000)


# ------------------------------------------------------------------------------------------------------------------------ generator

SPACES = ["", "", "", " ", "\n", "\t", "\r\n", "  \n\t "]
NUMBERS = ["0", "-0", "1", "-1", "0.0", "-0.0", "1e0", "1E+2", "1e-2", "1.5e300", "1e400", "-1e400", "1e-400", "123456789012345678901234567890", "9007199254740993",
           "-9223372036854775809", "18446744073709551616", "0.1", "0.10", "3.141592653589793238462643383279", "1" * 400, "0." + "0" * 400 + "1", "1e0000000001"]  # fmt: skip
ESCAPES = ['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u001f", "\\u007F", "\\u0080", "\\u00fc", "\\u20AC", "\\u2028", "\\uFFFF", "\\ud83d\\ude00",
           "\\uD800\\uDC00", "\\uDBFF\\udfff", "\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800x", "\\ud800\\u0041"]  # fmt: skip
CHARACTERS = "aA0 /<>&'{}[]:,\u007f\u0080\u00fc\u07ff\u0800\u20ac\u2028\u2029\ud7ff\ue000\ufeff\ufffd\uffff\U00010000\U0001f600\U0010ffff"
NAMES = ['"a"', '"a"', '"b"', '""', '"__proto__"', '"task_id"', '"result"', '"\\u0061"', '"toString"', '"0"']


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def space(self):
        return self.random.choice(SPACES)

    def number(self):
        r = self.random
        if r.random() < 0.5:
            return r.choice(NUMBERS)
        whole = str(r.getrandbits(r.choice([4, 31, 53, 64, 200])))
        fraction = "." + str(r.getrandbits(r.choice([8, 60]))) if r.random() < 0.5 else ""
        exponent = r.choice("eE") + r.choice(["", "+", "-"]) + str(r.randrange(500)) if r.random() < 0.3 else ""
        return r.choice(["", "-"]) + whole + fraction + exponent

    def string(self):
        r = self.random
        return '"' + "".join(r.choice(ESCAPES) if r.random() < 0.4 else r.choice(CHARACTERS) for _ in range(r.randrange(12))) + '"'

    def array(self, depth):
        return "[" + self.space() + ",".join(self.value(depth - 1) for _ in range(self.random.randrange(5))) + self.space() + "]"

    def object(self, depth):
        def member():
            name = self.string() if self.random.random() < 0.4 else self.random.choice(NAMES)
            return self.space() + name + self.space() + ":" + self.value(depth - 1)
        return "{" + ",".join(member() for _ in range(self.random.randrange(5))) + self.space() + "}"

    def value(self, depth):
        kinds = [self.number, self.string, lambda: self.random.choice(["null", "true", "false"])]
        if depth > 0:
            kinds += [lambda: self.array(depth), lambda: self.object(depth)] * 2
        return self.space() + self.random.choice(kinds)() + self.space()

    def deep(self):
        """A result that reaches the deepest level that is allowed, or nearly."""
        levels = self.random.choice([DEPTH_MAX - 2, DEPTH_MAX - 3, 100])
        opening = [self.random.choice(["[", '{"d":', '[1,{"d":2},']) for _ in range(levels)]
        closing = ["}" if part[0] == "{" else "]" for part in reversed(opening)]
        inside = self.random.choice(["{}", "[]"]) if levels < DEPTH_MAX - 2 else "0"
        opening = [part if index < levels - 1 else part.replace('{"d":2}', "2") for index, part in enumerate(opening)]
        return '{"deep":' + "".join(opening) + inside + "".join(closing) + "}"

    def event(self):
        r = self.random
        failed = r.random() < 0.3
        members = [('"task_id"', f'"t-{r.randrange(10**6)}"'), ('"status"', '"failed"' if failed else '"completed"'), ('"task_type"', '"qa_\\u0061gent"')]
        if failed:
            members.append(('"error"', self.string()))
        else:
            members.append(('"result"', self.deep() if r.random() < 0.02 else self.object(r.randrange(6))))
        members += [('"' + "x" * (i + 1) + '"', self.value(3)) for i in range(r.randrange(3))]
        r.shuffle(members)
        return (self.space() + "{" + ",".join(self.space() + name + self.space() + ":" + self.space() + value + self.space() for name, value in members) + "}"
                + self.space()).encode()  # fmt: skip

    def mutant(self, event):
        """One to three bytes replaced, taken away, put in, or a piece doubled."""
        r = self.random
        changed = bytearray(event)
        for _ in range(r.randrange(1, 4)):
            at, what = r.randrange(len(changed)), r.randrange(4)
            if what == 0:
                changed[at] = r.choice(b'"\\{}[]:,0e.-+utn \x7f\x80\xc3\xed\xf4\xff')
            elif what == 1:
                del changed[at : at + r.randrange(1, 4)]
            elif what == 2:
                changed[at:at] = bytes([r.choice(b'"\\{}[]:,019eE.-+/ \t\x01\xbf\xef')])
            else:
                changed[at:at] = changed[at : at + r.randrange(1, 12)]
            if not changed:
                return event
        return bytes(changed)


# ------------------------------------------------------------------------------------------------------------------------- verdicts

def check(events):
    """What the code says about each: (True, payload) or (False, problem)."""
    joined = b"".join(event + b"\0" for event in events)
    answer = subprocess.run([BUILD / "tests" / "event_check", "-0"], input=joined, stdout=subprocess.PIPE, check=True, timeout=120)
    answers = answer.stdout.split(b"\0")[:-1]
    assert len(answers) == len(events)
    return [(word == b"ok", rest) for word, _, rest in (line.partition(b" ") for line in answers)]


def refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def parse(text):
    """Numbers as ('number', as written), objects as lists of pairs: nothing is rounded, merged or sorted."""
    def number(written):
        return ("number", written)
    return json.loads(text.decode("utf-8"), parse_int=number, parse_float=number, parse_constant=refuse_constant, object_pairs_hook=lambda pairs: ("object", pairs))


def expect_same_in_python(event, payload):
    _, given = parse(event)
    _, sent = parse(payload)
    wanted = ["task_id", "status", "task_type", "result" if ("status", "completed") in given else "error"]
    assert [name for name, _ in sent] == wanted, event
    for name, value in sent:
        assert [other for same, other in given if same == name] == [value], (name, event)


def expect_same_in_node(pairs):
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no Node (deploy/install.sh test)")
    joined = b"".join(text + b"\0" for pair in pairs for text in pair)
    answer = subprocess.run([node, HERE / "differential.mjs"], input=joined, stdout=subprocess.PIPE, check=True, timeout=120).stdout.decode()
    assert answer == f"{len(pairs)} pairs\n"


# ---------------------------------------------------------------------------------------------------------------------------- tests

@pytest.fixture(scope="module")
def corpus():
    generator = Generator(SEED)
    return [generator.event() for _ in range(EVENTS)]


@pytest.fixture(scope="module")
def accepted(corpus):
    """(event, payload) of all that is accepted: of the corpus everything, of the mutants what happens to be fine."""
    generator = Generator(SEED + 1)
    verdicts = check(corpus)
    refused = [(event, problem) for event, (passed, problem) in zip(corpus, verdicts) if not passed]
    assert not refused, f"seed {SEED}: {refused[0]}"
    mutants = [generator.mutant(generator.random.choice(corpus)) for _ in range(MUTANTS)]
    mutants = [mutant for mutant in mutants if b"\0" not in mutant]
    survivors = [(event, payload) for event, (passed, payload) in zip(mutants, check(mutants)) if passed]
    assert 500 < len(survivors) < len(mutants) - 500, "mutants of both kinds"
    return [(event, payload) for event, (_, payload) in zip(corpus, verdicts)] + survivors


def test_python_reads_every_payload_as_the_event(accepted):
    for event, payload in accepted:
        expect_same_in_python(event, payload)


def test_node_reads_every_payload_as_the_event(accepted):
    expect_same_in_node(accepted)


def test_result_and_error_are_sent_byte_for_byte(accepted):
    for event, payload in accepted:
        start = min(at for at in (payload.find(b',"result":'), payload.find(b',"error":')) if at >= 0)
        assert payload[payload.index(b":", start) + 1 : -1] in event


def test_what_python_and_the_code_both_judge_they_judge_alike(corpus):
    """A mutant that Python cannot read is refused; one that the code calls bad JSON, Python cannot read either."""
    generator = Generator(SEED + 2)
    mutants = [generator.mutant(generator.random.choice(corpus)) for _ in range(MUTANTS)]
    mutants = [mutant for mutant in mutants if b"\0" not in mutant]
    for mutant, (passed, problem) in zip(mutants, check(mutants)):
        try:
            parse(mutant)
            readable = True
        except ValueError:
            readable = False
        assert readable or not passed, mutant
        assert not readable or b"not valid JSON" not in problem, (problem, mutant)


def test_an_event_cut_at_any_byte_is_refused(corpus):
    whole = [event.strip() for event in corpus[:60]]
    cut = [event[:length] for event in whole for length in range(len(event))]
    assert len(cut) > 5000
    for event, (passed, problem) in zip(cut, check(cut)):
        assert not passed and problem, event


def test_an_event_that_begins_too_late_is_refused(corpus):
    late = [event[start:] for event in (event.strip() for event in corpus[:60]) for start in range(1, len(event))]
    for event, (passed, _) in zip(late, check(late)):
        if passed:  # an object inside that happens to be an event
            parse(event)
        assert not passed or event.startswith(b"{"), event


@pytest.mark.parametrize("sent", [b'{"n":1.50}', b'{"n":1.5,"n":1.5}', b'{"m":1.5}', b'{"n":1.5,"m":0}', b'{"n":"1.5"}'])
def test_the_comparison_in_python_sees_the_smallest_difference(sent):
    event = b'{"task_id":"t","status":"completed","task_type":"x","result":{"n":1.5}}'
    expect_same_in_python(event, event)
    with pytest.raises(AssertionError):
        expect_same_in_python(event, event.replace(b'{"n":1.5}', sent))


def test_the_comparison_in_node_sees_a_difference():
    event = b'{"task_id":"t","status":"completed","task_type":"x","result":{"n":1.5}}'
    expect_same_in_node([(event, event)])
    with pytest.raises(AssertionError):
        expect_same_in_node([(event, event.replace(b"1.5", b"1.25"))])
