"""All that was printed is in the file when `stop` returns, whoever reads the terminal, and however slowly."""

import os
import subprocess
import sys

import pytest

HEAD = """
import os, sys, resource, subprocess
from pathlib import Path
from sacristy.tracking.capture import Capture
target = Path(sys.argv[1])
(target / "output").touch()
capture = Capture(target / "output")
def done():
    missing = capture.stop()
    (target / "new").write_text(f"{(target / 'output').stat().st_size} {missing}")
    os.rename(target / "new", target / "done")
"""
LINES = "for line in range(1100): print(f'{line:092}', flush=True)\n"
PRINTED = "".join(f"{line:092}\n" for line in range(1100)).encode()


@pytest.fixture
def start(tmp_path):
    started = []

    def run(script):
        command = [sys.executable, "-c", HEAD + script, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def test_a_terminal_that_nobody_reads_keeps_nothing_from_the_file(start, tmp_path):
    process = start(LINES + "print('last', file=sys.stderr)\ndone()\n")
    process.wait(20)  # before anything of it is read, and 102 kB are more than a pipe holds
    assert (tmp_path / "done").read_text() == f"{len(PRINTED) + 5} "
    content = (tmp_path / "output").read_bytes()
    assert content.replace(b"last\n", b"") == PRINTED
    assert process.communicate() == (PRINTED, b"last\n")


def test_a_terminal_that_is_gone_does_not_either(start, tmp_path):
    process = start(LINES + "done()\n")
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=20)
    assert (tmp_path / "done").read_text() == f"{len(PRINTED)} "


def test_a_child_that_keeps_the_output_open_is_not_waited_for(start, tmp_path):
    process = start("print('mine', flush=True)\nsubprocess.Popen(['sleep', '8'])\ndone()\n")
    assert process.wait(6) == 0
    assert (tmp_path / "done").read_text() == "5 "


def test_what_the_disk_refuses_is_counted_and_shown_all_the_same(tmp_path):
    limited = "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    script = HEAD.replace("target = ", limited + "target = ") + LINES + "done()\n"
    process = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True)
    assert process.stdout == PRINTED
    assert (tmp_path / "done").read_text() == f"50000 {len(PRINTED) - 50_000} bytes of what was printed"


def test_a_copier_that_was_killed_is_told(start, tmp_path):
    start("os.kill(capture._copier.pid, 9)\ncapture._copier.wait()\ndone()\n").communicate(timeout=20)
    assert (tmp_path / "done").read_text() == "0 what was printed last"


def test_what_goes_to_the_terminal_itself_is_not_in_the_file(tmp_path):
    keeper, terminal = os.openpty()
    script = HEAD + "os.write(capture.terminal, b'a bar'); print('text', flush=True, file=sys.stderr); done()\n"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], stderr=terminal, check=True, timeout=20)
    os.close(terminal)
    seen = b""
    with open(keeper, "rb", buffering=0) as reading:
        while b"text" not in seen:
            seen += reading.read(1024)
    assert b"a bar" in seen
    assert (tmp_path / "output").read_bytes() == b"text\n"


def test_without_a_terminal_there_is_none(start, tmp_path):
    process = start("print(capture.terminal, flush=True)\ndone()\nprint(capture.terminal)\n")
    assert process.communicate(timeout=20)[0].split() == [b"None", b"None"]
