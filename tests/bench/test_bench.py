"""The benchmark's own judgements, without measuring anything."""
import goals
import hotpath
import report

SIDES = {name: {"us": us, "rate": 1000} for name, us in (("jobhook", 44.4), ("bare libcurl", 27.0), ("wrk", 6), ("Go worker", 70),
                                                          ("jobhook, 10,000 endpoints", 60))}
RESULT = {"figures": {"F1": [1.64], "F4": [180.2, 2.1]}, "sides": SIDES, "quick": True, "round_count": 5, "commit": "abc", "load_average": 1.0,
          "seconds": 3, "events": 1}


def test_a_hot_path_that_passes_fails_once_it_is_a_quarter_dearer():
    for instructions in range(880, 1200):
        if hotpath.judge(instructions, 1000) is None:
            assert hotpath.judge(instructions * 1.25, 1000) is not None, instructions


def test_a_hot_path_as_written_down_or_a_little_off_passes():
    assert all(hotpath.judge(1000 * share, 1000) is None for share in (0.93, 1, 1.13))
    assert all(hotpath.judge(1000 * share, 1000) is not None for share in (0.91, 1.15))


def test_goals_are_met_or_missed_in_their_own_direction():
    assert goals.is_met("F1", [1.6]) and not goals.is_met("F1", [1.61])
    assert goals.is_met("F8", [1.4, 2.0]) and not goals.is_met("F8", [1.5, 1.9])
    assert goals.is_met("F6", [49, 0]) and not goals.is_met("F6", [49, 1])


def test_a_miss_is_named_by_how_much():
    assert report.verdict("F1", [2.4]) == "missed (1.5×)"
    assert report.verdict("F8", [0.7, 4]) == "missed (2×)"
    assert report.verdict("F9", [60000]) == "met"


def test_the_readme_gets_what_was_measured_between_its_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    (tmp_path / "tests" / "bench").mkdir(parents=True)
    for _ in range(2):  # and again
        report.write_readme({"delivery": RESULT}, str(tmp_path))
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| F1 |" in text and "1.64×" in text and "missed (1.0×)" not in text and "| jobhook | 44.4 | 1.64× |" in text
    picture = (tmp_path / "tests" / "bench" / "figures.svg").read_text()
    assert picture.count("<rect") == 6 and "Go worker" in picture


def test_numbers_show_on_which_side_of_a_goal_they_are():
    assert [goals.number(value) for value in (0, 1.234, 12.34, 123.4, 12345.6)] == ["0", "1.23", "12.3", "123.4", "12,346"]
