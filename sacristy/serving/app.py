"""The Flask app of an image: `sacristy.serving.app:create_app()`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from sacristy.serving import answers, metrics, oip, openapi, predict
from sacristy.serving.loading import app_folder, load_served
from sacristy.serving.service import assemble
from sacristy.serving.worker import replace_worker


def create_app(folder: Path | None = None, on_hang: Callable[[], None] = replace_worker) -> Flask:
    """Load the model below `folder` (default: SACRISTY_APP or /app), warm it up, and return the app.

    Raises ModelNotLoadable, or whatever the model's `load` raises: a worker that cannot load ends at once, with the
    cause in its log. A warm-up that fails leaves the app live but not ready.
    """
    service = assemble(load_served(folder or app_folder()), on_hang)
    app = Flask("sacristy", static_folder=None)
    answers.dress(app, service.identity)
    metrics.watch(app, service.metrics)
    for room in (predict, oip, openapi, metrics):
        app.register_blueprint(room.routes(service))
    return app
