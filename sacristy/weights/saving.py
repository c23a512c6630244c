"""The last line of a training script: `weights.save(_run, folder)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sacristy import ranks, settings, tracking
from sacristy.errors import NoWeights, WeightsRefused
from sacristy.names import parse_file
from sacristy.tracking.runs import WeightsFile
from sacristy.weights.bar import bar
from sacristy.weights.formats import check_file
from sacristy.weights.many import each
from sacristy.weights.store import Progress, Store, open_store, silent

ROLES = {"golden.json": "golden", "heldout.jsonl": "heldout"}  # every other file is what the model loads


def save(
    _run: Any, folder: str | Path, *, store: Store | None = None, progress: Progress = silent
) -> list[WeightsFile]:
    """Store every file of a flat folder by content, and note them in the run.

    All files are checked before the first is stored, and noted after the last, so a failure leaves the run
    without weights and never with some of them. `golden.json` and `heldout.jsonl` are kept for judging.
    Of several ranks only 0 stores anything: the others get an empty list.
    On a terminal a bar shows how far it is, unless `progress` is told that instead.
    Raises NoWeights, WeightsRefused, InvalidName or PathNotWritable.
    """
    if ranks.rank():
        return []
    paths = weights_files(Path(folder))
    store = store or open_store(settings.load().weights_location)
    sized = [(path, path.stat().st_size) for path in paths]
    terminal = getattr(_run, "terminal", None) if progress is silent else None
    with bar(terminal, "weights", sum(size for _, size in sized)) as advance:
        told = advance if progress is silent else progress
        files = each(lambda path: _put(store, path, told), sized)
    tracking.note(_run, "weights", [vars(file) for file in files])
    _run.info["weights"] = {"files": len(files), "size_bytes": sum(file.size for file in files)}
    return files


def weights_files(folder: Path) -> list[Path]:
    """Return the files of a flat folder in the order of their names, each checked."""
    if not folder.is_dir():
        raise NoWeights(folder=folder)
    paths = sorted(folder.iterdir())
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            raise WeightsRefused(path=path, reason="it is a folder, and weights are one flat folder of files")
        parse_file(path.name)
        check_file(path)
    if all(path.name in ROLES for path in paths):
        raise NoWeights(folder=folder)
    return paths


def _put(store: Store, path: Path, progress: Progress) -> WeightsFile:
    digest, size = store.put(path, progress)
    return WeightsFile(name=path.name, digest=digest, size=size, role=ROLES.get(path.name, "weights"))
