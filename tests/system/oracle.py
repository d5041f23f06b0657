#!/usr/bin/python3
"""The oracle: reads what was published, what the receiver saw, which faults there were, and what lies in each topic, and says what became of
every event.

    oracle.py --published FILE... --received FILE... [--faults FILE] [--kafka BROKERS TOPIC GROUP | --topics FILE] [--json]

It knows nothing of jobhook but what DESIGN promises. Crimes, each of which makes the exit status 1:

    lost      written to Kafka, but never answered with a 2xx and not among the dead letters
    doubled   POSTed again for the same attempt, or after a 2xx, and no fault of the journal allows it
    early     a retry before the delays since the attempt before it were over, by the receiver's monotonic clock
    altered   other bytes, path, signature or attempt than published; a retry or dead letter whose key, value or headers changed
    wrong     a dead letter whose reason is not what happened
    undone    records that the group has not committed, though everything had its time
    died      a copy that ended by itself

A POST that came again is allowed by a fault between the two: the copy that had sent the first was killed before it can have recorded the result
(crash), slept beyond its lease (lease, zombie) or while the answer came (unseen); Redis lost what it knew (rollback), or was away for so long
that the result was not recorded in time or the second was sent without a claim (unrecorded). Copies are told apart by the keys that they sign with (scribe.c);
where the receiver's journal does not say (receiver.py), the fault of any copy counts.

Published: a line for each record with tabs between: webhook-id (the key where nothing is to be POSTed), partition, offset (-1: not acknowledged),
when it was (us of CLOCK_MONOTONIC), the sha256 of the body to expect (16 digits; "-" malformed), the fingerprint of the record, the path of its
URL ("-" none). Received: the journal of scribe.c or of receiver.py. Faults: one JSON object a line, `what` with times `from`, `to` in seconds
(see Faults). Topics: one JSON object a record, and {"lag": {topic: records}}."""
import argparse
import array
import collections
import hashlib
import json
import math
import re
import sys

NEVER = math.inf
EXAMPLES_MAX = 20
SLACK_US = 2_000_000  # from the answer's last byte until the result is recorded, on a busy machine
UNREAD_US = 250_000  # for so long the receiver may not have read what a copy sent that is dead; the next one takes longer to join the group
RECONNECT_US = 5_000_000  # the pause between two tries to reach Redis doubles up to that
CRIMES = ("lost", "doubled", "early", "altered", "wrong", "undone", "died")

Post = collections.namedtuple("Post", "first end answered attempt status copy")  # end: answered, or when the sender has given up


def fingerprint(key, value, headers):
    """Of a record as its producer wrote it: jobhook's own headers do not count."""
    digest = hashlib.sha256()
    for part in [key, value, *(x for name, content in headers for x in (name.encode(), content) if not name.startswith("jobhook-"))]:
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.hexdigest()[:16]


def read_script(path, known={}):
    """The steps of a path, as receiver.py reads them: '/500x2,ok/x' gives ['500', '500', 'ok']."""
    text = path.split("?", 1)[0].split("/", 2)[1]
    if text not in known:
        steps = []
        for part in text.split(","):
            step, times, count = part.partition("x")
            steps += [step] * (int(count) if times and count.isdigit() else 1)
        known[text] = steps
    return known[text]


def is_success(step):
    return step == "ok" or step.startswith("slow") or bool(re.fullmatch(r"2\d\d", step))


# --------------------------------------------------------------------------------------------------------------------------- faults

