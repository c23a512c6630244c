"""Canary and mirror: who gets the second version, and that nobody is worse off for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sacristy.errors import InstanceUnreachable
from sacristy.gateway import proxy as proxies
from sacristy.gateway import shadow as shadows
from sacristy.gateway.agreement import agree
from sacristy.gateway.breaker import FAILURES, REST_S, Breakers
from sacristy.gateway.proxy import Answered, Proxy, Question
from sacristy.gateway.shadow import Comparison, Shadow
from sacristy.gateway.shares import is_within
from sacristy.gateway.upstream import Answer, NotAnswered, TooSlow
from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.targets.routes import Route, Share, ShareKind, set_route, set_share

OWN = Route("http://own", "1", "sha256:" + "1" * 64, 1, "process", "own")
OTHER = Route("http://other", "2", "sha256:" + "2" * 64, 2, "process", "other")
QUESTION = Question("digits", Stage.PRODUCTION, "/predict", b"{}")
ONE, TWO = Answer(200, {}, b'{"predictions": ["a"]}'), Answer(200, {}, b'{"predictions": ["b"]}')
Outcomes = dict[str, Answer | Exception]
Make = Callable[..., tuple[Proxy, list[str]]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a proxy whose instances answer or fail as told, and the list of whom it asks."""

    def begin(kind: ShareKind, percent: float, **outcomes: Answer | Exception) -> tuple[Proxy, list[str]]:
        settings = Settings(project=tmp_path, home=tmp_path / "home")
        set_route(settings.routes_file, "digits", Stage.PRODUCTION, OWN)
        set_share(settings.routes_file, "digits", Stage.PRODUCTION, kind, Share(OTHER, percent))
        asked: list[str] = []

        def ask(method: str, url: str, body: bytes | None, headers: object) -> Answer:
            asked.append(url.split("/")[2])
            outcome = outcomes[asked[-1]]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(proxies, "ask", ask)
        monkeypatch.setattr(proxies, "PAUSES_S", (0, 0, 0))
        return Proxy(settings), asked

    return begin


def test_a_key_stays_with_its_version_and_the_share_is_kept() -> None:
    share = Share(OTHER, 10.0)
    chosen = {key for key in map(str, range(4000)) if is_within(share, key)}
    assert chosen == {key for key in map(str, range(4000)) if is_within(share, key)}
    assert 0.08 < len(chosen) / 4000 < 0.12


def test_growing_a_share_keeps_everybody_who_was_in_it() -> None:
    keys = [str(number) for number in range(500)]
    assert all(is_within(Share(OTHER, 30.0), key) for key in keys if is_within(Share(OTHER, 10.0), key))
    assert all(is_within(Share(OTHER, 100.0), key) for key in keys)


def test_without_a_key_chance_decides() -> None:
    share = Share(OTHER, 50.0)
    assert {is_within(share, "") for _ in range(200)} == {True, False}


def test_a_canary_answers_its_share(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, other=TWO)
    answered = proxy.ask(QUESTION)
    assert (answered.answer, answered.route.version, answered.by_canary) == (TWO, "2", True)
    assert asked == ["other"]


@pytest.mark.parametrize("fault", [NotAnswered("gone"), TooSlow("60 s"), Answer(500, {}, b"")])
def test_what_a_canary_fails_at_the_stages_own_version_answers(make: Make, fault: Answer | Exception) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, own=ONE, other=fault)
    answered = proxy.ask(QUESTION)
    assert (answered.answer, answered.by_canary, answered.canary_failed) == (ONE, False, True)
    assert asked == ["other", "own"]


def test_a_canarys_refusal_of_bad_input_is_its_answer(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, other=Answer(422, {}, b""))
    assert proxy.ask(QUESTION).answer.status == 422
    assert asked == ["other"]


def test_what_names_a_version_is_asked_of_that_one_and_compared_with_none(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 50.0, own=ONE, other=TWO)
    pinned = [replace(QUESTION, version=version) for version in "12" * 20]
    answers = [proxy.ask(question) for question in pinned]
    assert asked == ["own", "other"] * 20
    found: list[Comparison] = []
    for question, answered in zip(pinned, answers, strict=True):
        found += compared(proxy, answered, question)
    assert found == []


def test_what_a_model_is_asked_about_itself_its_stages_own_version_answers(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, own=ONE)
    assert proxy.ask(Question("digits", Stage.PRODUCTION, "/openapi.json")).route.version == "1"
    assert asked == ["own"]


def test_a_mirror_is_never_whom_a_user_hears(make: Make) -> None:
    proxy, asked = make(ShareKind.MIRROR, 100.0, own=ONE, other=TWO)
    assert proxy.ask(QUESTION).answer == ONE
    assert asked == ["own"]


def compared(proxy: Proxy, answered: Answered, question: Question = QUESTION) -> list[Comparison]:
    """Offer an answer to a shadow and work its queue off in this thread."""
    found: list[Comparison] = []
    shadow = Shadow(proxy, found.append, dropped=print)
    shadow._started = True  # no threads: the queue is worked off below
    shadow.offer(question, answered)
    while not shadow._queue.empty():
        found.append(shadow._compare(shadow._queue.get()))
    return found


