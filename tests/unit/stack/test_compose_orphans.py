"""Containers of models that no stage is served by: told, but not while one is being brought up."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sacristy.errors import CommandFailed
from sacristy.stack.composed import inside

NAME = "digits-production-1a.0123abcd"


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Return the findings where one container has no route and was made so long ago; None: it is gone meanwhile."""
    monkeypatch.setattr(inside, "DockerTarget", lambda *_: SimpleNamespace(instances=lambda: [NAME]))

    def ask(age_s):
        def run(argv):
            if age_s is None:
                raise CommandFailed(program="docker", code=1, last=f"No such container: {NAME}", command="")
            made = datetime.now(UTC) - timedelta(seconds=age_s)
            return json.dumps([{"Created": f"{made:%Y-%m-%dT%H:%M:%S.%f}789Z"}])

        monkeypatch.setattr(inside, "run", run)
        return list(inside.check_orphans(SimpleNamespace(routes_file=tmp_path / "routes.json"), None))

    return ask


def test_one_that_nobody_is_sent_to_is_told(told):
    (found,) = told(3600)
    assert found.mend == f"docker rm --force {NAME}"


@pytest.mark.parametrize("age_s", [20, None])
def test_one_that_is_being_brought_up_or_is_gone_is_not(told, age_s):
    assert told(age_s) == []
