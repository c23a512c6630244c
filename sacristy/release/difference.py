"""What differs between two images of a model: code, data, configuration, weights, environment, scores, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.database import Database

from sacristy.errors import CommitNotFound
from sacristy.images import sbom
from sacristy.images.manifest import Json
from sacristy.images.reading import baseline_of, layers_of, lock_of
from sacristy.images.registry import Registry
from sacristy.release import evidence
from sacristy.sources import FileChange, changes, commits_between, image_paths
from sacristy.targets.target import Image

Pair = tuple[Any, Any]
ABSENT = None


@dataclass(frozen=True)
class Place:
    """An image and a registry that holds it."""

    image: Image
    registry: Registry


@dataclass
class Code:
    """Commits from one to the other, and the files of the image that they changed."""

    commits: Pair
    between: int | None = None
    files: list[FileChange] = field(default_factory=list)
    note: str = ""


@dataclass
class Difference:
    """Only what differs is in `data`, `config`, `result`, `weights`, `packages` and `scores`: both sides by name.

    A side that lacks something has None there. `sizes` in bytes; `shared_bytes` are in layers that both have.
    """

    first: Image
    second: Image
    stages: Pair
    code: Code
    data: dict[str, Pair]
    config: dict[str, Pair]
    result: dict[str, Pair]
    weights: dict[str, Pair]
    packages: dict[str, Pair]
    scores: dict[str, Pair]
    sizes: Pair
    shared_bytes: int

    def rows(self) -> Iterator[tuple[str, str, Any, Any]]:
        """Yield what a table shows: part, name, both sides."""
        yield "image", "digest", self.first.digest[7:19], self.second.digest[7:19]
        yield "image", "stages", " ".join(self.stages[0]), " ".join(self.stages[1])
        yield "image", "bytes", f"{self.sizes[0]:,}", f"{self.sizes[1]:,}"
        yield "image", "bytes shared", f"{self.shared_bytes:,}", f"{self.shared_bytes:,}"
        yield "code", self.code.note or "commit", self.code.commits[0][:12], self.code.commits[1][:12]
        for file in self.code.files:
            yield "code", file.path, f"-{file.removed}", f"+{file.added}"
        for part in ("data", "config", "result", "weights", "packages", "scores"):
            for name, (first, second) in getattr(self, part).items():
                yield part, name, first, second


def compare(project: Path, database: Database[dict[str, Any]], first: Place, second: Place) -> Difference:
    """Return the differences. Raises ImageNotFound, BlobNotFound, BlobDamaged or InvalidImage."""
    one, two = (baseline_of(place.registry, place.image.model, place.image.digest) for place in (first, second))
    layers = [
        {layer.digest: layer.size for layer in layers_of(place.registry, place.image.model, place.image.digest)}
        for place in (first, second)
    ]
    return Difference(
        first=first.image,
        second=second.image,
        stages=(_stages(first), _stages(second)),
        code=_code(project, first.image.model, one["commit"], two["commit"]),
        data=differing(one["data"] or {}, two["data"] or {}),
        config=differing(flat(one["config"]), flat(two["config"])),
        result=differing(flat(one["result"]), flat(two["result"])),
        weights=differing(_weights(one), _weights(two)),
        packages=differing(_packages(first), _packages(second)),
        scores=differing(_scores(database, first.image), _scores(database, second.image)),
        sizes=(sum(layers[0].values()), sum(layers[1].values())),
        shared_bytes=sum(size for digest, size in layers[0].items() if digest in layers[1]),
    )


def differing(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Pair]:
    """Return both sides of every name whose values differ, sorted; None for a side that lacks it."""
    names = sorted({*first, *second})
    pairs = {name: (first.get(name, ABSENT), second.get(name, ABSENT)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, with dotted names; a value that is none is named `value`."""
    if not isinstance(value, dict):
        return {} if value is None and not name else {name or "value": value}
    below = (flat(entry, f"{name}.{key}" if name else str(key)) for key, entry in value.items())
    return {key: entry for part in below for key, entry in part.items()}


def _code(project: Path, model: str, first: str, second: str) -> Code:
    code = Code((first, second))
    try:
        code.between = commits_between(project, first, second)
        code.files = changes(project, first, second, image_paths(model))
    except CommitNotFound as error:
        code.note = str(error)
    return code


def _stages(place: Place) -> list[str]:
    stages = place.registry.stages(place.image.model).items()
    return [str(stage) for stage, digest in stages if digest == place.image.digest]


def _weights(baseline: Json) -> dict[str, str]:
    return {file["name"]: f"{file['digest'][7:19]} {file['size']:,} bytes" for file in baseline["weights"]}


def _packages(place: Place) -> dict[str, str]:
    lock = lock_of(place.registry, place.image.model, place.image.digest)
    packages = [package for part in sbom.SCOPES for package in (lock.get(part) or {}).items()]
    return {name: str(entry.get("version", "")).removeprefix("==") for name, entry in packages}


def _scores(database: Database[dict[str, Any]], image: Image) -> dict[str, Any]:
    found = evidence.latest(database, image.digest)
    return dict(found["figures"]) if found else {}
