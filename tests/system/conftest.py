"""Fixtures of the system tests: one Kafka for the session; for each test a folder, a Redis, a receiver and topics of its own. The folder of a
failing test is kept under .build/logs/system, and the report says where."""
import os
import re
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import namespace as networks  # noqa: E402

LOGS = os.path.join(harness.PROJECT, ".build", "logs", "system")


def pytest_configure(config):
    config.addinivalue_line("markers", "same_everywhere: says nothing new with another Debian's libraries, and takes long: .ci/run has it run on one")


@pytest.fixture(scope="session")
def kafka():
    folder = tempfile.mkdtemp(prefix="jobhook-kafka.")
    cluster = harness.Kafka(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(request):
    path = tempfile.mkdtemp(prefix="jobhook-test.")
    yield path
    report = getattr(request.node, "report_of_call", None)
    if report is None or report.failed:
        keep_logs(path, request.node.name)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_kafka(folder):
    """A broker that the test may kill, freeze, or take the disk from."""
    cluster = harness.Kafka(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def keep_logs(path, test_name):
    kept = os.path.join(LOGS, re.sub(r"[^\w.-]+", "_", test_name))
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for name in os.listdir(path):
        if name.endswith((".log", ".journal")):
            shutil.copy(os.path.join(path, name), kept)
    print(f"\nlogs of {test_name}: {os.path.relpath(kept, harness.PROJECT)}")


@pytest.fixture
def network():
    namespace = networks.Namespace()
    if namespace.why_not:
        namespace.close()
        pytest.fail(f"run this as root, or where namespaces may be made: without one nothing here may be dialled ({namespace.why_not})")
    yield namespace
    namespace.close()


@pytest.fixture
def make_rig(folder, kafka):
    """make_rig(partitions=…, delays=…): closes it at the end, and a jobhook that does not stop on SIGTERM fails the test."""
    rigs = []

    def make(**options):
        rigs.append(harness.Rig(folder, kafka, **options))
        return rigs[-1]
    yield make
    problems = [problem for rig in rigs for problem in rig.close()]
    assert not problems, problems


@pytest.fixture
def rig(make_rig):
    return make_rig()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.report_of_call = report
        if report.failed:
            report.sections.append(("logs", f".build/logs/system/{re.sub(r'[^a-zA-Z0-9_.-]+', '_', item.name)}"))
