"""What the tests of several tiers share: one Docker engine for a session."""

import pytest
from engine import Engine, missing


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    reason = missing()
    if reason:
        pytest.skip(reason)
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.make_base()
        yield engine
    finally:
        engine.close()
