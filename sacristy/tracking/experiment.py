# Sacred says that it is typed, and is not:
# mypy: disable-error-code="no-untyped-call"
"""sacristy.experiment(name): an ordinary Sacred Experiment whose runs are recorded without loss."""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

from sacristy import datasets, ranks, settings
from sacristy.errors import OtherModelsName, SacristyError
from sacristy.names import parse_model
from sacristy.tracking.quiet_sacred import SETTINGS, Experiment
from sacristy.tracking.recorded_run import RecordedRun, report

# Code is recorded by its commit and its diff, not as copies with every run.
SETTINGS.DISCOVER_SOURCES = "none"


class RecordedExperiment(Experiment):
    """Makes runs that record themselves. Everything else is Sacred's."""

    on_full_disk: Literal["continue", "stop"] = "continue"
    _at_command_line = False

    def _create_run(self, *args: Any, **kwargs: Any) -> RecordedRun:
        run: Any = super()._create_run(*args, **kwargs)
        run.__class__ = RecordedRun  # Sacred has no hook for the class of its runs
        run.experiment = self
        if ranks.rank():  # one training is one run, whatever it is trained by
            run.unobserved = True
        return cast(RecordedRun, run)

    def run_commandline(self, argv: Any = None) -> Any:
        """Run as a command: a known failure is one line and its exit code."""
        self._at_command_line = True
        return super().run_commandline(argv)

    def run(self, command_name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Run as Sacred does; but no run begins on data that is missing or not what data.dvc names."""
        try:
            if ranks.world_size() > 1:
                ranks.draw_alike()
            if command_name in (None, self.default_command):
                require_own_name(settings.load().project, str(self.path), Path(str(self.base_dir)))
                datasets.require(settings.load(), str(self.path))
            return super().run(command_name, *args, **kwargs)
        except SacristyError as error:
            if not self._at_command_line:
                raise
            report(f"{error}\n  {error.advice}")
            raise SystemExit(error.exit_code) from None


def require_own_name(project: Path, name: str, script_folder: Path) -> None:
    """Raise OtherModelsName for a script below models/ whose experiment is not called like its folder: a copied one."""
    with suppress(ValueError):
        folder = script_folder.resolve().relative_to((project / "models").resolve()).parts[:1]
        if folder and folder[0] != name:
            raise OtherModelsName(name=name, folder=folder[0])


def experiment(name: str, *, on_full_disk: Literal["continue", "stop"] = "continue", **options: Any) -> Experiment:
    """Return an Experiment for a model of this project; `options` are Sacred's own.

    Its runs are journalled below `.sacristy/journals` and sent to MongoDB while they go on. When the journal's
    disk is full the run says so and goes on unrecorded, or stops with JournalNotWritable. Raises InvalidName.
    """
    # Sacred takes the main file and its docstring from the globals of whoever calls the constructor: a function
    # with the caller's globals stands in for the caller.
    construct = types.FunctionType(_construct.__code__, sys._getframe(1).f_globals)
    made: RecordedExperiment = construct(RecordedExperiment, parse_model(name), options)
    made.on_full_disk = on_full_disk
    return made


def _construct(kind: Any, name: Any, options: Any) -> Any:
    return kind(name, **options)
