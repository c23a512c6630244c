"""From an image to an instance that answers rightly, for a stage or beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sacristy.errors import BadAnswer, DeploymentFailed, InstanceCrashed
from sacristy.faults import reach
from sacristy.images.signature import verify
from sacristy.names import Stage
from sacristy.project import load_model
from sacristy.release.examples import read_examples
from sacristy.release.questions import Questioner
from sacristy.serving.golden import difference
from sacristy.targets.readiness import cause, wait_until_ready
from sacristy.targets.routes import Route
from sacristy.targets.target import Image, Instance, Progress
from sacristy.tracking.runs import find_run

if TYPE_CHECKING:
    from sacristy.operator.deployment import Yard

SMOKE_TIMEOUT_S = 10.0


class Clock:
    """The seconds that each part of a deployment takes."""

    def __init__(self, parts: dict[str, float], tick: Callable[[], float] = time.monotonic) -> None:
        self.parts, self.tick, self.last = parts, tick, tick()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap under a name, which is a fault point too."""
        this = self.tick()
        self.parts[name] = this - self.last
        self.last = this
        reach("deploy", name)


def bring_up(yard: Yard, image: Image, stage: Stage, kept: str, clock: Clock, progress: Progress) -> Instance:
    """Start an image and return its instance once it has answered the golden questions. `kept`: what serves meanwhile.

    Raises Unsigned or SignatureInvalid before anything is started; DeploymentFailed, or what starting raises, and
    then nothing of it is left.
    """
    verify(yard.registry, image.model, image.digest, yard.desk.keys)
    reach("deploy", "verified")
    progress(f"start {image}")
    instance = yard.target.start(image, stage)
    clock.lap("started")
    try:
        progress(f"wait for {image}")
        wait_until_ready(yard.target, instance, load_model(yard.settings.project, image.model).file.gates.ready_s)
        clock.lap("ready")
        _smoke(yard, instance)
        clock.lap("asked")
    except (InstanceCrashed, BadAnswer) as error:
        last = cause(yard.target, instance)
        yard.target.stop(instance.name)
        failure = DeploymentFailed(image=image, model=image.model, stage=stage, reason=error, kept=kept, cause=last)
        raise failure from None
    except BaseException:
        yard.target.stop(instance.name)
        raise
    return instance


def route_to(instance: Instance) -> Route:
    """Return the route to an instance."""
    image = instance.image
    about = (str(image.version), image.digest, image.run, instance.target, instance.name)
    return Route(instance.url, *about, idle_s=instance.idle_s)


def _smoke(yard: Yard, instance: Instance) -> None:
    image = instance.image
    examples = read_examples(find_run(yard.database, image.run), yard.store).golden
    tolerance = load_model(yard.settings.project, image.model).file.gates.golden_tolerance
    with Questioner(instance.url, SMOKE_TIMEOUT_S) as ask:
        for question, wanted in examples:
            fault = difference(wanted, ask.predict([question])[0], tolerance)
            if fault:
                raise BadAnswer(reason=f"it is ready but wrong: {fault}")
