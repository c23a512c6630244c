"""All that a cluster needs to serve an image at a stage, as data. Nothing here asks a cluster anything."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from sacristy.targets.kubernetes.fetching import store_policy
from sacristy.targets.kubernetes.pods import pod_template
from sacristy.targets.kubernetes.workload import (
    OURS,
    PORT,
    PORT_NAME,
    SERVICE_ACCOUNT,
    Json,
    Placed,
    Workload,
    facts,
    metadata,
    resting,
    selector,
    shared_metadata,
)

STARTING_S = 90  # to find a node and to pull, beyond what the model may take to get ready
RECORDS = 3  # earlier templates that are kept for `kubectl rollout undo`


def manifests(workload: Workload) -> list[Json]:
    """Return a stage's objects in the order of applying them; the secrets, being secret, are none of them."""
    made = [*shared(workload), service(workload), deployment(workload)]
    return [*made, *([autoscaler(workload)] if workload.is_scaled else []), disruption_budget(workload)]


def shared(workload: Workload) -> list[Json]:
    """Return what all models of a namespace have in common, as far as this one needs it."""
    made = [service_account(workload), network_policy(workload)]
    fetching = workload.fetching
    return [*made, store_policy(workload, fetching, workload.cluster)] if fetching else made


def deployment(workload: Workload) -> Json:
    """Return the replicas, replaced one by one: a new one must be ready before an old one goes.

    Without `replicas` where load decides how many there are: applying it again must not undo that.
    """
    fetching_s = workload.fetching.seconds if workload.fetching else 0
    spec = {
        "selector": {"matchLabels": selector(workload.model)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "minReadySeconds": 1,
        "progressDeadlineSeconds": round(workload.file.gates.ready_s) + STARTING_S + fetching_s,
        "revisionHistoryLimit": RECORDS,
        "template": pod_template(workload),
    }
    fixed = {} if workload.is_scaled else {"replicas": workload.file.kubernetes.replicas}
    fixed = {"replicas": 0} if workload.asleep else fixed
    about = metadata(workload, annotations=facts(workload) | resting(workload))
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": fixed | spec}


def service(workload: Workload) -> Json:
    """Return the address of the stage, which stays the same for all its versions."""
    port = {"name": PORT_NAME, "port": 80, "targetPort": PORT_NAME, "protocol": "TCP"}
    spec = {"type": workload.cluster.expose, "selector": selector(workload.model), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(workload), "spec": spec}


def autoscaler(workload: Workload) -> Json:
    """Return what adds replicas under load, quickly, and takes them away slowly: by whichever measure asks for more."""
    wanted = workload.file.kubernetes
    use = {"type": "Utilization", "averageUtilization": wanted.cpu_percent}
    metrics: list[Json] = [{"type": "Resource", "resource": {"name": "cpu", "target": use}}]
    if wanted.in_flight and workload.cluster.in_flight:
        each = {"type": "AverageValue", "averageValue": f"{max(1, round(wanted.in_flight * 1000))}m"}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": workload.cluster.in_flight}, "target": each}})
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.model},
        "minReplicas": wanted.replicas,
        "maxReplicas": wanted.max_replicas,
        "metrics": metrics,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": wanted.scale_down_s}},
    }
    about = metadata(workload)
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": about, "spec": spec}


def disruption_budget(workload: Workload) -> Json:
    """Return how many replicas may go at once when a node is emptied: one."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector(workload.model)}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(workload), "spec": spec}


def network_policy(workload: Workload) -> Json:
    """Return who may talk to a model: the gateway and Prometheus; whoever reaches a node, with NodePort.

    A model talks to nobody, candidates and trials included; one that fetches its weights, to their store alone.
    """
    ingress: Json = {"ports": [{"port": PORT, "protocol": "TCP"}]}
    if workload.cluster.expose == "ClusterIP":
        ingress["from"] = [{"namespaceSelector": {"matchLabels": {"dev.sacristy.asks": "models"}}}]
    spec = {
        "podSelector": {"matchLabels": dict(OURS)},
        "policyTypes": ["Ingress", "Egress"],  # and no rule for egress
        "ingress": [ingress],
    }
    about = shared_metadata(workload, "sacristy-models")
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def service_account(workload: Placed) -> Json:
    """Return whom the pods are to the cluster: somebody without a token and without rights."""
    about = shared_metadata(workload, SERVICE_ACCOUNT)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about, "automountServiceAccountToken": False}


def as_yaml(documents: Sequence[Json]) -> str:
    """Return manifests as one YAML text, for `kubectl apply` or a GitOps repository."""
    return yaml.safe_dump_all(documents, sort_keys=False, width=120)
