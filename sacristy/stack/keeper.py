"""Keeps the database true every minute: `python -m sacristy.stack.keeper`, a program of the stack.

Runs whose process died are marked so, and journals that stayed behind on this machine are sent. Each turn begins from
nothing, so that the keeper may be killed at any point.
"""

from __future__ import annotations

import logging
import time
from functools import partial

from sacristy.errors import SacristyError
from sacristy.settings import Role, Settings, load
from sacristy.tracking.card_upkeep import refresh_cards
from sacristy.tracking.database import connect
from sacristy.tracking.resync import reap, resync
from sacristy.turns import beat

log = logging.getLogger("keeper")

EVERY_S = 60.0


def write_cards(settings: Settings) -> None:
    """Write the run cards that are due. Raises DatabaseUnreachable."""
    database = connect(settings, Role.TRAINING)
    with database.client:
        refreshed = refresh_cards(database, settings.service_url("gateway"))
    if refreshed:
        log.info("the cards of runs %s were written anew", ", ".join(map(str, refreshed)))


def turn(settings: Settings) -> None:
    """Do what is to be done once. Raises DatabaseUnreachable."""
    database = connect(settings, Role.SERVICE)
    with database.client:
        dead = reap(database)
    if dead:
        log.info("runs %s are dead: nothing was heard of them", ", ".join(map(str, dead)))
    for resent in resync(settings, partial(connect, settings, Role.TRAINING)):
        if resent.outcome == "sent":
            log.info("run %s: %s points of its journal were sent", resent.run, resent.points)
        elif resent.outcome == "unsent":
            log.warning("%s: %s", resent.folder.name, resent.reason)
    write_cards(settings)


def main() -> None:
    """Take turns until ended; a database that is away is reported, and asked again next time."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load()
    while True:
        beat(settings.home, "keeper")
        try:
            turn(settings)
        except SacristyError as error:
            log.warning("%s", error)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
