import json
from dataclasses import replace

import pytest

from sacristy.errors import NothingDeployed
from sacristy.names import Stage
from sacristy.targets.routes import Route, Share, ShareKind, every_route, read_routes, set_route, set_share

ROUTE = Route("http://127.0.0.1:1", "2", "sha256:x", 2, "process", "digits-production-1")
SECOND = Route("http://127.0.0.1:2", "3", "sha256:y", 3, "process", "digits-production-2")


def test_before_the_first_deployment_there_are_no_routes(tmp_path):
    assert read_routes(tmp_path / "routes.json") == {}


def test_a_route_reads_back_and_others_stay(tmp_path):
    path = tmp_path / "gateway" / "routes.json"
    set_route(path, "news", Stage.STAGING, ROUTE)
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    assert read_routes(path) == {"news": {"staging": ROUTE}, "digits": {"production": ROUTE}}


def test_a_withdrawn_route_is_gone(tmp_path):
    path = tmp_path / "routes.json"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_route(path, "digits", Stage.PRODUCTION, None)
    assert json.loads(path.read_text()) == {"models": {}}
    assert not list(tmp_path.glob("tmp*"))


def test_a_share_beside_a_stage_reads_back(tmp_path):
    path = tmp_path / "routes.json"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.CANARY, Share(SECOND, 10.0))
    (route,) = read_routes(path)["digits"].values()
    assert (route.alone, route.shares) == (ROUTE, {ShareKind.CANARY: Share(SECOND, 10.0)})
    assert [each.instance for each in every_route(read_routes(path))] == [ROUTE.instance, SECOND.instance]


def test_a_share_of_nothing_is_refused(tmp_path):
    with pytest.raises(NothingDeployed):
        set_share(tmp_path / "routes.json", "digits", Stage.PRODUCTION, ShareKind.MIRROR, Share(SECOND, 100.0))


def test_another_version_for_the_stage_leaves_the_share(tmp_path):
    path = tmp_path / "routes.json"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.CANARY, Share(SECOND, 10.0))
    third = replace(ROUTE, digest="sha256:z", instance="digits-production-3")
    set_route(path, "digits", Stage.PRODUCTION, third)
    found = read_routes(path)["digits"]["production"]
    assert found.alone == third
    assert (found.canary.route, found.canary.percent) == (SECOND, 10.0)


def test_beside_another_version_a_share_begins_anew(tmp_path):
    path = tmp_path / "routes.json"
    began = "2026-01-01T00:00:00.000+00:00"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.CANARY, Share(SECOND, 10.0, began))
    set_route(path, "digits", Stage.PRODUCTION, replace(ROUTE, instance="digits-production-4"))
    assert read_routes(path)["digits"]["production"].canary.since == began
    set_route(path, "digits", Stage.PRODUCTION, replace(ROUTE, digest="sha256:z"))
    assert read_routes(path)["digits"]["production"].canary.since > began


def test_a_share_that_becomes_the_stages_own_is_no_share_any_more(tmp_path):
    path = tmp_path / "routes.json"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.CANARY, Share(SECOND, 10.0))
    set_route(path, "digits", Stage.PRODUCTION, SECOND)
    assert read_routes(path)["digits"]["production"] == SECOND


def test_a_share_can_be_taken_away(tmp_path):
    path = tmp_path / "routes.json"
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.MIRROR, Share(SECOND, 50.0))
    set_share(path, "digits", Stage.PRODUCTION, ShareKind.MIRROR, None)
    assert read_routes(path)["digits"]["production"] == ROUTE
