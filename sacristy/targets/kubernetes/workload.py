"""What a model's manifests follow from, and the names that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sacristy.model_file import ModelFile
from sacristy.names import Stage
from sacristy.settings import Cluster
from sacristy.targets.target import Image

if TYPE_CHECKING:
    from sacristy.targets.kubernetes.fetching import Fetching

Json = dict[str, Any]
MODEL, STAGE, ROLE, VERSION = (f"dev.sacristy.{word}" for word in ("model", "stage", "role", "version"))
DIGEST, RUN, GPU, INSTANCE = (f"dev.sacristy.{word}" for word in ("digest", "run", "gpu", "instance"))
IDLE, ASLEEP = "dev.sacristy.idle", "dev.sacristy.asleep"  # of a Deployment: after how long, and whether
OURS = {"app.kubernetes.io/managed-by": "sacristy"}
JOB = "dev.sacristy.job"
SERVER, CANDIDATE, TRAINING = "server", "candidate", "training"
SERVICE_ACCOUNT = "sacristy-model"
PULL_SECRET = "sacristy-registry"  # noqa: S105 - a name
TRIALS = "trials"
PORT, PORT_NAME = 8080, "http"


class Placed(Protocol):
    """What lives in a namespace and is pulled from a registry."""

    @property
    def namespace(self) -> str:
        """Return the namespace."""

    @property
    def registry(self) -> str:
        """Return host:port under which the nodes pull."""


@dataclass(frozen=True)
class Workload:
    """One image at one stage of one cluster; `stage` may be another purpose, such as `trial`.

    `registry`: host:port under which the nodes pull. `pull_secret`: whether that takes a password. `gpu`: whether the
    processors of model.toml are asked for; False where the model may do without and the pool is full. `fetching`:
    the weights, if the image does not carry them. `asleep`: there are no replicas until somebody asks.
    """

    image: Image
    stage: str
    file: ModelFile
    cluster: Cluster
    registry: str
    pull_secret: bool = False
    gpu: bool = True
    fetching: Fetching | None = None
    asleep: bool = False

    @property
    def model(self) -> str:
        """The model, which is the name of its Deployment, Service and all else."""
        return self.image.model

    @property
    def namespace(self) -> str:
        """Where the stage lives."""
        return namespace_of(self.cluster, self.stage)

    @property
    def reference(self) -> str:
        """What the nodes pull: by digest, so that no tag decides."""
        return f"{self.registry}/{self.model}@{self.image.digest}"

    @property
    def gpus(self) -> int:
        """Graphics processors of each replica."""
        return self.file.resources.gpu if self.gpu else 0

    @property
    def is_scaled(self) -> bool:
        """Whether load decides how many replicas there are."""
        return self.file.kubernetes.max_replicas > self.file.kubernetes.replicas


def resting(workload: Workload) -> dict[str, str]:
    """Return a Deployment's annotations that say when it sleeps, and whether it does."""
    return {IDLE: f"{workload.file.kubernetes.idle_s:g}", ASLEEP: "yes" if workload.asleep else "no"}


def sleeps(deployment: Json | None) -> bool:
    """Say whether a Deployment was put to sleep: that it has no replicas is no fault then."""
    said = (deployment or {}).get("metadata", {}).get("annotations", {})
    return bool(said.get(ASLEEP) == "yes")


def namespace_of(cluster: Cluster, purpose: str) -> str:
    """Return the namespace of a stage, or the one of everything that is only tried."""
    return f"{cluster.namespace}-{purpose if purpose in list(Stage) else TRIALS}"


def selector(model: str) -> dict[str, str]:
    """Return the labels by which a Service and its kin find a model's serving pods; never those of candidates."""
    return {MODEL: model, ROLE: SERVER}


def metadata(workload: Workload, **more: Any) -> Json:
    """Return the metadata of one of a stage's objects."""
    labels = {"app.kubernetes.io/name": workload.model, **OURS, MODEL: workload.model, STAGE: str(workload.stage)}
    return {"name": workload.model, "namespace": workload.namespace, "labels": labels} | more


def shared_metadata(workload: Placed, name: str) -> Json:
    """Return the metadata of an object that all models of a namespace share."""
    return {"name": name, "namespace": workload.namespace, "labels": dict(OURS)}


def facts(workload: Workload) -> dict[str, str]:
    """Return the annotations that lead from a pod back to its image and run."""
    return {
        DIGEST: workload.image.digest,
        RUN: str(workload.image.run),
        VERSION: str(workload.image.version),
        GPU: str(workload.gpus),
    }
