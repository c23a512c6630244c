"""The one place where other programs are run. Builders elsewhere return argument lists; no shell sees them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from sacristy.errors import CommandFailed, ProgramMissing

log = logging.getLogger(__name__)


def run(
    argv: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    given: str | None = None,
) -> str:
    """Run a program to its end and return what it printed on standard output.

    Raises CommandFailed with the last line it printed, or ProgramMissing. `environment` replaces the process's own;
    `given` is its standard input.
    """
    log.debug("run %s", argv)
    try:
        done = subprocess.run(
            list(argv),
            cwd=folder,
            env=environment,
            timeout=timeout_s,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        mend = f"install {argv[0]}, or put a working one on PATH ({error.strerror})"
        raise ProgramMissing(program=argv[0], mend=mend) from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(
            program=argv[0], code="none", last=f"still running after {timeout_s} s", command=" ".join(argv)
        ) from None
    if done.returncode:
        printed = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()
        raise CommandFailed(program=argv[0], code=done.returncode, last=printed[-1], command=" ".join(argv))
    return done.stdout


def follow(
    argv: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> int:
    """Run a program whose output goes straight to this one's, and return its exit code.

    TERM and Ctrl-C are for the program, which ends in its own time; this one waits for it, then raises
    KeyboardInterrupt for the latter. `quiet`: its standard output goes to the error stream.
    """
    log.debug("follow %s", argv)
    stdout = sys.stderr if quiet else None
    try:
        process = subprocess.Popen(list(argv), cwd=folder, env=environment, stdout=stdout)
    except FileNotFoundError:
        raise ProgramMissing(program=argv[0], mend=f"install {argv[0]}, or put it on PATH") from None
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    interrupted = False
    try:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                if not interrupted and not sys.stdin.isatty():  # a terminal has sent it to both
                    process.send_signal(signal.SIGINT)
                interrupted = True
    finally:
        signal.signal(signal.SIGTERM, before)
    if interrupted:
        raise KeyboardInterrupt
    return code


def detach(argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> None:
    """Start a program that outlives this one, with what it prints appended to a file that only this user reads.

    Raises ProgramMissing.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,  # a signal for this process's group is not for it
        )
    except OSError as error:
        raise ProgramMissing(program=argv[0], mend=f"put a working {argv[0]} there ({error.strerror})") from None
    finally:
        os.close(descriptor)
    threading.Thread(target=process.wait, name=f"end of {process.pid}", daemon=True).start()  # or it stays a zombie


def feed(argv: Sequence[str], write: Callable[[BinaryIO], None]) -> str:
    """Run a program, give it what `write` writes on its standard input, and return what it printed.

    If `write` raises, the program is ended and the error goes on. Raises CommandFailed or ProgramMissing.
    """
    log.debug("feed %s", argv)
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=printed, stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise ProgramMissing(program=argv[0], mend=f"install {argv[0]}, or put it on PATH") from None
        try:
            with cast("BinaryIO", process.stdin) as stream:
                write(stream)
        except BrokenPipeError:
            pass  # it ended early: its own last line says why
        except BaseException:
            process.kill()
            raise
        finally:
            code = process.wait()
        printed.seek(0)
        text = printed.read().decode(errors="replace").strip()
    if code:
        last = text.splitlines()[-1] if text else "it printed nothing"
        raise CommandFailed(program=argv[0], code=code, last=last, command=" ".join(argv))
    return text
