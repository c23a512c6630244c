"""Repeating a run: its commit in a work tree of its own, its configuration, and a comparison of what came out."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from sacristy.commands import run as run_program
from sacristy.errors import CommandFailed, CommitNotFound, NotReproducible
from sacristy.settings import Settings
from sacristy.sources import files_now, fingerprint, image_paths
from sacristy.tracking.database import Documents
from sacristy.tracking.runs import RunRecord
from sacristy.tracking.series import read_metrics
from sacristy.tracking.state import object_id
from sacristy.tracking.variables import REPEATS

Verdict = Literal["equal", "within tolerance", "different"]
# What a training and its environment use:
PASSED_ON = (
    *("data", "environments", "mongodb_url", "weights", "weights_endpoint", "weights_ca", "data_remote"),
    *("gateway_url", "omniboard_url", "user"),
)
FOLDER_OR_ADDRESS = ("weights", "data_remote")
ORDER: tuple[Verdict, ...] = ("equal", "within tolerance", "different")


@dataclass(frozen=True)
class Row:
    """One figure of two runs, side by side; None where a run lacks it."""

    name: str
    first: float | None
    second: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """Two runs' figures, the verdict over all of them, and what else differs between the runs."""

    rows: tuple[Row, ...]
    differs: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the rows; runs without any figures are different."""
        return max((row.verdict for row in self.rows), key=ORDER.index, default="different")


@contextmanager
def checkout(db: Documents, project: Path, run: RunRecord) -> Iterator[Path]:
    """Give a temporary work tree with the very code of a run: its commit, and its diff if it was dirty.

    Raises NotReproducible where there is no commit, or the run's fingerprint is not that of the two: something was
    in neither, as a file that git did not know.
    """
    if not run.commit:
        raise NotReproducible(run=run.id, reason="it was made from no commit")
    digest = run.document["sacristy"].get("diff")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / project.name
        try:
            run_program(["git", "worktree", "add", "--detach", "--force", str(folder), run.commit], folder=project)
        except CommandFailed:
            raise CommitNotFound(commit=run.commit) from None
        try:
            if digest:
                _apply(folder, stored_diff(db, digest), run)
            _verify(folder, run)
            yield folder
        finally:
            run_program(["git", "worktree", "remove", "--force", str(folder)], folder=project)


def environment(settings: Settings, worktree: Path, run: RunRecord) -> dict[str, str]:
    """Return the environment variables under which training in the work tree repeats a run.

    A work tree has no settings file, so that all that is set goes along, secrets too: give it to the child only.
    """
    given = {name: _as_variable(settings, name) for name in PASSED_ON}
    passed = {f"SACRISTY_{name.upper()}": value for name, value in given.items() if value}
    return passed | {"SACRISTY_PROJECT": str(worktree), "SACRISTY_HOME": str(settings.home), REPEATS: str(run.id)}


def config_words(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return a configuration as the words that follow Sacred's `with`."""
    words: list[str] = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            words += config_words(value, f"{prefix}{name}.")
        else:
            words.append(f"{prefix}{name}={value!r}")
    return words


def continuing_words(words: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Return the words of a training with a run's configuration; what `words` say otherwise comes later and counts."""
    given = list(words)
    at = given.index("with") + 1 if "with" in given else len(given)
    before = given[:at] if "with" in given else [*given, "with"]
    return [*before, *config_words(config), *given[at:]]


def stored_diff(db: Documents, digest: str) -> bytes:
    """Return the diff of a dirty work tree by its digest."""
    pieces = db["fs.chunks"].find({"files_id": object_id("diff", digest)}).sort("n", 1)
    return b"".join(piece["data"] for piece in pieces)


def compare(db: Documents, first: RunRecord, second: RunRecord, tolerance: float = 0.0) -> Comparison:
    """Compare the results and every metric's last value; `tolerance` is relative."""
    figures = [_figures(db, run) for run in (first, second)]
    names = dict.fromkeys([*figures[0], *figures[1]])
    rows = [
        Row(name, a, b, judge(a, b, tolerance))
        for name, a, b in ((name, figures[0].get(name), figures[1].get(name)) for name in names)
    ]
    return Comparison(tuple(rows), tuple(differences(first, second)))


def judge(first: float | None, second: float | None, tolerance: float) -> Verdict:
    """Return how close two figures are."""
    if first is None or second is None:
        return "different"
    if first == second or (math.isnan(first) and math.isnan(second)):
        return "equal"
    return "within tolerance" if math.isclose(first, second, rel_tol=tolerance) else "different"


def differences(first: RunRecord, second: RunRecord) -> list[str]:
    """Return what else differs: code, lock, data, configuration, machine."""
    pairs: dict[str, tuple[Any, Any]] = {
        "code": (first.sources, second.sources),
        "lock": (first.lock, second.lock),
        "data": (first.data.get("digest"), second.data.get("digest")),
    }
    for name in sorted(first.config.keys() | second.config.keys()):
        pairs[f"config {name}"] = (first.config.get(name), second.config.get(name))
    hosts = [run.document.get("host") or {} for run in (first, second)]
    for name in ("hostname", "cpu", "gpus", "os", "python_version"):
        pairs[name] = (hosts[0].get(name), hosts[1].get(name))
    return [f"{name}: {_short(a)} and {_short(b)}" for name, (a, b) in pairs.items() if a != b]


def _as_variable(settings: Settings, name: str) -> str:
    """Return a setting as a child in another folder reads it: paths absolute; empty if it is not set."""
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    text = str(value or "")
    folder = isinstance(value, Path) or (name in FOLDER_OR_ADDRESS and "://" not in text)
    return str(settings.project / text) if text and folder else text


def _figures(db: Documents, run: RunRecord) -> dict[str, float]:
    result = run.result if isinstance(run.result, dict) else {"": run.result}
    numbers = {f"result {name}".strip(): float(v) for name, v in result.items() if isinstance(v, (int, float))}
    return numbers | {name: series.values[-1] for name, series in read_metrics(db, run.id).items()}


def _apply(folder: Path, diff: bytes, run: RunRecord) -> None:
    patch = folder / ".sacristy.diff"
    patch.write_bytes(diff + b"\n")
    try:
        run_program(["git", "apply", "--whitespace=nowarn", patch.name], folder=folder)
    except CommandFailed as error:
        raise NotReproducible(run=run.id, reason=f"its diff does not apply: {error}") from None
    finally:
        patch.unlink()


def _verify(folder: Path, run: RunRecord) -> None:
    """Raise NotReproducible unless a work tree holds the very code of a run."""
    paths = run.document["sacristy"].get("code") or image_paths(run.model)
    if fingerprint(files_now(folder, paths)) != run.sources:
        reason = "its commit and its diff do not give its files: some of them git did not know"
        raise NotReproducible(run=run.id, reason=reason)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "…"