class Faults:
    """Times in us. Lines: settings (retry_ms, timeout_ms, margin_ms, redis_wait_ms, redis_patience_ms); kill, freeze, died (copy); redis_away;
    redis_lost (since: what was written from then on is gone; null: everything). Others are only counted."""

    def __init__(self, lines):
        self.settings = {"retry_ms": [1000, 2000, 4000, 8000, 16000], "timeout_ms": 10000, "margin_ms": 10000, "redis_wait_ms": 60000,
                         "redis_patience_ms": 5000}
        self.kills, self.freezes = collections.defaultdict(list), collections.defaultdict(list)
        self.away, self.losses, self.died = [], [], []
        self.counts = collections.Counter()
        for line in lines:
            fault = json.loads(line)
            if fault["what"] == "settings":
                self.settings.update(fault)
            elif "from" in fault:
                self.take(fault)
        self.timeout_us = self.settings["timeout_ms"] * 1000
        self.margin_us = self.settings["margin_ms"] * 1000

    def take(self, fault):
        span = (int(fault["from"] * 1e6), NEVER if fault.get("to") is None else int(fault["to"] * 1e6))
        what, copy = fault["what"], fault.get("copy")
        self.counts[fault.get("how") or what] += 1
        if what in ("kill", "died"):
            self.kills[copy].append(span)
            self.kills[None].append(span)
        if what == "died":
            self.died.append(f"copy {copy} ended by itself: {fault.get('status')}")
        elif what == "freeze":
            self.freezes[copy].append(span)
            self.freezes[None].append(span)
        elif what == "redis_away":  # for a copy it is over when the copy tries again
            self.away.append((span[0], span[1] + min(RECONNECT_US, span[1] - span[0]) + 500_000))
        elif what == "redis_lost":
            self.losses.append((*span, -NEVER if fault.get("since") is None else int(fault["since"] * 1e6)))

    def settled_by(self, post):
        """When its result was recorded at the latest: while its copy slept, or Redis was away, it could not be."""
        latest, spans = post.end + SLACK_US, self.away + self.freezes[post.copy]
        for _ in range(len(spans) + 1):
            later = max((end + SLACK_US for start, end in spans if start <= latest and end >= post.first), default=latest)
            if later <= latest:
                break
            latest = later
        return latest

    def allows(self, first, second):
        """Why a second POST may come after the first; None: nothing allows it. The checks go from the surest to the widest."""
        for check in (self.crash, self.rollback, self.lease, self.zombie, self.unseen, self.unrecorded, self.crash_later):
            if check(first, second):
                return check.__name__
        return None

    def crash(self, first, second, slack_us=250_000):
        return first.attempt == second.attempt and any(end + UNREAD_US >= first.first and start <= first.end + slack_us and second.first >= start
                                                       for start, end in self.kills[first.copy])

    def crash_later(self, first, second):
        """The answer was there, and its copy had no time, or no Redis, to record it."""
        return self.crash(first, second, self.settled_by(first) - first.end)

    def rollback(self, first, second):
        settled = self.settled_by(first)
        return any(first.first <= end and second.first >= start and since <= settled for start, end, since in self.losses)

    def lease(self, first, second):
        """Right before a POST at least half of the margin is left of its lease beyond the timeout."""
        settled = self.settled_by(first)
        return (first.attempt == second.attempt and second.first - first.first >= self.margin_us / 2 - 50_000
                and any(start <= settled and end >= first.first - self.timeout_us and second.first >= start for start, end in self.freezes[first.copy]))

    def zombie(self, first, second):
        """The second's sender woke up and went on with what it held before."""
        return any(start <= second.first and second.first - self.timeout_us <= end <= second.first + 1000
                   and first.first >= start - self.timeout_us - self.margin_us for start, end in self.freezes[second.copy])

    def unseen(self, first, second):
        """The answer came while the sender slept, and for the sender its time was over when it woke up: the next attempt follows."""
        return first.attempt != second.attempt and any(start <= first.end + SLACK_US and end >= first.first - self.timeout_us
                                                       for start, end in self.freezes[first.copy])

    def unrecorded(self, first, second):
        patience_us, wait_us = (self.settings[name] * 1000 for name in ("redis_patience_ms", "redis_wait_ms"))
        for start, end in self.away:
            answered_meanwhile = start - SLACK_US <= first.end <= end
            if answered_meanwhile and end - max(start, first.end) >= patience_us - 500_000:
                return True  # tried for so long, then the offset went without the record
            lease_left_us = self.timeout_us + self.margin_us / 2 - 1_000_000  # at least, when it was sent, first byte included
            if answered_meanwhile and first.attempt == second.attempt and min(end, second.first) - first.first >= lease_left_us:
                return True  # the lease ended before it could be recorded
            without_claims = (start + wait_us - 1_000_000, end + self.timeout_us + SLACK_US)
            if end - start >= wait_us and any(without_claims[0] <= post.first <= without_claims[1] for post in (first, second)):
                return True
        return False


# ------------------------------------------------------------------------------------------------------------------------- accounts

