"""Invalid requests as files: read them, make them for a model, send them, judge the answers.

tests/requests/README.md describes the files. A request is made of pieces, so that a file of ten lines can hold ten
megabytes, bytes that are no text, or a valid instance of whichever model is asked.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import http.client
import json
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sacristy.errors import InvalidRequestCase

CLOSED = 0  # the status of a connection that was closed without an answer
PLACEHOLDER = "$instance"
Status = Annotated[int, Field(ge=0, le=499)]


class Record(BaseModel):
    """A table of a case's file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Piece(Record):
    """A part of a request: exactly one of text, base64 and first_number, `times` times.

    In `text`, $instance stands for the JSON of a valid instance. `first_number` is that JSON with its first number
    replaced by the given text (the whole instance, where it holds none).
    """

    text: str | None = None
    base64: str | None = None
    first_number: str | None = None
    times: Annotated[int, Field(ge=1)] = 1


class Expectation(Record):
    """What must come back: one of the statuses (0: closed without an answer), and the field that is named."""

    status: Annotated[list[Status], Field(min_length=1)]
    field: str | None = Field(default=None, description="the name of the field, with * for any characters")


class CaseFile(Record):
    """The whole of a case's file."""

    title: Annotated[str, Field(min_length=1)]
    method: str = "POST"
    path: str = "/predict"
    headers: dict[str, str | None] = Field(default_factory=dict, description="null leaves a usual header out")
    body: list[Piece] = Field(default_factory=list)
    raw: bool = Field(default=False, description="the body is the whole request, head included, byte for byte")
    expect: Expectation


@dataclass(frozen=True)
class RawRequest:
    """A request ready to send. Where `raw` is set, `body` is all that goes over the wire."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bool = False

    @cached_property
    def wire(self) -> bytes:
        """The bytes to send."""
        if self.raw:
            return self.body
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True)
class Case:
    """One invalid request and what must come of it."""

    name: str
    file: CaseFile

    @property
    def raw(self) -> bool:
        """Whether it is no well-formed HTTP, so that only a socket can send it."""
        return self.file.raw

    def build(self, instance: Any) -> RawRequest:
        """Return the request for a model of which `instance` is a valid instance."""
        body = b"".join(_bytes(piece, instance) * piece.times for piece in self.file.body)
        usual = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))}
        headers = {**usual, "Connection": "close", **self.file.headers}
        kept = tuple((name, value) for name, value in headers.items() if value is not None)
        return RawRequest(self.file.method, self.file.path, kept, body, self.raw)

    def check(self, status: int, body: bytes) -> str | None:
        """Return None if the answer is as expected, else the reason why not."""
        expected = self.file.expect
        if status not in expected.status:
            wanted = " or ".join(map(str, expected.status))
            return f"status {status}, expected {wanted}: {body[:160].decode(errors='replace')}"
        if b"Traceback" in body:
            return "the answer shows a traceback"
        return None if status in (CLOSED, 200) else _check_error(body, expected.field)


def load_cases(folder: Path) -> list[Case]:
    """Return the cases of a folder in the order of their names, or raise InvalidRequestCase."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InvalidRequestCase(path=folder, reason="there is no case in it")
    return [_load(path) for path in paths]


def send(host: str, port: int, request: RawRequest, timeout_s: float) -> tuple[int, dict[str, str], bytes]:
    """Send a request over a connection of its own and return status, headers (lower-case names) and body.

    The status is 0 if the connection was refused, closed or silent for `timeout_s`. A server may answer before it
    has read all; what it says then counts.
    """
    try:
        connection = socket.create_connection((host, port), timeout_s)
    except OSError:
        return CLOSED, {}, b""
    with connection:
        with contextlib.suppress(OSError):
            connection.sendall(request.wire)
        answer = http.client.HTTPResponse(connection, method=request.method)
        try:
            answer.begin()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            return CLOSED, {}, b""


def _load(path: Path) -> Case:
    try:
        file = CaseFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequestCase(path=path, reason=f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for piece in file.body:
        if sum(value is not None for value in (piece.text, piece.base64, piece.first_number)) != 1:
            raise InvalidRequestCase(path=path, reason="body: a piece has one of text, base64 and first_number")
    return Case(path.stem, file)


def _bytes(piece: Piece, instance: Any) -> bytes:
    if piece.base64 is not None:
        return base64.b64decode(piece.base64, validate=True)
    if piece.first_number is not None:
        return _with_first_number(instance, piece.first_number).encode()
    return str(piece.text).replace(PLACEHOLDER, json.dumps(instance)).encode()


def _with_first_number(instance: Any, text: str) -> str:
    mark = "\x00first number\x00"
    marked, found = _mark_first_number(instance, mark)
    return json.dumps(marked).replace(json.dumps(mark), text) if found else text


def _mark_first_number(value: Any, mark: str) -> tuple[Any, bool]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return mark, True
    if not isinstance(value, list | dict):
        return value, False
    keys = range(len(value)) if isinstance(value, list) else list(value)
    copy: Any = value.copy()
    for key in keys:
        copy[key], found = _mark_first_number(value[key], mark)
        if found:
            return copy, True
    return copy, False


def _check_error(body: bytes, field: str | None) -> str | None:
    try:
        content = orjson.loads(body)
        error = content if isinstance(content["error"], str) else content["error"]  # text: Open Inference Protocol
        named, complete = error["field"], all(isinstance(error[name], str) for name in ("code", "expected"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"the answer is no JSON error: {body[:160].decode(errors='replace')}"
    if not complete:
        return "the error does not say what was expected"
    if field is not None and not fnmatch.fnmatchcase(str(named), field):
        return f"the error names {named!r}, expected {field!r}"
    return None
