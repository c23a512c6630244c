"""The grammar of Sacristy's words, and the only parser of them.

Every name that comes from outside (an argument, a file, a tag, a URL) passes through here before it
becomes a path, a key or a query, which is also the defence against traversal and injection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sacristy.errors import InvalidName

MODEL_PATTERN = r"[a-z][a-z0-9-]{0,39}"
RUN_PATTERN = r"[1-9][0-9]{0,14}"
VERSION_PATTERN = rf"{RUN_PATTERN}(?:\.[1-9][0-9]{{0,3}})?"
DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
FILE_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}"

MODEL_GRAMMAR = "a lower-case letter, then up to 39 of a-z, 0-9 and '-', such as 'news'"
RUN_GRAMMAR = "a positive whole number, such as '42'"
VERSION_GRAMMAR = "a run or run.rebuild, such as '42' or '42.1'"
DIGEST_GRAMMAR = "'sha256:' and 64 hexadecimal digits"
FILE_GRAMMAR = "up to 120 of A-Z, a-z, 0-9, '.', '_' and '-', not beginning with '.' or '-'"
REFERENCE_GRAMMAR = "model, model:version, model:stage or model@digest, such as 'news:42'"


class Stage(StrEnum):
    """A tag that moves."""

    STAGING = "staging"
    PRODUCTION = "production"


STAGE_GRAMMAR = " or ".join(f"'{stage}'" for stage in Stage)


@dataclass(frozen=True, order=True)
class Version:
    """A run made into an image; `rebuild` counts later builds of the same run that came out different."""

    run: int
    rebuild: int = 0

    def __str__(self) -> str:
        return f"{self.run}.{self.rebuild}" if self.rebuild else str(self.run)


@dataclass(frozen=True)
class Reference:
    """What a user may write to point at an image: exactly one of version, stage, digest, or none (the model)."""

    model: str
    version: Version | None = None
    stage: Stage | None = None
    digest: str | None = None

    def __str__(self) -> str:
        if self.digest:
            return f"{self.model}@{self.digest}"
        tag = self.version or self.stage
        return f"{self.model}:{tag}" if tag else self.model


def parse_model(text: str) -> str:
    """Return the model's name, or raise InvalidName."""
    return _match(MODEL_PATTERN, text, "model", MODEL_GRAMMAR)


def parse_run(text: str | int) -> int:
    """Return the run's integer id, or raise InvalidName."""
    return int(_match(RUN_PATTERN, str(text), "run", RUN_GRAMMAR))


def parse_version(text: str) -> Version:
    """Return the version, or raise InvalidName."""
    run, _, rebuild = _match(VERSION_PATTERN, text, "version", VERSION_GRAMMAR).partition(".")
    return Version(int(run), int(rebuild or 0))


def parse_stage(text: str) -> Stage:
    """Return the stage, or raise InvalidName."""
    if text not in list(Stage):
        raise InvalidName(kind="stage", value=text, grammar=STAGE_GRAMMAR)
    return Stage(text)


def parse_digest(text: str) -> str:
    """Return the digest, `sha256:` and 64 hexadecimal digits, or raise InvalidName."""
    return _match(DIGEST_PATTERN, text, "digest", DIGEST_GRAMMAR)


def parse_file(text: str) -> str:
    """Return the plain file name (no folder), or raise InvalidName."""
    return _match(FILE_PATTERN, text, "file name", FILE_GRAMMAR)


def parse_reference(text: str) -> Reference:
    """Return what `model`, `model:version`, `model:stage` or `model@digest` points at, or raise InvalidName."""
    model, at, digest = text.partition("@")
    if at:
        return Reference(parse_model(model), digest=parse_digest(digest))
    model, colon, tag = text.partition(":")
    if not colon:
        return Reference(parse_model(model))
    if tag in list(Stage):
        return Reference(parse_model(model), stage=Stage(tag))
    if re.fullmatch(VERSION_PATTERN, tag):
        return Reference(parse_model(model), version=parse_version(tag))
    raise InvalidName(kind="reference", value=text, grammar=REFERENCE_GRAMMAR)


def blob_key(digest: str) -> str:
    """Return the key of a blob in the weights store: `blobs/sha256/<hex>`."""
    return "blobs/" + parse_digest(digest).replace(":", "/")


def _match(pattern: str, text: str, kind: str, grammar: str) -> str:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise InvalidName(kind=kind, value=text, grammar=grammar)
    return text
