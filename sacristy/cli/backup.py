"""backup, restore: the database and the store to another place, and back onto an empty stack."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.places import Ca, Endpoint, KeyFile, Place
from sacristy.cli.printing import JsonFlag, done, emit, out, table, timed
from sacristy.cli.progress import bytes_bar
from sacristy.cli.weights import open_as, references
from sacristy.cli.workbench import Workbench
from sacristy.errors import WeightsDamaged
from sacristy.stack import backup as keeping
from sacristy.stack.backup_log import note
from sacristy.stack.backup_pruning import Pruned, prune
from sacristy.stack.vault import Gateway, open_vault

PANEL = "The store"


def backup(
    place: Place,
    keep: Annotated[int, typer.Option(min=0, help="Then remove all but so many of this place's; 0: none.")] = 0,
    endpoint: Endpoint = "",
    ca: Ca = None,
    keys: KeyFile = None,
    json: JsonFlag = False,
) -> None:
    """Copy the database, all weights that anything refers to, and DVC's data. A second backup copies what is new."""
    bench = Workbench()
    vault = open_vault(place, bench.settings, Gateway(endpoint, ca, keys))
    digests = list(references(bench))
    with timed() as clock, bytes_bar("backup", None, json) as progress:
        made, copied = keeping.backup(bench.settings, open_as(bench, "serving"), vault, digests, progress)
        note(bench.settings, made, vault.location)
        pruned = prune(vault, keep) if keep else Pruned()
    documents = sum(facts["documents"] for facts in made.collections.values())
    held = f"{documents:,} documents, {len(made.blobs)} blobs, {len(made.data)} files of data"
    text = f"{made.name}: {held}, {copied.bytes:,} bytes of them new"

    def show() -> None:
        table("Lost before this backup", ["what"], [(lost,) for lost in copied.lost], "Everything was there.")
        if pruned.backups:
            out.print(f"{len(pruned.backups)} older backups went, with {pruned.blobs} blobs, {pruned.bytes:,} bytes")
        done(text, clock())

    emit({"backup": made, "copied": copied, "pruned": pruned}, json, show)
    if copied.lost:
        raise WeightsDamaged(count=len(copied.lost), location=bench.settings.weights_location)


def restore(
    place: Place,
    name: Annotated[str, typer.Option(help="Which backup; the newest if not given.")] = "",
    endpoint: Endpoint = "",
    ca: Ca = None,
    keys: KeyFile = None,
    json: JsonFlag = False,
) -> None:
    """Bring a backup onto an empty stack that is up, then read and hash all of its weights and data again."""
    bench = Workbench()
    vault = open_vault(place, bench.settings, Gateway(endpoint, ca, keys))
    store = open_as(bench, "ops")
    with timed() as clock, bytes_bar("restore", None, json) as progress:
        restored = keeping.restore(bench.settings, store, vault, name, progress)
    found, checked = restored.backup, restored.verified
    documents = sum(facts["documents"] for facts in found.collections.values())
    held = f"{documents:,} documents, {len(found.data)} files of data"
    text = f"{found.name} is back: {held}; {checked.sound} blobs are sound, {checked.bytes:,} bytes"
    emit(vars(restored), json, lambda: done(text, clock()))
    if not restored.ok:
        broken = [*checked.missing, *checked.damaged, *restored.damaged_data]
        raise WeightsDamaged(count=len(broken), location=store.location)


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (backup, restore):
        app.command(rich_help_panel=PANEL)(command)
