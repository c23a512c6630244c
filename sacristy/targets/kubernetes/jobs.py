"""A training's Job on a cluster: started with its Secret, followed to the training's own end, taken away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sacristy.errors import ClusterAway, ClusterRefused, JobEnded, PodNotStarted
from sacristy.targets.kubernetes import workers
from sacristy.targets.kubernetes.candidates import pull_secret
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.diagnosis import Hindrance, has_begun, hindrance
from sacristy.targets.kubernetes.manifests import service_account
from sacristy.targets.kubernetes.training import GRACE_S, TOLD_TO_END, Training, job, job_secret, no_callers
from sacristy.targets.kubernetes.workers import number_of
from sacristy.targets.kubernetes.workload import JOB, Json

BATCH = "batch/v1"
POLL_S = 0.5
TAKEN_AWAY = frozenset({"Evicted", "Preempted", "Preempting", "NodeLost", "NodeShutdown", "Terminated"})
PODLESS_S = 20.0  # after which a Job without a pod is strange
AWAY_S = 120.0  # without an answer of the cluster's API
Show = Callable[[str], None]


def start(cluster: Cluster, training: Training, login: tuple[str, str]) -> None:
    """Make a Job, and what it needs. The pod waits for the Secret, which the Job owns from its first moment.

    `login`: the registry's user and password. Raises what the cluster raises; then there is no Job.
    """
    if training.pull_secret:
        cluster.apply(pull_secret(training, login))
    cluster.apply(service_account(training))
    cluster.apply(no_callers(training))
    if training.workers == 1:
        _with_what_it_owns(cluster, training, job(training), lambda _: None)
    elif cluster.version >= workers.INDEXED_SINCE:
        indexed = workers.indexed_job(training)
        _with_what_it_owns(cluster, training, indexed, lambda made: _create_named(cluster, training, made))
    else:
        first = workers.worker_job(training, 0)
        _with_what_it_owns(cluster, training, first, lambda made: _create_others(cluster, training, made))


def _with_what_it_owns(cluster: Cluster, training: Training, wanted: Json, beside: Callable[[Json], None]) -> None:
    made = cluster.create(wanted)
    try:
        cluster.create(job_secret(training, made))
        beside(made)
    except BaseException:
        end(cluster, training)
        raise


def _create_named(cluster: Cluster, training: Training, made: Json) -> None:
    cluster.create(workers.names(training, made))
    cluster.create(workers.among_themselves(training, made))


def _create_others(cluster: Cluster, training: Training, made: Json) -> None:
    """Make the Jobs of workers 1 and on, on a cluster without Indexed Jobs. They go with that of worker 0."""
    service = cluster.create(workers.address_of_chief(training, made))
    cluster.create(workers.among_themselves(training, made))
    for number in range(1, training.workers):
        cluster.create(workers.worker_job(training, number, service["spec"]["clusterIP"], made))


def end(cluster: Cluster, training: Training) -> None:
    """Take a Job away: its pod is told to end, its Secret goes. It is not waited for."""
    cluster.delete("Job", training.namespace, training.name, BATCH)


def pods(cluster: Cluster, training: Training) -> list[Json]:
    """Return a training's pods, the oldest first; of several workers, those of all."""
    found = cluster.each("Pod", training.namespace, {JOB: training.name})
    return sorted(found, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


@dataclass
class Follower:
    """Shows what a Job's pods print (`show`), and what happens to them (`tell`)."""

    cluster: Cluster
    training: Training
    show: Show
    tell: Show
    _lines: int = 0
    _pod: str = ""
    _told: str = ""
    _seen: float = field(default_factory=lambda: time.monotonic())

    def follow(self) -> int:
        """Return the training's exit code. Raises JobEnded, PodNotStarted, ClusterAway or ClusterRefused."""
        heard = time.monotonic()
        while True:
            try:
                code = self._look()
                heard = time.monotonic()
            except ClusterAway as error:
                self._say(f"{error}; the training goes on")
                if time.monotonic() - heard > AWAY_S:
                    raise
                code = None
            if code is not None:
                return code
            time.sleep(POLL_S)

    def until_gone(self, patience_s: float = GRACE_S + 30.0) -> None:
        """Show the last lines of a Job that was taken away, until it has no pod any more."""
        deadline = time.monotonic() + patience_s
        while (every := pods(self.cluster, self.training)) and time.monotonic() < deadline:
            found = [pod for pod in every if not number_of(pod)]
            if found and found[-1]["metadata"]["name"] != self._pod:
                self._turn_to(found)
            if found and has_begun(found[-1]):
                self._show_lines()
            time.sleep(POLL_S)

    def _look(self) -> int | None:
        """Show what is new; return the exit code if the training has ended by itself."""
        found = self._of_chief(pods(self.cluster, self.training))
        current = next((pod for pod in found if pod["metadata"]["name"] == self._pod), None)
        if current is None or (is_lost(current) and current is not found[-1]):
            current = self._turn_to(found)
        if current is None:
            self._require_job()
            if time.monotonic() - self._seen > PODLESS_S:
                self._say(f"waiting: it has no pod (a quota?); kubectl -n {self.training.namespace} describe job")
            return None
        self._seen = time.monotonic()
        if has_begun(current):
            self._show_lines()
            code = exit_code(current)
            if code and is_lost(current):
                self._require_job()
                return None
            return code
        self._require_hope(hindrance(current), self._pod)
        return None

    def _of_chief(self, every: list[Json]) -> list[Json]:
        """Return the pods of worker 0, which shows what all print; say what one of the others waits for."""
        newest = {number_of(pod): pod for pod in every if not is_lost(pod)}
        for number, pod in newest.items():
            if number and not has_begun(pod):
                self._require_hope(hindrance(pod), pod["metadata"]["name"], f"worker {number} waits: ")
        return [pod for pod in every if not number_of(pod)]

    def _turn_to(self, found: list[Json]) -> Json | None:
        """Go over to the newest pod; the one before was lost."""
        newest = found[-1] if found else None
        name = newest["metadata"]["name"] if newest else ""
        if self._pod and name:
            self._say(f"pod {self._pod} was lost; pod {name} goes on")
        if name:
            self._pod, self._lines = name, 0
        return newest

    def _show_lines(self) -> None:
        """Show what the pod printed since, until it ends or is silent for a while."""
        try:
            for count, line in enumerate(self.cluster.follow_log(self.training.namespace, self._pod), start=1):
                if count > self._lines:
                    self._lines = count
                    self.show(line)
        except ClusterRefused as error:
            if error.fields["status"] not in (400, 404):  # it is gone, or its log is
                raise

    def _require_job(self) -> None:
        """Raise JobEnded unless the Job may still bring a pod."""
        live = self.cluster.get("Job", self.training.namespace, self.training.name, BATCH)
        if live is None or "deletionTimestamp" in live["metadata"]:
            raise JobEnded(job=self.training.name, reason="it was deleted")
        for condition in live.get("status", {}).get("conditions", []):
            if condition["type"] == "Failed" and condition["status"] == "True":
                raise JobEnded(job=self.training.name, reason=condition.get("message") or condition.get("reason"))

    def _require_hope(self, found: Hindrance | None, pod: str, before: str = "waiting: ") -> None:
        """Say what a pod waits for; raise PodNotStarted if it waits in vain."""
        if found is None:
            return
        if not found.passing:
            mend = found.mend or f"kubectl -n {self.training.namespace} describe pod {pod}"
            raise PodNotStarted(image=self.training.reference, reason=found.reason, mend=mend, lacks_gpu=False)
        if found.kind != "NotMade":  # its Secret is a moment younger than itself
            self._say(f"{before}{found.reason}")

    def _say(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self.tell(line)


def exit_code(pod: Json) -> int | None:
    """Return the exit code of a pod's container, or None while it has not ended."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        ended = status.get("state", {}).get("terminated")
        if ended:
            return int(ended.get("exitCode", 1))
    return None


def is_lost(pod: Json) -> bool:
    """Say whether a pod was ended by others, so that its Job brings another one: deleted, preempted, killed."""
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"] or status.get("reason") in TAKEN_AWAY:
        return True
    states = [each.get("state", {}).get("terminated") or {} for each in status.get("containerStatuses", [])]
    return any(state.get("exitCode") in TOLD_TO_END and state.get("reason") != "OOMKilled" for state in states)
