"""The acceptance test: the very image, started by digest, asked everything that matters before it may be promoted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from sacristy.errors import BadAnswer, ImageNotFound, InstanceCrashed, InvalidImage, WeightsDamaged
from sacristy.model_file import Gates
from sacristy.release import scores
from sacristy.release.ending import status_when_ended
from sacristy.release.examples import Examples
from sacristy.release.questions import Questioner
from sacristy.release.requests import Case, load_cases, send
from sacristy.release.verdict import Check, Verdict, now
from sacristy.serving.golden import difference
from sacristy.targets.readiness import wait_until_ready
from sacristy.targets.target import Image, Instance, Progress, Target

AT_ONCE = 128  # held-out instances in one request
LATENCY_REQUESTS = 200
WARM_UP_REQUESTS = 20
AT_THE_SAME_TIME = 8  # invalid requests
REQUEST_TIMEOUT_S = 30.0
# What keeps a version from being compared for good. An engine that is away or a cluster without room does not: whoever
# passed then would have been compared with nothing.
FAULTS_OF_A_VERSION = (InstanceCrashed, BadAnswer, ImageNotFound, InvalidImage, WeightsDamaged)


@dataclass
class Trial:
    """One image under test: where it runs, what it is judged by, and what was measured so far."""

    image: Image
    target: Target
    gates: Gates
    examples: Examples
    cases: Path
    instance: Instance | None = None
    rival: Image | None = None
    rival_target: Target | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the instance under test answers."""
        assert self.instance is not None  # noqa: S101 - set before the first check
        return self.instance.url


class Outcome(NamedTuple):
    """What one check found; `reason` is empty when it passed."""

    passed: bool
    measured: str
    limit: str
    reason: str = ""


Measure = Callable[[Trial], Outcome]


def judge(trial: Trial, progress: Progress = lambda _: None) -> Verdict:
    """Start the image in an instance of its own, ask it every check, and stop it whatever happens.

    A failed check is part of the verdict, never an exception. If the image does not get ready, nothing else is asked.
    Raises what keeps instances from being started, such as ClusterAway: there is no verdict then.
    """
    start, at = time.monotonic(), now()
    checks: list[Check] = []
    with instance_of(trial.target, trial.image, "trial") as instance:
        trial.instance = instance
        for name, measure in CHECKS.items():
            progress(f"{trial.image}: {name}")
            checks.append(_run(name, measure, trial))
            if name == "ready" and not checks[-1].passed:
                break
    return Verdict(
        model=trial.image.model,
        version=str(trial.image.version),
        run=trial.image.run,
        digest=trial.image.digest,
        checks=tuple(checks),
        figures=trial.figures,
        compared_with=trial.rival.digest if trial.rival else None,
        at=at,
        took_s=time.monotonic() - start,
    )


@contextmanager
def instance_of(target: Target, image: Image, purpose: str) -> Iterator[Instance]:
    """Run an image for as long as the block lasts."""
    instance = target.start(image, purpose)
    try:
        yield instance
    finally:
        target.stop(instance.name)


def measure_ready(trial: Trial) -> Outcome:
    """Ready in time, after a prediction of its own."""
    limit = f"{trial.gates.ready_s:g} s"
    assert trial.instance is not None  # noqa: S101 - set before the first check
    try:
        wait_until_ready(trial.target, trial.instance, trial.gates.ready_s)
    except InstanceCrashed as error:
        lines = str(error.fields["cause"]).splitlines()
        return Outcome(False, "not ready", limit, f"{error}; it printed last: {lines[-1].strip()}")
    took = time.monotonic() - trial.instance.started
    trial.figures["ready_s"] = took
    return Outcome(True, f"{took:.2f} s", limit)


def measure_golden(trial: Trial) -> Outcome:
    """The answers that training recorded, reproduced."""
    expected = [answer for _, answer in trial.examples.golden]
    limit = f"{len(expected)} equal within {trial.gates.golden_tolerance:g}"
    with Questioner(trial.url, REQUEST_TIMEOUT_S) as ask:
        found = ask.predict([instance for instance, _ in trial.examples.golden])
    for index, (wanted, got) in enumerate(zip(expected, found, strict=True)):
        fault = difference(wanted, got, trial.gates.golden_tolerance)
        if fault:
            return Outcome(False, f"{index} equal", limit, f"golden example {index + 1}: {fault}")
    return Outcome(True, f"{len(found)} equal", limit)


def measure_score(trial: Trial) -> Outcome:
    """The score on the held-out examples: at its gate, and no worse than the version in use allows."""
    gates = trial.gates
    found = _score(trial, trial.url)
    trial.figures[gates.metric] = found
    limit = f"{gates.metric} {gates.minimum:g}"
    if not scores.reaches(gates.metric, found, gates.minimum):
        return Outcome(
            False, f"{found:.4f}", limit, f"{gates.metric} {found:.4f} does not reach the gate {gates.minimum:g}"
        )
    if trial.rival is None:
        return Outcome(True, f"{found:.4f}", limit)
    try:
        theirs = _score_of_rival(trial, trial.rival)
    except FAULTS_OF_A_VERSION as error:  # one that does not even run cannot hold up the one that mends it
        return Outcome(True, f"{found:.4f}", f"{limit}; not compared, {trial.rival} does not answer: {error}")
    trial.figures[f"{gates.metric}_of_rival"] = theirs
    limit += f", and within {gates.margin:g} of {trial.rival} ({theirs:.4f})"
    if not scores.reaches(gates.metric, found, theirs, gates.margin):
        reason = f"{gates.metric} {found:.4f} is worse than {theirs:.4f} of {trial.rival} by more than {gates.margin:g}"
        return Outcome(False, f"{found:.4f}", limit, reason)
    return Outcome(True, f"{found:.4f}", limit)


