# Sacred says that it is typed, and is not:
# mypy: disable-error-code="no-untyped-call"
"""The Sacred observer: hands a run's events to its journal, and the journal to a shipping process."""

from __future__ import annotations

import datetime
import functools
import mimetypes
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sacristy.errors import RunNumberChosen
from sacristy.settings import Settings
from sacristy.tracking.journal import Journal
from sacristy.tracking.provenance import provenance
from sacristy.tracking.quiet_sacred import RunObserver, get_digest
from sacristy.tracking.scalars import Scalars
from sacristy.tracking.shipment import Shipment
from sacristy.tracking.values import clean, plain

FORMAT = "MongoObserver-0.7.0"  # the shape of the documents, which Omniboard reads
Method = Callable[..., Any]


def unfailing(method: Method) -> Method:
    """Turn an exception into a line: Sacred never again calls an observer that raised."""

    @functools.wraps(method)
    def call(self: JournalObserver, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.journal.lost += 1
            self.report(f"not recorded ({method.__name__}): {type(error).__name__}: {error}")
            return None

    return call


class JournalObserver(RunObserver):
    """Records one run. Made anew for each, so that nothing is shared between runs of one experiment."""

    priority = 100  # before any other: it gives the run its number

    def __init__(
        self, settings: Settings, name: str, folder: Path, report: Callable[[str], None], *, strict: bool = False
    ) -> None:
        self.report = report
        self.journal = Journal.create(settings.journals, name, report, strict=strict)
        self.checkpoints = settings.home / "checkpoints" / self.journal.key
        self.shipment = Shipment(settings, self.journal.folder)
        self._origin, self._started = time.monotonic(), int(time.time() * 1000)
        self._provenance = ThreadPoolExecutor(1).submit(provenance, settings, name, folder)
        self.scalars = Scalars(self.journal, time.time() - self._origin, report)
        self._info: Any = None
        self._result: Any = None

    def now(self) -> int:
        """Milliseconds since 1970 that never go back within a run, whatever is done to the machine's clock."""
        return int((time.monotonic() - self._origin) * 1000) + self._started

    def started_event(
        self,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        start_time: datetime.datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> int | None:
        """Write the run's first event; return its number if the database gave one within a short time."""
        return self._start("RUNNING", ex_info, command, host_info, start_time, config, meta_info, _id)

    def queued_event(
        self,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        queue_time: datetime.datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> int | None:
        """Record a run that somebody else is to start."""
        number = self._start("QUEUED", ex_info, command, host_info, queue_time, config, meta_info, _id)
        self._end("QUEUED")
        self.join()
        return number

    @unfailing
    def heartbeat_event(self, info: Any, captured_out: str, beat_time: datetime.datetime, result: Any) -> None:
        """Write what changed since the last beat, and bring the journal to the disk."""
        changed: dict[str, Any] = {}
        now = {"info": plain(info), "result": plain(result)}
        if now["info"] != self._info:
            changed["info"] = self._info = now["info"]
        if now["result"] != self._result:
            changed["result"] = self._result = now["result"]
        self.journal.event("beat", time=self.now(), **changed)
        self.journal.sync()

    @unfailing
    def completed_event(self, stop_time: datetime.datetime, result: Any) -> None:
        """Write the last words of a run that ended well."""
        self._end("COMPLETED", result=plain(result))

    @unfailing
    def interrupted_event(self, interrupt_time: datetime.datetime, status: str) -> None:
        """Write the last words of a run that was told to stop."""
        self._end(status)

    @unfailing
    def failed_event(self, fail_time: datetime.datetime, fail_trace: list[str]) -> None:
        """Write the last words of a run that raised."""
        self._end("FAILED", fail_trace=plain(list(fail_trace)))

    @unfailing
    def artifact_event(self, name: str, filename: str, metadata: Any = None, content_type: str | None = None) -> None:
        """Copy a file into the journal before the call returns: the caller may delete or rewrite it."""
        flat = clean(str(name)).replace("/", "_").replace("\\", "_") or "_"  # Omniboard opens flat names only
        file = self.journal.keep(Path(filename), flat)
        if file:
            kind = content_type or mimetypes.guess_type(str(filename))[0]
            self.journal.event("artifact", name=flat, file=file, type=kind, meta=plain(metadata), time=self.now())

    @unfailing
    def resource_event(self, filename: str) -> None:
        """Record a file by its path and its DVC (MD5) hash; never as a copy."""
        self.journal.event("resource", path=clean(str(filename)), md5=_dvc_hash(Path(filename)))

    def note(self, key: str, value: Any) -> None:
        """Record a plain value below `sacristy.<key>`."""
        self.journal.event("note", key=key, value=value)

    def join(self) -> None:
        """Wait, within bounds, until all is in the database; else say where it is kept."""
        kept = self.shipment.finish()
        if kept:
            self.report(f"{kept}; the run is kept in {self.journal.folder}\n  send it with: sacristy resync")

    def _start(
        self,
        status: str,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        time_: datetime.datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> int | None:
        if _id is not None:
            self.journal.close()
            raise RunNumberChosen(value=_id)
        self._started = int(time_.replace(tzinfo=datetime.UTC).timestamp() * 1000)
        self._origin = time.monotonic()
        found, diff = self._provenance.result()
        self.journal.event(
            "start",
            time=self._started,
            document={
                "experiment": plain({**ex_info, "sources": []}),
                "format": FORMAT,
                "command": command,
                "host": plain(host_info),
                "config": plain(config),
                "meta": plain(meta_info),
                "status": status,
                "sacristy": found,
            },
        )
        if diff:
            self._keep_diff(found["diff"], diff)
        self.journal.sync()
        number, trouble = self.shipment.wait_for_number()
        if number is None:
            self.report(f"{trouble}; the run is recorded in {self.journal.folder} and gets its number when it is sent")
        return number

    def _keep_diff(self, digest: str, diff: str) -> None:
        path = self.journal.folder / "diff"
        path.write_bytes(diff.encode("utf-8", "surrogateescape"))
        self.journal.event("diff", digest=digest, file=path.name)

    def _end(self, status: str, **fields: Any) -> None:
        refused = sum(self.scalars.refused.values())
        words = {"status": status, "time": self.now(), "lost": self.journal.lost, "refused": refused}
        self.journal.end(words | fields)
        self.shipment.wake()


def _dvc_hash(path: Path) -> str:
    """Return the MD5 that DVC knows a file by: from its .dvc file, or counted now."""
    try:
        lines = path.with_name(path.name + ".dvc").read_text().splitlines()
        return next(line.split("md5:")[1].strip() for line in lines if "md5:" in line)
    except (OSError, StopIteration):
        return str(get_digest(path))
