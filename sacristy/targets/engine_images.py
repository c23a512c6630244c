"""Models' images in an engine: what nothing needs any more goes, or its disk fills with every version there ever was.

An image that went is loaded again out of the registry when it is wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sacristy import engine
from sacristy.commands import run
from sacristy.errors import CommandFailed
from sacristy.targets.naming import is_name_in_engine


def clear_images(keep: int) -> None:
    """Remove all but each model's `keep` images that were loaded last; what a container has, the engine keeps.

    Raises CommandFailed if the engine does not answer, or ProgramMissing.
    """
    for name in surplus(engine.inspect_images("sacristy/models/*"), keep):
        with suppress(CommandFailed):  # a container has it, or somebody else was faster
            run(engine.remove_image_command(name), timeout_s=engine.TIMEOUT_S)


def surplus(images: Iterable[dict[str, Any]], keep: int) -> list[str]:
    """Return the names that are too many, of images as the engine describes them; only models' count."""
    loaded: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for image in images:
        at = str((image.get("Metadata") or {}).get("LastTagTime") or "")
        for name in filter(is_name_in_engine, image.get("RepoTags") or []):
            loaded[name.partition(":")[0]].append((at, name))
    return [name for found in loaded.values() for _, name in sorted(found, reverse=True)[keep:]]
