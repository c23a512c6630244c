"""Whether what a cluster has is what the manifests say: a listing for each kind, not a question for each model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.drift import difference
from sacristy.targets.kubernetes.manifests import manifests
from sacristy.targets.kubernetes.workload import GPU, OURS, Json, Workload, sleeps

OWN = {  # what a stage has for itself, in the order in which it is taken away
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
    "Deployment": "apps/v1",
}
KINDS = OWN | {"NetworkPolicy": "networking.k8s.io/v1", "ServiceAccount": "v1"}
Found = dict[tuple[str, str], Json]


def faults(cluster: Cluster, wanted: Mapping[str, Workload]) -> dict[str, str]:
    """Return for each instance, by name, what differs from its manifests; those without a difference are left out."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, workload in wanted.items():
        places[workload.namespace].append(name)
    said: dict[str, str] = {}
    for namespace, names in places.items():
        live = listing(cluster, namespace)
        said |= {name: fault(cluster, wanted[name], live) for name in names}
    return {name: why for name, why in said.items() if why}


def listing(cluster: Cluster, namespace: str) -> Found:
    """Return what a namespace has of ours, by kind and name."""
    found = {}
    for kind, version in KINDS.items():
        served = cluster.adapted({"apiVersion": version})["apiVersion"]
        for each in cluster.each(kind, namespace, OURS, served):
            found[kind, each["metadata"]["name"]] = each
    return found


def fault(cluster: Cluster, workload: Workload, live: Found) -> str:
    """Return what differs first, or an empty string."""
    deployment = live.get(("Deployment", workload.model))
    if workload.file.resources.cpu_fallback and not has_gpu(deployment):
        workload = replace(workload, gpu=False)
    if workload.file.kubernetes.idle_s and sleeps(deployment):
        workload = replace(workload, asleep=True)
    for made in manifests(workload):
        kind, name = made["kind"], made["metadata"]["name"]
        there = live.get((kind, name))
        if there is None:
            return f"{kind} {name} is gone"
        served = cluster.adapted(made)["apiVersion"]  # a listing does not repeat it
        differs = difference(made | {"apiVersion": served}, there | {"apiVersion": served, "kind": kind})
        if differs:
            return f"{kind} {name} was changed: {differs}"
    if ("HorizontalPodAutoscaler", workload.model) in live and not workload.is_scaled:
        return f"HorizontalPodAutoscaler {workload.model} is not wanted"
    return _unfinished(deployment, workload)


def has_gpu(deployment: Json | None) -> bool:
    """Say whether a Deployment was given the processors that its model.toml asks for."""
    said = (deployment or {}).get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    return bool(said.get(GPU) != "0")


def _unfinished(deployment: Json | None, workload: Workload) -> str:
    """A scaled-down stage is none; one that somebody set to no replicas is, as load never does that."""
    none = deployment is not None and deployment["spec"].get("replicas") == 0
    if none and not workload.asleep and workload.file.kubernetes.replicas:
        return f"Deployment {workload.model} was changed: spec.replicas"
    return ""
