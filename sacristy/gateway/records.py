"""What a run card links to: the files of its weights, and what an image is made of. For people who may look into runs.

Only these pages read the store and the registry; predictions need neither.
"""

from __future__ import annotations

from functools import cached_property

from flask import Blueprint, Response, request

from sacristy.gateway.rights import Right, needs
from sacristy.images.reading import baseline_of
from sacristy.images.registry import Access, Registry, open_registry
from sacristy.names import parse_digest, parse_file, parse_model
from sacristy.serving.answers import json_answer
from sacristy.settings import Settings
from sacristy.weights.store import CHUNK, Store, open_store


class Records:
    """Store and registry of a project, opened when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def store(self) -> Store:
        """The weights, to be read."""
        return open_store(self._settings.weights_location, self._settings, "serving")

    @cached_property
    def registry(self) -> Registry:
        """Pushed images, and the stages."""
        user, password = self._settings.registry_login
        return open_registry(self._settings.registry_location, Access(user, password, self._settings.registry_ca))


def add_to(pages: Blueprint, settings: Settings) -> None:
    """Add these views to the pages for people, whose login they share."""
    records = Records(settings)

    @pages.get("/weights/<digest>")
    @needs(Right.STATISTICS)
    def weights(digest: str) -> Response:
        name = parse_file(request.args.get("name", digest.removeprefix("sha256:")))
        content = records.store.open(parse_digest(digest))  # BlobNotFound now; damage ends the stream before its end
        pieces = iter(lambda: content.read(CHUNK), b"")
        answer = Response(pieces, content_type="application/octet-stream")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        answer.call_on_close(content.close)
        return answer

    @pages.get("/images/<model>/<digest>")
    @needs(Right.STATISTICS)
    def image(model: str, digest: str) -> Response:
        name, exact = parse_model(model), parse_digest(digest)
        found = records.registry.image(name, exact)
        here = [stage for stage, there in records.registry.stages(name).items() if there == exact]
        facts = {"model": name, "version": str(found.version), "run": found.run, "digest": exact}
        baseline = baseline_of(records.registry, name, exact)
        return json_answer(facts | {"stages": sorted(here), "baseline": baseline})
