"""`up`, `down` and `status` with --compose: the same three as for the embedded stack, of containers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sacristy.commands import feed, run
from sacristy.engine import has_image
from sacristy.errors import CommandFailed, ImageNotBrought, NotComposed, ProgramMissing, ServiceUnhealthy
from sacristy.packages import brought_folder
from sacristy.settings import Settings
from sacristy.stack.composed import commands
from sacristy.stack.composed.contexts import CONTEXTS, gather
from sacristy.stack.composed.place import PROFILES, STATE, Place, place_of
from sacristy.stack.status import ServiceState
from sacristy.turns import turn

Progress = Callable[[str], None]
MEND = "install Docker Compose (Debian 12: apt-get install docker-compose), and a Docker engine of 20.10 or later"
HEALTHY_WITHIN_S = 240.0
BUILD_WITHIN_S, START_WITHIN_S, ASK_WITHIN_S = 3600.0, 600.0, 60.0
LAST_LINES = 15
AFTER = "operator"  # its image is another's but for one program: by then the engine's cache has all the rest
IMAGE = re.compile(r"\$\{(SACRISTY_IMAGE_[A-Z]+)")
ONE_SHOTS = ("prepare",)  # they end with 0 when their work is done
SITES = {"nginx": "", "gateway": "", "omniboard": "omniboard", "registry": "registry", "store": "store"}


@dataclass(frozen=True)
class How:
    """`profiles`: none for those of .env. `build`: even what is built. `renew`: even containers that run."""

    profiles: tuple[str, ...] = ()
    build: bool = False
    renew: bool = False


def up(settings: Settings, how: How, progress: Progress = lambda _: None) -> dict[str, ServiceState]:
    """Build what is not built, start what does not run, wait until all is healthy, and return the services' states.

    Raises NotComposed, StillTaken, ProgramMissing, CommandFailed, ImageNotBrought or ServiceUnhealthy.
    """
    place = place_of(settings)
    chosen = profiles_of(place, how.profiles)
    check_secrets_of(place, chosen)
    program = find_program()
    place.contexts.mkdir(exist_ok=True)
    with turn(place.contexts / "up.lock", "starting the composed stack", longest_s=BUILD_WITHIN_S):
        _start(settings, place, program, chosen, how, progress)
    progress("wait until all of them are healthy")
    return wait_healthy(place)


def _start(
    settings: Settings, place: Place, program: Sequence[str], chosen: Sequence[str], how: How, progress: Progress
) -> None:
    missing = _not_built(place, chosen)
    brought = brought_folder(settings)
    if missing and brought.is_dir() and not how.build:
        raise ImageNotBrought(names=", ".join(missing), folder=brought)
    if how.build or missing:
        progress("gather what images are built from")
        gather(settings)
        progress("build the images; the first time takes minutes")
        at_once = ["--parallel"] if program == commands.PROGRAM_OF_ITS_OWN else []  # the plugin does so by itself
        others = sorted(services_of(place, chosen).keys() - {AFTER})
        for names in (others, [AFTER]):
            _compose(program, place, chosen, "build", *at_once, *names, within_s=BUILD_WITHIN_S)
    progress("start the services, in the order of their health")
    words = ["up", "--detach", "--no-build", "--remove-orphans", *(["--force-recreate"] if how.renew else [])]
    _compose(program, place, chosen, *words, within_s=START_WITHIN_S)


def down(settings: Settings) -> list[str]:
    """Stop and remove every container, the models' too, and return the names of the services. Data stays."""
    place = place_of(settings)
    names = sorted(states(place))
    program = find_program()
    _compose(program, place, PROFILES, "stop", within_s=START_WITHIN_S)  # the operator first: it would start them again
    if ours := run(commands.models(home_mark()), timeout_s=ASK_WITHIN_S).split():
        run(commands.remove(ours), timeout_s=START_WITHIN_S)
    _compose(program, place, PROFILES, "down", within_s=START_WITHIN_S)
    return names


def states(place: Place) -> dict[str, ServiceState]:
    """Return the state of every service that has a container, by name. Raises NotComposed, CommandFailed."""
    project = place.values()["COMPOSE_PROJECT_NAME"]
    ids = run(commands.containers_of(project), timeout_s=ASK_WITHIN_S).split()
    found = json.loads(run(commands.inspect(ids), timeout_s=ASK_WITHIN_S)) if ids else []
    named = {container["Config"]["Labels"][commands.SERVICE_LABEL]: container for container in found}
    return {name: state_of(name, container, place) for name, container in sorted(named.items())}


def state_of(name: str, container: Mapping[str, Any], place: Place) -> ServiceState:
    """Return what the engine's description of a container means."""
    state = container["State"]
    url = place.url(SITES[name]) if name in SITES else ""
    if name in ONE_SHOTS:
        ended = state["Status"] == "exited" and state["ExitCode"] == 0
        return ServiceState(ended, url, "" if ended else f"{state['Status']}, code {state['ExitCode']}")
    health = state.get("Health", {}).get("Status", "healthy")
    ready = bool(state["Running"]) and health == "healthy"
    return ServiceState(ready, url, "" if ready else _why(container, health))


