"""Whether a canary is to be promoted, withdrawn or left: decided from figures. Nothing is asked or done here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sacristy.model_file import Canary

SLOW_SHARE = 0.05  # of its requests may take longer than the limit of their 95th percentile
ROUNDING = 1e-9


class Verdict(StrEnum):
    """What becomes of a canary."""

    WAIT = "wait"
    PROMOTE = "promote"
    WITHDRAW = "withdraw"


@dataclass(frozen=True)
class Rate:
    """A share of `n` with its 95 % interval; None of nothing."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Figures:
    """What is known of a canary since it began: how often it failed, was too slow, and said something else."""

    requests: int
    failed: Rate
    slow: Rate
    differing: Rate


def judge(limits: Canary, found: Figures, age_s: float) -> tuple[Verdict, str]:
    """Return what becomes of a canary that began `age_s` ago, and why.

    When its window is over its rates decide. Before that it is withdrawn only for a rate whose whole interval is
    beyond its limit. Of fewer requests than model.toml asks for nothing is decided; nor is one promoted of which fewer
    predictions could be compared.
    """
    least = limits.min_requests
    if found.requests < least:
        return Verdict.WAIT, f"{found.requests} of at least {least} requests"
    over = age_s >= limits.window_s
    for rate, limit, what in (
        (found.failed, limits.error_rate, "it failed at {} of {} requests; at most {} may fail"),
        (found.slow, SLOW_SHARE, f"{{}} of {{}} requests took over {limits.latency_p95_ms:g} ms; at most {{}} may"),
        (found.differing, 1 - limits.agreement, "{} of {} predictions differ from the stage's own; at most {} may"),
    ):
        judged = rate.value if over else rate.low
        if rate.value is not None and judged is not None and judged > limit + ROUNDING:
            return Verdict.WITHDRAW, what.format(_percent(rate.value), rate.n, _percent(limit))
    if not over:
        return Verdict.WAIT, f"{age_s:.0f} of {limits.window_s} s"
    if limits.agreement and found.differing.n < least:
        return Verdict.WAIT, f"{found.differing.n} of at least {least} predictions could be compared"
    return Verdict.PROMOTE, _praise(found, limits)


def _praise(found: Figures, limits: Canary) -> str:
    agreed = f"{1 - found.differing.value:.2%}" if found.differing.value is not None else "unknown"
    failed = f"{found.failed.value or 0:.2%}"
    return f"a canary for {limits.window_s} s: {found.requests} requests, {failed} failed, agreement {agreed}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
