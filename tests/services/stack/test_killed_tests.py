"""A killed test leaves its host behind: the next one takes it away, and leaves those of living tests alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import leftovers
import pytest
from lonely_host import Host

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(os.geteuid() != 0, reason="a host of the tests' own needs root"),
]
MAKES = "from lonely_host import Host; h = Host(['x.test']); print(h.name, h.outside, flush=True); input()"


def test_the_host_of_killed_tests_goes_and_that_of_living_ones_stays():
    tests = Path(leftovers.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", MAKES], cwd=tests, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        name, link = maker.stdout.readline().split()
        mine = Host(["y.test"])
        try:
            assert traces(name, link) == [True] * 4
            maker.send_signal(signal.SIGKILL)
            maker.wait()
            leftovers.clear_hosts()
            assert traces(name, link) == [False] * 4
            assert traces(mine.name, mine.outside) == [True] * 4
        finally:
            mine.close()
    assert traces(mine.name, mine.outside) == [False] * 4


def traces(name, link):
    """Say whether there are a host's namespace, its names, its link and rules about that."""
    rules = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    there = (Path("/run/netns", name), Path("/etc/netns", name), Path("/sys/class/net", link))
    return [*(path.exists() for path in there), f" {link} " in rules]
