"""Whom Prometheus is told to ask: what answers for a stage, and what has a share of its requests."""

from sacristy.operator.scraping import scrape_targets
from sacristy.targets.routes import Route, Share


def route(name, version, **shares):
    return Route(f"http://{name}:8080", version, "sha256:0", 1, "docker", name, **shares)


def test_every_stage_is_asked_where_it_answers():
    routes = {"lamp": {"production": route("lamp-production-1", "1"), "staging": route("lamp-staging-2", "2")}}
    assert scrape_targets(routes) == [
        {"targets": ["lamp-production-1:8080"], "labels": {"model": "lamp", "stage": "production", "version": "1"}},
        {"targets": ["lamp-staging-2:8080"], "labels": {"model": "lamp", "stage": "staging", "version": "2"}},
    ]


def test_a_canary_beside_it_is_asked_too_and_told_apart():
    routes = {"lamp": {"production": route("a", "1", canary=Share(route("b", "2"), 10))}}
    assert [(each["targets"], each["labels"].get("beside")) for each in scrape_targets(routes)] == [
        (["a:8080"], None),
        (["b:8080"], "canary"),
    ]


def test_before_the_first_deployment_there_is_nobody():
    assert scrape_targets({}) == []


def test_a_stage_that_may_sleep_is_not_asked_as_it_would_be_taken_for_dead():
    assert scrape_targets({"lamp": {"production": route("a", "1", idle_s=60.0)}}) == []
