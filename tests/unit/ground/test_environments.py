from contextlib import contextmanager
from pathlib import Path

import pytest

from sacristy import commands, environments, locks
from sacristy.errors import CommandFailed, EnvironmentNotLocked, PathNotWritable, ProgramMissing
from sacristy.settings import Settings

ENTRY = {"hashes": ["sha256:cpu"], "index": "pypi", "version": "==2.13.0+cpu"}
LOCK = {"_meta": {"sources": [{"name": "pypi", "url": "https://example.org"}]}, "default": {"torch": ENTRY}}


@pytest.fixture
def settings(tmp_path):
    return Settings(project=tmp_path, home=tmp_path / "home", environments=tmp_path / "environments")


def lock_of(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "Pipfile").touch()
    (folder / "Pipfile.lock").write_text(text)
    return folder / "Pipfile.lock"


def test_models_with_equal_locks_share_an_environment(settings, tmp_path):
    one, two, other = (lock_of(tmp_path / name, text) for name, text in (("a", "x"), ("b", "x"), ("c", "y")))
    folder = environments.environment_folder(settings, one)
    assert folder == environments.environment_folder(settings, two)
    assert folder != environments.environment_folder(settings, other)


def test_a_model_without_a_lock_is_told_how_to_make_one(settings, tmp_path):
    with pytest.raises(EnvironmentNotLocked) as fault:
        environments.ensure_environment(settings, tmp_path / "Pipfile.lock")
    assert fault.value.advice == "make lock"


def test_an_interrupted_environment_is_not_ready(settings, tmp_path):
    lock = lock_of(tmp_path / "a", "x")
    environments.environment_folder(settings, lock).mkdir(parents=True)
    assert not environments.is_ready(settings, lock)


def test_a_lock_that_changes_while_another_process_has_its_turn_gets_an_environment_of_its_own(
    settings, tmp_path, monkeypatch
):
    lock, made = lock_of(tmp_path / "a", "old"), []

    @contextmanager
    def waited(*_):
        lock.write_text("new")
        yield

    monkeypatch.setattr(environments, "turn", waited)
    monkeypatch.setattr(environments, "_make", lambda _settings, _lock, folder: made.append(folder))
    python = environments.ensure_environment(settings, lock)
    assert made == [environments.environment_folder(settings, lock)]
    assert python.is_relative_to(made[0])


def test_a_local_wheel_is_offered_with_its_digest(tmp_path):
    (tmp_path / "torch-2.13.0+cpu-py3-none-any.whl").write_bytes(b"wheel")
    wheels = environments.local_wheels(f"https://example.org/page {tmp_path}")
    (digest,) = wheels.values()
    assert f"torch-2.13.0%2Bcpu-py3-none-any.whl#sha256={digest}" in environments.links_page(wheels)


def test_cuda_is_installed_unless_a_local_torch_is_in_the_lock():
    lock = '{"default": {"torch": {"hashes": ["sha256:aa"]}}, "cuda": {}}'
    assert environments.categories(lock, {}) == "packages train cuda"
    assert environments.categories(lock, {"/w/torch-2.whl": "bb"}) == "packages train cuda"
    assert environments.categories(lock, {"/w/torch-2.whl": "aa"}) == "packages train"
    assert environments.categories("{}", {}) == "packages train"


def test_a_portable_lock_names_no_index_and_accepts_both_builds():
    portable = locks.portable(LOCK, {"torch": ["sha256:published"]})
    assert portable["_meta"]["sources"] == []
    assert portable["default"]["torch"] == {"hashes": ["sha256:cpu", "sha256:published"], "version": "==2.13.0"}


def test_only_local_builds_need_another_hash():
    plain = {"_meta": {}, "default": {"flask": {"version": "==3.1.3"}, "torch": ENTRY, "local": {"path": "."}}}
    assert locks.local_builds(plain) == {"torch": "2.13.0"}


def test_the_committed_locks_are_portable():
    root = Path(__file__).parents[3]
    for path in [root / "Pipfile.lock", *root.glob("models/*/Pipfile.lock")]:
        assert '"sources": []' in path.read_text(), path
        assert "+cpu" not in path.read_text(), path


def test_a_failed_program_is_told_by_its_last_line():
    with pytest.raises(CommandFailed, match="ended with code 3: no such thing"):
        commands.run(["sh", "-c", "echo first; echo no such thing >&2; exit 3"])


def test_a_missing_program_is_told():
    with pytest.raises(ProgramMissing):
        commands.run(["no-such-program"])


def test_what_a_killed_makers_child_still_writes_is_waited_for(tmp_path, monkeypatch):
    folder = tmp_path / "environment"
    folder.mkdir()
    times = iter([True, True, False])
    monkeypatch.setattr(environments.time, "sleep", lambda _: folder.mkdir() if next(times) else None)
    environments._clear(folder)
    assert not folder.exists()
    monkeypatch.setattr(environments.time, "sleep", lambda _: folder.mkdir())
    folder.mkdir()
    with pytest.raises(PathNotWritable, match="writes into it"):
        environments._clear(folder, within_s=0.01)
