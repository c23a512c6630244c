"""Files that repeat what another one says: `init` overwrites nothing, so that a new secret leaves them as they were."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from sacristy.stack.composed.certificates import is_signed_by
from sacristy.stack.composed.clients import client_files
from sacristy.stack.composed.init import LOGINS, TLS_SERVICES, definitions_match, is_hash_of
from sacristy.stack.composed.place import Place


def stale_copies(place: Place) -> Iterator[tuple[Path, str]]:
    """Yield each file that is behind, and what it is behind of. Files that are missing are another matter.

    Raises NotComposed.
    """
    for check in (_logins, _definitions, _watcher, _certificates, _clients):
        try:
            yield from check(place)
        except FileNotFoundError:
            continue


def _logins(place: Place) -> Iterator[tuple[Path, str]]:
    path = place.secrets / "htpasswd"
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    for who in LOGINS:
        if not is_hash_of(lines.get(who, ""), (place.secrets / f"login-{who}").read_text()):
            yield path, f"login-{who}"


def _definitions(place: Place) -> Iterator[tuple[Path, str]]:
    path = place.secrets / "rabbitmq-definitions"
    for user, source in (("sacristy", "rabbitmq-password"), ("ops", "login-ops")):
        if not definitions_match(path.read_text(), user, (place.secrets / source).read_text()):
            yield path, source


def _watcher(place: Place) -> Iterator[tuple[Path, str]]:
    path = place.secrets / "watcher-token"
    if path.read_text() != (place.secrets / "jenkins-token").read_text():
        yield path, "jenkins-token"


def _certificates(place: Place) -> Iterator[tuple[Path, str]]:
    """Those that services have for each other; `front.pem` may be signed by a site's own authority."""
    authority = place.secrets / "ca.pem"
    for service in TLS_SERVICES:
        path = place.secrets / f"{service}.pem"
        if path.is_file() and not is_signed_by(path, authority):
            yield path, authority.name


def _clients(place: Place) -> Iterator[tuple[Path, str]]:
    """What people get. A site may have added to settings and authorities."""
    values = place.values()
    for path, text in client_files(place, values["SACRISTY_NAME"], int(values["SACRISTY_PORT"])).items():
        if path.is_file() and not _says(path.name, path.read_text(), text):
            yield path, ".env" if path.suffix == ".toml" else place.secrets.name


def _says(name: str, found: str, ours: str) -> bool:
    if name.endswith(".toml"):
        return tomllib.loads(ours).items() <= tomllib.loads(found).items()
    return ours in found if name == "ca.pem" else ours == found
