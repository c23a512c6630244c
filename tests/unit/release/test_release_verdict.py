from datetime import UTC, datetime
from xml.etree import ElementTree

from sacristy.release.verdict import Check, Verdict, junit

GOOD = Check("ready", True, "1.00 s", "30 s", "", 1.0)
BAD = Check("score", False, "0.1", "accuracy 0.9", "accuracy 0.1 < <&> gate", 2.0)


def verdict(*checks):
    return Verdict("digits", "1", 1, "sha256:x", checks, {}, None, datetime(2026, 1, 2, tzinfo=UTC), 3.0)


def test_a_verdict_passes_when_every_check_does():
    assert verdict(GOOD).passed
    assert not verdict(GOOD, BAD).passed
    assert verdict(GOOD, BAD).reason == "score: accuracy 0.1 < <&> gate"


def test_a_verdict_without_checks_does_not_pass():
    assert not verdict().passed


def test_junit_holds_a_case_for_each_check_and_the_reason():
    suite = ElementTree.fromstring(junit(verdict(GOOD, BAD)))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite.iter("testcase")] == ["ready", "score"]
    assert suite.find(".//failure").get("message") == "accuracy 0.1 < <&> gate"
