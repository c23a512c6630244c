"""A pod that serves one image, with nothing that it does not need: the same for replicas, candidates and trials."""

from __future__ import annotations

import math

from sacristy.model_file import ModelFile
from sacristy.settings import Cluster
from sacristy.targets.kubernetes import fetching
from sacristy.targets.kubernetes.security import container_security, pod_security
from sacristy.targets.kubernetes.workload import (
    CANDIDATE,
    INSTANCE,
    PORT,
    PORT_NAME,
    PULL_SECRET,
    ROLE,
    SERVICE_ACCOUNT,
    VERSION,
    Json,
    Workload,
    facts,
    metadata,
    selector,
)

DRAIN_S = 3  # after a pod leaves the Service, some proxies still send to it for a moment
GRACE_S = 10  # beyond the longest prediction, which the image itself waits for
SHARED_MIB = 256
LOST_S = {"not-ready": 30, "unreachable": 5}  # a kubelet may be back soon; for a silent one 40 s were waited already
GPU_RESOURCE = "nvidia.com/gpu"
WAIT = ["python", "-I", "-S", "-c", f"import time; time.sleep({DRAIN_S})"]  # a base need not have a shell


def pod_template(workload: Workload) -> Json:
    """Return the template of a stage's replicas."""
    labels = pod_labels(workload) | selector(workload.model) | {VERSION: str(workload.image.version)}
    return {"metadata": {"labels": labels, "annotations": facts(workload) | scraping()}, "spec": pod_spec(workload)}


def candidate(workload: Workload, name: str, deadline_s: int) -> Json:
    """Return a pod beside the replicas that no Service of users finds. It ends by itself after `deadline_s`."""
    labels = pod_labels(workload) | {ROLE: CANDIDATE, INSTANCE: name}
    spec = pod_spec(workload) | {"restartPolicy": "Never", "activeDeadlineSeconds": deadline_s}
    spec.pop("topologySpreadConstraints")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(workload, name=name, labels=labels, annotations=facts(workload)),
        "spec": spec,
    }


def pod_labels(workload: Workload) -> dict[str, str]:
    """Return the labels of all pods of a stage; only those that fetch their weights may reach the store."""
    return dict(metadata(workload)["labels"]) | (fetching.LABEL if workload.fetching else {})


def pod_spec(workload: Workload) -> Json:
    """Return what runs, as whom, with how much, and where."""
    spec: Json = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": workload.file.serving.timeout_s + GRACE_S + DRAIN_S,
        "securityContext": pod_security(),
        "containers": [_container(workload)],
        "volumes": [scratch("tmp"), scratch("shm", medium="Memory")],
        "topologySpreadConstraints": [_spread(workload.model)],
    }
    if workload.fetching:
        spec["initContainers"] = [fetching.init_container(workload.fetching, workload.cluster, workload.reference)]
        spec["volumes"] += fetching.volumes(workload.fetching, workload.cluster)
    if workload.pull_secret:
        spec["imagePullSecrets"] = [{"name": PULL_SECRET}]
    placement = gpu_placement(workload.cluster) if workload.gpus else {}
    return spec | placement | {"tolerations": [*placement.get("tolerations", []), *_lost_node()]}


def gpu_placement(cluster: Cluster) -> Json:
    """Return what brings a pod to the nodes with graphics processors, and lets it stay there."""
    label, _, value = cluster.gpu_label.partition("=")
    wanted = {"matchExpressions": [{"key": label, "operator": "In", "values": [value]}]}
    key, _, said = cluster.gpu_taint.partition("=")
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [wanted]}}
        },
        "tolerations": [{"key": key, "operator": "Equal", "value": said, "effect": "NoSchedule"}],
    }


def resources(file: ModelFile, gpus: int) -> Json:
    """Return what is kept free for a container, and the most that it gets. Memory is both: it cannot be given back."""
    memory = {"memory": f"{file.resources.memory_mib}Mi"}
    devices = {GPU_RESOURCE: str(gpus)} if gpus else {}
    return {
        "requests": {"cpu": cores(min(file.kubernetes.cpu_request, file.resources.cpu))} | memory | devices,
        "limits": {"cpu": cores(file.resources.cpu)} | memory | devices,
    }


def cores(count: float) -> str:
    """Return a number of cores as Kubernetes writes it."""
    return f"{max(1, round(count * 1000))}m"


def scratch(name: str, medium: str = "", mib: int = SHARED_MIB) -> Json:
    """Return a volume that lives as long as its pod."""
    limits: Json = {"sizeLimit": f"{mib}Mi"}
    return {"name": name, "emptyDir": limits | ({"medium": medium} if medium else {})}


def scraping() -> dict[str, str]:
    """Return the annotations by which a Prometheus without its operator finds a pod."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}


def _container(workload: Workload) -> Json:
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}]  # noqa: S108 - its own
    environment = [{"name": "SACRISTY_DIGEST", "value": workload.image.digest}]
    if workload.fetching:
        mounts += fetching.mounts(workload.fetching)
        environment.append({"name": "SACRISTY_HOLDS_WEIGHTS", "value": "1"})
    return {
        "name": "model",
        "image": workload.reference,
        "imagePullPolicy": "IfNotPresent",
        "env": environment,
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": resources(workload.file, workload.gpus),
        "securityContext": container_security(),
        "startupProbe": _probe("ready", period_s=1, failures=math.ceil(workload.file.gates.ready_s)),
        "readinessProbe": _probe("ready", period_s=1, failures=2),
        "livenessProbe": _probe("live", period_s=10, failures=3),
        "lifecycle": {"preStop": {"exec": {"command": WAIT}}},
        "volumeMounts": mounts,
    }


def _probe(word: str, *, period_s: int, failures: int) -> Json:
    return {
        "httpGet": {"path": f"/v2/health/{word}", "port": PORT_NAME},
        "periodSeconds": period_s,
        "timeoutSeconds": 2 if word == "ready" else 5,
        "failureThreshold": failures,
    }


def _lost_node() -> list[Json]:
    """A replica on a node that is not heard of is soon replaced; left to itself, the cluster waits five minutes."""
    each = {"operator": "Exists", "effect": "NoExecute"}
    return [
        {"key": f"node.kubernetes.io/{word}", **each, "tolerationSeconds": seconds} for word, seconds in LOST_S.items()
    ]


def _spread(model: str) -> Json:
    """Replicas on different nodes where that can be had."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(model)},
    }
