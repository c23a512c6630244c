"""The watcher of tagged runs, as the stack keeps it: where there is a Jenkins, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from services.automation.recorded import TOKEN, USER, Controller
from services.stack.conftest import new_settings

from sacristy.settings import Role, Settings
from sacristy.stack.doctor import doctor
from sacristy.stack.down import down
from sacristy.stack.services import WATCHER
from sacristy.stack.status import service_states
from sacristy.stack.up import up
from sacristy.supervision import Supervisor

Until = Callable[[Callable[[], object]], None]
NOT_THERE = "http://127.0.0.1:9"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home of its own: the other services are a site's, which is away, so that it starts quickly."""
    made = new_settings(tmp_path)
    yield made.model_copy(update={"omniboard_url": NOT_THERE, "gateway_url": NOT_THERE})
    down(made)


@pytest.fixture
def controller() -> Iterator[Controller]:
    made = Controller()
    made.start()
    yield made
    made.stop()


def with_jenkins(settings: Settings, controller: Controller) -> Settings:
    given = {"jenkins_url": controller.url, "jenkins_user": USER, "jenkins_token": SecretStr(TOKEN)}
    return settings.model_copy(update=given)


def tags(settings: Settings, run: int) -> list[str]:
    with MongoClient[dict[str, Any]](settings.database_url(Role.SERVICE)) as client:
        found = client.get_default_database()["runs"].find_one({"_id": run})
        return list(found["omniboard"]["tags"]) if found else []


def test_a_stack_with_a_jenkins_watches_for_tagged_runs(
    settings: Settings, controller: Controller, until: Until
) -> None:
    ours = with_jenkins(settings, controller)
    assert up(ours)[WATCHER].ready
    assert service_states(ours)[WATCHER].url == controller.url
    with MongoClient[dict[str, Any]](ours.database_url(Role.TRAINING)) as client:
        run = {"_id": 7, "experiment": {"name": "digits"}, "status": "FAILED", "omniboard": {"tags": ["release"]}}
        client.get_default_database()["runs"].insert_one(run)
    until(lambda: any(tag.startswith("refused: it is not complete") for tag in tags(ours, 7)))

    controller.stop()
    state = service_states(ours)[WATCHER]
    assert (state.ready, "connection refused" in state.detail) == (False, True)
    assert [each.level for each in doctor(ours) if each.what.startswith("watcher is not ready")] == ["warning"]
    controller.start()

    Supervisor(ours).stop(WATCHER)
    assert service_states(ours)[WATCHER].detail.startswith("STOPPED")
    assert up(ours)[WATCHER].ready

    assert WATCHER not in up(settings)
    assert Supervisor(settings).state(WATCHER) is None