class Accounts:
    """One for each different record: what was published and which POSTs came. Arrays, because there are millions; only those with several POSTs
    have a list of them."""

    def __init__(self):
        self.by_id = {}  # webhook-id → account, or a tuple of them when different records share it
        self.names = []
        self.bodies, self.records = array.array("Q"), array.array("Q")
        self.paths, self.path_numbers = ["-"], {"-": 0}
        self.path_of = array.array("I")
        self.acked = array.array("q")  # us of the first; 0: never
        self.copies = array.array("B")  # how often it was published
        self.places = {}  # account → places, of those published more than once
        self.place = array.array("q")  # partition << 40 | offset
        self.first, self.answered, self.how = array.array("q"), array.array("q"), array.array("i")
        self.more = {}
        self.letters = {}  # account → reasons

    def of(self, webhook_id):
        found = self.by_id.get(webhook_id, ())
        return found if isinstance(found, tuple) else (found,)

    def publish(self, webhook_id, place, acked_us, body, record, path):
        for account in self.of(webhook_id):
            if self.records[account] == record:
                self.places.setdefault(account, {self.place[account]}).add(place)
                self.copies[account] = min(255, self.copies[account] + (acked_us > 0))
                self.acked[account] = min(acked_us or self.acked[account], self.acked[account] or acked_us)
                return account
        account = len(self.names)
        self.by_id[webhook_id] = (*self.of(webhook_id), account) if webhook_id in self.by_id else account
        if path not in self.path_numbers:
            self.path_numbers[path] = len(self.paths)
            self.paths.append(path)
        self.names.append(webhook_id)
        for column, value in ((self.bodies, body), (self.records, record), (self.path_of, self.path_numbers[path]), (self.place, place),
                              (self.acked, acked_us), (self.copies, acked_us > 0), (self.first, 0), (self.answered, 0), (self.how, 0)):
            column.append(value)
        return account

    def receive(self, account, first_us, answered_us, attempt, status, copy):
        how = attempt << 16 | status << 4 | copy + 1
        if self.first[account] == 0:
            self.first[account], self.answered[account], self.how[account] = first_us, answered_us, how
        else:
            self.more.setdefault(account, []).append((first_us, answered_us, how))

    def posts(self, account, timeout_us):
        if self.first[account] == 0:
            return []
        rows = [(self.first[account], self.answered[account], self.how[account]), *self.more.get(account, ())]
        return [Post(first, answered or first + timeout_us, answered, how >> 16, how >> 4 & 0xfff, (how & 15) - 1 if how & 15 else None)
                for first, answered, how in sorted(rows)]

    def path(self, account):
        return self.paths[self.path_of[account]]


def place_of(partition, offset):
    return partition << 40 | offset


# --------------------------------------------------------------------------------------------------------------------------- oracle

