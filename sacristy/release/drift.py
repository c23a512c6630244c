"""Stages that are not what the records say: tags moved by hand, images that are gone or were never judged."""

from __future__ import annotations

from collections.abc import Iterator

from sacristy.errors import NotAccepted, SacristyError
from sacristy.names import Stage
from sacristy.release import evidence
from sacristy.release.promotion import Desk, events, history

Fault = tuple[str, str]


def stage_faults(desk: Desk) -> Iterator[Fault]:
    """Yield what is wrong with each model's stages, and what mends it. Reads only."""
    for model in desk.registry.repositories():
        for stage, digest in desk.registry.stages(model).items():
            yield from _faults(desk, model, stage, digest)


def _faults(desk: Desk, model: str, stage: Stage, digest: str) -> Iterator[Fault]:
    name = f"{model}:{stage}"
    try:
        image = desk.registry.image(model, digest)
        desk.registry.manifest(model, digest)
    except SacristyError as error:
        yield (
            f"{name} points at an image that cannot be read: {error}",
            f"sacristy rollback {model} {stage} --why '...'",
        )
        return
    past = history(events(desk.database, model, stage))
    if not past or past[-1] != digest:
        mend = f"sacristy promote {image} {stage} --adopt --why '...', or move the tag back"
        yield f"{name} was moved by hand to {image} {digest}", mend
    try:
        evidence.require(desk.database, digest, str(image))
    except NotAccepted as error:
        yield f"{name} points at an image that failed its test: {error}", error.advice
    except SacristyError as error:
        yield f"{name} points at an image without evidence: {error}", error.advice
