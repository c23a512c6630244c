"""Promotion and rollback killed at each of their steps, and what the next command makes of that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sacristy import faults
from sacristy.errors import StackDown
from sacristy.names import Stage
from sacristy.release import moves, promotion
from sacristy.release.drift import stage_faults
from sacristy.settings import Role

PRODUCTION = Stage.PRODUCTION
ACT = """
import sys
from pathlib import Path
from sacristy.images.layout import FolderRegistry
from sacristy.images.signature import keys_of
from sacristy.names import Stage
from sacristy.release import promotion
from sacristy.release.desk import Desk
from sacristy.settings import Promotion
from sacristy.tracking.database import open_client
url, registry, home, model, digest = sys.argv[1:]
with open_client(url) as client:
    images = FolderRegistry(Path(registry))
    desk = Desk(client.get_default_database(), images, "ghost", Promotion(), keys_of(Path(home)))
    if digest:
        promotion.promote(desk, images.image(model, digest), Stage.PRODUCTION, "die")
    else:
        promotion.rollback(desk, model, Stage.PRODUCTION, "die")
"""


def act(bench, mongod, point, digest=""):
    """Promote a digest, or roll back, in a process of its own that dies at a fault point."""
    where = [mongod.url(Role.SERVICE), str(bench.registry.root), str(bench.keys.public_file.parent)]
    environment = os.environ | {faults.VARIABLE: point, "PYTHONPATH": str(Path(faults.__file__).parents[1])}
    argv = [sys.executable, "-c", ACT, *where, bench.model, digest]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == faults.EXIT_CODE, f"the step {point} was never reached: {done.stderr}"


def in_force(bench):
    """Return where the stage is, which tag and records must say alike, with nothing left open."""
    moved = moves.events(bench.database, bench.model)
    assert {move["state"] for move in moved} <= {"done", "undone"}
    assert bench.database.locks.count_documents({"_id": bench.model}) == 0
    assert moves.history(moved)[-1] == bench.tag("production")
    return bench.tag("production")


@pytest.fixture
def images(bench):
    """Three images; the first two were promoted in turn."""
    made = [bench.image() for _ in range(3)]
    for image in made[:2]:
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    return made


def happened(point):
    return point.split(".")[1] in ("moved", "noted", "finished")


@pytest.mark.parametrize("point", faults.points("promote"))
def test_a_promotion_killed_at_a_step_is_completed_or_undone_by_the_next_look(bench, mongod, images, point):
    act(bench, mongod, point, images[2].digest)
    assert promotion.settled(bench.desk(), bench.model, PRODUCTION) == images[2 if happened(point) else 1].digest
    promotion.promote(bench.desk(), images[0], PRODUCTION, "on with it")
    assert in_force(bench) == images[0].digest
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "back")
    assert in_force(bench) == images[2 if happened(point) else 1].digest
    assert list(stage_faults(bench.desk())) == []


@pytest.mark.parametrize("point", faults.points("promote"))
def test_the_same_promotion_again_always_arrives(bench, mongod, images, point):
    act(bench, mongod, point, images[2].digest)
    promotion.promote(bench.desk(), images[2], PRODUCTION, "again")
    assert in_force(bench) == images[2].digest
    noted = bench.admin.runs.find_one({"_id": images[2].run})["sacristy"]["stages"]["production"]
    assert noted["digest"] == images[2].digest


@pytest.mark.parametrize("point", faults.points("rollback"))
def test_the_same_rollback_again_goes_back_once(bench, mongod, images, point):
    act(bench, mongod, point)
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "again")
    assert in_force(bench) == images[0].digest
    done = [move["action"] for move in moves.events(bench.database, bench.model) if move["state"] == "done"]
    assert done == ["promoted", "promoted", "rolled_back"]


@pytest.mark.parametrize("point", faults.points("rollback"))
def test_a_rollback_killed_at_a_step_is_completed_or_undone_by_the_next_look(bench, mongod, images, point):
    act(bench, mongod, point)
    assert promotion.settled(bench.desk(), bench.model, PRODUCTION) == images[0 if happened(point) else 1].digest
    promotion.promote(bench.desk(), images[2], PRODUCTION, "on with it")
    assert in_force(bench) == images[2].digest


def test_a_rollback_killed_while_it_deploys_is_completed_and_the_next_goes_further(bench, mongod, images):
    promotion.promote(bench.desk(), images[2], PRODUCTION, "next")
    act(bench, mongod, "rollback.finished")
    deployed = []

    def deploy():
        deployed.append(bench.tag("production"))

    event = promotion.rollback(bench.desk(), bench.model, PRODUCTION, "again", deploy)
    assert (event["resumed"], event["by"], deployed) == (True, "ghost", [images[1].digest])
    event = promotion.rollback(bench.desk(), bench.model, PRODUCTION, "further", deploy)
    assert ("resumed" in event, deployed) == (False, [images[1].digest, images[0].digest])


def test_a_rollback_whose_deployment_failed_was_told_so_that_the_next_goes_further(bench, images):
    promotion.promote(bench.desk(), images[2], PRODUCTION, "next")

    def fail():
        raise StackDown

    with pytest.raises(StackDown):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no", fail)
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert in_force(bench) == images[0].digest


@pytest.mark.parametrize("point", ["promote.recorded", "promote.moved"])
def test_the_doctor_tells_of_a_move_that_did_not_end(bench, mongod, images, point):
    act(bench, mongod, point, images[2].digest)
    told = [what for what, _ in stage_faults(bench.desk())]
    assert told == [f"{bench.model}:production: a move to {images[2]} by ghost did not end"]
