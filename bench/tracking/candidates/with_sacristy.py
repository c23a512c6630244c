"""Sacristy: journal first, a shipping process after it."""

import measure

import sacristy

ex = sacristy.experiment("bench")


@ex.main
def main(_run):
    measure.work(_run.log_scalar)


ex.run_commandline(["bench"])
