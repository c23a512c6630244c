"""What an image's manifests follow from besides itself, remembered: the operator asks for all models over and over."""

from __future__ import annotations

from sacristy.errors import SacristyError
from sacristy.images.fetched import Fetched, fetched_of
from sacristy.images.registry import Registry
from sacristy.model_file import ModelFile
from sacristy.project import load_model
from sacristy.settings import Settings
from sacristy.targets.kubernetes.connections import fetching_from
from sacristy.targets.kubernetes.fetching import Fetching
from sacristy.targets.target import Image


class Lookup:
    """Asks the project and the registry, as rarely as that can be."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings, self.registry = settings, registry
        self._files: dict[str, tuple[tuple[int, ...], ModelFile]] = {}
        self._fetched: dict[str, Fetched | None] = {}

    def model_file(self, model: str) -> ModelFile:
        """Return what model.toml says, read again only when it is another file."""
        path = self.settings.project / "models" / model / "model.toml"
        state = path.stat() if path.is_file() else None
        known = (state.st_ino, state.st_mtime_ns, state.st_size) if state else ()
        if not known or model not in self._files or self._files[model][0] != known:
            self._files[model] = known, load_model(self.settings.project, model).file
        return self._files[model][1]

    def fetching(self, image: Image) -> Fetching | None:
        """Return how pods fetch the weights that an image does not carry.

        The registry is asked once, as a digest never changes. Raises NotForPods, or what the registry raises.
        """
        if image.digest not in self._fetched:
            manifest = self.registry.manifest(image.model, image.digest)
            self._fetched[image.digest] = fetched_of(manifest, str(image))
        fetched = self._fetched[image.digest]
        return fetching_from(self.settings, fetched) if fetched else None

    def knows(self, image: Image) -> bool:
        """Say whether it can be said what an image's manifests are: a registry that is away is no fault of a stage."""
        try:
            self.fetching(image)
        except SacristyError:
            return False
        return True
