"""A training by several pods, as data: one Indexed Job, and what lets its pods find and talk to each other.

Each pod runs what a training by one pod runs, and is told which worker it is (sacristy/training/crew.py). Clusters
before 1.22 have no Indexed Jobs whose pods have names: there each worker has a Job, and worker 0 a Service's address.
"""

from __future__ import annotations

import copy

from sacristy.targets.kubernetes.training import STARTS, Training, job, owned
from sacristy.targets.kubernetes.workload import JOB, OURS, Json
from sacristy.tracking import variables

PORT, PORT_NAME = 29400, "crew"
INDEX = "batch.kubernetes.io/job-completion-index"  # the annotation by which an Indexed Job's pods know their numbers
INDEXED_SINCE = (1, 22)


def indexed_job(training: Training) -> Json:
    """Return the Job of all workers. A worker that is lost has all of them start anew: each counts as a start."""
    made = _told(job(training), training, f"{training.name}-0.{training.name}")
    several = {"completionMode": "Indexed", "completions": training.workers, "parallelism": training.workers}
    made["spec"] |= several | {"backoffLimit": STARTS * training.workers}
    made["spec"]["template"]["spec"]["subdomain"] = training.name
    return made


def worker_job(training: Training, number: int, chief: str = "", owner: Json | None = None) -> Json:
    """Return the Job of one worker, for an old cluster. `chief`: worker 0's address; `owner`: its Job, once there."""
    made = _told(job(training), training, chief)
    if owner:
        made["metadata"] = owned(training, owner, f"{training.name}-{number}") | {"labels": made["metadata"]["labels"]}
    template = made["spec"]["template"]
    template["metadata"] = {"labels": template["metadata"]["labels"] | labelled(number), "annotations": marked(number)}
    template["spec"]["containers"][0]["env"].append({"name": variables.WORKER, "value": str(number)})
    return made


def names(training: Training, owner: Json) -> Json:
    """Return the Service by which the pods of an Indexed Job have names: `<job>-0.<job>` and so on."""
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True}
    return _service(training, owner, spec | {"selector": {JOB: training.name}})


def address_of_chief(training: Training, owner: Json) -> Json:
    """Return the Service that has an address for worker 0, for an old cluster."""
    spec = {"type": "ClusterIP", "publishNotReadyAddresses": True}
    return _service(training, owner, spec | {"selector": {JOB: training.name} | labelled(0)})


def among_themselves(training: Training, owner: Json) -> Json:
    """Return who may talk to the workers of this training beyond all others, who may not: they themselves."""
    pods = {"matchLabels": {JOB: training.name}}
    spec = {"podSelector": pods, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": pods}]}]}
    about = owned(training, owner)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def number_of(pod: Json) -> int:
    """Return which worker a pod is; 0 for a training's only one."""
    return int(pod["metadata"].get("annotations", {}).get(INDEX, 0))


def labelled(number: int) -> dict[str, str]:
    """Return the label of a worker that has a Job of its own."""
    return {"dev.sacristy.worker": str(number)}


def marked(number: int) -> dict[str, str]:
    """Return the annotation that an Indexed Job would give to a worker's pod."""
    return {INDEX: str(number)}


def _told(made: Json, training: Training, chief: str) -> Json:
    """Return a Job whose pods are told of each other."""
    made = copy.deepcopy(made)
    own = {"name": variables.POD_ADDRESS, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    told = {variables.WORKERS: str(training.workers), variables.CHIEF: f"{chief}:{PORT}"}
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["env"] += [own, *({"name": name, "value": value} for name, value in told.items())]
    return made


def _service(training: Training, owner: Json, spec: Json) -> Json:
    port = {"name": PORT_NAME, "port": PORT, "targetPort": PORT, "protocol": "TCP"}
    about = owned(training, owner) | {"labels": dict(OURS)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec | {"ports": [port]}}
