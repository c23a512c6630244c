"""The code a run was made from: its commit, whether the work tree differs from it, and the files themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git

from sacristy.errors import CommitNotFound

Files = dict[str, "SourceFile"]
RUNTIME_PATHS = (
    "sacristy/__init__.py",
    "sacristy/names.py",
    "sacristy/errors.py",
    "sacristy/s3.py",
    "sacristy/serving",
)
EXPORT = "commit.json"  # on top of a copy of a commit without its repository: which commit, and every file's hash
PLAIN_MODES = (git.Blob.file_mode, git.Blob.executable_mode)  # symbolic links are left out
# GitCommandError: git is not there, or refuses a folder that belongs to another user ("dubious ownership").
_NO_REPOSITORY = (git.InvalidGitRepositoryError, git.NoSuchPathError)
_NO_COMMIT = (*_NO_REPOSITORY, git.BadName, git.GitCommandError, BrokenPipeError, ValueError)  # a git that ended early
# A diff that `git apply` takes anywhere, whatever the user's own configuration makes of diffs for people.
PLAIN_DIFF = (
    *("--binary", "--full-index", "--unified=3", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=none"),
)


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


@dataclass(frozen=True)
class FileChange:
    """A file that two commits hold differently: lines added and removed, 0 for a file that is no text."""

    path: str
    added: int
    removed: int


def image_paths(model: str) -> tuple[str, ...]:
    """Return the paths whose files go into a model's image, so that only these make a run dirty."""
    return (*RUNTIME_PATHS, f"models/{model}")


def describe(project: Path, paths: Sequence[str]) -> Sources:
    """Say what the files below `paths` (relative to the project) are now, compared with the last commit."""
    now = files_now(project, paths)
    try:
        with git.Repo(project) as repository:
            commit = repository.head.commit.hexsha
            dirty = fingerprint(files_at(project, commit, paths)) != fingerprint(now)
            diff = repository.git.diff(*PLAIN_DIFF, "HEAD", "--", *paths) if dirty else ""
    except _NO_COMMIT:
        return _describe_export(project, paths, now)
    return Sources(commit, dirty, fingerprint(now), diff)


def exported(commit: str, files: Files) -> bytes:
    """Return what EXPORT holds: it lets a copy of a commit be told from one that was changed, where there is no git."""
    hashes = {name: fingerprint({name: file}) for name, file in files.items()}
    return json.dumps({"commit": commit, "files": hashes}, sort_keys=True).encode()


def files_at(project: Path, commit: str, paths: Sequence[str]) -> Files:
    """Return the files below `paths` as they are in a commit, by path. Raises CommitNotFound."""
    found: Files = {}
    with _commit(project, commit) as made:
        for path in paths:
            try:
                root = made.tree / path
            except KeyError:
                continue
            for item in [root] if isinstance(root, git.Blob) else root.traverse():
                if isinstance(item, git.Blob) and item.mode in PLAIN_MODES:
                    found[str(item.path)] = SourceFile(item.data_stream.read(), item.mode == item.executable_mode)
    return found


def files_now(project: Path, paths: Sequence[str]) -> Files:
    """Return the files below `paths` as they are on disk, without what git ignores, by path."""
    try:
        with git.Repo(project) as repository:
            listed = repository.git.ls_files("-z", "--cached", "--others", "--exclude-standard", "--", *paths)
        names = [name for name in listed.split("\0") if name]
    except _NO_COMMIT:
        known = _export(project).get("files")
        names = [str(path.relative_to(project)) for start in paths for path in _below(project / start)]
        names = names if known is None else [name for name in names if name in known]  # not what git ignored
    found: Files = {}
    for name in set(names):
        path = project / name
        if path.is_file() and not path.is_symlink():
            found[name] = SourceFile(path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def commit_time(project: Path, commit: str) -> int:
    """Return when a commit was made, in seconds since 1970, or raise CommitNotFound."""
    with _commit(project, commit) as made:
        return int(made.committed_date)


def changes(project: Path, first: str, second: str, paths: Sequence[str]) -> list[FileChange]:
    """Return what lies between two commits below `paths`, by path. Raises CommitNotFound."""
    with _commit(project, first) as one, _commit(project, second) as two:
        listed = one.repo.git.diff("--numstat", "--no-renames", "-z", one.hexsha, two.hexsha, "--", *paths)
    entries = (entry.split("\t", 2) for entry in listed.split("\0") if entry)
    return [FileChange(path, *(int(text) if text.isdigit() else 0 for text in counts)) for *counts, path in entries]


def commits_between(project: Path, first: str, second: str) -> int:
    """Return how many commits lead to one of two commits and not to the other. Raises CommitNotFound."""
    with _commit(project, first) as one, _commit(project, second) as two:
        return int(one.repo.git.rev_list("--count", f"{one.hexsha}...{two.hexsha}"))


def fingerprint(files: Files) -> str:
    """Return one SHA-256 (64 hexadecimal digits) over paths, modes and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        file = files[name]
        content = hashlib.sha256(file.content).hexdigest()
        total.update(f"{name}\0{int(file.executable)}\0{content}\n".encode())
    return total.hexdigest()


def _describe_export(project: Path, paths: Sequence[str], now: Files) -> Sources:
    """Say what the files of a project without git are: an unchanged copy of a commit, or of none."""
    told = _export(project)
    known = told.get("files", {})
    wanted = {name: known[name] for name in known if any(name == p or name.startswith(f"{p}/") for p in paths)}
    dirty = not told or wanted != {name: fingerprint({name: file}) for name, file in now.items()}
    return Sources(told.get("commit", ""), dirty, fingerprint(now))


def _export(project: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((project / EXPORT).read_text())
    except FileNotFoundError:
        return {}
    return found


@contextmanager
def _commit(project: Path, commit: str) -> Iterator[git.Commit]:
    try:
        with git.Repo(project) as repository:
            yield repository.commit(commit or "none")
    except _NO_COMMIT:
        raise CommitNotFound(commit=commit) from None


def _below(path: Path) -> Iterator[Path]:
    return iter([path]) if path.is_file() else (file for file in path.rglob("*") if "__pycache__" not in file.parts)
