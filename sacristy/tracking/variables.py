"""What whoever starts a training script tells it: the environment variables, by their names."""

from __future__ import annotations

PARENT = "SACRISTY_PARENT"
REPEATS = "SACRISTY_REPEATS"
CHECKPOINT = "SACRISTY_CHECKPOINT"
TOKEN = "SACRISTY_TOKEN"  # noqa: S105 - by which whoever started the script finds its run
JOB = "SACRISTY_JOB"  # JSON: where on a cluster it runs: {"name", "namespace", "node", "pod", "image"}
RESUMES = "SACRISTY_RESUMES"  # a Job's former run, which another Job left
TRIAL = "SACRISTY_TRIAL"  # JSON: {"search": the search's run, "number", "values"}
