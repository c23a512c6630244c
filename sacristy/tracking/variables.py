"""What whoever starts a training script tells it: the environment variables, by their names."""

from __future__ import annotations

PARENT = "SACRISTY_PARENT"
REPEATS = "SACRISTY_REPEATS"
CHECKPOINT = "SACRISTY_CHECKPOINT"
TOKEN = "SACRISTY_TOKEN"  # noqa: S105 - by which whoever started the script finds its run
JOB = "SACRISTY_JOB"  # JSON: where on a cluster it runs: {"name", "namespace", "node", "pod", "image"}
RESUMES = "SACRISTY_RESUMES"  # a Job's former run, which another Job left
TRIAL = "SACRISTY_TRIAL"  # JSON: {"search": the search's run, "number", "values"}
WORKERS = "SACRISTY_WORKERS"  # of a Job: how many train together
WORKER = "JOB_COMPLETION_INDEX"  # which of them this one is, as Kubernetes itself says it
CHIEF = "SACRISTY_CHIEF"  # host:port where worker 0 waits for the others
POD_ADDRESS = "SACRISTY_POD_ADDRESS"  # a worker's own
