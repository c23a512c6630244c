"""`python -m sacristy.stack.composed.prepare`: MongoDB's users, rights and indexes, the gateway's tokens; then it ends.

It runs beside mongod, in its network namespace. Each step looks before it acts, so doing it again changes nothing.
"""

from __future__ import annotations

import logging
import sys
import time

from pymongo.errors import PyMongoError

from sacristy.errors import SacristyError
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import admit
from sacristy.settings import load
from sacristy.stack import mongodb
from sacristy.stack.init import token_secret
from sacristy.tracking.database import reason

PORT, NAME = 27017, "mongodb:27017"
WITHIN_S = 60.0

log = logging.getLogger("prepare")


def main() -> int:
    """Wait for mongod, make it ready, and return 0, or 1 with the reason told."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load()
    deadline = time.monotonic() + WITHIN_S
    while why := mongodb.answers(PORT):
        if time.monotonic() > deadline:
            log.error("mongodb does not answer: %s", why)
            return 1
        time.sleep(0.2)
    try:
        mongodb.prepare(settings, PORT, NAME)
        for role in TokenRole:
            admit(settings.tokens_file, role, role, settings.secret(token_secret(role)))
    except SacristyError as error:
        log.error("%s; %s", error, error.advice)
        return 1
    except PyMongoError as error:
        log.error("mongodb: %s", reason(error))
        return 1
    log.info("ready: replica set, users, rights, indexes, tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
