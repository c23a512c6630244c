"""What each user of MongoDB may do, tried on a real server; whatever is not named here is refused."""

import itertools

import pytest
from pymongo.errors import OperationFailure

from sacristy.settings import Role

RUNS = ("runs", "points", "metrics", "fs.files", "fs.chunks")
RECORDS = ("evidence", "approvals", "promotions", "deployments", "sequences")
OMNIBOARD = ("omniboard.settings", "omniboard.metric.columns", "omniboard.custom.columns")
COLLECTIONS = (*RUNS, *RECORDS, *OMNIBOARD, "calls", "locks", "backups", "anything-else")
READ, WRITE = {"find"}, {"find", "insert", "update"}
MAY = {
    Role.TRAINING: dict.fromkeys(RUNS, WRITE),
    Role.SERVICE: dict.fromkeys(COLLECTIONS, READ)
    | {"runs": {"find", "update"}}
    | dict.fromkeys((*RECORDS, "calls"), WRITE)
    | dict.fromkeys(("locks", "backups"), WRITE | {"remove"}),
    Role.OMNIBOARD: dict.fromkeys(COLLECTIONS, READ)
    | {"runs": {"find", "update"}}
    | dict.fromkeys(OMNIBOARD, WRITE | {"remove"}),
}
UNAUTHORISED = 13  # mongod's code
NOBODY = {"_id": "rights"}
TRIES = {
    "find": lambda collection: collection.find_one(NOBODY),
    "insert": lambda collection: collection.insert_one(dict(NOBODY)),
    "update": lambda collection: collection.update_one(NOBODY, {"$set": {"x": 1}}),
    "remove": lambda collection: collection.delete_one(NOBODY),
}


def refused(attempt):
    try:
        attempt()
    except OperationFailure as error:
        return error.code == UNAUTHORISED
    return False


@pytest.fixture
def database(mongod):
    yield mongod.database
    for name in COLLECTIONS:
        mongod.database(Role.ADMIN)[name].delete_many(NOBODY)


@pytest.mark.parametrize("role", MAY)
def test_a_role_may_do_what_it_needs_and_no_more(database, role):
    found = {
        (name, action)
        for name, action in itertools.product(COLLECTIONS, TRIES)
        if not refused(lambda name=name, action=action: TRIES[action](database(role)[name]))
    }
    assert found == {(name, action) for name, actions in MAY[role].items() for action in actions}


@pytest.mark.parametrize("role", MAY)
def test_no_role_can_drop_make_users_or_look_elsewhere(database, role):
    own = database(role)
    attempts = [
        own.runs.drop,
        lambda: own.runs.create_index("x"),
        lambda: own.command("createUser", "x", pwd="x", roles=[]),
        lambda: own.command("updateUser", str(role), pwd="x"),
        lambda: own.client.admin["system.users"].find_one(),
        lambda: own.client["another"]["runs"].find_one(),
        lambda: own.client.drop_database(own.name),
    ]
    assert [attempt for attempt in attempts if not refused(attempt)] == []