def test_a_mirrors_answer_is_compared_with_the_users(make: Make) -> None:
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE, other=TWO)
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own.version, found.other.version, found.agreed, found.compared) == ("1", "2", 0, 1)
    assert not found.other_failed


def test_a_mirror_that_fails_costs_nothing_but_a_count(make: Make) -> None:
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE, other=NotAnswered("gone"))
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own_failed, found.other_failed, found.compared) == (False, True, 0)


def test_what_a_canary_answered_the_own_version_is_asked_too(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, own=ONE, other=ONE)
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own.version, found.other.version, found.agreed) == ("1", "2", 1)
    assert asked == ["other", "own"]


def test_to_refuse_what_the_own_version_answers_is_a_failure(make: Make) -> None:
    refused = Answer(422, {}, b"")
    proxy, _ = make(ShareKind.CANARY, 100.0, own=ONE, other=refused)
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own_failed, found.other_failed) == (False, True)
    proxy, _ = make(ShareKind.CANARY, 100.0, own=refused, other=refused)
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own_failed, found.other_failed) == (False, False)


def test_a_full_queue_drops_copies_and_counts_them(make: Make) -> None:
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE)
    answered = proxy.ask(QUESTION)
    dropped: list[int] = []
    shadow = Shadow(proxy, print, lambda: dropped.append(1))
    shadow._started = True
    for _ in range(300):
        shadow.offer(QUESTION, answered)
    assert len(dropped) == 300 - shadow._queue.maxsize


def test_large_copies_fill_the_queue_by_their_bytes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "WAITING_BYTES", 100)
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE, other=ONE)
    answered, large = proxy.ask(QUESTION), replace(QUESTION, body=b"x" * 60)
    dropped: list[int] = []
    shadow = Shadow(proxy, lambda _: None, lambda: dropped.append(1))
    shadow._started = True
    shadow.offer(large, answered)
    shadow.offer(large, answered)
    assert len(dropped) == 1
    shadow._next()
    shadow.offer(large, answered)
    assert len(dropped) == 1


def test_what_is_told_of_a_comparison_keeps_none_of_its_body(make: Make) -> None:
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE, other=TWO)
    (found,) = compared(proxy, proxy.ask(QUESTION))
    proxy, _ = make(ShareKind.CANARY, 100.0, own=ONE, other=NotAnswered("gone"))
    (failed,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.question.model, found.question.body, failed.question.body) == ("digits", None, None)


def test_a_canarys_failure_is_told_without_asking_anybody_again(make: Make) -> None:
    proxy, asked = make(ShareKind.CANARY, 100.0, own=ONE, other=Answer(500, {}, b""))
    (found,) = compared(proxy, proxy.ask(QUESTION))
    assert (found.own_failed, found.other_failed, found.other.version) == (False, True, "2")
    assert asked == ["other", "own"]


def test_a_full_queue_drops_a_canarys_failures_like_its_answers(make: Make) -> None:
    proxy, _ = make(ShareKind.CANARY, 100.0, own=ONE, other=NotAnswered("gone"))
    answered = proxy.ask(QUESTION)
    told: list[Comparison] = []
    dropped: list[int] = []
    shadow = Shadow(proxy, told.append, lambda: dropped.append(1))
    shadow._started = True
    for _ in range(300):
        shadow.offer(QUESTION, answered)
    assert (len(dropped), told) == (300 - shadow._queue.maxsize, [])


def test_a_fault_of_ours_ends_no_thread_that_compares(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, _ = make(ShareKind.MIRROR, 100.0, own=ONE, other=TWO)
    answered = proxy.ask(QUESTION)
    told: list[Comparison] = []
    dropped: list[int] = []
    shadow = Shadow(proxy, told.append, lambda: dropped.append(1))
    shadow._started = True
    monkeypatch.setattr(shadows, "agree", lambda *_: [][0])
    shadow.offer(QUESTION, answered)
    shadow._next()
    assert (told, dropped) == ([], [1])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"label": "a", "probabilities": {"a": 0.9}}, {"label": "a", "probabilities": {"a": 0.6}}, 1),
        ({"label": "a"}, {"label": "b"}, 0),
        (3.5, 3.5005, 1),
        (3.5, 3.6, 0),
        ("x", None, 0),
    ],
)
def test_labels_agree_or_numbers_do(one: object, other: object, same: int) -> None:
    assert agree([one], [other]) == (same, 1)


def test_an_instance_that_fails_again_and_again_is_left_alone_and_then_tried_once() -> None:
    now = [0.0]
    breakers = Breakers(clock=lambda: now[0])
    for _ in range(FAILURES):
        assert breakers.allows("one")
        breakers.failed("one")
    assert (breakers.allows("one"), breakers.open()) == (False, ["one"])
    now[0] += REST_S
    assert (breakers.allows("one"), breakers.allows("one")) == (True, False)
    breakers.answered("one")
    assert breakers.allows("one")


def test_while_an_instance_rests_requests_are_refused_at_once(make: Make) -> None:
    proxy, asked = make(ShareKind.MIRROR, 1.0, own=NotAnswered("gone"))
    for _ in range(4):
        with pytest.raises(InstanceUnreachable):
            proxy.ask(replace(QUESTION))
    assert len(asked) == FAILURES
