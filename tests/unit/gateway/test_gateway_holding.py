"""A stage that sleeps: who asks is held until it is awake; only so many are, and only for so long."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sacristy.errors import InstanceUnreachable, NoRoomToWait, StillAsleep
from sacristy.gateway import holding, proxy
from sacristy.gateway.app import create_app
from sacristy.gateway.holding import WaitingRoom
from sacristy.gateway.proxy import Proxy, Question
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import add_token
from sacristy.gateway.upstream import Answer, NotAnswered
from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.targets.routes import Route, set_route

QUESTION = Question("news", Stage.PRODUCTION, "/predict", b"{}")
GOOD = Answer(200, {}, b"{}")


class Bedroom:
    """A stage that does not answer until it was looked at so many times; remembers who called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.looks, self.wakes_at, self.calls, self.answers = 0, 3, [], 0
        monkeypatch.setattr(proxy, "ask", self.ask)
        monkeypatch.setattr(proxy, "PAUSES_S", (0, 0, 0))
        monkeypatch.setattr(holding, "LOOK_S", 0)
        self.settings = Settings(project=folder, home=folder / "home")
        self.route(60.0)

    def route(self, idle_s: float) -> None:
        there = Route("http://news", "2", "sha256:" + "a" * 64, 2, "kubernetes", "news-production-0.aaaaaaaa", idle_s)
        set_route(self.settings.routes_file, "news", Stage.PRODUCTION, there)

    def proxy(self, seats: int = 2, patience_s: float = 60.0) -> Proxy:
        return Proxy(self.settings, self, WaitingRoom(seats, patience_s, self.look))

    def note(self, model: str, stage: Stage, *, urgent: bool = False) -> None:
        self.calls.append((model, stage, urgent))

    def look(self, _: str) -> bool:
        self.looks += 1
        return self.looks >= self.wakes_at

    def ask(self, *_: object) -> Answer:
        if self.looks < self.wakes_at:
            raise NotAnswered("refused")
        self.answers += 1
        return GOOD


@pytest.fixture
def bedroom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bedroom:
    return Bedroom(monkeypatch, tmp_path)


def test_a_question_is_held_until_its_stage_is_awake_and_then_answered(bedroom: Bedroom) -> None:
    answered = bedroom.proxy().ask(QUESTION)
    assert (answered.answer, answered.held, bedroom.looks) == (GOOD, True, 3)
    assert bedroom.calls == [("news", Stage.PRODUCTION, False), *[("news", Stage.PRODUCTION, True)] * 3]


def test_a_stage_that_is_awake_is_noted_and_asked_without_a_look(bedroom: Bedroom) -> None:
    bedroom.wakes_at = 0
    answered = bedroom.proxy().ask(QUESTION)
    assert (answered.held, bedroom.looks, len(bedroom.calls)) == (False, 0, 1)


def test_who_waits_is_answered_though_many_had_failed_before(bedroom: Bedroom) -> None:
    asking = bedroom.proxy(seats=0)
    for _ in range(5):  # more than the breaker lets pass
        with pytest.raises(NoRoomToWait):
            asking.ask(QUESTION)
    asking.room.seats = 1
    assert asking.ask(QUESTION).held


def test_past_the_cap_it_is_told_when_to_come_back(bedroom: Bedroom) -> None:
    asking = bedroom.proxy(seats=1)
    full: list[Callable[[], str]] = []

    def look(_: str) -> bool:
        with pytest.raises(NoRoomToWait) as refused:
            asking.ask(QUESTION)
        full.append(refused.value.fields["retry_after_s"])
        return bedroom.look(_)

    asking.room._look = look
    assert asking.ask(QUESTION).held
    assert (full, asking.room.taken) == ([5] * 3, 0)


def test_whoever_waits_too_long_is_told_so(bedroom: Bedroom) -> None:
    asking = bedroom.proxy(patience_s=-1.0)
    with pytest.raises(StillAsleep):
        asking.ask(QUESTION)
    assert (StillAsleep.http_status, asking.room.taken) == (503, 0)


def test_asking_whether_it_is_ready_wakes_nobody(bedroom: Bedroom) -> None:
    with pytest.raises(InstanceUnreachable):
        bedroom.proxy().ask(Question("news", Stage.PRODUCTION, "/v2/models/news/ready", wakes=False))
    assert bedroom.calls == []


def test_a_stage_that_never_sleeps_is_never_waited_for(bedroom: Bedroom) -> None:
    bedroom.route(0.0)
    with pytest.raises(InstanceUnreachable):
        bedroom.proxy().ask(QUESTION)
    assert (bedroom.calls, bedroom.looks) == ([], 0)


def test_over_http_it_is_503_with_a_time_to_come_back_and_is_counted(bedroom: Bedroom) -> None:
    settings = bedroom.settings.model_copy(update={"held_requests": 0})
    client = create_app(settings).test_client()
    token = add_token(settings.tokens_file, "tests", TokenRole.SCIENTIST, "tests")
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.post("/models/news/predict", json={"instances": [1]}, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["error"]["code"] == "no_room_to_wait"
    counted = client.get("/metrics", headers=headers).text
    assert 'sacristy_gateway_held_total{end="refused",model="news",stage="production"} 1.0' in counted