class Oracle:
    def __init__(self, faults, tolerance_ms=5):
        self.faults = faults
        self.tolerance_us = tolerance_ms * 1000
        self.delays_us = [ms * 1000 for ms in faults.settings["retry_ms"]]
        self.attempts_max = len(self.delays_us) + 1
        self.accounts = Accounts()
        self.crimes = {name: 0 for name in CRIMES}
        self.examples = []
        self.allowed = collections.Counter()
        self.counts = collections.Counter()
        self.reasons = collections.Counter()
        self.lateness_ms, self.latency_ms = array.array("I"), array.array("I")
        for problem in faults.died:
            self.crime("died", problem)

    def crime(self, kind, text):
        self.crimes[kind] += 1
        if self.crimes[kind] <= EXAMPLES_MAX:
            self.examples.append(f"{kind}: {text}")

    def describe(self, account):
        a = self.accounts
        posts = "; ".join(f"attempt {p.attempt} at {p.first} answered {p.answered} with {p.status} to copy {p.copy}"
                          for p in a.posts(account, self.faults.timeout_us))
        return (f"{a.names[account]} ({a.path(account)}, {a.place[account] >> 40}/{a.place[account] & (1 << 40) - 1}, acknowledged {a.acked[account]}): "
                f"{posts or 'no POST'}; letters {a.letters.get(account, [])}")

    # --- what was published, and what came ---

    def read_published(self, lines):
        for line in lines:
            webhook_id, partition, offset, acked_us, body, record, path = line.rstrip("\n").split("\t")
            acked = int(offset) >= 0
            place = place_of(int(partition), int(offset)) if acked else 0
            self.accounts.publish(webhook_id, place, int(acked_us) if acked else 0, 0 if body == "-" else int(body, 16) | 1, int(record, 16), path)
            self.counts["published"] += acked

    def read_received(self, lines):
        for line in lines:
            if line.startswith("{"):
                self.take_request(*self.of_receiver(json.loads(line)))
            else:
                first, answered, webhook_id, attempt, status, signer, body, path = line.rstrip("\n").split("\t")
                self.take_request(webhook_id, path, body, int(first), int(answered), int(attempt), int(status), signer)

    @staticmethod
    def of_receiver(entry):
        """receiver.py does not say when it answered: at once, or it meant not to."""
        step, first_us = entry["step"], int(entry["mono"] * 1e6)
        slow = re.fullmatch(r"slow(\d+)", step)
        status = 200 if step == "ok" or slow else int(step[:3]) if re.match(r"\d{3}", step) else 0
        answered_us = first_us + int(slow[1]) * 1000 if slow else first_us if status else 0
        attempt = int(entry["headers"].get("jobhook-attempt", "0"))
        return entry["id"], entry["path"], entry["sha256"][:16], first_us, answered_us, attempt, status, "-"

    def take_request(self, webhook_id, path, body, first_us, answered_us, attempt, status, signer):
        self.counts["posts"] += 1
        a, digest = self.accounts, int(body, 16) | 1
        accounts = a.of(webhook_id)
        for account in accounts:
            if a.bodies[account] == digest:
                break
        else:
            self.crime("altered", f"a POST for {webhook_id} to {path} whose {'body' if accounts else 'task'} was never published")
            return
        if a.path(account) != path:
            self.crime("altered", f"{webhook_id} was sent to {path}, not to {a.path(account)}")
        if signer == "-1":
            self.crime("altered", f"{webhook_id} came with a signature that none of the keys makes")
        if not 1 <= attempt <= self.attempts_max:
            self.crime("altered", f"{webhook_id} came as attempt {attempt}")
            return
        a.receive(account, first_us, answered_us, attempt, status, -1 if signer in ("-", "-1") else int(signer))

    # --- topics ---

    def read_record(self, topic, kind, partition, offset, key, value, headers):
        """kind: input, retry or dead."""
        a, digest = self.accounts, int(fingerprint(key, value, headers), 16)
        webhook_id = (key or b"").decode("utf-8", "replace")
        account = next((x for x in a.of(webhook_id) if a.records[x] == digest), None)
        self.counts[f"records_{kind}"] += 1
        where = f"{topic}/{partition}/{offset} ({webhook_id})"
        if account is None:
            self.crime("altered", f"{where} holds what was never published under this key")
            return
        if kind == "input":
            if not a.acked[account]:  # it was stored, though nobody said so: it counts from the beginning
                a.acked[account], a.copies[account], a.place[account] = 1, 1, place_of(partition, offset)
            return
        own = {name: content.decode("utf-8", "replace") for name, content in headers if name.startswith("jobhook-")}
        self.check_origin(account, where, own)
        if not own.get("jobhook-attempt", "").isdigit() or not 1 <= int(own["jobhook-attempt"]) <= self.attempts_max:
            self.crime("altered", f"{where} asks for attempt {own.get('jobhook-attempt')}")
        if kind == "dead":
            self.reasons[own.get("jobhook-reason")] += 1
            a.letters.setdefault(account, []).append((own.get("jobhook-reason"), own.get("jobhook-attempt")))

    def check_origin(self, account, where, own):
        a = self.accounts
        try:
            _, partition, offset = own.get("jobhook-origin", "").rsplit("/", 2)
            place = place_of(int(partition), int(offset))
        except ValueError:
            place = -1
        if a.acked[account] > 1 and place not in a.places.get(account, (a.place[account],)):
            self.crime("altered", f"{where} says that it comes from {own.get('jobhook-origin')}")

    def read_lag(self, lags):
        for topic, lag in lags.items():
            if lag > 0:
                self.crime("undone", f"{topic} has {lag} records that the group has not committed")

    # --- the judgement ---

    def judge(self):
        a = self.accounts
        for account in range(len(a.names)):
            if a.acked[account] == 0:
                self.counts["unacknowledged"] += 1
                continue
            self.counts["events"] += 1
            self.counts["published_twice"] += a.copies[account] > 1
            self.judge_account(account)
        return not any(self.crimes.values())

    def judge_account(self, account):
        a = self.accounts
        posts, letters = a.posts(account, self.faults.timeout_us), a.letters.get(account, ())
        delivered = any(200 <= p.status < 300 for p in posts)
        if posts and a.acked[account] > 1:
            self.latency_ms.append(max(0, posts[0].first - a.acked[account]) // 1000)
        if a.bodies[account] == 0:
            self.counts["malformed"] += 1
        elif a.path(account) == "-":
            self.counts["nothing_to_send"] += 1
        else:
            self.counts["delivered"] += delivered
        self.counts["dead"] += bool(letters) and not delivered
        self.counts["letters_twice"] += max(0, len(letters) - 1)
        if not delivered and not letters and (a.bodies[account] == 0 or a.path(account) != "-"):
            self.crime("lost", self.describe(account))
        for reason, _ in letters:
            if not self.letter_is_right(account, reason, posts):
                self.crime("wrong", self.describe(account))
        if len(posts) > 1 or (posts and posts[0].attempt > 1):
            self.judge_posts(account, posts)

    def letter_is_right(self, account, reason, posts):
        a = self.accounts
        if a.bodies[account] == 0:
            return reason == "invalid_event"
        if reason == "task_id_conflict":
            return len(a.of(a.names[account])) > 1
        if reason == "crashed":  # three processes died at this record: it looks guilty
            return sum(end >= a.acked[account] for _, end in self.faults.kills[None]) >= 3
        if reason != "exhausted" or a.path(account) == "-":
            return False
        answered = [p for p in posts if 200 <= p.status < 300]
        if answered:
            later = Post(NEVER, NEVER, 0, 0, 0, None)
            return all(self.faults.allows(p, later) for p in answered)
        steps = read_script(a.path(account))
        promised = any(is_success(steps[min(n, len(steps)) - 1]) for n in range(1, self.attempts_max + 1))
        # An attempt that the receiver never saw: the connection was not made in time while the sender slept.
        return not promised or (len({p.attempt for p in posts}) < self.attempts_max and bool(self.faults.freezes[None]))

    def judge_posts(self, account, posts):
        for i, post in enumerate(posts):
            earlier = posts[:i]
            again = [p for p in earlier if p.attempt == post.attempt] or [p for p in earlier if 200 <= p.status < 300]
            if again:
                self.judge_again(account, again[-1], post)
            before = max((p.attempt for p in posts if p.attempt < post.attempt), default=None)
            self.counts["attempts_unseen"] += post.attempt - 1 - (before or 0)
            if before:
                self.judge_time(account, [p for p in posts if p.attempt == before], post)

    def judge_again(self, account, first, second):
        why = self.faults.allows(first, second)
        if why:
            self.allowed[why] += 1
        else:
            self.crime("doubled", f"attempt {second.attempt} at {second.first}, {(second.first - first.first) / 1e6:.3f} s after attempt "
                                  f"{first.attempt}: {self.describe(account)}")

    def judge_time(self, account, before, post):
        """From the answer, or where none came from the request: the sender knew of the failure later than that."""
        delay_us = sum(self.delays_us[before[0].attempt - 1:post.attempt - 1])
        least = min(p.answered or p.first for p in before) + delay_us
        if post.first < least - self.tolerance_us:
            self.crime("early", f"attempt {post.attempt} came {(least - post.first) / 1000:.1f} ms early: {self.describe(account)}")
        last = max((p.end for p in before if p.first <= post.first), default=None)
        if last is not None:
            self.lateness_ms.append(max(0, post.first - last - delay_us) // 1000)

    # --- what it says ---

    def verdict(self):
        return {"ok": not any(self.crimes.values()), "crimes": self.crimes, "doubled_allowed": dict(self.allowed), "counts": dict(self.counts),
                "letters": dict(self.reasons), "faults": dict(self.faults.counts), "retry_lateness_ms": percentiles(self.lateness_ms),
                "latency_ms": percentiles(self.latency_ms), "examples": self.examples}


def percentiles(values):
    ordered = sorted(values)
    if not ordered:
        return {}
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}


def show(verdict):
    counts = verdict["counts"]
    def row(name, text):
        print(f"{name:<26} {text}")
    def listed(numbers):
        return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items(), key=lambda item: -item[1])) or "none"
    row("events", f"{counts.get('events', 0):,} (published twice {counts.get('published_twice', 0):,}, malformed {counts.get('malformed', 0):,}, "
                  f"nothing to send {counts.get('nothing_to_send', 0):,})")
    row("delivered, dead", f"{counts.get('delivered', 0):,}, {counts.get('dead', 0):,} (letters: {listed(verdict['letters'])})")
    row("POSTs", f"{counts.get('posts', 0):,}")
    row("retry records", f"{counts.get('records_retry', 0):,}")
    row("faults", f"{sum(verdict['faults'].values()):,} ({listed(verdict['faults'])})")
    row("POSTed again, allowed", f"{sum(verdict['doubled_allowed'].values()):,} ({listed(verdict['doubled_allowed'])})")
    row("attempts never seen", f"{counts.get('attempts_unseen', 0):,}")
    row("letters written twice", f"{counts.get('letters_twice', 0):,}")
    for name, text in (("latency_ms", "published to first POST"), ("retry_lateness_ms", "retries later than due")):
        row(text, ", ".join(f"{p} {ms:,} ms" for p, ms in verdict[name].items()) or "-")
    print("  ".join(f"{name} {number}" for name, number in verdict["crimes"].items()))
    for example in verdict["examples"]:
        print("  " + example)


