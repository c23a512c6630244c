"""The workers of a training over real connections: they begin together, and what one of them ends with is the end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sacristy.errors import WorkersMissing
from sacristy.ranks import free_port
from sacristy.training import crew as crew_module
from sacristy.training.crew import LOST, Chief, Member

KEY = "the training's token"
NEWS = {"words": ["with", "lr=1"], "parent": None, "checkpoint": {}}
LONG_S = 60


class Crew:
    """A chief and the other workers, in threads."""

    def __init__(self, workers, patience_s=LONG_S):
        self.shown, self.said, self.port = [], [], free_port()
        self.chief = Chief(workers, self.port, KEY, self.shown.append, self.said.append)
        with ThreadPoolExecutor() as pool:
            joining = [pool.submit(self.join, number) for number in range(1, workers)]
            self.chief.begin(NEWS, patience_s)
        self.members = [each.result() for each in joining]

    def join(self, number, key=KEY):
        return Member.joined(number, f"127.0.0.1:{self.port}", key)

    def settle(self, *codes):
        """Let all end with their codes, at the same time; return what each ends with."""
        with ThreadPoolExecutor() as pool:
            others = [
                pool.submit(member.settle, code, (f"{code} was the last word",))
                for member, code in zip(self.members, codes[1:], strict=True)
            ]
            return [pool.submit(self.chief.settle, codes[0]).result(LONG_S), *(each.result(LONG_S) for each in others)]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(crew_module, "HEARSAY_S", 0.2)


def until(holds):
    for _ in range(LONG_S * 100):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about in time")


def test_all_begin_with_the_same_and_end_well_together():
    crew = Crew(3)
    assert [member.news for member in crew.members] == [NEWS, NEWS]
    crew.members[0].say("[rank 1] epoch 1")
    until(lambda: not crew.chief.is_over() and crew.shown)
    assert crew.settle(0, 0, 0) == [0, 0, 0]
    assert (crew.shown, crew.said) == (["[rank 1] epoch 1"], [])


def test_a_worker_that_fails_ends_all_of_them_and_is_named_with_its_last_lines():
    crew = Crew(3)
    with ThreadPoolExecutor() as pool:
        failing = pool.submit(crew.members[1].settle, 7, ("out of tune",))
        until(crew.chief.is_over)
        others = pool.submit(crew.members[0].settle, 1)
        assert crew.chief.settle(143) == 7
        assert (failing.result(LONG_S), others.result(LONG_S)) == (7, 7)
    assert crew.said == ["worker 2 was the first to end, with code 7\n  out of tune"]


def test_a_worker_that_is_lost_ends_the_attempt_whatever_the_others_fail_with():
    crew = Crew(3)
    crew.members[0]._line.close()
    until(crew.chief.is_over)
    crew.members = crew.members[1:]
    assert crew.settle(1, 1) == [LOST, LOST]
    assert crew.said[0].startswith("worker 1 was lost")


def test_a_worker_that_is_told_to_end_goes_on_until_the_chief_has_ended():
    crew = Crew(2)
    crew.members[0].leave()
    assert not crew.members[0].is_over()
    until(crew.chief.is_over)
    assert crew.settle(143, 143) == [LOST, LOST]


def test_without_the_chief_the_attempt_is_over():
    crew = Crew(2)
    crew.chief._lines[1].close()
    until(crew.members[0].is_over)
    assert crew.members[0].settle(1) == LOST


def test_who_does_not_know_the_token_is_no_worker():
    port = free_port()
    chief = Chief(2, port, KEY, print, print)
    assert Member.joined(1, f"127.0.0.1:{port}", "guessed") is None
    with pytest.raises(WorkersMissing, match="worker 1 did not come"):
        chief.begin(NEWS, patience_s=0.1)


def test_who_comes_after_the_beginning_is_to_try_again():
    crew = Crew(2)
    assert crew.join(1) is None
    assert crew.settle(0, 0) == [0, 0]


def test_where_nobody_answers_there_is_no_chief_yet():
    assert Member.joined(1, f"127.0.0.1:{free_port()}", KEY) is None
