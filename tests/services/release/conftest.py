"""A desk of its own for each test."""

import pytest
from services.release.bench import Bench


@pytest.fixture
def bench(mongod, tmp_path):
    return Bench(mongod, tmp_path / "registry")
