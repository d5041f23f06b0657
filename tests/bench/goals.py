"""The figures that jobhook is held to: goal, unit, and how a measured value compares."""

AT_MOST, AT_LEAST = "≤", "≥"

# figure: (what is measured, (direction, goal, unit) for each of its values). What is measured beside what stands in cases_*.py.
GOALS = {
    "F1": ("CPU of a delivery ÷ bare libcurl's POST, one keep-alive endpoint", [(AT_MOST, 1.6, "×")]),
    "F2": ("the same at 10,000 endpoints ÷ F1's own", [(AT_MOST, 1.5, "×")]),
    "claims": ("CPU of a delivery ÷ the same without claims in Redis", [(AT_MOST, 1.15, "×")]),
    "scale": ("CPU of a delivery with 2 workers; with 8 processes, ÷ with one", [(AT_MOST, 1.1, "×"), (AT_MOST, 1.1, "×")]),
    "F3": ("a fresh HTTPS connection for each POST, sessions resumed: CPU of a delivery", [(AT_MOST, 600, "µs")]),
    "F3 full": ("the same with a receiver that gives out no sessions", [(AT_MOST, 600, "µs")]),
    "F4": ("10,000 in flight (answers after 2 s): memory; CPU ÷ F1's", [(AT_MOST, 250, "MB"), (AT_MOST, 2.5, "×")]),
    "F5": ("produced until received at 1,000/s: p50; p99", [(AT_MOST, 5, "ms"), (AT_MOST, 20, "ms")]),
    "F6": ("lateness of retries, p99; early ones", [(AT_MOST, 50, "ms"), (AT_MOST, 0, "")]),
    "F7": ("one endpoint of 100, 10 % of the events, never answers: the others' p99; rate", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F7 refused": ("the same, it refuses connections", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F7 429": ("the same, it answers 429 with Retry-After", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F7 drip": ("the same, it drips its answer", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F7 names": ("the same, its name server never answers", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F7 hog": ("the same, it gets 90 % of the events and answers each after 9 s", [(AT_MOST, 1.2, "×"), (AT_LEAST, 95, "%")]),
    "F8": ("deliveries per CPU-second ÷ Go's; ÷ Node's, one endpoint", [(AT_LEAST, 1.4, "×"), (AT_LEAST, 2, "×")]),
    "F8 10k": ("the same at 10,000 endpoints", [(AT_LEAST, 3, "×"), (AT_LEAST, 2.5, "×")]),
    "F9": ("replay of delivered events: skips per second of CPU", [(AT_LEAST, 50000, "")]),
    "F10": ("100,000 events in retry topics: more memory; idle CPU", [(AT_MOST, 32, "MB"), (AT_MOST, 3, "%")]),
    "letters": ("dead letters listed a second; the first page; memory", [(AT_LEAST, 20000, ""), (AT_MOST, 1000, "ms"), (AT_MOST, 128, "MB")]),
    "letters replayed": ("dead letters replayed a second; memory", [(AT_LEAST, 10000, ""), (AT_MOST, 256, "MB")]),
    "polls": ("`/job-status` of 2 KB read back from Kafka, one at a time: p50; p99; 32 at a time: a second of CPU", [(AT_MOST, 5, "ms"), (AT_MOST, 50, "ms"), (AT_LEAST, 500, "")]),
    "polls unknown": ("the same of a task that is not known, a second", [(AT_LEAST, 10000, "")]),
    "status": ("`jobhook status TASK_ID`, the whole command", [(AT_MOST, 200, "ms")]),
    "polled, some read back": ("deliveries at 1,000/s beside 4 clients that poll this copy, 20 ms after an answer again, ÷ beside the same at another copy: p50; CPU", [(AT_MOST, 1.1, "×"), (AT_MOST, 1.1, "×")]),
    "polled, some read back, ÷ none": ("the same ÷ without polls, which then find no core that is free", [(AT_MOST, 1.1, "×"), (AT_MOST, 1.1, "×")]),
    "polled, a storm": ("the same beside as many polls of unknown tasks as 32 clients make, ÷ at another copy", [(AT_MOST, 1.1, "×"), (AT_MOST, 1.1, "×")]),
    "polled, a storm, ÷ none": ("the same ÷ without polls", [(AT_MOST, 1.1, "×"), (AT_MOST, 1.1, "×")]),
    "F11": ("Redis memory of a delivered task, id of 36 bytes", [(AT_MOST, 216, "B")]),
    "F12": ("three copies replaced in turn under 2,000/s: lost; doubled; p99 meanwhile", [(AT_MOST, 0, ""), (AT_MOST, 0, ""), (AT_MOST, 2000, "ms")]),
    "F13": ("one copy, four, one under 2,000/s: lost; doubled; p99 meanwhile", [(AT_MOST, 0, ""), (AT_MOST, 0, ""), (AT_MOST, 2000, "ms")]),
    "F14": ("a scrape with 600 partitions over all topics", [(AT_MOST, 5, "ms"), (AT_MOST, 200, "KB")]),
    "F15": ("log and metrics: share of a delivery's instructions (user space)", [(AT_MOST, 5, "%")]),
}


def is_met(figure, values):
    return all(value <= goal if direction == AT_MOST else value >= goal for value, (direction, goal, _) in zip(values, GOALS[figure][1]))


def number(value):
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_unit(value, unit):
    return f"{number(value)}{unit}" if unit in ("×", "") else f"{number(value)} {unit}"


def goal_text(figure):
    return "; ".join(f"{direction} {f'{goal:,}'}{unit if unit in ('×', '') else ' ' + unit}" for direction, goal, unit in GOALS[figure][1])


def measured_text(figure, values):
    return "; ".join(with_unit(value, unit) for value, (_, _, unit) in zip(values, GOALS[figure][1]))


def strain(figure, values):
    """How much of what is allowed is used, at worst: 1 is the goal itself, more is a miss."""
    def of(value, direction, goal):
        if direction == AT_MOST:
            return value / goal if goal > 0 else (0 if value <= 0 else 2)
        return goal / value if value > 0 else 2
    return max(of(value, direction, goal) for value, (direction, goal, _) in zip(values, GOALS[figure][1]))
