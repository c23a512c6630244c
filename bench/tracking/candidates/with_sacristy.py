"""Sacristy: journal first, a shipping process after it."""

from typing import Any

import measure

import sacristy

ex = sacristy.experiment("bench")


@ex.main
def main(_run: Any) -> None:
    measure.work(_run.log_scalar)


ex.run_commandline(["bench"])
