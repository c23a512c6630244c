"""A supervised program as data, and as the two files that keep it: what to run (JSON), how to keep it (supervisord)."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sacristy.errors import InvalidProgram
from sacristy.private import write_private as write_private
from sacristy.supervision import launch

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
STEADY_AFTER_S = 1  # a program that ends sooner is tried again, ever later, and then given up as FATAL
TRIES = 6


@dataclass(frozen=True)
class Program:
    """What to run and how to keep it. `environment` is laid over PATH, HOME, LANG and the like, nothing else.

    `restart`: start it again whenever it ends. `stop_wait_s`: from TERM to KILL. `order`: the lower starts first and
    stops last.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_wait_s: int = 10
    restart: bool = True
    order: int = 500

    def __post_init__(self) -> None:
        """Raise InvalidProgram for a name that cannot be a file's and a section's."""
        if not self.name or self.name.startswith(".") or not NAME_CHARACTERS.issuperset(self.name):
            raise InvalidProgram(name=self.name, reason="its name may hold a-z, 0-9, '-' and '.'")


def detail_text(program: Program) -> str:
    """Return the JSON that launch.py reads, environment included: the file is private."""
    fields = vars(program) | {"folder": str(program.folder), "log": str(program.log)}
    return json.dumps(fields | {"environment": dict(program.environment)}, indent=1) + "\n"


def read_detail(text: str) -> Program:
    """Return the program that `detail_text` wrote."""
    fields = json.loads(text)
    paths = {"folder": Path(fields["folder"]), "log": Path(fields["log"])}
    return Program(**fields | paths | {"argv": tuple(fields["argv"])})


def section_text(program: Program, detail: Path) -> str:
    """Return supervisord's section for a program; what it runs stands in the file `detail`."""
    command = shlex.join([sys.executable, "-I", "-S", launch.__file__, str(detail)])
    return "\n".join(
        [
            f"[program:{program.name}]",
            f"command = {_plain(command)}",
            f"priority = {program.order}",
            f"autorestart = {str(program.restart).lower()}",
            f"startretries = {TRIES if program.restart else 0}",
            f"startsecs = {STEADY_AFTER_S}",
            f"stopwaitsecs = {program.stop_wait_s}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {_plain(program.log)}",
            "stdout_logfile_maxbytes = 10MB",
            "stdout_logfile_backups = 3",
            "",
        ]
    )


def daemon_text(folder: Path, socket: Path, log: Path) -> str:
    """Return supervisord's own settings; programs are read from folder/programs/."""
    return "\n".join(
        [
            "[unix_http_server]",
            f"file = {_plain(socket)}",
            "chmod = 0700",
            "[supervisord]",
            f"logfile = {_plain(log)}",
            "logfile_maxbytes = 5MB",
            "logfile_backups = 2",
            f"pidfile = {_plain(folder / 'supervisord.pid')}",
            f"childlogdir = {_plain(log.parent)}",
            f"identifier = sacristy-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}",
            "umask = 077",
            *(["user = root"] if os.getuid() == 0 else []),  # it stays root either way, but would warn about it
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "[include]",
            "files = programs/*.conf",
            "",
        ]
    )


def _plain(value: object) -> str:
    """Return a value for supervisord's file, in which % expands (some keys twice) and ' ;' or ' #' begins a comment."""
    text = str(value)
    if any(part in text for part in ("\n", "\r", "%", " ;", " #", "\t;", "\t#")):
        raise InvalidProgram(
            name=text, reason="supervisord cannot read a path with a line end, '%', ' ;' or ' #' in it"
        )
    return text
