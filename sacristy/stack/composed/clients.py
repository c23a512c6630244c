"""What a person's own checkout needs to work with a composed stack: settings.toml and the secrets of their role.

compose/clients/<role>/ is copied into that checkout's .sacristy/. A scientist trains, builds, pushes and asks; what
moves a stage, signs it, or removes something is for ops.
"""

from __future__ import annotations

from pathlib import Path

from sacristy.gateway.rights import TokenRole
from sacristy.images.signature import PRIVATE, PUBLIC
from sacristy.stack.composed.place import ROLES, Place, site_url
from sacristy.stack.init import token_secret

EVERYBODY = ("mongodb-training", "mongodb-service", "ceph-training", "ceph-serving")
GIVEN = {
    "scientist": (*EVERYBODY, token_secret(TokenRole.SCIENTIST)),
    "ops": (*EVERYBODY, "ceph-ops", PRIVATE, *map(token_secret, TokenRole)),
}


def client_files(place: Place, name: str, port: int) -> dict[Path, str]:
    """Return the text of every file of every role, by path."""
    files: dict[Path, str] = {}
    for role in ROLES:
        folder = place.clients / role
        files[folder / "settings.toml"] = settings_text(role, name, port)
        files[folder / "ca.pem"] = (place.secrets / "ca.pem").read_text()
        files[folder / PUBLIC] = (place.secrets / PUBLIC).read_text()
        for secret in GIVEN[role]:
            files[folder / "secrets" / secret] = (place.secrets / secret).read_text()
        files[folder / "secrets" / "registry-password"] = (place.secrets / f"login-{role}").read_text()
    return files


def settings_text(role: str, name: str, port: int) -> str:
    """Return the settings.toml of a role."""
    values = {
        "mongodb_url": f"mongodb://mongodb.{name}:{port}/sacristy?directConnection=true",
        "mongodb_ca": "ca.pem",
        "weights": "s3://weights",
        "weights_endpoint": site_url(name, port, "store"),
        "weights_ca": "ca.pem",
        "data_remote": "s3://data",
        "registry": site_url(name, port, "registry"),
        "registry_user": role,
        "registry_ca": "ca.pem",
        "gateway_url": site_url(name, port),
        "omniboard_url": site_url(name, port, "omniboard"),
        "gateway_ca": "ca.pem",
    }
    head = f"# The composed stack at {name}, as {role}. Written by `sacristy init --compose`; secrets lie beside it."
    return "\n".join([head, *(f'{key} = "{value}"' for key, value in values.items())]) + "\n"
