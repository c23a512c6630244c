"""Which models a commit changed: their code, the runtime in their images, their data by hash, or their lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sacristy.datasets import LINE, POINTER
from sacristy.errors import CommitNotFound, InvalidName
from sacristy.sources import Files, files_at, files_now, image_paths

COMMIT_PATTERN = r"[0-9A-Za-z][0-9A-Za-z._/^~-]{0,199}"
LOCK = "Pipfile.lock"
NOT_TRAINED = ("README.md", "Jenkinsfile", "tests/")  # below the model's folder: nothing of a run depends on them


@dataclass(frozen=True)
class Change:
    """What differs from a base commit. `base` is empty where there is none to compare with: all counts as changed."""

    model: str
    base: str
    code: list[str] = field(default_factory=list)
    runtime: list[str] = field(default_factory=list)
    data: bool = False
    lock: bool = False

    @property
    def changed(self) -> bool:
        """Say whether the model is to be trained anew."""
        return bool(self.code or self.runtime or self.data or self.lock)

    @property
    def because(self) -> str:
        """Return what changed, in a few words; empty if nothing did."""
        if not self.base:
            return "there is no base commit to compare with"
        parts = {"code": self.code, "runtime": self.runtime, "data": self.data, "lock": self.lock}
        return ", ".join(name for name, found in parts.items() if found)

    def as_document(self) -> dict[str, object]:
        """Return it as plain data."""
        return {**self.__dict__, "changed": self.changed, "because": self.because}


def change_of(project: Path, model: str, base: str) -> Change:
    """Compare a model with a base commit. A commit that is not there (a first build, a shallow clone) is no base.

    Raises InvalidName for text that cannot name a commit.
    """
    if base and not re.fullmatch(COMMIT_PATTERN, base, re.ASCII):
        raise InvalidName(kind="commit", value=base, grammar="a commit, tag or branch")
    paths = image_paths(model)
    now = files_now(project, paths)
    try:
        before = files_at(project, base, paths)
    except CommitNotFound:
        return Change(model, "", code=sorted(name for name in now if _is_code(model, name)), data=True, lock=True)
    return compare(model, base, before, now)


def compare(model: str, base: str, before: Files, now: Files) -> Change:
    """Return what differs between two states of the files that a model's image is made of."""
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    folder = f"models/{model}/"
    return Change(
        model,
        base,
        code=[name for name in names if _is_code(model, name)],
        runtime=[name for name in names if not name.startswith(folder)],
        data=_data(before, folder) != _data(now, folder),
        lock=folder + LOCK in names,
    )


def _is_code(model: str, name: str) -> bool:
    folder = f"models/{model}/"
    below = name.removeprefix(folder)
    return name.startswith(folder) and below not in (LOCK, POINTER) and not below.startswith(NOT_TRAINED)


def _data(files: Mapping[str, object], folder: str) -> str:
    """Return the hash of the data that data.dvc names; empty without one."""
    file = files.get(folder + POINTER)
    text = getattr(file, "content", b"").decode("utf-8", "replace")
    facts = {str(found[1]): str(found[2]) for line in text.splitlines() if (found := LINE.fullmatch(line))}
    return facts.get("md5", "")
