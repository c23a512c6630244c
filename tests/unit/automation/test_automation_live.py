import json
from datetime import UTC, datetime, timedelta

import pytest

from sacristy.automation import live, notify
from sacristy.automation.live import Counted, Verdict, breach
from sacristy.errors import NotDeployed, NotificationFailed
from sacristy.gateway.counts import bucket
from sacristy.model_file import Watch
from sacristy.settings import Settings

LIMITS = Watch(error_rate=0.1, latency_p95_ms=100.0, min_requests=10, silent_s=5)


def counted(answered, failed, *latencies):
    histogram = {}
    for ms in latencies or [10.0] * answered:
        histogram[str(bucket(ms))] = histogram.get(str(bucket(ms)), 0) + 1
    return Counted(answered, failed, histogram)


@pytest.mark.parametrize(
    ("found", "silent_s", "reason"),
    [
        (counted(20, 0), 0, ""),
        (counted(18, 2), 0, ""),
        (counted(17, 3), 0, "3 of 20 requests failed, more than 10.00%"),
        (counted(1, 8), 0, ""),
        (counted(0, 10), 0, "10 of 10 requests failed"),
        (counted(20, 0, *[10.0] * 18, 900.0, 900.0), 0, "p95 latency"),
        (counted(20, 0), 5, ""),
        (counted(20, 0), 6, "it has not been ready for 6 s"),
        (Counted(), 0, ""),
    ],
)
def test_each_limit_is_judged(found, silent_s, reason):
    assert breach(found, LIMITS, silent_s).startswith(reason)
    assert bool(breach(found, LIMITS, silent_s)) is bool(reason)


def test_only_what_came_since_counts():
    since = counted(30, 4, *[10.0] * 20, *[500.0] * 10).since(counted(20, 3, *[10.0] * 20))
    assert (since.answered, since.failed) == (10, 1)
    assert since.latency_p95_ms == pytest.approx(500, rel=0.06)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "gateway").mkdir()
    return Settings(project=tmp_path, home=tmp_path)


def deployed(settings, version, url="http://nowhere"):
    route = {"url": url, "version": version, "digest": f"sha256:{version}", "run": 1, "target": "process"}
    models = {"news": {"production": {**route, "instance": "i"}}}
    settings.routes_file.write_text(json.dumps({"models": models}))


class Database(dict):
    """Counts that change with every look."""

    def __init__(self, *looks):
        self.looks = list(looks)

    def __missing__(self, name):
        return self

    def find(self, query):
        return [self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]]


def watch(monkeypatch, settings, database, limits=LIMITS, minutes=0.0, ready=True, sleep=lambda _: None):
    monkeypatch.setattr(live, "is_ready", lambda url: ready)
    return live.watch(settings, database, "news", limits, minutes, sleep=sleep)


def test_production_that_keeps_its_limits(monkeypatch, settings):
    deployed(settings, "7")
    seen = watch(monkeypatch, settings, Database({"answered": 5}, {"answered": 55}))
    assert (seen.verdict, seen.asked, seen.version) == (Verdict.KEPT, 50, "7")


def test_a_breach_ends_the_watch_at_once(monkeypatch, settings):
    deployed(settings, "7")
    seen = watch(monkeypatch, settings, Database({"failed": 1}, {"failed": 21}), minutes=60)
    assert (seen.verdict, seen.error_rate) == (Verdict.BREACHED, 1.0)
    assert "20 of 20 requests failed" in seen.reason


def test_another_version_in_its_place_ends_the_watch(monkeypatch, settings):
    deployed(settings, "7")
    seen = watch(monkeypatch, settings, Database({}), minutes=60, sleep=lambda _: deployed(settings, "8"))
    assert seen.verdict is Verdict.SUPERSEDED


def test_an_instance_that_was_replaced_is_asked_at_its_new_address(monkeypatch, settings):
    deployed(settings, "7", "http://old")
    times = (datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=4 * place) for place in range(99))
    monkeypatch.setattr(live, "now", lambda: next(times))
    monkeypatch.setattr(live, "is_ready", lambda url: url == "http://new")
    moved = {"sleep": lambda _: deployed(settings, "7", "http://new")}
    assert live.watch(settings, Database({}), "news", LIMITS, 0.5, **moved).verdict is Verdict.KEPT


def test_nothing_in_production_is_told(monkeypatch, settings):
    with pytest.raises(NotDeployed):
        watch(monkeypatch, settings, Database({}))


def test_a_message_is_one_line_for_people_and_facts_for_programs():
    found = notify.message("news", "in production", "http://j/1", "news:7")
    assert found["text"] == "news: in production (news:7) http://j/1"
    assert notify.message("news", "failed", "")["text"] == "news: failed"


def test_nobody_is_told_without_an_address(settings):
    assert notify.address(settings) == ""
    (settings.home / "secrets").mkdir()
    (settings.home / "secrets" / "notify-url").write_text("http://hook/secret\n")
    assert notify.address(settings) == "http://hook/secret"


@pytest.mark.parametrize("url", ["nothing", "http://", "http://127.0.0.1:9/secret"])
def test_a_web_hook_that_fails_is_told_without_its_address(url):
    with pytest.raises(NotificationFailed) as caught:
        notify.send(url, {})
    assert "secret" not in str(caught.value)