def measure_latency(trial: Trial) -> Outcome:
    """The 95th percentile of one-instance requests, one after another on one connection."""
    instances = [instance for instance, _ in trial.examples.heldout]
    with Questioner(trial.url, REQUEST_TIMEOUT_S) as ask:
        for index in range(WARM_UP_REQUESTS):
            ask.time_one(instances[index % len(instances)])
        times = [ask.time_one(instances[index % len(instances)]) for index in range(LATENCY_REQUESTS)]
    p95 = statistics.quantiles(times, n=20)[-1]
    trial.figures |= {"latency_p50_ms": statistics.median(times), "latency_p95_ms": p95}
    limit = f"{trial.gates.latency_p95_ms:g} ms"
    reason = "" if p95 <= trial.gates.latency_p95_ms else f"p95 latency {p95:.1f} ms is over {limit}"
    return Outcome(not reason, f"{p95:.1f} ms", limit, reason)


def measure_bad_input(trial: Trial) -> Outcome:
    """Every invalid request is refused as its file says, and the instance answers well afterwards."""
    address = urlsplit(trial.url)
    instance = trial.examples.golden[0][0]
    cases = load_cases(trial.cases)
    limit = f"{len(cases)} refused"

    def fault(case: Case) -> str | None:
        request = case.build(instance)
        status, _, body = send(str(address.hostname), int(address.port or 80), request, REQUEST_TIMEOUT_S)
        return case.check(status, body)

    with ThreadPoolExecutor(AT_THE_SAME_TIME) as pool:  # some cases stall for seconds, as attackers do
        faults = [(case, said) for case, said in zip(cases, pool.map(fault, cases), strict=True) if said]
    if faults:
        case, said = faults[0]
        return Outcome(False, f"{len(cases) - len(faults)} refused", limit, f"request {case.name}: {said}")
    with Questioner(trial.url, REQUEST_TIMEOUT_S) as ask:
        ask.predict([instance])
    return Outcome(True, f"{len(cases)} refused", limit)


def measure_memory(trial: Trial) -> Outcome:
    """The peak of resident memory after all that was asked."""
    assert trial.instance is not None  # noqa: S101 - set before the first check
    peak = trial.target.peak_memory_mib(trial.instance.name)
    trial.figures["memory_mib"] = peak
    limit = f"{trial.gates.memory_mib} MiB"
    if not peak:
        return Outcome(False, "none", limit, "its memory could not be measured: it is no longer running")
    reason = "" if peak <= trial.gates.memory_mib else f"peak memory {peak:.0f} MiB is over {limit}"
    return Outcome(not reason, f"{peak:.0f} MiB", limit, reason)


def measure_ending(trial: Trial) -> Outcome:
    """A request in flight when the instance is told to end is answered. Nothing can be asked after this one."""
    assert trial.instance is not None  # noqa: S101 - set before the first check
    name = trial.instance.name
    body = orjson.dumps({"instances": [trial.examples.golden[0][0]]})
    limit = "a request in flight is answered"
    start = time.monotonic()
    try:
        status = status_when_ended(trial.url, body, lambda: trial.target.stop(name))
    except OSError as error:
        return Outcome(False, "no connection", limit, f"it could not be asked before its end: {error}")
    trial.figures["ending_s"] = time.monotonic() - start
    reason = "" if status == 200 else f"SIGTERM cut a request off: status {status or 'none'}"
    return Outcome(not reason, "answered" if status == 200 else "cut off", limit, reason)


CHECKS: dict[str, Measure] = {
    "ready": measure_ready,
    "golden": measure_golden,
    "score": measure_score,
    "latency": measure_latency,
    "bad input": measure_bad_input,
    "memory": measure_memory,
    "ending": measure_ending,
}


def _run(name: str, measure: Measure, trial: Trial) -> Check:
    start = time.monotonic()
    try:
        found = measure(trial)
    except BadAnswer as error:
        found = Outcome(False, "no answer", "an answer", str(error))
    return Check(name, *found, took_s=time.monotonic() - start)


def _score_of_rival(trial: Trial, image: Image) -> float:
    target = trial.rival_target or trial.target
    with instance_of(target, image, "rival") as rival:
        wait_until_ready(target, rival, trial.gates.ready_s)
        return _score(trial, rival.url)


def _score(trial: Trial, url: str) -> float:
    with Questioner(url, REQUEST_TIMEOUT_S) as ask:
        predictions = list(ask.predict_all([instance for instance, _ in trial.examples.heldout], AT_ONCE))
    try:
        return scores.score(trial.gates.metric, predictions, [target for _, target in trial.examples.heldout])
    except (TypeError, ValueError) as error:
        raise BadAnswer(reason=f"its answers cannot be scored by {trial.gates.metric}: {error}") from None
