"""What doctor says about files, without any service."""

from __future__ import annotations

from pathlib import Path

import pytest

from sacristy.settings import Settings
from sacristy.stack import findings
from sacristy.stack.doctor import ERROR, doctor
from sacristy.stack.findings import check_disk, check_folders, check_jenkins, check_journals, check_secrets
from sacristy.stack.init import init


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    init(settings)
    return settings


def test_a_fresh_home_has_no_fault_but_that_nothing_runs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "DISK_WARNING_BYTES", 0)
    assert [finding.mend for finding in doctor(settings)] == ["sacristy up"]


def test_without_a_home_the_first_thing_to_do_is_named(tmp_path: Path) -> None:
    found = doctor(Settings(project=tmp_path, home=tmp_path / "none"))
    assert [(finding.level, finding.mend) for finding in found] == [(ERROR, "sacristy init")]


def test_a_full_disk_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "DISK_WARNING_BYTES", 2**62)
    monkeypatch.setattr(findings, "DISK_ERROR_BYTES", 2**62)
    assert [finding.level for finding in check_disk(settings)] == [ERROR]


def test_a_secret_that_others_can_read_is_named_with_its_mend(settings: Settings) -> None:
    path = settings.home / "secrets" / "mongodb-admin"
    path.chmod(0o644)
    assert [finding.mend for finding in check_secrets(settings)] == [f"chmod 600 {path}"]


def test_a_missing_secret_and_a_missing_folder_are_found(settings: Settings) -> None:
    (settings.home / "secrets" / "gateway-session-key").unlink()
    (settings.home / "journals").rmdir()
    assert "gateway-session-key" in next(check_secrets(settings)).what
    assert "journals" in next(check_folders(settings)).what


def test_a_journal_of_an_ended_run_waits_to_be_sent(settings: Settings) -> None:
    (settings.journals / "digits-0123456789abcdef").mkdir()
    assert [finding.mend for finding in check_journals(settings)] == ["sacristy resync"]


def test_a_jenkins_that_is_set_in_half_is_told(settings: Settings) -> None:
    assert list(check_jenkins(settings)) == []
    (found,) = check_jenkins(settings.model_copy(update={"jenkins_url": "http://jenkins"}))
    assert "jenkins_user" in found.what
    assert found.mend.endswith("sacristy up")
