"""From a run to an image: its code at its commit, its weights, its baseline. The same run gives the same digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, cast

from sacristy.errors import DirtyTree, RunIncomplete, RunNotCompleted, RunWithoutWeights, SourcesChanged, VersionTaken
from sacristy.images import layers
from sacristy.images.base import Base
from sacristy.images.baseline import baseline
from sacristy.images.fetched import Fetched, are_fetched, measured
from sacristy.images.layers import Member, write_layer
from sacristy.images.layout import FolderRegistry, OciLayout
from sacristy.images.manifest import (
    CONFIG,
    LAYER,
    PART,
    Descriptor,
    canonical,
    described,
    digest_of,
    image_config,
    image_manifest,
    labels,
)
from sacristy.names import Version, parse_model
from sacristy.settings import Settings
from sacristy.sources import Files, commit_time, files_at, files_now, fingerprint, image_paths
from sacristy.tracking.runs import RunRecord, WeightsFile
from sacristy.weights.store import Store

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BuiltImage:
    """An image in the local layout. `size` in bytes over all layers; `new`: it was not there before."""

    model: str
    version: Version
    digest: str
    size: int
    layers: int
    new: bool


def build(
    settings: Settings,
    run: RunRecord,
    *,
    store: Store,
    allow_dirty: bool = False,
    rebuild: bool = False,
    base: Base | None = None,
    progress: Progress = lambda _: None,
) -> BuiltImage:
    """Make the image of a run in Settings.images_folder, tagged with its version.

    `base`: the environment image to lie on, which Settings.images_folder must have; without one it is for the process
    target only.
    Built again, it is the same image. If it comes out different from every version of this run, `rebuild` makes the
    next version, and without it VersionTaken is raised. Raises also RunNotCompleted, RunIncomplete,
    RunWithoutWeights, DirtyTree, SourcesChanged, CommitNotFound, BlobNotFound, BlobDamaged or PathNotWritable.
    """
    require_buildable(run, allow_dirty=allow_dirty)
    sources = sources_of(settings, run)
    created = commit_time(settings.project, run.commit) if run.commit else 0
    layout = OciLayout(settings.images_folder / parse_model(run.model))
    if base:
        share_layers(FolderRegistry(settings.images_folder), run.model, base)
    shared = [_store_layer(layout, part, members, progress) for part, members in _code_parts(run, sources)]
    fetched = None
    if are_fetched(sources, run.model):
        fetched = _left_in_store(run, store, progress)
    else:
        weights = layers.weights_layers(store, served(run))
        shared += [_store_layer(layout, "weights", members, progress) for members in weights]
    return _tagged(layout, _Recipe(run, shared, created, base, fetched), rebuild=rebuild)


def share_layers(built: FolderRegistry, repository: str, base: Base) -> None:
    """Let a repository have the layers of its base, which are on this disk once. Raises BlobNotFound."""
    for layer in base.layers:
        if not built.has_blob(repository, layer.digest) and not built.mount(repository, layer.digest, base.repository):
            with built.open_blob(base.repository, layer.digest) as source:  # a file system without links
                built.put_blob(repository, layer.digest, source)


def require_buildable(run: RunRecord, *, allow_dirty: bool) -> None:
    """Raise the reason why a run cannot become an image, if there is one."""
    if run.status != "COMPLETED":
        raise RunNotCompleted(run=run.id, status=run.status)
    if not run.complete:
        raise RunIncomplete(run=run.id, reason=run.incomplete_because)
    if not any(file.role == "weights" for file in run.weights):
        raise RunWithoutWeights(run=run.id)
    if run.dirty and not allow_dirty:
        raise DirtyTree(run=run.id)


def sources_of(settings: Settings, run: RunRecord) -> Files:
    """Return the code of a run: at its commit, or for a dirty run the work tree if that is still what it was.

    Raises CommitNotFound or SourcesChanged.
    """
    paths = image_paths(run.model)
    if not run.dirty:
        return files_at(settings.project, run.commit, paths)
    files = files_now(settings.project, paths)
    found = fingerprint(files)
    if found != run.sources:
        raise SourcesChanged(run=run.id, expected=run.sources, found=found)
    return files


def served(run: RunRecord) -> list[WeightsFile]:
    """Return the files that a server needs: the held-out examples are for judging alone."""
    return [file for file in run.weights if file.role != "heldout"]


def _code_parts(run: RunRecord, sources: Files) -> Iterator[tuple[str, list[Member]]]:
    """Yield the layers of code. With those of the weights they are the same whatever the version is called."""
    yield "runtime", layers.runtime_members(sources)
    yield "model", layers.model_members(sources, run.model)


def _left_in_store(run: RunRecord, store: Store, progress: Progress) -> Fetched:
    """Return the weights that the image will only name. They are read once: what is not there is told now."""
    files = served(run)
    progress(f"weights stay in the store, {sum(file.size for file in files):,} bytes")
    return Fetched(tuple(files), tuple(measured(members) for members in layers.weights_layers(store, files)))


def _store_layer(layout: OciLayout, part: str, members: list[Member], progress: Progress) -> Descriptor:
    progress(f"{part} layer, {sum(member.size for member in members):,} bytes")
    with layout.store.writer() as blob:
        write_layer(blob, members)
        return Descriptor(LAYER, blob.commit(), blob.size, {PART: part})


@dataclass(frozen=True)
class _Recipe:
    """What an image is made of, whatever its version is called. `shared`: our layers but the baseline.

    `fetched`: the weights, where no layer carries them.
    """

    run: RunRecord
    shared: list[Descriptor]
    created: int
    base: Base | None
    fetched: Fetched | None


def _tagged(layout: OciLayout, recipe: _Recipe, *, rebuild: bool) -> BuiltImage:
    """Return the version that this image is already, or make the next one."""
    run = recipe.run
    tags = layout.index().tags
    rebuilds = 0
    while (version := Version(run.id, rebuilds)) and str(version) in tags:
        image = _Documents(recipe, version)
        if image.digest == tags[str(version)]:
            return image.built(new=False)
        rebuilds += 1
    image = _Documents(recipe, version)
    if rebuilds and not rebuild:
        newest = Version(run.id, rebuilds - 1)
        built = _Documents(recipe, newest).digest
        name = f"{run.model}:{newest}"
        raise VersionTaken(image=name, found=tags[str(newest)], run=run.id, built=built)
    image.store(layout)
    layout.tag(str(version), image.digest, expected=None)
    return image.built(new=True)


class _Documents:
    """Everything of an image that depends on its version: baseline, configuration and manifest."""

    def __init__(self, recipe: _Recipe, version: Version) -> None:
        base = recipe.base
        facts = baseline(recipe.run, version, base.digest if base else None, fetched=recipe.fetched is not None)
        buffer = BytesIO()
        write_layer(cast("Any", buffer), [layers.baseline_member(canonical(facts))])
        self.version = version
        self.model = recipe.run.model
        self._baseline = buffer.getvalue()
        last = described(self._baseline, LAYER)
        own = [*recipe.shared, Descriptor(LAYER, last.digest, last.size, {PART: "baseline"})]
        self.layers = [*(base.layers if base else ()), *own]
        names = labels(facts, recipe.created) | (recipe.fetched.labels if recipe.fetched else {})
        self._config = image_config(own, names, recipe.created, base.config if base else None)
        self._manifest = image_manifest(described(self._config, CONFIG), self.layers, names)
        self.digest = digest_of(self._manifest)

    def store(self, layout: OciLayout) -> None:
        for content in (self._baseline, self._config):
            layout.store.put_stream(cast("BinaryIO", BytesIO(content)))
        layout.put_manifest(self._manifest)

    def built(self, *, new: bool) -> BuiltImage:
        size = sum(layer.size for layer in self.layers)
        return BuiltImage(self.model, self.version, self.digest, size, len(self.layers), new)
