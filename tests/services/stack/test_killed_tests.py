"""A killed test leaves its host behind: the next one takes it away, and leaves those of living tests alone."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import leftovers
import pytest

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(os.geteuid() != 0, reason="a host of the tests' own needs root"),
]
MAKES = "from lonely_host import Host; h = Host(['x.test']); print(h.name, h.outside, flush=True); input(); h.close()"


@contextmanager
def host():
    """A process that has made a host: the process, and the host's name and link."""
    with subprocess.Popen(
        [sys.executable, "-c", MAKES],
        cwd=Path(leftovers.__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as maker:
        yield maker, *maker.stdout.readline().split()
        if maker.poll() is None:
            maker.communicate("\n")


def test_the_host_of_killed_tests_goes_and_that_of_living_ones_stays():
    with host() as (killed, *its), host() as (_, *others):
        assert traces(*its) == [True] * 4
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        leftovers.clear_hosts()
        assert traces(*its) == [False] * 4
        assert traces(*others) == [True] * 4
    assert traces(*others) == [False] * 4


def traces(name, link):
    """Say whether there are a host's namespace, its names, its link and rules about that."""
    rules = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    there = (Path("/run/netns", name), Path("/etc/netns", name), Path("/sys/class/net", link))
    return [*(path.exists() for path in there), f" {link} " in rules]
