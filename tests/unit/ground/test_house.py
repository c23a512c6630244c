"""The house keeps its order: a room imports only from the rooms before it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "sacristy"
GROUND = [
    "names",
    "errors",
    "private",
    "settings",
    "model_file",
    "project",
    "sources",
    "commands",
    "connections",
    "s3",
    "faults",
    "waiting",
    "engine",
    "packages",
    "environments",
    "locks",
    "supervision",
    "datasets",
    "turns",
    "ranks",
]
ROOMS = [
    "tracking",
    "search",
    "weights",
    "training",
    "serving",
    "images",
    "targets",
    "release",
    "operator",
    "gateway",
    "automation",
    "stack",
    "cli",
]
IN_EVERY_IMAGE = {"errors", "names", "s3", "serving"}
ALLOWED_IN_SERVING = {"flask", "gunicorn", "pydantic", "pydantic_core", "orjson", "prometheus_client", "werkzeug"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "sacristy":
                yield from (f"sacristy.{alias.name}" for alias in node.names)


def rooms_imported(path):
    names = (name.split(".") for name in imports(path))
    return {parts[1] for parts in names if parts[0] == "sacristy" and len(parts) > 1} & {*GROUND, *ROOMS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_before_it(path):
    room = path.relative_to(PACKAGE).parts[0]
    allowed = {*GROUND, *ROOMS[: ROOMS.index(room) + 1]} if room in ROOMS else set(GROUND)
    assert rooms_imported(path) <= allowed


@pytest.mark.parametrize("path", sorted((PACKAGE / "serving").rglob("*.py")), ids=lambda path: path.name)
def test_what_goes_into_every_image_needs_little(path):
    assert rooms_imported(path) <= IN_EVERY_IMAGE
    outside = {name.split(".")[0] for name in imports(path)} - {"sacristy", "__future__"}
    import sys

    assert outside - sys.stdlib_module_names <= ALLOWED_IN_SERVING


def test_every_room_is_listed():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= {*GROUND, *ROOMS}
