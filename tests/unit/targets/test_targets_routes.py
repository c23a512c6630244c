import json

from sacristy.names import Stage
from sacristy.targets.routes import Route, read_routes, set_route

ROUTE = Route("http://127.0.0.1:1", "2", "sha256:x", 2, "process", "digits-production-1")


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
