"""The app folder of an image (`/app`): model/, weights/ and baseline.json, read into a `Served`."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from sacristy.errors import ModelNotLoadable
from sacristy.serving.model import Model

DEFAULT_FOLDER = Path("/app")
UNKNOWN_DIGEST = "unknown"


@dataclass(frozen=True)
class Identity:
    """Who answers. The digest is told from outside: an image cannot contain its own."""

    model: str
    version: str
    digest: str
    run: int

    @property
    def headers(self) -> dict[str, str]:
        """The X-Sacristy-* headers of every answer."""
        values = {"Model": self.model, "Version": self.version, "Digest": self.digest, "Run": str(self.run)}
        return {f"X-Sacristy-{name}": value for name, value in values.items()}


@dataclass(frozen=True)
class Limits:
    """The table [serving] of model.toml; project.py describes and checks each key before an image is built."""

    workers: int = 1
    threads: int = 4
    max_instances: int = 256
    max_body_kib: int = 1024
    timeout_s: int = 30

    @property
    def max_body_bytes(self) -> int:
        """The largest request body, bytes."""
        return self.max_body_kib * 1024


@dataclass(frozen=True)
class Served:
    """A loaded model with all that the app folder says about it."""

    identity: Identity
    model: Model
    limits: Limits = field(default_factory=Limits)
    golden: tuple[dict[str, Any], ...] = ()
    golden_tolerance: float = 1e-4


def app_folder() -> Path:
    """Return the folder named by SACRISTY_APP, or /app."""
    return Path(os.environ.get("SACRISTY_APP") or DEFAULT_FOLDER)


def load_served(folder: Path) -> Served:
    """Read the app folder, import its serve.py and load its weights. Raises ModelNotLoadable, or what load raises."""
    baseline = read_json(folder / "baseline.json")
    settings = read_model_toml(folder)
    golden_path = folder / "weights" / "golden.json"
    golden = read_json(golden_path) if golden_path.is_file() else []
    model = model_class(import_serve(folder / "model"))()
    model.load(folder / "weights")
    return Served(
        identity=_identity(folder / "baseline.json", baseline),
        model=model,
        limits=read_limits(settings),
        golden=tuple(golden),
        golden_tolerance=float(settings.get("gates", {}).get("golden_tolerance", Served.golden_tolerance)),
    )


def read_model_toml(folder: Path) -> dict[str, Any]:
    """Return the app folder's model.toml, or raise ModelNotLoadable."""
    path = folder / "model" / "model.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotLoadable(path=path, reason=error) from None


def read_limits(settings: dict[str, Any]) -> Limits:
    """Return the limits that a model.toml sets; keys of a newer Sacristy are passed over."""
    known = {item.name for item in fields(Limits)}
    return Limits(**{key: int(value) for key, value in settings.get("serving", {}).items() if key in known})


def import_serve(folder: Path) -> ModuleType:
    """Import folder/serve.py as the top-level module `serve`, its siblings importable as `python serve.py` has them."""
    path = folder / "serve.py"
    spec = importlib.util.spec_from_file_location("serve", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ModelNotLoadable(path=path, reason="there is no such file")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve"] = module
    spec.loader.exec_module(module)
    return module


def model_class(module: ModuleType) -> type[Model]:
    """Return the one subclass of Model that the module defines itself, or raise ModelNotLoadable."""
    own = [value for value in vars(module).values() if _is_model(value) and value.__module__ == module.__name__]
    if len(own) != 1:
        names = ", ".join(kind.__name__ for kind in own) or "none"
        reason = f"exactly one subclass of sacristy.serving.Model is needed, there is {names}"
        raise ModelNotLoadable(path=module.__file__, reason=reason)
    for name in ("instance", "prediction"):
        if not hasattr(own[0], name):
            raise ModelNotLoadable(path=module.__file__, reason=f"{own[0].__name__} does not say its type {name!r}")
    return own[0]


def _is_model(value: Any) -> TypeGuard[type[Model]]:
    return isinstance(value, type) and issubclass(value, Model) and value is not Model


def _identity(path: Path, baseline: Any) -> Identity:
    try:
        model, version, run = str(baseline["model"]), str(baseline["version"]), int(baseline["run"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelNotLoadable(path=path, reason=f"no baseline: {error!r}") from None
    return Identity(model, version, os.environ.get("SACRISTY_DIGEST") or UNKNOWN_DIGEST, run)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or raise ModelNotLoadable."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelNotLoadable(path=path, reason=error) from None
