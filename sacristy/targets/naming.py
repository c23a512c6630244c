"""The name of an instance: <model>-<purpose>-<starter>.<random>, the starter being a process id in hexadecimal.

Where a target keeps one thing for each stage, whatever its version, the starter is 0 (no process) and the digest's
first digits stand in the place of the random ones: another version is another instance.

And the name of an image in an engine: sacristy/models/<model>:<version>-<digest's first digits>. No image of the
stack's own services is called so, and the guard of the composed stack's engine lets no other name in.
"""

from __future__ import annotations

import os
import re
import secrets

import psutil

from sacristy.names import MODEL_PATTERN, VERSION_PATTERN, Version

INSTANCE = re.compile(r"(?P<model>[a-z][a-z0-9-]*)-(?P<purpose>[a-z]+)-(?P<starter>[0-9a-f]+)\.[0-9a-f]{8}")
IN_ENGINE = re.compile(rf"sacristy/models/{MODEL_PATTERN}:{VERSION_PATTERN}-[0-9a-f]{{12}}")


def instance_name(model: str, purpose: str) -> str:
    """Return a new name for an instance that this process starts."""
    return f"{model}-{purpose}-{os.getpid():x}.{secrets.token_hex(4)}"


def is_instance(name: str) -> bool:
    """Say whether a program or container is an instance of a model; the stack's own services are not."""
    return INSTANCE.fullmatch(name) is not None


def name_in_engine(model: str, version: Version, digest: str) -> str:
    """Return the name that an engine gets a version's image under; it is started by its identity, not by this."""
    return f"sacristy/models/{model}:{version}-{digest.removeprefix('sha256:')[:12]}"


def is_name_in_engine(name: str) -> bool:
    """Say whether an image's name in an engine is that of a model's version."""
    return IN_ENGINE.fullmatch(name) is not None


def belongs(name: str) -> tuple[str, str]:
    """Return the model and the purpose of an instance."""
    found = INSTANCE.fullmatch(name)
    return (found["model"], found["purpose"]) if found else (name, "")


def starter_lives(name: str) -> bool:
    """Say whether the process that started an instance is still there, and so may be asking it."""
    found = INSTANCE.fullmatch(name)
    return found is not None and psutil.pid_exists(int(found["starter"], 16))


def placed_name(model: str, stage: str, digest: str) -> str:
    """Return the name of a stage's one instance at a digest."""
    return f"{model}-{stage}-0.{digest.removeprefix('sha256:')[:8]}"


def is_placed(name: str) -> bool:
    """Say whether a name is a stage's one instance."""
    found = INSTANCE.fullmatch(name)
    return found is not None and found["starter"] == "0"


def placed_digest(name: str) -> str:
    """Return how the digest of a stage's one instance begins."""
    return f"sha256:{name.rpartition('.')[2]}"
