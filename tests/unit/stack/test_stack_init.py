"""The home folder and its secrets: made once, private, never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from sacristy.errors import PathNotWritable
from sacristy.settings import Settings
from sacristy.stack.init import FOLDERS, init, secret_makers


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path, home=tmp_path / "home")


def test_folders_and_secrets_are_private(settings: Settings) -> None:
    init(settings)
    modes = {path: path.stat().st_mode & 0o777 for path in settings.home.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert modes[settings.home / "secrets" / "mongodb-keyfile"] == 0o400
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600, 0o400}


def test_the_second_time_nothing_changes(settings: Settings) -> None:
    first = init(settings)
    before = {path: path.read_bytes() for path in (settings.home / "secrets").iterdir()}
    second = init(settings)
    assert (second.made, second.kept) == ([], first.made)
    assert {path: path.read_bytes() for path in (settings.home / "secrets").iterdir()} == before


def test_only_what_is_missing_is_made(settings: Settings) -> None:
    init(settings)
    (settings.home / "secrets" / "gateway-session-key").unlink()
    assert init(settings).made == ["secrets/gateway-session-key"]


def test_secrets_differ_and_are_long(settings: Settings) -> None:
    init(settings)
    secrets = {path.name: path.read_text() for path in (settings.home / "secrets").iterdir()}
    assert len(set(secrets.values())) == len(secret_makers())
    assert len(secrets.pop("jenkins-token")) == 34  # Jenkins' own form: 128 bits
    assert min(len(secret) for secret in secrets.values()) >= 43  # 256 bits


def test_folders_that_others_could_read_are_closed(settings: Settings) -> None:
    (settings.home / "secrets").mkdir(parents=True, mode=0o755)
    init(settings)
    assert (settings.home / "secrets").stat().st_mode & 0o777 == 0o700
    assert (settings.home / FOLDERS[-1]).is_dir()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PathNotWritable, match="file"):
        init(Settings(project=tmp_path, home=tmp_path / "file" / "home"))