def wait_healthy(place: Place, within_s: float = HEALTHY_WITHIN_S) -> dict[str, ServiceState]:
    """Wait until every service is ready, and return the states. Raises ServiceUnhealthy with its last lines."""
    deadline = time.monotonic() + within_s
    while True:
        found = states(place)
        late = {name: state for name, state in found.items() if not state.ready}
        if not late and found:
            return found
        if time.monotonic() > deadline:
            name, state = next(iter(late.items()), ("compose", ServiceState(False, "", "nothing runs")))
            raise _unhealthy(place, name, state.detail)
        time.sleep(0.5)


def services_of(place: Place, profiles: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what compose.yaml says of each service of some profiles."""
    services: dict[str, dict[str, Any]] = _parsed(place)["services"]
    return {name: service for name, service in services.items() if set(profiles) & set(service["profiles"])}


def check_secrets_of(place: Place, profiles: Sequence[str]) -> None:
    """Raise NotComposed unless the secrets of some profiles' services are there: an engine makes folders of others."""
    files = {name: place.folder / secret["file"] for name, secret in _parsed(place)["secrets"].items()}
    for service in services_of(place, profiles).values():
        for given in service.get("secrets", ()):
            path = files[given if isinstance(given, str) else given["source"]]
            if not path.is_file():
                raise NotComposed(path=path)


def image_names(place: Place, profiles: Sequence[str]) -> list[str]:
    """Return the names that .env gives to the images of some profiles. Raises NotComposed."""
    values = place.values()
    variables = (IMAGE.match(service["image"]) for service in services_of(place, profiles).values())
    return sorted({values[found[1]] for found in variables if found and found[1] in values})


def find_program() -> tuple[str, ...]:
    """Return the words that run Docker Compose. Raises ProgramMissing."""
    for words in (commands.PLUGIN, commands.PROGRAM_OF_ITS_OWN):
        try:
            run([*words, "version"], timeout_s=ASK_WITHIN_S)
        except (CommandFailed, ProgramMissing):
            continue
        return words
    raise ProgramMissing(program="docker compose", mend=MEND)


def profiles_of(place: Place, asked: Sequence[str]) -> list[str]:
    """Return the profiles that were asked for with `core`, or those that .env names."""
    given = place.values().get("COMPOSE_PROFILES", "core").split(",")
    return sorted({"core", *(asked or given)})


def home_mark() -> str:
    """Return what the operator marks its containers with: its home folder, in every composed stack the same."""
    return hashlib.sha256(str(Path(STATE)).encode()).hexdigest()[:16]


def container_name(place: Place, service: str) -> str:
    """Return the id of a service's container, or an empty string."""
    project = place.values()["COMPOSE_PROJECT_NAME"]
    argv = [*commands.containers_of(project), "--filter", f"label={commands.SERVICE_LABEL}={service}"]
    return run(argv, timeout_s=ASK_WITHIN_S).strip()


def _parsed(place: Place) -> dict[str, Any]:
    return dict(yaml.safe_load(place.file.read_text()))


def _compose(program: Sequence[str], place: Place, profiles: Sequence[str], *words: str, within_s: float) -> str:
    """Run compose. What the shell's environment says of the site would win over .env, so it is taken out."""
    ours = place.values()
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"COMPOSE_HTTP_TIMEOUT": "300", "COMPOSE_DOCKER_CLI_BUILD": "0", "DOCKER_BUILDKIT": "0"}
    return run(commands.compose(program, place, profiles, *words), environment=environment, timeout_s=within_s)


def _not_built(place: Place, profiles: Sequence[str]) -> list[str]:
    """Return the images that the profiles name and the engine does not have."""
    for name in CONTEXTS:  # docker-compose 1 reads no file whose build folders are not there
        (place.contexts / name).mkdir(parents=True, exist_ok=True)
    names = image_names(place, profiles)
    try:
        run(["docker", "image", "inspect", "--format", "{{.Id}}", *names], timeout_s=ASK_WITHIN_S)
    except CommandFailed:
        return [name for name in names if not has_image(name)]
    return []


def _why(container: Mapping[str, Any], health: str) -> str:
    state = container["State"]
    if not state["Running"]:
        return f"{state['Status']}, code {state['ExitCode']}, restarted {container['RestartCount']} times"
    last = (state.get("Health", {}).get("Log") or [{}])[-1].get("Output", "").strip()
    return f"{health}: {last.splitlines()[-1][:160]}" if last else str(health)


def _unhealthy(place: Place, name: str, reason: str) -> ServiceUnhealthy:
    identity = container_name(place, name)
    last = feed(commands.log_tail(identity, LAST_LINES), lambda _: None) if identity else ""
    return ServiceUnhealthy(service=name, reason=reason, command=f"docker logs {identity[:12]}", cause=last)
