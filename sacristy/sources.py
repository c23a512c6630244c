"""The code a run was made from: its commit, whether the work tree differs from it, and the files themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import git

from sacristy.errors import CommitNotFound

Files = dict[str, "SourceFile"]


@dataclass(frozen=True)
class SourceFile:
    """A file's bytes and whether it can be executed."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Sources:
    """Where code came from. `dirty`: the files differ from the commit, or there is none."""

    commit: str
    dirty: bool
    fingerprint: str
    diff: str = ""


def describe(project: Path, paths: Sequence[str]) -> Sources:
    """Say what the files below `paths` (relative to the project) are now, compared with the last commit."""
    now = files_now(project, paths)
    try:
        repository = git.Repo(project)
        commit = repository.head.commit.hexsha
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError):
        return Sources("", True, fingerprint(now))
    dirty = fingerprint(files_at(project, commit, paths)) != fingerprint(now)
    diff = repository.git.diff("HEAD", "--", *paths) if dirty else ""
    return Sources(commit, dirty, fingerprint(now), diff)


def files_at(project: Path, commit: str, paths: Sequence[str]) -> Files:
    """Return the files below `paths` as they are in a commit, by path. Raises CommitNotFound."""
    try:
        tree = git.Repo(project).commit(commit).tree
    except (git.BadName, git.InvalidGitRepositoryError, ValueError):
        raise CommitNotFound(commit=commit) from None
    found: Files = {}
    for path in paths:
        try:
            root = tree / path
        except KeyError:
            continue
        for item in [root] if root.type == "blob" else root.traverse():
            if item.type == "blob" and item.mode in (0o100644, 0o100755):  # symbolic links are left out
                found[str(item.path)] = SourceFile(item.data_stream.read(), item.mode == 0o100755)
    return found


def files_now(project: Path, paths: Sequence[str]) -> Files:
    """Return the files below `paths` as they are on disk, without what git ignores, by path."""
    try:
        listed = git.Repo(project).git.ls_files("-z", "--cached", "--others", "--exclude-standard", "--", *paths)
        names = [name for name in listed.split("\0") if name]
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        names = [str(path.relative_to(project)) for start in paths for path in (project / start).rglob("*")]
    found: Files = {}
    for name in set(names):
        path = project / name
        if path.is_file() and not path.is_symlink():
            found[name] = SourceFile(path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def commit_time(project: Path, commit: str) -> int:
    """Return when a commit was made, in seconds since 1970, or raise CommitNotFound."""
    try:
        return int(git.Repo(project).commit(commit).committed_date)
    except (git.BadName, git.InvalidGitRepositoryError, ValueError):
        raise CommitNotFound(commit=commit) from None


def fingerprint(files: Files) -> str:
    """Return one SHA-256 (64 hexadecimal digits) over paths, modes and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        file = files[name]
        content = hashlib.sha256(file.content).hexdigest()
        total.update(f"{name}\0{int(file.executable)}\0{content}\n".encode())
    return total.hexdigest()
