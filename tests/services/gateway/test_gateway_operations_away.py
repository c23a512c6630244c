"""Pages for ops while what they read is away, and errands as real processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sacristy.gateway import errands
from sacristy.gateway.app import create_app
from sacristy.gateway.operations_actions import plan
from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.stack.init import init
from sacristy.targets.routes import Route, set_route

IDENTITY = "ab" * 16


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models" / "news").mkdir(parents=True)
    (tmp_path / "models" / "news" / "model.toml").write_text(
        "title = 'News'\n[gates]\nmetric = 'accuracy'\nminimum = 0.5"
    )
    (tmp_path / "Pipfile").touch()
    made = Settings(project=tmp_path, home=tmp_path / ".sacristy", mongodb_url="mongodb://127.0.0.1:1/?replicaSet=rs0")
    init(made)
    route = Route("http://127.0.0.1:1", "7", "sha256:" + "a" * 64, 7, "process", "x")
    set_route(made.routes_file, "news", Stage.PRODUCTION, route)
    return made


@pytest.mark.parametrize("path", ["", "/models/news", "/models/news/rollback"])
def test_without_a_database_the_pages_say_so_and_show_what_the_routes_know(settings: Settings, path: str) -> None:
    client = create_app(settings).test_client()
    token = settings.secret("gateway-ops")
    answer = client.get(f"/operations{path}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert "7" in answer.text
    assert ("MongoDB does not answer" in answer.text) == (path != "/models/news/rollback")
    assert client.get("/health").status_code == 200


def test_an_errand_is_a_process_that_ends_as_its_command_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACRISTY_MONGODB_URL", "mongodb://127.0.0.1:1/?replicaSet=rs0")
    given = plan("news", "rollback", {"why": "w"})
    errands.begin(settings, IDENTITY, given.title, given.order, "ana")
    deadline = time.monotonic() + 60
    while (found := errands.report(settings, IDENTITY)).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert found.state == "failed"
    assert found.lines[0] == "$ sacristy rollback news production --why=w"
    assert "127.0.0.1:1" in found.lines[-1]
    log = settings.home / "gateway" / "errands" / IDENTITY / "log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert json.loads((log.parent / "ended.json").read_text())["code"] == 1
