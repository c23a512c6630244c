"""What becomes of a tier: real runs of pytest in a folder with a few tests."""

import time

import all_tiers
import pytest
from all_tiers import Tier, run, run_again

TESTS = """
import pathlib
import pytest

pytestmark = pytest.mark.x
SEEN = pathlib.Path(__file__).with_name("seen")


def test_sound():
    pass


@pytest.mark.skipif({absent}, reason="never")
@pytest.mark.parametrize("at", ["a b/c[0]"])
def test_frail(at):
    before = SEEN.exists()
    SEEN.touch()
    assert before


@pytest.mark.skipif({absent}, reason="never")
def test_broken():
    assert {broken}
"""


@pytest.fixture
def tier(tmp_path, monkeypatch):
    """Return a function that writes the tests and returns their tier."""
    monkeypatch.setattr(all_tiers, "ROOT", tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds

    def write(absent="False", broken="True"):
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "test_it.py").write_text(TESTS.format(absent=absent, broken=broken))
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = x: of the test\njunit_family = xunit1\n")
        monkeypatch.setattr(all_tiers, "places", lambda marker: ["tests"])
        return Tier("x")

    return write


def test_a_tier_with_a_reason_against_it_is_not_run():
    assert run(Tier("x"), "no such program").said == "not run: no such program"


def test_a_tier_for_which_too_little_time_is_left_is_not_run(tier, monkeypatch):
    made = tier()
    monkeypatch.setenv("SACRISTY_TESTS_UNTIL", str(time.time() + made.minutes * 60 - 1))
    assert run(made).said.startswith("not run: there was no time left")
    monkeypatch.setenv("SACRISTY_TESTS_UNTIL", str(time.time() + made.minutes * 60 + 30))
    assert run(made).said == "failed: 1 of 3 tests"


def test_what_passes_when_run_again_is_named(tier, capsys):
    outcome = run(tier())
    assert outcome.failed
    assert "1 failed, 2 passed" in capsys.readouterr().out
    again = run_again("x", outcome)
    assert not again.failed
    assert "test_it.py::test_frail[a b/c[0]] only when run again" in again.said


def test_what_fails_again_has_failed(tier):
    outcome = run(tier(broken="False"))
    assert outcome.said == "failed: 2 of 3 tests"
    assert run_again("x", outcome) == outcome


def test_a_tier_whose_tests_are_all_skipped_has_tested_nothing(tier, monkeypatch):
    made = tier(absent="True")
    outcome, _ = all_tiers.tested(["-m", made.marker, "tests", "-k", "not sound"])
    assert outcome.said == "failed: it can run here, but all 2 tests were skipped"
    assert outcome.again == ()


def test_a_tier_without_tests_has_failed(tier):
    tier()
    assert all_tiers.tested(["-m", "another", "tests"])[0].failed
