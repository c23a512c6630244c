"""models/: the folders of a project's models, and what each one's model.toml says."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from sacristy.errors import InvalidModelFile, UnknownModel
from sacristy.model_file import ModelFile
from sacristy.names import MODEL_PATTERN, parse_model


@dataclass(frozen=True)
class Model:
    """A folder under models/."""

    name: str
    folder: Path
    file: ModelFile

    @property
    def lock(self) -> Path:
        """The model's Pipfile.lock."""
        return self.folder / "Pipfile.lock"

    @property
    def lock_hash(self) -> str:
        """SHA-256 of the model's Pipfile.lock, 64 hexadecimal digits."""
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()


def model_names(project: Path) -> list[str]:
    """Return the names of all models of the project, sorted."""
    import re

    folders = (path.parent.name for path in (project / "models").glob("*/model.toml"))
    return sorted(name for name in folders if re.fullmatch(MODEL_PATTERN, name))


def load_model(project: Path, name: str) -> Model:
    """Read models/<name>/model.toml. Raises InvalidName, UnknownModel or InvalidModelFile."""
    folder = project / "models" / parse_model(name)
    path = folder / "model.toml"
    if not path.is_file():
        known = ", ".join(model_names(project)) or "none yet"
        raise UnknownModel(model=name, known=known)
    return Model(name, folder, read_model_file(path))


def read_model_file(path: Path) -> ModelFile:
    """Read and check a model.toml, or raise InvalidModelFile with the dotted path of the first fault."""
    try:
        return ModelFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidModelFile(path=path, where="file", reason=error) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"]]
        reason = _did_you_mean(where) if first["type"] == "extra_forbidden" else first["msg"]
        if first["type"] not in ("extra_forbidden", "missing"):
            reason += f", not {first['input']!r}"
        raise InvalidModelFile(path=path, where=".".join(where), reason=reason) from None


def _did_you_mean(where: list[str]) -> str:
    section: type[BaseModel] = ModelFile
    for part in where[:-1]:
        field = section.model_fields.get(part)
        if field is None:  # a name of the author's own, in a table of sections: they are of the kind found already
            continue
        kinds = (field.annotation, *get_args(field.annotation))
        section = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    close = difflib.get_close_matches(where[-1], section.model_fields, n=1)
    guess = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(section.model_fields)}"
    return f"unknown key; {guess}"
