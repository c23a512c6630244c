"""What runs, as data: the command line and environment of each service. Nothing is started here.

Each listens on loopback only. Passwords go by environment or file, never by command line, where `ps` would show them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sacristy.settings import REPLICA_SET, Role, Settings
from sacristy.stack.init import KEYFILE
from sacristy.stack.ports import HOST
from sacristy.supervision import Program

MONGODB, OMNIBOARD, GATEWAY, CEPH = "mongodb", "omniboard", "gateway", "ceph"
SERVICES = (MONGODB, OMNIBOARD, GATEWAY)  # Ceph only where it was asked for: its programs are described in ceph/
KEEPER = "keeper"  # a program without an address
WATCHER = "watcher"  # another one, only where there is a Jenkins
OMNIBOARD_TIMEOUT_MS = 5000


def mongodb_program(settings: Settings, mongod: Path, port: int) -> Program:
    """One mongod, replica set of one (majority writes and change streams need it), with authentication."""
    data = settings.home / "mongodb" / "data"
    argv = [str(mongod), "--dbpath", str(data), "--bind_ip", HOST, "--port", str(port), "--nounixsocket"]
    argv += ["--replSet", REPLICA_SET, "--keyFile", str(settings.home / "secrets" / KEYFILE)]
    argv += ["--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "512"]  # its own choice: half the memory, 5 % of the disk
    argv += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    folder = settings.home / "mongodb"
    return Program(MONGODB, tuple(argv), folder, log_file(settings, MONGODB), stop_wait_s=30, order=100)


def omniboard_program(settings: Settings, node: Path, folder: Path, port: int) -> Program:
    """Omniboard's own server behind our guard (compose/omniboard/serve.js), as the user with the least rights."""
    uri = settings.database_url(Role.OMNIBOARD, timeout_ms=OMNIBOARD_TIMEOUT_MS)
    environment = {"PORT": str(port), "MONGO_URI": uri, "NODE_ENV": "production"}
    argv = (str(node), str(folder / "serve.js"))
    return Program(OMNIBOARD, argv, folder, log_file(settings, OMNIBOARD), environment, stop_wait_s=5, order=200)


def gateway_program(settings: Settings, port: int) -> Program:
    """The gateway on Gunicorn; it needs none of the other services."""
    argv = [sys.executable, "-m", "gunicorn", "--config", "python:sacristy.gateway.gunicorn"]
    argv += ["--bind", f"{HOST}:{port}", "sacristy.gateway.app:create_app()"]
    environment = sacristy_environment(settings)
    log = log_file(settings, GATEWAY)
    return Program(GATEWAY, tuple(argv), settings.project, log, environment, stop_wait_s=40, order=300)


def keeper_program(settings: Settings) -> Program:
    """What keeps the database true every minute (keeper.py)."""
    argv = (sys.executable, "-m", "sacristy.stack.keeper")
    environment = sacristy_environment(settings)
    return Program(KEEPER, argv, settings.project, log_file(settings, KEEPER), environment, order=200)


def watcher_program(settings: Settings) -> Program:
    """What releases the runs that scientists tag in Omniboard, by way of Jenkins (automation/watcher.py)."""
    argv = (sys.executable, "-m", "sacristy.cli", "jenkins", "watch")
    environment = sacristy_environment(settings)
    environment |= {"SACRISTY_JENKINS_URL": settings.jenkins_url, "SACRISTY_JENKINS_USER": settings.jenkins_user}
    if settings.jenkins_token:
        environment["SACRISTY_JENKINS_TOKEN"] = settings.jenkins_token.get_secret_value()
    return Program(WATCHER, argv, settings.project, log_file(settings, WATCHER), environment, order=350)


def service_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the services that a project has: some only where they were asked for."""
    ceph = (CEPH,) if settings.has_ceph else ()
    watcher = (WATCHER,) if settings.has_jenkins else ()
    return (*SERVICES, *ceph, *watcher)


def sacristy_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process of ours these settings. A database's address may hold a secret."""
    given = _plain_variables() | {"SACRISTY_PROJECT": str(settings.project), "SACRISTY_HOME": str(settings.home)}
    if settings.mongodb_url:
        given["SACRISTY_MONGODB_URL"] = settings.mongodb_url.get_secret_value()
        given |= {"SACRISTY_MONGODB_CA": str(settings.mongodb_ca)} if settings.mongodb_ca else {}
    return given | {"SACRISTY_OMNIBOARD_URL": settings.omniboard_url, "SACRISTY_GATEWAY_URL": settings.gateway_url}


def _plain_variables() -> dict[str, str]:
    """Return what this process was given as variables, but for secrets: commands ordered over HTTP go by them too."""
    fields = {name: str(field.annotation) for name, field in Settings.model_fields.items()}
    known = {f"SACRISTY_{name}".upper() for name, annotation in fields.items() if "SecretStr" not in annotation}
    return {name: value for name, value in os.environ.items() if name.partition("__")[0] in known}


def log_file(settings: Settings, name: str) -> Path:
    """Return where a program's output goes."""
    return settings.home / "logs" / f"{name}.log"
