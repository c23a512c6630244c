"""What commands work with, opened when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pymongo.database import Database

from sacristy import settings as settings_module
from sacristy.errors import ImageNotFound, NotPushed, RunNotBuilt, StackDown, StageEmpty
from sacristy.images.manifest import has_base
from sacristy.images.registry import Access, Registry, open_registry
from sacristy.names import Reference, Stage, Version, parse_stage
from sacristy.operator.deployment import Yard
from sacristy.project import Model, load_model
from sacristy.release.desk import Desk, open_desk
from sacristy.settings import Role, Settings, TargetName
from sacristy.supervision import Supervisor
from sacristy.targets.docker import DockerTarget
from sacristy.targets.kubernetes.target import KubernetesTarget
from sacristy.targets.process import ProcessTarget
from sacristy.targets.routes import every_route, read_routes
from sacristy.targets.target import Image, Target
from sacristy.tracking.database import connect
from sacristy.weights.store import Store, open_store


class Workbench:
    """Settings, database, store, registries and target of this project."""

    @cached_property
    def settings(self) -> Settings:
        """Where everything is."""
        return settings_module.load()

    @cached_property
    def database(self) -> Database[dict[str, Any]]:
        """MongoDB, as the services' user. Raises NotInitialised or DatabaseUnreachable."""
        return connect(self.settings, Role.SERVICE)

    @cached_property
    def store(self) -> Store:
        """The weights, to be read."""
        return open_store(self.settings.weights_location, self.settings, "serving")

    @cached_property
    def built(self) -> Registry:
        """Images built here."""
        return open_registry(str(self.settings.images_folder))

    @cached_property
    def registry(self) -> Registry:
        """Pushed images, and the stages."""
        user, password = self.settings.registry_login
        return open_registry(self.settings.registry_location, Access(user, password, self.settings.registry_ca))

    def targets(self, registry: Registry) -> dict[str, Target]:
        """Where images of a registry can run, by name."""
        return {
            TargetName.PROCESS: ProcessTarget(self.settings, registry),
            TargetName.DOCKER: DockerTarget(self.settings, registry),
            TargetName.KUBERNETES: KubernetesTarget(self.settings, registry),
        }

    def target(self, registry: Registry, name: str | None = None) -> Target:
        """Where images of a registry run: the named target, else the one that is set."""
        return self.targets(registry)[name or self.settings.target]

    def target_for(self, image: Image, registry: Registry, name: str | None = None) -> Target:
        """Where an image is compared: the named target, or processes for one that was built without a base."""
        based = has_base(registry.manifest(image.model, image.digest))
        return self.target(registry, name if based else TargetName.PROCESS)

    @cached_property
    def desk(self) -> Desk:
        """Where releases are decided."""
        return open_desk(self.settings, self.database, self.registry)

    @cached_property
    def yard(self) -> Yard:
        """What deployments work with, on the target that is set."""
        return self.yard_on()

    def yard_on(self, target: str | None = None) -> Yard:
        """Return what deployments on a target work with; None: the one that is set."""
        targets = self.targets(self.registry)
        chosen = targets[target or self.settings.target]
        return Yard(self.settings, self.database, self.registry, self.store, chosen, self.settings.user, targets)

    def yard_of(self, model: str, stage: Stage) -> Yard:
        """Return the yard of the target on which a stage runs now; the one that is set, if it runs nowhere."""
        route = read_routes(self.settings.routes_file).get(model, {}).get(stage)
        return self.yard_on(route.target if route else None)

    def targets_in_use(self) -> list[str]:
        """Return the names of all targets on which something may run: an engine is asked only where one is used."""
        used = {route.target for route in every_route(read_routes(self.settings.routes_file))}
        return sorted({TargetName.PROCESS, self.settings.target, *used})

    def model(self, name: str) -> Model:
        """Return the model of that name. Raises InvalidName, UnknownModel or InvalidModelFile."""
        return load_model(self.settings.project, name)

    def find(self, reference: Reference) -> tuple[Image, Registry]:
        """Return the image that a reference points at, and a registry that holds it: what was built here first.

        Raises StageEmpty, RunNotBuilt or ImageNotFound.
        """
        if reference.stage:
            digest = self.registry.tags(reference.model).get(reference.stage)
            if digest is None:
                raise StageEmpty(model=reference.model, stage=reference.stage)
            return self.registry.image(reference.model, digest), self.registry
        wanted = reference.digest or str(reference.version or self._newest(reference.model))
        for registry in (self.built, self.registry):
            try:
                return registry.image(reference.model, wanted), registry
            except ImageNotFound:
                continue
        raise RunNotBuilt(image=reference, model=reference.model)

    def pushed(self, reference: Reference) -> Image:
        """Return the image that a reference points at, which the registry must have. Raises NotPushed."""
        image, _ = self.find(reference)
        try:
            return self.registry.image(image.model, image.digest)
        except ImageNotFound:
            raise NotPushed(image=image) from None

    def rival(self, image: Image, stage: str) -> Image | None:
        """Return the image that a stage has now, unless it is this one or there is none."""
        digest = self.registry.tags(image.model).get(parse_stage(stage))
        return None if digest in (None, image.digest) else self.registry.image(image.model, digest)

    def started(self, target: str | None = None) -> None:
        """Raise StackDown unless the supervisor runs, which starts instances; a cluster has one of its own."""
        elsewhere = (target or self.settings.target) == TargetName.KUBERNETES
        if not elsewhere and not Supervisor(self.settings).running():
            raise StackDown

    def image_rows(self, model: str = "") -> list[dict[str, Any]]:
        """Return one row for each image that is built or pushed, newest first within its model."""
        names = sorted({*self.built.repositories(), *self.registry.repositories()})
        rows = [row for name in names if model in ("", name) for row in self._rows_of(name)]
        return rows

    def _rows_of(self, model: str) -> list[dict[str, Any]]:
        built, pushed = self.built.versions(model), self.registry.versions(model)
        stages = self.registry.stages(model)
        return [
            {
                "model": model,
                "version": str(version),
                "digest": digest,
                "size": (self.registry if version in pushed else self.built).size(model, digest),
                "built": version in built,
                "pushed": version in pushed,
                "stages": sorted(stage for stage, there in stages.items() if there == digest),
            }
            for version, digest in sorted({**built, **pushed}.items(), reverse=True)
        ]

    def _newest(self, model: str) -> Version:
        versions = {*self.built.versions(model), *self.registry.versions(model)}
        if not versions:
            raise RunNotBuilt(image=model, model=model)
        return max(versions)
