"""A training as a Job, as data. Nothing here asks a cluster anything.

A pod that is taken away (preempted, drained, deleted) is replaced, and the new one goes on from the run's checkpoint;
a training that ends by itself, well or badly, ends the Job.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sacristy.model_file import ModelFile
from sacristy.settings import Cluster
from sacristy.targets.kubernetes.pods import gpu_placement, resources, scratch
from sacristy.targets.kubernetes.security import container_security, pod_security
from sacristy.targets.kubernetes.workload import (
    JOB,
    MODEL,
    OURS,
    PULL_SECRET,
    ROLE,
    SERVICE_ACCOUNT,
    TRAINING,
    TRIALS,
    Json,
    namespace_of,
    shared_metadata,
)
from sacristy.tracking import variables

PROGRAM = ["python", "-m", "sacristy.training.pod"]
CONTAINER = "training"
HOME, PROJECT = "/state", "/app"
SECRETS = f"{HOME}/secrets"
URL_KEY = "mongodb-url"  # of the Job's Secret; the other keys become files in SECRETS
GRACE_S = 200  # to store everything: longer than the program itself waits
STARTS = 6  # how often a pod may be lost before the Job gives up
KEPT_S = 3600  # for which a Job that nobody follows any more stays, and its Secret with it
DISK_MIB = 16 * 1024  # of journal and checkpoints, and of temporary files
TOLD_TO_END = [137, 143]  # exit codes after SIGKILL and SIGTERM: somebody else's doing


@dataclass(frozen=True)
class Training:
    """One training. `repository` and `digest`: its image; `words`: Sacred's; `resumes`: a run of another Job.

    `environment`: variables that say where things are; `secret`: what its Secret holds, by key.
    """

    name: str
    model: str
    file: ModelFile
    cluster: Cluster
    registry: str
    repository: str
    digest: str
    token: str
    words: tuple[str, ...] = ()
    resumes: int | None = None
    pull_secret: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def namespace(self) -> str:
        """Where everything is that is only tried."""
        return namespace_of(self.cluster, TRIALS)

    @property
    def workers(self) -> int:
        """How many pods train together."""
        return self.file.training.workers

    @property
    def reference(self) -> str:
        """What the nodes pull."""
        return f"{self.registry}/{self.repository}@{self.digest}"


def job(training: Training) -> Json:
    """Return the Job. Clusters before 1.26 do not know its failure policy: there the command ends a failed one."""
    fails = {"containerName": CONTAINER, "operator": "NotIn", "values": TOLD_TO_END}
    spec = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": STARTS,
        "podReplacementPolicy": "Failed",  # not before the old pod has stored everything
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": fails},
            ]
        },
        "ttlSecondsAfterFinished": KEPT_S,
        "template": {"metadata": {"labels": pod_labels(training)}, "spec": pod(training)},
    }
    labels = pod_labels(training) | OURS
    about = {"name": training.name, "namespace": training.namespace, "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def pod_labels(training: Training) -> dict[str, str]:
    """Return the labels of a training's pods. Not those of models, which may talk to nobody."""
    about = {"app.kubernetes.io/name": training.model, "app.kubernetes.io/part-of": "sacristy"}
    return about | {MODEL: training.model, ROLE: TRAINING, JOB: training.name}


def pod(training: Training) -> Json:
    """Return what trains, as whom, with how much, and where."""
    gpus = training.file.resources.gpu
    spec: Json = {
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": pod_security(),
        "containers": [_container(training, gpus)],
        "volumes": [
            scratch("tmp", mib=DISK_MIB),
            scratch("state", mib=DISK_MIB),
            scratch("shm", medium="Memory"),
            {"name": "secrets", "secret": {"secretName": training.name, "defaultMode": 0o440}},
        ],
    }
    if training.pull_secret:
        spec["imagePullSecrets"] = [{"name": PULL_SECRET}]
    return spec | (gpu_placement(training.cluster) if gpus else {})


def job_secret(training: Training, owner: Json) -> Json:
    """Return the Secret of this Job alone. `owner`: the Job as the cluster has it; with it the Secret goes."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in training.secret.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": owned(training, owner), "type": "Opaque", "data": data}


def owned(training: Training, owner: Json, name: str = "") -> Json:
    """Return the metadata of what goes with a Job."""
    about = owner["metadata"]
    metadata = shared_metadata(training, name or training.name)
    by = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": about["uid"]}
    return metadata | {"ownerReferences": [by]}


def no_callers(training: Training) -> Json:
    """Return who may talk to trainings: nobody. Whom they may talk to is the site's: database and store are outside."""
    spec = {"podSelector": {"matchLabels": {ROLE: TRAINING}}, "policyTypes": ["Ingress"]}
    about = shared_metadata(training, "sacristy-trainings")
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def literal(text: str) -> str:
    """Return a text such that Kubernetes hands it on as it is: it fills in $(NAME) in commands and variables."""
    return text.replace("$", "$$")


def _container(training: Training, gpus: int) -> Json:
    places = {"tmp": "/tmp", "state": HOME, "shm": "/dev/shm"}  # noqa: S108 - paths in the pod
    mounts: list[Json] = [{"name": name, "mountPath": path} for name, path in places.items()]
    return {
        "name": CONTAINER,
        "image": training.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [*PROGRAM, training.model, *map(literal, training.words)],
        "workingDir": PROJECT,
        "env": _variables(training),
        "resources": resources(training.file, gpus),
        "securityContext": container_security(),
        "volumeMounts": [*mounts, {"name": "secrets", "mountPath": SECRETS, "readOnly": True}],
    }


def _variables(training: Training) -> list[Json]:
    """Return the variables. The run notes where it ran: Kubernetes fills in what only it knows, in $(...)."""
    place = {"name": training.name, "namespace": training.namespace, "image": training.reference}
    noted = json.dumps(place | {"node": "$(NODE)", "pod": "$(POD)"})
    given = {
        "HOME": "/tmp",  # noqa: S108 - in the pod; what libraries keep there goes with it
        "GIT_PYTHON_REFRESH": "quiet",  # there is no git, nor a repository
        "SACRISTY_PROJECT": PROJECT,
        "SACRISTY_HOME": HOME,
        variables.TOKEN: training.token,
        **({variables.RESUMES: str(training.resumes)} if training.resumes else {}),
        **{name: literal(value) for name, value in training.environment.items()},
    }
    known: dict[str, str] = {"NODE": "spec.nodeName", "POD": "metadata.name"}
    url = {"name": training.name, "key": URL_KEY}
    told: list[Json] = [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in known.items()),
        *({"name": name, "value": value} for name, value in given.items()),
        {"name": variables.JOB, "value": noted},
        {"name": "SACRISTY_MONGODB_URL", "valueFrom": {"secretKeyRef": url}},
    ]
    return told