# ---------------------------------------------------------------------------------------------------------------------------- input

def kind_of(topic, base):
    return "input" if topic == base else "dead" if topic == base + ".dlq" else "retry" if topic.startswith(base + ".retry.") else None


def read_topics_file(oracle, path):
    with open(path) as f:
        records = [json.loads(line) for line in f]
    base = min((r["topic"] for r in records if "topic" in r), key=len, default="")
    for r in sorted(records, key=lambda r: kind_of(r.get("topic", base), base) != "input"):
        if "lag" in r:
            oracle.read_lag(r["lag"])
        else:
            headers = [(name, value.encode()) for name, value in r.get("headers", [])]
            oracle.read_record(r["topic"], kind_of(r["topic"], base), r["partition"], r["offset"], r["key"].encode(), r["value"].encode(), headers)


def read_kafka(oracle, brokers, base, group):
    import confluent_kafka as kafka
    consumer = kafka.Consumer({"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False, "enable.partition.eof": True,
                               "auto.offset.reset": "earliest", "isolation.level": "read_committed", "message.max.bytes": 64 << 20, "log_level": 0})
    topics = sorted((t for t in consumer.list_topics(timeout=20).topics.items() if kind_of(t[0], base)), key=lambda t: len(t[0]))
    for topic, about in topics:
        kind = kind_of(topic, base)
        read_topic(oracle, consumer, topic, kind, sorted(about.partitions))
        if kind != "dead":
            committed = consumer.committed([kafka.TopicPartition(topic, p) for p in about.partitions], timeout=30)
            ends = {p: consumer.get_watermark_offsets(kafka.TopicPartition(topic, p), timeout=30)[1] for p in about.partitions}
            oracle.read_lag({topic: sum(ends[c.partition] - max(0, c.offset) for c in committed)})
    consumer.close()


