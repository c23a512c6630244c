"""The `docker` target: an image as a container of one host's engine, by digest, with nothing that it does not need.

The engine gets an image from us and not from a registry, so it needs no password and no certificate, and OCI layouts
work too. It gets only the layers that it does not have, and checks each of them against the configuration, whose
digest is the name by which the container is started.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from sacristy import engine
from sacristy.commands import feed, run
from sacristy.errors import CommandFailed, ImageNotInEngine, ImageWithoutBase, SacristyError
from sacristy.images.archive import diff_ids, export_archive, lowest_held
from sacristy.images.fetched import fetched_of, with_weights
from sacristy.images.manifest import digest_of, has_base, read_document
from sacristy.images.registry import Registry
from sacristy.project import load_model
from sacristy.settings import Settings
from sacristy.targets import containers
from sacristy.targets.containers import Container, is_stage
from sacristy.targets.engine_images import clear_images
from sacristy.targets.naming import belongs, instance_name, name_in_engine
from sacristy.targets.process import free_port
from sacristy.targets.target import Image, Instance, Target
from sacristy.weights.store import open_store


class DockerTarget(Target):
    """Instances as containers: a stage's on a loopback port, a trial's in a network without a way out."""

    name = "docker"

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.home = hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
        self._restarts: dict[str, int] = {}

    def start(self, image: Image, purpose: str) -> Instance:
        """Bring the image into the engine (once per digest) and start a container. Raises ImageWithoutBase too."""
        image_id = self._present(image)
        resources = load_model(self.settings.project, image.model).file.resources
        name = instance_name(image.model, purpose)
        joined = self.settings.docker_network if is_stage(purpose) else ""
        port = free_port() if is_stage(purpose) and not joined else 0
        container = Container(name, image_id, image.digest, self.home, resources, port, joined)
        if not joined:
            _ensure_network(container.network)
        try:
            run(containers.run_command(container), timeout_s=engine.TIMEOUT_S)
            url = f"http://127.0.0.1:{port}" if port else _address(_inspect(name), container)
        except BaseException:
            self.stop(name)
            raise
        self._restarts[name] = 0
        return Instance(name, image, url, self.name)

    def is_running(self, name: str) -> bool:
        """Say whether it runs, and was not restarted since this object first saw it."""
        found = _inspect(name)
        count = int(found.get("RestartCount", 0))
        return bool(found) and found["State"]["Running"] and self._restarts.setdefault(name, count) == count

    def peak_memory_mib(self, name: str) -> float:
        """Return the peak of its control group in MiB: resident memory of all processes, and files that it cached."""
        for path in containers.PEAK_FILES:
            with suppress(CommandFailed):
                return int(run(containers.read_command(name, path), timeout_s=engine.TIMEOUT_S)) / (1 << 20)
        return 0.0

    def log_tail(self, name: str, lines: int = 20) -> list[str]:
        """Return the last lines of its log."""
        try:
            return feed(containers.logs_command(name, lines), lambda _: None).splitlines()
        except CommandFailed:
            return []

    def stop(self, name: str) -> None:
        """End it with SIGTERM (Gunicorn finishes requests in flight), and remove it with its log."""
        grace_s = self._grace_s(name)
        _unless_gone(containers.stop_command(name, grace_s), grace_s)
        _unless_gone(containers.remove_command(name))
        self._restarts.pop(name, None)

    def instances(self) -> list[str]:
        """Return the names of this home's containers."""
        return sorted(run(containers.list_command(self.home), timeout_s=engine.TIMEOUT_S).split())

    def _grace_s(self, name: str) -> int:
        """Return the seconds from TERM to KILL; of a model that is no longer in the project, the least."""
        try:
            file = load_model(self.settings.project, belongs(name)[0]).file
        except SacristyError:
            return containers.GRACE_S
        return file.serving.timeout_s + containers.GRACE_S

    def _present(self, image: Image) -> str:
        """Return the identity that the engine gives to the image: the digest of its configuration.

        Weights that it does not carry become layers on top of it, so that the engine keeps and verifies them too.
        """
        manifest = self.registry.manifest(image.model, image.digest)
        if not has_base(manifest):
            raise ImageWithoutBase(image=image, model=image.model, run=image.run)
        fetched, added = fetched_of(manifest, str(image)), None
        if fetched:
            store = open_store(self.settings.weights_location, self.settings, "serving")
            added = with_weights(self.registry, image.model, image.digest, fetched, store)
        wanted = digest_of(added.config) if added else str(manifest["config"]["digest"])
        with suppress(ImageNotInEngine):
            return str(engine.find_image(wanted)["Id"])
        clear_images(self.settings.promotion.keep - 1)
        config = read_document(added.config, str(image)) if added else self.registry.config(image.model, image.digest)
        held = lowest_held(diff_ids(config, str(image)), engine.layers_of_images())
        tag = name_in_engine(image.model, image.version, image.digest)
        place = (self.registry, image.model, image.digest, tag)
        engine.load_archive(lambda out: export_archive(*place, out, held=held, added=added))
        return str(engine.find_image(wanted)["Id"])


def _ensure_network(name: str) -> None:
    try:
        run(containers.find_network_command(name), timeout_s=engine.TIMEOUT_S)
    except CommandFailed:
        try:
            run(containers.network_command(name), timeout_s=engine.TIMEOUT_S)
        except CommandFailed as error:
            if "already exists" not in str(error):  # somebody else made it at the same time
                raise


def _inspect(name: str) -> dict[str, Any]:
    """Return what the engine knows of a container; nothing if there is none."""
    try:
        found: dict[str, Any] = json.loads(run(containers.inspect_command(name), timeout_s=engine.TIMEOUT_S))[0]
    except CommandFailed as error:
        if "no such container" in str(error).lower():
            return {}
        raise
    return found


def _address(found: dict[str, Any], container: Container) -> str:
    """Return where a container that is not published is reached; one that ended already has no address."""
    if container.joined:
        return f"http://{container.name}:{containers.PORT}"
    place = found["NetworkSettings"]["Networks"][container.network]["IPAddress"] or "127.0.0.1"
    return f"http://{place}:{containers.PORT}"


def _unless_gone(command: list[str], more_s: int = 0) -> None:
    try:
        run(command, timeout_s=engine.TIMEOUT_S + more_s)
    except CommandFailed as error:
        if "no such container" not in str(error).lower():
            raise
