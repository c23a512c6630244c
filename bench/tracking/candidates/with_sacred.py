"""Plain Sacred with its own MongoObserver."""

from typing import Any

import measure
from sacred import Experiment
from sacred.observers import MongoObserver

ex = Experiment("bench")
ex.observers.append(MongoObserver(url=measure.url(), db_name="sacristy"))


@ex.main
def main(_run: Any) -> None:
    measure.work(_run.log_scalar)


ex.run_commandline(["bench"])
