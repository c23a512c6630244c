"""What the tests of several tiers share: one Docker engine for a session."""

import gc
import signal

import pytest
from engine import Engine, missing
from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so; tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("sacristy", deadline=None)  # how long an example takes is the machine's doing
settings.load_profile("sacristy")


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


def pytest_collection():
    """Thousands of tests are collected and kept: looking for garbage among them meanwhile takes a tenth of it all."""
    gc.disable()


def pytest_collection_finish():
    gc.enable()
    gc.freeze()  # what was collected stays anyway
