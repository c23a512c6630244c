from unit.weights.conftest import store, write  # noqa: F401 - the fixtures
