"""`make test-all`: the tiers of tests that need more than the demo does, most of them two at a time.

A tier is a pytest marker with what it needs. What is missing is installed where that is allowed (root on Debian). A
tier that cannot run is named with the reason and counts as not tested; one that can run and runs no test is a failure.
What fails beside another tier is run again when nothing else runs, and named in the end whatever becomes of it.

SACRISTY_TESTS_UNTIL (seconds since 1970): no tier begins that would not be at its end by then. What there was no time
for counts as not tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

import rig

SOME_FAILED, NO_TESTS_RAN = 1, 5
ROOT = Path(__file__).parents[1]

PRINTING = Lock()


@dataclass(frozen=True)
class Tier:
    """Tests with one marker. `programs` must be on PATH; `packages` bring them on Debian.

    `variables` must be in the environment: they name a service that nobody can install here. `minutes`: what it takes
    on two cores, beside another.
    """

    marker: str
    programs: Sequence[str] = ()
    packages: Sequence[str] = ()
    variables: Sequence[str] = ()
    hindrance: Callable[[], str] = str  # says why it cannot run, or nothing
    minutes: float = 5


CLUSTER = (
    *("containerd", "runc", "iptables", "ip", "kubectl", "zstd", "gcc", "docker-registry", "htpasswd", "openssl"),
    *("ceph-mon", "ceph-osd", "radosgw"),
)
CLUSTER_PACKAGES = (
    *("docker.io", "iptables", "iproute2", "procps", "kubernetes-client", "zstd", "gcc", "libc6-dev"),
    *("docker-registry", "apache2-utils", "openssl", "ceph-mon", "ceph-osd", "radosgw"),
)
FIRST = (  # alone: a cluster works all the time
    Tier("kubernetes", CLUSTER, CLUSTER_PACKAGES, hindrance=rig.missing, minutes=18),
    Tier("groovy", ("groovy", "shellcheck", "java"), ("groovy", "shellcheck", "default-jre-headless")),
    Tier("nginx", ("nginx", "openssl"), ("nginx-light", "openssl")),
    Tier("prometheus", ("promtool",), ("prometheus",)),
)
BESIDE = (  # at the same time, one after another in each row: they wait more than they work
    (
        Tier(
            "compose",
            ("docker-compose", "dockerd", "debootstrap", "iptables", "ip", "node", "npm", "chromium"),
            ("docker-compose", "docker.io", "debootstrap", "iptables", "iproute2", "nodejs", "npm", "chromium"),
            minutes=18,
        ),
        # two Docker engines would have the same addresses: never beside compose
        Tier(
            "docker",
            ("dockerd", "docker", "debootstrap", "iptables"),
            ("docker.io", "debootstrap", "iptables"),
            minutes=12,
        ),
    ),
    (
        Tier("slow"),  # beside compose's builds: it takes the whole machine, and models are judged by their latency
        Tier(
            "ceph",
            ("ceph-mon", "ceph-osd", "radosgw", "openssl"),
            ("ceph-mon", "ceph-osd", "radosgw", "openssl"),
            minutes=6,
        ),
        Tier("browser", ("chromium", "npm"), ("chromium", "npm")),
        Tier("ray", minutes=8),
        Tier("registry", ("docker-registry", "htpasswd", "openssl"), ("docker-registry", "apache2-utils", "openssl")),
    ),
)
LAST = (
    Tier("workloads", CLUSTER, CLUSTER_PACKAGES, hindrance=rig.missing, minutes=22),
    Tier("jenkins", variables=("JENKINS_URL", "JENKINS_USER", "JENKINS_TOKEN")),
)
TIERS = (*FIRST, *(tier for row in BESIDE for tier in row), *LAST)


@dataclass(frozen=True)
class Outcome:
    """What became of a tier, in a line. `again`: its tests that failed, and deserve another try by themselves."""

    said: str
    again: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        return self.said.startswith("failed")


def main() -> int:
    """Run every tier, print what became of each, and return 0 if none failed."""
    reasons = {tier.marker: provide(tier) or tier.hindrance() for tier in TIERS}  # Debian installs one at a time

    def ran(tier: Tier) -> Outcome:
        return run(tier, reasons[tier.marker])

    def one_by_one(row: Sequence[Tier]) -> dict[str, Outcome]:
        return {tier.marker: ran(tier) for tier in row}

    outcomes = one_by_one(FIRST)
    with ThreadPoolExecutor(len(BESIDE)) as rows:
        for beside in list(rows.map(one_by_one, BESIDE)):
            outcomes |= {marker: run_again(marker, outcome) for marker, outcome in beside.items()}
    outcomes |= one_by_one(LAST)
    print("\ntiers")
    for marker, outcome in outcomes.items():
        print(f"  {marker:10} {outcome.said}")
    return int(any(outcome.failed for outcome in outcomes.values()))


def run(tier: Tier, reason: str = "") -> Outcome:
    """Run one tier, if there is no reason against it, and print what it printed when it is at its end."""
    if reason:
        return Outcome(f"not run: {reason}")
    if is_late(tier.minutes):
        return Outcome("not run: there was no time left for it (SACRISTY_TESTS_UNTIL)")
    print(f"== {tier.marker}: running", flush=True)
    outcome, printed = tested(["-m", tier.marker, *places(tier.marker)])
    with PRINTING:
        print(f"\n== {tier.marker}: {outcome.said}\n{printed}", flush=True)
    return outcome


def is_late(minutes: float) -> bool:
    """Say whether what takes so long is not to begin any more."""
    return time.time() + minutes * 60 > float(os.environ.get("SACRISTY_TESTS_UNTIL") or "inf")


def run_again(marker: str, before: Outcome) -> Outcome:
    """Run what failed again, now that nothing else runs; return what became of the tier."""
    if not before.again:  # late or not: without another try the whole run has failed
        return before
    outcome, printed = tested(["-m", marker, *before.again])
    print(f"\n== {marker}, what failed: {outcome.said}\n{printed}", flush=True)
    if outcome.failed:
        return before
    return Outcome(f"passed: but {', '.join(before.again)} only when run again, with nothing beside")


def tested(words: Sequence[str]) -> tuple[Outcome, str]:
    """Run pytest; return what became of it, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run(
            [*argv, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode == NO_TESTS_RAN:
            return Outcome("failed: it can run here, but no test has its marker"), done.stdout
        if done.returncode not in (0, SOME_FAILED):
            return Outcome(f"failed with code {done.returncode}"), done.stdout
        return judged(ElementTree.parse(report).getroot()), done.stdout


def places(marker: str, tests: Path = ROOT / "tests") -> list[str]:
    """Return where tests with a marker can be: files that name it, and folders whose conftest.py does.

    To collect all tests for each tier would take more than a minute of a whole run.
    """
    named = [path for path in sorted(tests.rglob("*.py")) if f"mark.{marker}" in path.read_text()]
    folders = [path.parent for path in named if path.name == "conftest.py"]
    files = [path for path in named if path.name.startswith("test_") and not set(folders) & set(path.parents)]
    return [str(path.relative_to(ROOT)) for path in (*folders, *files)]


def judged(report: ElementTree.Element) -> Outcome:
    """Return what a JUnit report says; a tier that can run here and skipped everything has tested nothing."""
    suite = next(report.iter("testsuite"))
    tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = [case for case in report.iter("testcase") if {"failure", "error"} & {part.tag for part in case}]
    if failed:
        return Outcome(f"failed: {len(failed)} of {tests} tests", [node(case) for case in failed])
    if skipped == tests:
        return Outcome(f"failed: it can run here, but all {tests} tests were skipped")
    return Outcome(f"passed: {tests - skipped} tests" + (f", {skipped} skipped" if skipped else ""))


def node(case: ElementTree.Element) -> str:
    """Return what pytest takes for a test of a report; all test functions here stand in modules."""
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"


def provide(tier: Tier) -> str:
    """Install what the tier needs; return why it cannot be had, or an empty string."""
    unset = [name for name in tier.variables if not os.environ.get(name)]
    if unset:
        return f"{unset[0]} is not set"
    missing = [program for program in tier.programs if not shutil.which(program)]
    if not missing:
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"{', '.join(missing)} is missing; install {' '.join(tier.packages)}"
    for argv in (
        ["dpkg", "--configure", "-a"],  # one that was killed half way has to be brought to its end first
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *tier.packages],
    ):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{' '.join(argv)} failed: {done.stderr.strip().splitlines()[-1:]}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
