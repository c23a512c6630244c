"""`python -m sacristy.stack.composed.store`: the one-node Ceph of the container, brought up, watched, and ended.

It is what `sacristy up --with ceph` starts, under the same supervisor; only the gateway listens for others as well.
With --check it writes and reads a small object, and ends with 0 if that went.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

from sacristy.errors import SacristyError
from sacristy.settings import Settings, load
from sacristy.stack.ceph import bringup, cluster
from sacristy.stack.ceph.health import check_ceph
from sacristy.stack.ports import USUAL_PORTS
from sacristy.supervision import Supervisor

FOLDERS = ("secrets", "weights", "logs", "run")
LOOK_EVERY_S = 2.0

log = logging.getLogger("store")


def main() -> int:
    """Serve until ended, or --check."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load()
    if sys.argv[1:] == ["--check"]:
        why = check_ceph(settings)
        print(why)
        return int(bool(why))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    return serve(settings, ended)


def serve(settings: Settings, ended: threading.Event) -> int:
    """Bring the cluster up and stay while its supervisor does; when ended, stop the gateway first, the monitor last."""
    for name in FOLDERS:
        (settings.home / name).mkdir(mode=0o700, exist_ok=True)
    supervisor = Supervisor(settings)
    supervisor.start_daemon()
    try:
        bringup.up(settings, supervisor, log.info, listening(settings), given=True)
    except SacristyError as error:
        log.error("%s; %s", error, error.advice)
        supervisor.shutdown()
        return 1
    log.info("the store is ready")
    while not ended.wait(LOOK_EVERY_S):
        if not supervisor.running():
            log.error("the supervisor is gone")
            return 1
    supervisor.shutdown()
    return 0


def listening(settings: Settings) -> str:
    """Return the gateway's line of ceph.conf by which other containers reach it; the later line counts."""
    secrets = settings.home / "secrets"
    words: dict[str, Any] = {
        "ssl_endpoint": f"0.0.0.0:{USUAL_PORTS['ceph']}",
        "ssl_certificate": secrets / cluster.CERTIFICATE,
        "ssl_private_key": secrets / cluster.KEY,
    }
    return "rgw frontends = beast " + " ".join(f"{name}={value}" for name, value in words.items())


if __name__ == "__main__":
    sys.exit(main())
