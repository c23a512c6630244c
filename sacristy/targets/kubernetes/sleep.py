"""A stage that sleeps: its Deployment stays as it is, but for having no replicas and saying so."""

from __future__ import annotations

from typing import Any

from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.workload import ASLEEP, DIGEST, Json, sleeps
from sacristy.targets.naming import placed_digest

HISTORY = "deployment.kubernetes.io/"  # annotations of the cluster's own
KEPT = ("name", "namespace", "labels", "annotations")


def rest(cluster: Cluster, live: Json | None, name: str, replicas: int, *, asleep: bool) -> None:
    """Give the Deployment of an instance so many replicas, and let it say whether it sleeps.

    One that is of another digest, or says so already, is left alone. Raises what the API refuses.
    """
    if live is None or not is_of(live, name) or sleeps(live) == asleep:
        return
    made = as_before(live, {"replicas": replicas})
    made["metadata"]["annotations"][ASLEEP] = "yes" if asleep else "no"
    cluster.apply(made)


def as_before(live: Json, changes: dict[str, Any]) -> Json:
    """Return a Deployment as a manifest of what it is now, with changes of its spec; None leaves an entry out."""
    about = {key: live["metadata"][key] for key in KEPT}
    about["annotations"] = {key: text for key, text in about["annotations"].items() if not key.startswith(HISTORY)}
    spec = {key: value for key, value in (live["spec"] | changes).items() if value is not None}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec}


def is_of(deployment: Json | None, name: str) -> bool:
    """Say whether a Deployment is at the digest that an instance's name stands for."""
    said = (deployment or {}).get("spec", {}).get("template", {})
    digest = said.get("metadata", {}).get("annotations", {}).get(DIGEST, "")
    images = [each["image"] for each in said.get("spec", {}).get("containers", [])]
    return digest.startswith(placed_digest(name)) and len(images) == 1 and images[0].endswith(f"@{digest}")
