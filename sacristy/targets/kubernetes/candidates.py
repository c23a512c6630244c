"""Pods beside the replicas: a version before it serves, a trial, a canary. Each has an address of its own."""

from __future__ import annotations

import base64
import json
import time

from sacristy.errors import PodNotStarted
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.diagnosis import Hindrance, has_begun, hindrance, is_fetching
from sacristy.targets.kubernetes.pods import candidate
from sacristy.targets.kubernetes.workload import (
    INSTANCE,
    OURS,
    PORT_NAME,
    PULL_SECRET,
    Json,
    Placed,
    Workload,
    metadata,
)
from sacristy.targets.naming import belongs
from sacristy.targets.target import Image
from sacristy.waiting import pause

HOME = "dev.sacristy.home"
POLL_S = 0.2
SCHEDULING_S = 15.0  # to find a node: one may be about to be free
MAKING_S = 20.0  # to make a container at the second or third try: a volume or a secret may come late
BEGINNING_S = 300.0  # to pull the image too
PATIENCE_S = {"Unschedulable": SCHEDULING_S, "NotMade": MAKING_S}
CANDIDATE_S = 24 * 3600  # one whose operator was lost with its machine ends by itself; so does a canary


def start(cluster: Cluster, workload: Workload, name: str, home: str) -> Json:
    """Start a pod, wait until its container runs, and return its Service. Raises PodNotStarted or ClusterRefused."""
    place, own = workload.namespace, object_name(name)
    pod = candidate(workload, own, CANDIDATE_S)
    pod["metadata"]["annotations"][INSTANCE] = name
    pod["metadata"]["labels"][HOME] = home
    made = cluster.apply(pod)
    try:
        service = cluster.apply(address_of(workload, own, made["metadata"]["uid"]))
        _begin(cluster, workload.image, place, own)
    except BaseException:
        end(cluster, place, own, grace_s=0)
        raise
    return service


def end(cluster: Cluster, place: str, own: str, grace_s: int | None) -> None:
    """Remove a pod, and its Service with it; wait until it is gone. None: it has the grace of its model."""
    cluster.delete("Pod", place, own, grace_s=grace_s)
    deadline = time.monotonic() + BEGINNING_S
    while cluster.get("Pod", place, own) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def object_name(name: str) -> str:
    """Return an instance's name as a Service can have it: short, and without a dot."""
    return f"{belongs(name)[0]}-{name.rpartition('.')[2]}"


def address_of(workload: Workload, own: str, uid: str) -> Json:
    """Return the Service of one pod, which goes when its pod goes."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": own, "uid": uid}
    port = {"name": PORT_NAME, "port": 80, "targetPort": PORT_NAME, "protocol": "TCP"}
    spec = {
        "type": workload.cluster.expose,
        "selector": {INSTANCE: own},
        "ports": [port],
        "publishNotReadyAddresses": True,  # it is asked for its health before it is ready
    }
    about = metadata(workload, name=own, ownerReferences=[owner])
    return {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec}


def pull_secret(workload: Placed, login: tuple[str, str]) -> Json:
    """Return the password with which the nodes pull."""
    user, password = login
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    entry = {"username": user, "password": password, "auth": auth}
    content = json.dumps({"auths": {workload.registry: entry}}, sort_keys=True)
    about = {"name": PULL_SECRET, "namespace": workload.namespace, "labels": dict(OURS)}
    data = {".dockerconfigjson": base64.b64encode(content.encode()).decode()}
    kind = "kubernetes.io/dockerconfigjson"
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": kind, "data": data}


def _begin(cluster: Cluster, image: Image, place: str, own: str) -> None:
    """Wait until a pod's container was started; give up as soon as it is clear that it will not be."""
    start, before = time.monotonic(), None
    while True:
        pod = cluster.get("Pod", place, own)
        if pod and has_begun(pod):
            return
        if pod and is_fetching(pod):  # which gives up by itself where nothing comes any more
            start = time.monotonic()
        waited = time.monotonic() - start
        found = hindrance(pod) if pod else Hindrance("Deleted", "its pod was deleted")
        if found and (not found.passing or waited > PATIENCE_S.get(found.kind, BEGINNING_S)):
            first = before if before and before.kind == found.kind else found  # later it says only that it waits
            raise _not_started(image, first, place, own)
        before = found or before
        if waited > BEGINNING_S:
            raise _not_started(image, Hindrance("Slow", f"it did not begin within {waited:.0f} s"), place, own)
        pause(POLL_S)


def _not_started(image: Image, found: Hindrance, place: str, own: str) -> PodNotStarted:
    mend = found.mend or f"kubectl -n {place} describe pod {own}"
    return PodNotStarted(image=image, reason=found.reason, mend=mend, lacks_gpu=found.lacks_gpu)
