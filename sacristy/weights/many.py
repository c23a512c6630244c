"""Many files at once: small ones side by side, large ones (which are sent in parts side by side) one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SMALL = 4 << 20  # bytes
AT_ONCE = 16
Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[tuple[Item, int]]) -> list[Result]:
    """Return what `work` gives for each item, in their order; an item comes with its size in bytes.

    Memory is bounded: AT_ONCE small ones, or one large one. The first failure is raised, and nothing new is begun.
    """
    found: dict[int, Result] = {}
    small = [place for place, (_, size) in enumerate(items) if size < SMALL]
    with ThreadPoolExecutor(AT_ONCE, "files") as pool:
        jobs = {place: pool.submit(work, items[place][0]) for place in small}
        try:
            for place, job in jobs.items():
                found[place] = job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for place in sorted(set(range(len(items))) - set(small)):
        found[place] = work(items[place][0])
    return [found[place] for place in range(len(items))]
