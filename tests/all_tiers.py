"""`make test-all`: the tiers of tests that need more than the demo does, one after another.

A tier is a pytest marker with what it needs. What is missing is installed where that is allowed (root on Debian). A
tier that cannot run is named with the reason and counts as not tested; one that can run and runs no test is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import rig

NO_TESTS_RAN = 5
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Tier:
    """Tests with one marker. `programs` must be on PATH; `packages` bring them on Debian.

    `variables` must be in the environment: they name a service that nobody can install here.
    """

    marker: str
    programs: Sequence[str] = ()
    packages: Sequence[str] = ()
    variables: Sequence[str] = ()
    hindrance: Callable[[], str] = str  # says why it cannot run, or nothing


TIERS = (
    Tier("slow"),
    Tier("ray"),
    Tier("browser", ("chromium", "npm"), ("chromium", "npm")),
    Tier("ceph", ("ceph-mon", "ceph-osd", "radosgw", "openssl"), ("ceph-mon", "ceph-osd", "radosgw", "openssl")),
    Tier("nginx", ("nginx", "openssl"), ("nginx-light", "openssl")),
    Tier("prometheus", ("promtool",), ("prometheus",)),
    Tier(
        "docker",
        ("dockerd", "docker", "debootstrap", "iptables"),
        ("docker.io", "debootstrap", "iptables"),
    ),
    Tier(
        "compose",
        ("docker-compose", "dockerd", "debootstrap", "iptables", "ip", "node", "npm", "chromium"),
        ("docker-compose", "docker.io", "debootstrap", "iptables", "iproute2", "nodejs", "npm", "chromium"),
    ),
    Tier(
        "kubernetes",
        (
            *(
                "containerd",
                "runc",
                "iptables",
                "ip",
                "kubectl",
                "zstd",
                "gcc",
                "docker-registry",
                "htpasswd",
                "openssl",
            ),
            *("ceph-mon", "ceph-osd", "radosgw"),
        ),
        (
            *("docker.io", "iptables", "iproute2", "procps", "kubernetes-client", "zstd", "gcc", "libc6-dev"),
            *("docker-registry", "apache2-utils", "openssl", "ceph-mon", "ceph-osd", "radosgw"),
        ),
        hindrance=rig.missing,
    ),
    Tier("groovy", ("groovy", "shellcheck", "java"), ("groovy", "shellcheck", "default-jre-headless")),
    Tier("jenkins", variables=("JENKINS_URL", "JENKINS_USER", "JENKINS_TOKEN")),
    Tier("registry", ("docker-registry", "htpasswd", "openssl"), ("docker-registry", "apache2-utils", "openssl")),
)


def main() -> int:
    """Run every tier, print what became of each, and return 0 if none failed."""
    outcomes = {tier.marker: run(tier) for tier in TIERS}
    print("\ntiers")
    for marker, outcome in outcomes.items():
        print(f"  {marker:10} {outcome}")
    return int(any(outcome.startswith("failed") for outcome in outcomes.values()))


def run(tier: Tier) -> str:
    """Run one tier and return what became of it in a line."""
    print(f"\n== {tier.marker}", flush=True)
    reason = provide(tier) or tier.hindrance()
    if reason:
        return f"not run: {reason}"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", "-m", tier.marker, f"--junitxml={report}", *places(tier.marker)]
        code = subprocess.run(argv, cwd=ROOT, check=False).returncode
        if code == NO_TESTS_RAN:
            return "failed: it can run here, but no test has its marker"
        if code:
            return f"failed with code {code}"
        return judged(ElementTree.parse(report).getroot())


def places(marker: str, tests: Path = ROOT / "tests") -> list[str]:
    """Return where tests with a marker can be: files that name it, and folders whose conftest.py does.

    To collect all tests for each tier would take more than a minute of a whole run.
    """
    named = [path for path in sorted(tests.rglob("*.py")) if f"mark.{marker}" in path.read_text()]
    folders = [path.parent for path in named if path.name == "conftest.py"]
    files = [path for path in named if path.name.startswith("test_") and not set(folders) & set(path.parents)]
    return [str(path.relative_to(ROOT)) for path in (*folders, *files)]


def judged(report: ElementTree.Element) -> str:
    """Return what a JUnit report says; a tier that can run here and skipped everything has tested nothing."""
    suite = next(report.iter("testsuite"))
    tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    if skipped == tests:
        return f"failed: it can run here, but all {tests} tests were skipped"
    return f"passed: {tests - skipped} tests" + (f", {skipped} skipped" if skipped else "")


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
