"""The `kubernetes` target. A new version is asked as a pod of its own first; then it replaces the old one by a rollout.

So no user is ever answered by a version that starts and answers wrongly, and a stage never needs more than one pod
beyond its replicas. An instance is either such a pod, or a stage's Deployment at one digest, whose name says so.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from urllib.parse import urlsplit

from sacristy.errors import ClusterAway, ClusterRefused, PodNotStarted, RegistryUnknownToCluster
from sacristy.images.copy import copy_image
from sacristy.images.registry import Access, Registry, open_registry
from sacristy.names import Stage, parse_version
from sacristy.settings import Settings
from sacristy.targets.kubernetes import candidates, fetching, survey
from sacristy.targets.kubernetes.candidates import HOME, object_name
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.connections import fetching_secret
from sacristy.targets.kubernetes.diagnosis import has_begun, has_replica, is_hopeless, is_ready, is_up, summary
from sacristy.targets.kubernetes.lookup import Lookup
from sacristy.targets.kubernetes.manifests import shared
from sacristy.targets.kubernetes.rollout import last_words, live_deployment, replicas_of, roll_out
from sacristy.targets.kubernetes.sleep import is_of, rest
from sacristy.targets.kubernetes.workload import (
    CANDIDATE,
    DIGEST,
    GPU,
    INSTANCE,
    OURS,
    ROLE,
    RUN,
    VERSION,
    Json,
    Workload,
    namespace_of,
    sleeps,
)
from sacristy.targets.naming import belongs, instance_name, is_placed, placed_name
from sacristy.targets.target import Image, Instance, Served, Target

PEAK_FILES = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")  # cgroup v2, v1


class KubernetesTarget(Target):
    """Stages as Deployments, one namespace for each; what is only tried as pods."""

    name = "kubernetes"
    keeps_stages = True

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.cluster = Cluster(settings.cluster)
        self._lookup = Lookup(settings, registry)
        place = f"{socket.gethostname()}:{settings.home}"
        self.home = hashlib.sha256(place.encode()).hexdigest()[:16]

    def start(self, image: Image, purpose: str) -> Instance:
        """Start a pod beside what serves, and wait until its container runs. Raises PodNotStarted, ClusterRefused.

        Where the pool of graphics processors is full and model.toml allows it, the pod gets none.
        """
        workload = self.workload(image, purpose)
        self._send(image)
        self._prepare(workload)
        name = instance_name(image.model, purpose)
        try:
            service = candidates.start(self.cluster, workload, name, self.home)
        except PodNotStarted as error:
            if not (error.fields["lacks_gpu"] and workload.file.resources.cpu_fallback):
                raise
            workload = self.workload(image, purpose, gpu=False)
            service = candidates.start(self.cluster, workload, name, self.home)
        return Instance(name, image, self._url(service), self.name)

    def settle(self, instance: Instance, *, in_use: bool = False) -> Instance:
        """Let the stage's replicas become what the instance is, one by one. It makes room for them unless in use.

        Raises RolloutFailed: then the earlier version serves on.
        """
        image, (_, purpose) = instance.image, belongs(instance.name)
        workload = self.workload(image, purpose, gpu=self._has_gpu(instance.name))
        if is_placed(instance.name) and self.is_asleep(instance.name):
            workload = replace(workload, asleep=True)  # what is put right goes on sleeping
        self._prepare(workload)
        if not is_placed(instance.name) and not in_use:
            candidates.end(self.cluster, workload.namespace, object_name(instance.name), grace_s=0)
        return self._placed(image, purpose, roll_out(self.cluster, workload))

    def is_running(self, name: str) -> bool:
        """Say whether a pod's container is up or on its way, or whether a stage has a replica of that very digest."""
        model, purpose = belongs(name)
        if is_placed(name):
            live = live_deployment(self.cluster, self._namespace(purpose), model)
            return is_of(live, name) and live is not None and has_replica(live)
        pod = self._pod(name)
        return pod is not None and (is_up(pod) or not has_begun(pod)) and not is_hopeless(pod)

    def peak_memory_mib(self, name: str) -> float:
        """Return the peak of a pod's control group in MiB, as the docker target does."""
        place = self._namespace(belongs(name)[1])
        for path in PEAK_FILES:
            try:
                return int(self.cluster.read_file(place, object_name(name), path)) / (1 << 20)
            except (ClusterRefused, ValueError):
                continue
        return 0.0

    def log_tail(self, name: str, lines: int = 20) -> list[str]:
        """Return the last lines that it printed, or what kept it from printing any."""
        model, purpose = belongs(name)
        place = self._namespace(purpose)
        if is_placed(name):
            return last_words(self.cluster, place, replicas_of(self.cluster, place, model), lines)
        pod = self._pod(name)
        return last_words(self.cluster, place, [pod], lines) if pod else []

    def stop(self, name: str) -> None:
        """End a pod and wait for its end; of a stage's Deployment only what is of that very digest is removed."""
        model, purpose = belongs(name)
        place = self._namespace(purpose)
        if not is_placed(name):
            pod = self._pod(name)  # one that is not ready has no requests in flight
            grace_s = None if pod and is_ready(pod) else 0
            candidates.end(self.cluster, place, object_name(name), grace_s=grace_s)
        elif is_of(live_deployment(self.cluster, place, model), name):
            for kind, version in survey.OWN.items():
                self.cluster.delete(kind, place, model, version)

    def instances(self) -> list[str]:
        """Return the pods beside the stages that this home folder started. Deployments are no strays of anybody."""
        wanted = OURS | {ROLE: CANDIDATE, HOME: self.home}
        places = sorted({self._namespace(purpose) for purpose in (*Stage, "trial")})
        pods = [pod for place in places for pod in self.cluster.each("Pod", place, wanted)]
        return sorted(pod["metadata"]["annotations"][INSTANCE] for pod in pods)

    def rest(self, name: str, *, asleep: bool) -> None:
        """Take a stage's replicas away, or bring them back. Another version than the named one is left alone."""
        model, purpose = belongs(name)
        live = live_deployment(self.cluster, self._namespace(purpose), model)
        rest(
            self.cluster, live, name, 0 if asleep else self._lookup.model_file(model).kubernetes.replicas, asleep=asleep
        )

    def is_asleep(self, name: str) -> bool:
        """Say whether a stage's Deployment is of that digest and was put to sleep, and still may be asleep."""
        model, purpose = belongs(name)
        live = live_deployment(self.cluster, self._namespace(purpose), model) if is_placed(name) else None
        return is_of(live, name) and sleeps(live) and self._lookup.model_file(model).kubernetes.idle_s > 0

    def detail(self, name: str) -> str:
        """Return how many replicas a stage has, and what hinders the others."""
        model, purpose = belongs(name)
        place = self._namespace(purpose)
        try:
            return summary(live_deployment(self.cluster, place, model), replicas_of(self.cluster, place, model))
        except (ClusterAway, ClusterRefused) as error:
            return str(error)

    def found(self, model: str, stage: str) -> Instance | None:
        """Return what serves a stage on the cluster, whoever put it there and from whichever machine."""
        place = self._namespace(stage)
        live = live_deployment(self.cluster, place, model)
        service = self.cluster.get("Service", place, model) if live else None
        said = live["spec"]["template"]["metadata"].get("annotations", {}) if live else {}
        if service is None or not {DIGEST, RUN, VERSION} <= said.keys():
            return None
        image = Image(model, parse_version(said[VERSION]), int(said[RUN]), said[DIGEST])
        return self._placed(image, stage, service)

    def faults(self, served: Sequence[Served]) -> dict[str, str]:
        """Return what is not as it should be, with one listing for each kind and namespace, however many there are."""
        known = (each for each in served if self._lookup.knows(each.image))
        return survey.faults(self.cluster, {each.instance: self.workload(each.image, each.stage) for each in known})

    def workload(self, image: Image, purpose: str, *, gpu: bool = True) -> Workload:
        """Return what an image's manifests follow from. Raises RegistryUnknownToCluster, or what model.toml raises."""
        file = self._lookup.model_file(image.model)
        secret = bool(self.settings.registry_user)
        return Workload(
            image, purpose, file, self.settings.cluster, self._host, secret, gpu, self._lookup.fetching(image)
        )

    @cached_property
    def _host(self) -> str:
        """Where the nodes pull from."""
        return pulled_from(self.settings)

    def _send(self, image: Image) -> None:
        """Bring an image that was built here and not pushed yet to where the nodes pull from; no tag points at it."""
        if self.registry.location != self._pulled_from.location:
            copy_image(self.registry, self._pulled_from, image.model, image.digest)

    @cached_property
    def _pulled_from(self) -> Registry:
        user, password = self.settings.registry_login
        return open_registry(self.settings.registry_location, Access(user, password, self.settings.registry_ca))

    def _prepare(self, workload: Workload) -> None:
        """Bring what all pods of a namespace need."""
        if workload.pull_secret:
            self.cluster.apply(candidates.pull_secret(workload, self.settings.registry_login))
        if workload.fetching:
            given = replace(workload.fetching, secret=fetching_secret(self.settings))
            self.cluster.apply(fetching.secret(workload, given))
        for made in shared(workload):
            self.cluster.apply(made)

    def _has_gpu(self, name: str) -> bool:
        """Say whether an instance was given what model.toml asks for."""
        model, purpose = belongs(name)
        if is_placed(name):
            return survey.has_gpu(live_deployment(self.cluster, self._namespace(purpose), model))
        pod = self._pod(name)
        return pod is None or pod["metadata"]["annotations"].get(GPU) != "0"

    def _pod(self, name: str) -> Json | None:
        return self.cluster.get("Pod", self._namespace(belongs(name)[1]), object_name(name))

    def _namespace(self, purpose: str) -> str:
        return namespace_of(self.settings.cluster, purpose)

    def _placed(self, image: Image, stage: str, service: Json) -> Instance:
        """Return what serves a stage, as its Service is reached."""
        idle_s = self._lookup.model_file(image.model).kubernetes.idle_s
        name = placed_name(image.model, stage, image.digest)
        return Instance(name, image, self._url(service), self.name, idle_s=idle_s)

    def _url(self, service: Json) -> str:
        spec = service["spec"]
        (port,) = spec["ports"]
        if self.settings.cluster.expose == "NodePort" and "nodePort" in port:  # else it was exposed otherwise until now
            return f"http://{self.settings.cluster.node_address}:{port['nodePort']}"
        return f"http://{spec['clusterIP']}:{port['port']}"


def pulled_from(settings: Settings) -> str:
    """Return host:port under which a cluster's nodes pull. Raises RegistryUnknownToCluster."""
    location = settings.registry_location
    if settings.cluster.registry:
        return settings.cluster.registry
    if not location.startswith(("http://", "https://")):
        raise RegistryUnknownToCluster(location=location)
    return urlsplit(location).netloc
