"""Stages that are not what the records say: moved by hand, half moved, gone, never judged, not signed."""

from __future__ import annotations

from collections.abc import Iterator

from sacristy.errors import InvalidImage, NotAccepted, NotInitialised, SacristyError
from sacristy.images import signature
from sacristy.names import Stage
from sacristy.release import evidence, moves
from sacristy.release.desk import Desk
from sacristy.targets.target import Image

Fault = tuple[str, str]


def stage_faults(desk: Desk) -> Iterator[Fault]:
    """Yield what is wrong with each model's stages, and what mends it. Reads only."""
    for model in desk.registry.repositories():
        try:
            stages = desk.registry.stages(model)
        except InvalidImage as error:  # the others are looked at all the same
            yield f"{model}: its stages cannot be read: {error}", error.advice
            continue
        for stage in Stage:
            if stage in stages:
                yield from _faults(desk, model, stage, stages[stage])
            elif moves.in_force(desk.database, model, stage):
                yield f"{model}:{stage} was removed by hand", f"sacristy promote {model} {stage} --adopt --why '...'"


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
    yield from _place(desk, model, stage, image)
    yield from _proof(desk, name, image)
    yield from _signature(desk, name, stage, image)


def _place(desk: Desk, model: str, stage: Stage, image: Image) -> Iterator[Fault]:
    for event in moves.interrupted(desk.database, model, stage):
        what = f"{model}:{stage}: a move to {model}:{event['version']} by {event['by']} did not end"
        yield what, f"sacristy deploy {model} {stage} completes or undoes it, unless it is under way now"
        if event["to"] == image.digest:
            return
    if moves.in_force(desk.database, model, stage) != image.digest:
        mend = f"sacristy promote {image} {stage} --adopt --why '...', or move the tag back"
        yield f"{model}:{stage} was moved by hand to {image} {image.digest}", mend


def _proof(desk: Desk, name: str, image: Image) -> Iterator[Fault]:
    try:
        evidence.require(desk.database, image.digest, str(image))
    except NotAccepted as error:
        yield f"{name} points at an image that failed its test: {error}", error.advice
    except SacristyError as error:
        yield f"{name} points at an image without evidence: {error}", error.advice


def _signature(desk: Desk, name: str, stage: Stage, image: Image) -> Iterator[Fault]:
    try:
        signature.verify(desk.registry, image.model, image.digest, desk.keys)
    except NotInitialised as error:
        yield f"{name} cannot be checked: {error}", error.advice
    except SacristyError as error:
        yield f"{name} cannot be deployed: {error}", f"sacristy promote {image} {stage} --why 'sign it'"
