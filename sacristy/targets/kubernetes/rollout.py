"""Replacing what serves a stage by a version that has been asked already: all of it, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from sacristy.errors import ClusterRefused, RolloutFailed
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.diagnosis import CRASHES, hindrance, is_rolled_out, standstill, summary
from sacristy.targets.kubernetes.manifests import manifests
from sacristy.targets.kubernetes.sleep import as_before
from sacristy.targets.kubernetes.workload import Json, Workload, selector, sleeps
from sacristy.waiting import pause

POLL_S = 0.2
APPS = "apps/v1"
SHOWN_LINES = 12
Clock = Callable[[], float]


def roll_out(cluster: Cluster, workload: Workload, clock: Clock = time.monotonic) -> Json:
    """Apply a stage's manifests, wait until every replica is of this version, and return the Service.

    Raises RolloutFailed or Ending, after the earlier template was put back; or what the API refuses.
    """
    before = live_deployment(cluster, workload.namespace, workload.model)
    try:
        applied = {made["kind"]: cluster.apply(made) for made in _with_replicas(workload, before)}
        if not workload.is_scaled:
            cluster.delete("HorizontalPodAutoscaler", workload.namespace, workload.model, "autoscaling/v2")
        _wait(cluster, workload, clock)
    except BaseException:
        _put_back(cluster, workload, before)
        raise
    return applied["Service"]


def live_deployment(cluster: Cluster, namespace: str, model: str) -> Json | None:
    """Return the Deployment that serves a model, if there is one."""
    return cluster.get("Deployment", namespace, model, APPS)


def replicas_of(cluster: Cluster, namespace: str, model: str) -> list[Json]:
    """Return the pods that serve a model."""
    return list(cluster.each("Pod", namespace, selector(model)))


def last_words(cluster: Cluster, namespace: str, pods: list[Json], lines: int = SHOWN_LINES) -> list[str]:
    """Return the last lines of the pod that is worst off: one that is hindered, else the newest."""
    if not pods:
        return []
    worst = max(pods, key=lambda pod: (hindrance(pod) is not None, pod["metadata"]["creationTimestamp"]))
    name = worst["metadata"]["name"]
    now = cluster.log_tail(namespace, name, lines)
    found = hindrance(worst)
    if found and (found.kind == CRASHES or not now):
        return cluster.log_tail(namespace, name, lines, previous=True) or now or [found.reason]
    return now


def _with_replicas(workload: Workload, before: Json | None) -> list[Json]:
    """A Deployment that load scales has no number of replicas of its own, except when it begins, or had none.

    It had none asleep, or by somebody's hand: load never does that, nor undoes it.
    """
    made = manifests(workload)
    none = before is None or sleeps(before) or not before["spec"].get("replicas", 1)
    for each in made:
        if each["kind"] == "Deployment" and none:
            each["spec"].setdefault("replicas", workload.file.kubernetes.replicas)
    return made


def _wait(cluster: Cluster, workload: Workload, clock: Clock) -> None:
    limit_s = 0.0
    start = clock()
    while True:
        live = live_deployment(cluster, workload.namespace, workload.model)
        if live and is_rolled_out(live):
            return
        reason = standstill(live) if live else "its Deployment was deleted meanwhile"
        limit_s = limit_s or _limit_s(live)
        if reason or clock() - start > limit_s:
            raise _failed(cluster, workload, reason, clock() - start)
        pause(POLL_S)


def _limit_s(live: Json | None) -> float:
    """Each replica may take as long as a rollout may stand still; the cluster itself gives up sooner, as a rule."""
    spec = live["spec"] if live else {}
    return float(spec.get("progressDeadlineSeconds", 0) * max(1, spec.get("replicas", 1)))


def _failed(cluster: Cluster, workload: Workload, reason: str, waited_s: float) -> RolloutFailed:
    namespace = workload.namespace
    pods = replicas_of(cluster, namespace, workload.model)
    why = summary(live_deployment(cluster, namespace, workload.model), pods)
    last = "\n".join(last_words(cluster, namespace, pods)) or "it printed nothing"
    shown = f"{why}; {reason}" if reason and reason not in why else why
    return RolloutFailed(image=workload.image, limit=round(waited_s), reason=shown, namespace=namespace, cause=last)


def _put_back(cluster: Cluster, workload: Workload, before: Json | None) -> None:
    """Return to the template that served before; a stage that had none is left with none."""
    if before is None:
        cluster.delete("HorizontalPodAutoscaler", workload.namespace, workload.model, "autoscaling/v2")
        cluster.delete("Deployment", workload.namespace, workload.model, APPS)
        return
    counted = sleeps(before)  # else load may have decided meanwhile how many there are
    try:
        cluster.apply(as_before(before, {} if counted else {"replicas": None}))
    except ClusterRefused:  # the failure itself says more; the operator tries again
        return