def read_topic(oracle, consumer, topic, kind, partitions):
    import confluent_kafka as kafka
    left, silent = set(partitions), 0
    consumer.assign([kafka.TopicPartition(topic, p, kafka.OFFSET_BEGINNING) for p in partitions])
    while left:
        messages = consumer.consume(5000, 1)
        silent = 0 if messages else silent + 1
        if silent > 60:
            raise SystemExit(f"oracle: {topic}: partitions {left} did not end")
        for m in messages:
            if m.error() and m.error().code() == kafka.KafkaError._PARTITION_EOF:
                left.discard(m.partition())
            elif m.error():
                raise SystemExit(f"oracle: {topic}: {m.error()}")
            else:
                oracle.read_record(topic, kind, m.partition(), m.offset(), m.key(), m.value(), m.headers() or [])
    consumer.unassign()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--received", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--faults", metavar="FILE")
    parser.add_argument("--kafka", nargs=3, metavar=("BROKERS", "TOPIC", "GROUP"))
    parser.add_argument("--topics", metavar="FILE", help="records as JSON lines, instead of --kafka")
    parser.add_argument("--tolerance-ms", type=float, default=5, help="how much earlier a retry may come: the clocks' own error (%(default)s)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    faults = []
    if options.faults:
        with open(options.faults) as f:
            faults = f.readlines()
    oracle = Oracle(Faults(faults), options.tolerance_ms)
    for take, paths in ((oracle.read_published, options.published), (oracle.read_received, options.received)):
        for path in paths:
            with open(path) as f:
                take(f)
    if options.kafka:
        read_kafka(oracle, *options.kafka)
    elif options.topics:
        read_topics_file(oracle, options.topics)
    oracle.judge()
    verdict = oracle.verdict()
    if options.json:
        print(json.dumps(verdict, indent=1))
    else:
        show(verdict)
    return 0 if verdict["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
