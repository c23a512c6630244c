"""What deploying costs: the operator's loop against the number of models, and promotion to live in its parts.

.venv/bin/python bench/deploy/run.py operator              the loop, 10 to 1,000 models; needs mongod
.venv/bin/python bench/deploy/run.py process [--times 50]  rollouts under load on this machine
.venv/bin/python bench/deploy/run.py cluster [--times 20]  the same on a real cluster (tests/rig.py)

Prints Markdown. `operator` answers for registry and cluster from memory, as both would take other machines' time; what
is measured is the real operator, its real question to MongoDB, and the real comparison of every manifest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
INSTANCE = {"instances": [[0.0] * 64]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["operator", "process", "cluster"], help="which table")
    parser.add_argument("--times", type=int, default=20, help="rollouts")
    options = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load before: {load}\n")
    if options.what == "operator":
        from loop import table

        print(table())
    elif options.what == "process":
        with local() as (clone, versions, url):
            from story import Load

            print(rollouts(clone, versions, Load(f"{url}/predict", INSTANCE, clone.token), options.times, "digits"))
    else:
        with clustered() as (clone, versions, url):
            from nodeport import NodePortLoad  # which tells what a model lost from what never reached one

            print(rollouts(clone, versions, NodePortLoad(f"{url}/predict", INSTANCE), options.times, "lamp"))


def rollouts(clone, versions, load, times, model):
    """Let production go to and fro while somebody asks; return the table of the parts, medians in seconds.

    Ctrl-C ends it before its time; what was measured is told.
    """
    from story import ask

    parts, backs, done = {}, [], 0
    ask(load.url, load.body, load.token)  # what fails without any rollout says nothing
    with load, contextlib.suppress(KeyboardInterrupt):
        for number in range(times):
            start = time.monotonic()
            back = number % 2 == 1
            if back:
                made = clone.json("rollback", model, "production", "--why", "bench")
                backs.append(sum(made["parts"].values()))
            else:
                clone.run("promote", versions[1], "production", "--why", "bench")
                parts.setdefault("promoted", []).append(time.monotonic() - start)
                made = clone.json("deploy", model, "production")
            for name, seconds in made["parts"].items():
                parts.setdefault(name, []).append(seconds)
            parts.setdefault("the whole command", []).append(time.monotonic() - start)
            done += 1
            print(f"{done} of {times}, {len(load.failures)} requests failed", file=sys.stderr)
    rows = [f"| {name} | {statistics.median(each):.2f} | {max(each):.2f} |" for name, each in parts.items()]
    rows.append(f"| rollback, parts together | {statistics.median(backs):.2f} | {max(backs):.2f} |")
    asked = len(load.versions) + len(load.failures)
    told = f"\n\n{done} rollouts, {asked:,} requests while they went on, {len(load.failures)} failed"
    told += f"; {astray} connections went astray in the rig's proxy" if (astray := getattr(load, "astray", 0)) else ""
    told += "".join(f"\n- {reason}" for reason in sorted(set(load.failures)))
    return "| part | median s | worst s |\n|---|---|---|\n" + "\n".join(rows) + told


class local:
    """A clone with the embedded stack, and two versions of digits."""

    def __enter__(self):
        from story import Clone

        self.place = tempfile.TemporaryDirectory()
        folder = Path(self.place.name) / "project"
        self.clone = Clone.made(folder)
        self.clone.run("init")
        self.clone.run("up")
        versions = []
        for epochs in (16, 18):
            self.clone.run("train", "digits", "with", f"epochs={epochs}")
            versions.append(f"digits:{self.clone.json('release', 'digits')['version']}")
        self.clone.run("promote", versions[0], "production", "--why", "bench")
        self.clone.run("deploy", "digits", "production")
        gateway = json.loads((folder / ".sacristy" / "ports.json").read_text())["gateway"]
        return self.clone, versions, f"http://127.0.0.1:{gateway}/models/digits"

    def __exit__(self, *_):
        self.clone.run("down")
        self.place.cleanup()


class clustered:
    """A clone, a cluster, and two versions of the stories' own model."""

    def __enter__(self):
        import rig
        from lampshop import Shop
        from services.conftest import Mongod, find_mongod
        from services.images.conftest import Server
        from story import Clone

        self.ends = contextlib.ExitStack()
        place = Path(self.ends.enter_context(tempfile.TemporaryDirectory(prefix="sacristy-bench-")))
        folder = place / "project"
        mongod = Mongod(place / "mongod", find_mongod()).start().initiate()
        self.ends.callback(mongod.close)
        (place / "registry").mkdir()
        server = Server(place / "registry")
        server.start()
        self.ends.callback(server.kill)
        cluster = rig.Rig(place / "rig")
        self.ends.callback(cluster.close)
        shop = Shop(Clone.made(folder), cluster, server, mongod)
        shop.open()
        shop.bring(shop.versions[0])
        return shop.clone, shop.versions, shop.url()

    def __exit__(self, *_):
        self.ends.close()


if __name__ == "__main__":
    main()
