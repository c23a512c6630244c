"""Waiting for an instance to say that it is ready."""

from __future__ import annotations

import time

import httpx

from sacristy.errors import InstanceCrashed, InstanceNotReady
from sacristy.targets.target import Instance, Target
from sacristy.waiting import pause

POLL_S = 0.05
SHOWN_LINES = 12


def wait_until_ready(target: Target, instance: Instance, limit_s: float) -> float:
    """Wait until the instance answers ready, and return how many seconds it took.

    Raises InstanceCrashed or InstanceNotReady, each with the instance's last lines, or Ending.
    """
    start = time.monotonic()
    reason = "it did not answer"
    # A connection for each question: on a cluster the first may leave before its Service's address leads anywhere, and
    # where somebody else then answers it, as a site's proxy does, a kept connection would ask that one for ever.
    anew = {"Connection": "close"}
    with httpx.Client(base_url=instance.url, timeout=2.0, trust_env=False, headers=anew) as client:
        while (waited := time.monotonic() - start) < limit_s:
            if not target.is_running(instance.name):
                raise InstanceCrashed(image=instance.image, cause=cause(target, instance))
            try:
                answer = client.get("/v2/health/ready")
                if answer.is_success:
                    return waited
                reason = _reason(answer)
            except httpx.HTTPError:
                pass
            pause(POLL_S)
    raise InstanceNotReady(image=instance.image, limit=limit_s, reason=reason, cause=cause(target, instance))


def is_ready(url: str) -> bool:
    """Say whether an instance answers ready at this moment."""
    try:
        return httpx.get(f"{url}/v2/health/ready", timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def cause(target: Target, instance: Instance) -> str:
    """Return the instance's last lines as one text, newest last."""
    return "\n".join(target.log_tail(instance.name, SHOWN_LINES)) or "it printed nothing"


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}"
