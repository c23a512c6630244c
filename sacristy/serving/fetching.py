"""What runs before a server whose image carries no weights: `python -m sacristy.serving.fetching`.

It brings the files that the image's own baseline lists into the node's cache, by digest, and ends. The server then
finds them in its folder of weights, and cannot write there. A failure is one line, which the cluster shows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sacristy.errors import ModelNotLoadable, SacristyError
from sacristy.names import parse_digest, parse_file
from sacristy.s3 import given_keys
from sacristy.serving.bucket import Bucket
from sacristy.serving.loading import app_folder, read_json
from sacristy.serving.node_cache import NodeCache

CACHE, LIMIT, KEYS = "SACRISTY_CACHE", "SACRISTY_CACHE_LIMIT", "SACRISTY_STORE_KEYS"
LEFT_OUT = "heldout"  # for judging alone


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Bring all files, and return the exit code."""
    try:
        bucket = bucket_of(environment)
        cache = NodeCache(Path(environment[CACHE]), int(environment.get(LIMIT) or 0))
        files = listed(app_folder())
        freed = cache.make_room({digest: size for _, digest, size in files})
        for name, digest, size in files:
            read = cache.bring(digest, partial(bucket.read, digest, size), bucket.location)
            report(f"{name}, {size:,} bytes, {'from the store' if read else 'from the cache of this node'}")
        freed += cache.trim()
    except SacristyError as error:
        report(str(error))
        return 1
    if freed:
        report(f"{freed:,} bytes freed in the cache of this node")
    return 0


def listed(folder: Path) -> list[tuple[str, str, int]]:
    """Return name, digest and size of each file that a server needs, as the baseline lists it."""
    path = folder / "baseline.json"
    try:
        files = [file for file in read_json(path)["weights"] if file["role"] != LEFT_OUT]
        return [(parse_file(file["name"]), parse_digest(file["digest"]), int(file["size"])) for file in files]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelNotLoadable(path=path, reason=f"no list of weights: {error!r}") from None


def bucket_of(environment: Mapping[str, str]) -> Bucket:
    """Return the store, and who reads it. Raises KeysUnusable."""
    return Bucket(
        keys=given_keys(Path(environment[KEYS])),
        endpoint=environment["SACRISTY_WEIGHTS_ENDPOINT"].rstrip("/"),
        name=environment["SACRISTY_WEIGHTS"].removeprefix("s3://"),
        region=environment.get("AWS_DEFAULT_REGION") or "default",
        ca=environment.get("SACRISTY_WEIGHTS_CA", ""),
    )


def report(line: str) -> None:
    """Say something to whoever reads the container's log."""
    print(f"weights: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
