"""One real stack for all tests of the folder (Omniboard's install takes 10 s and more), and small ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sacristy.settings import Settings
from sacristy.stack.down import down
from sacristy.stack.init import init
from sacristy.stack.ports import free_port, remember
from sacristy.stack.services import SERVICES
from sacristy.stack.up import up

PROJECT = Path(__file__).parents[3]
WITHIN_S = 30


def new_settings(folder: Path) -> Settings:
    """Return an initialised home whose services have free ports of their own."""
    settings = Settings(project=PROJECT, home=folder / "home")
    init(settings)
    for service in SERVICES:
        remember(settings, service, free_port())
    return settings


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition, or fail."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack that is up."""
    settings = new_settings(tmp_path_factory.mktemp("stack"))
    try:
        up(settings)
        yield settings
    finally:
        down(settings)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home of its own without Node, which is quick; whatever a test starts there is stopped."""
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = new_settings(tmp_path)
    yield settings
    down(settings)
