"""Programs are run in one place, and end in their own time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sacristy import commands
from sacristy.errors import ProgramMissing

TRAINER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("on", flush=True)
signal.pause()
"""
SLOW = """
import pathlib, signal, time
print("on", flush=True)
try:
    signal.pause()
except KeyboardInterrupt:
    time.sleep(0.6)
    pathlib.Path({done!r}).touch()
"""
FOLLOWER = "import sys; from sacristy.commands import follow; sys.exit(follow([sys.executable, '-c', sys.argv[1]]))"


def test_term_is_passed_on_and_the_programs_own_exit_code_is_kept():
    process = subprocess.Popen([sys.executable, "-c", FOLLOWER, TRAINER], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 7


def test_an_interrupted_program_ends_in_its_own_time(tmp_path):
    done = tmp_path / "done"
    argv = [sys.executable, "-c", FOLLOWER, SLOW.format(done=str(done))]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(argv, **streams)
    with process:
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert done.exists()


def test_output_that_is_no_text_is_no_fault():
    assert "�" in commands.run([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"])


def test_a_program_that_cannot_be_run_is_told(tmp_path):
    broken = Path(tmp_path / "broken")
    broken.write_text("not a program")
    broken.chmod(0o755)
    with pytest.raises(ProgramMissing):
        commands.run([str(broken)])
