"""One real Ceph for all tests of the folder, a bucket for each test, and a gateway in between that misbehaves."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services.weights.faulty import FaultyGateway

from sacristy.cli.main import main
from sacristy.errors import ProgramMissing
from sacristy.names import blob_key
from sacristy.settings import Settings, load
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.health import check_ceph
from sacristy.stack.init import init
from sacristy.stack.ports import free_port, remember
from sacristy.supervision import Supervisor
from sacristy.weights.s3 import S3Store

PROJECT = Path(__file__).parents[3]
WITHIN_S = 60
LIFECYCLE = "rgw lc debug interval = 5"  # seconds that a day of a lifecycle's rule lasts


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose Ceph runs."""
    try:
        bringup.find_programs()
    except ProgramMissing as error:
        pytest.skip(f"{error}: {error.advice}")
    folder = tmp_path_factory.mktemp("ceph")
    settings = Settings(project=PROJECT, home=folder / "home", ceph_size_gib=5)
    init(settings)
    for name in ("ceph", "ceph-mon"):
        remember(settings, name, free_port())
    supervisor = Supervisor(settings)
    try:
        supervisor.start_daemon()
        bringup.up(settings, supervisor, lambda _: None, LIFECYCLE)
        yield settings
    finally:
        supervisor.shutdown()
        shutil.rmtree(folder / "home" / "ceph", ignore_errors=True)


@pytest.fixture
def kill(ceph: Settings) -> Iterator[Callable[[str], None]]:
    """Kill one of Ceph's programs; its supervisor starts it again, and the test's end waits until all is well."""

    def kill(name: str) -> None:
        state = Supervisor(ceph).state(name)
        assert state is not None
        assert state.pid
        os.kill(state.pid, signal.SIGKILL)

    yield kill
    deadline = time.monotonic() + WITHIN_S
    while check_ceph(ceph):
        assert time.monotonic() < deadline, "Ceph did not come back"
        time.sleep(0.2)


@pytest.fixture
def settings(ceph: Settings, tmp_path: Path) -> Settings:
    """A home of its own at the running gateway: nothing of earlier tests is in its cache."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(ceph.home / "secrets", home / "secrets")
    return Settings(project=PROJECT, home=home, weights_endpoint=ceph.s3_endpoint, weights_ca=ceph.s3_ca)


@pytest.fixture
def store(settings: Settings) -> Iterator[S3Store]:
    """An empty bucket as its owner; it is emptied afterwards."""
    store = S3Store(f"t-{uuid.uuid4().hex}", settings, "ops")
    store.client.create_bucket(Bucket=store.bucket)
    yield store
    store.clear_unfinished(-1000)
    for facts in list(store.objects("")):
        store.client.delete_object(Bucket=store.bucket, Key=facts["Key"])
    store.client.delete_bucket(Bucket=store.bucket)


@pytest.fixture
def overwrite(store: S3Store) -> Callable[[str, bytes], None]:
    """Return a function that puts other bytes where a blob is."""

    def overwrite(digest: str, content: bytes) -> None:
        store.client.put_object(Bucket=store.bucket, Key=blob_key(digest), Body=content)

    return overwrite


@pytest.fixture
def faulty(settings: Settings) -> Iterator[FaultyGateway]:
    """A gateway that hands on to the real one, and misbehaves as told."""
    assert settings.weights_ca
    gateway = FaultyGateway(settings.weights_endpoint, settings.weights_ca)
    yield gateway
    gateway.close()


@pytest.fixture
def shaky(store: S3Store, settings: Settings, faulty: FaultyGateway) -> S3Store:
    """The same bucket through the gateway that misbehaves."""
    changed = settings.model_copy(update={"weights_endpoint": faulty.url, "weights_ca": None})
    return S3Store(store.bucket, changed, "ops", attempts=4)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Return a function that writes a file into the folder `files` and returns its path."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Return a function that runs a command as typed, which must end with `code`; it returns what was printed."""

    def command(*words: object, code: int = 0, typed: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["sacristy", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        load.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed
        return printed.out if not code else printed.out + printed.err

    yield command
    load.cache_clear()
