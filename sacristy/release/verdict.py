"""What an acceptance test says: one line for each check, bound to the digest it was made on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree


@dataclass(frozen=True)
class Check:
    """One thing that was asked of an image. `measured` and `limit` are shown as they are, units included."""

    name: str
    passed: bool
    measured: str
    limit: str
    reason: str = ""
    took_s: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """All checks of one image. `figures` are plain numbers for tables and comparisons."""

    model: str
    version: str
    run: int
    digest: str
    checks: tuple[Check, ...]
    figures: dict[str, float]
    compared_with: str | None
    at: datetime
    took_s: float

    @property
    def passed(self) -> bool:
        """Say whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """Return why it did not pass, in one line; empty if it did."""
        return "; ".join(f"{check.name}: {check.reason}" for check in self.checks if not check.passed)

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for JSON and MongoDB."""
        return asdict(self) | {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML, one test case for each check, for Jenkins."""
    failed = sum(not check.passed for check in verdict.checks)
    suite = ElementTree.Element(
        "testsuite",
        name=f"acceptance {verdict.model}:{verdict.version}",
        tests=str(len(verdict.checks)),
        failures=str(failed),
        errors="0",
        time=f"{verdict.took_s:.3f}",
        timestamp=verdict.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for check in verdict.checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"acceptance.{verdict.model}", name=check.name, time=f"{check.took_s:.3f}"
        )
        if not check.passed:
            failure = ElementTree.SubElement(case, "failure", message=check.reason)
            failure.text = f"measured {check.measured}, limit {check.limit}"
        ElementTree.SubElement(case, "system-out").text = f"measured {check.measured}, limit {check.limit}"
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def now() -> datetime:
    """Return the time with its zone."""
    return datetime.now(UTC)
