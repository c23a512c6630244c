"""weights ls, get, put, verify, mend, gc, provision: looking into the store and after it."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sacristy.cli.places import Ca, Endpoint, KeyFile, Place
from sacristy.cli.printing import JsonFlag, done, emit, out, short, table, timed
from sacristy.cli.progress import bytes_bar
from sacristy.cli.workbench import Workbench
from sacristy.errors import InvalidName, WeightsDamaged
from sacristy.images.references import version_weights
from sacristy.names import DIGEST_GRAMMAR, parse_digest, parse_run
from sacristy.s3 import StoreKeys, given_keys
from sacristy.settings import Role
from sacristy.stack.ceph.bringup import make_keys
from sacristy.stack.ceph.provision import apply, read_plan
from sacristy.stack.vault import Gateway, open_vault
from sacristy.tracking.database import connect
from sacristy.tracking.runs import find_run
from sacristy.weights import upkeep
from sacristy.weights.fetch import fetch
from sacristy.weights.formats import check_file
from sacristy.weights.mending import mend as bring_again
from sacristy.weights.references import by_digest, journal_weights, run_weights
from sacristy.weights.store import Store, open_store

PANEL = "The store"
DAY_S = 24 * 3600.0
app = typer.Typer(no_args_is_help=True)


def open_as(bench: Workbench, user: str) -> Store:
    """Return the project's store with the rights of a user of store.toml."""
    return open_store(bench.settings.weights_location, bench.settings, user)


def references(bench: Workbench) -> dict[str, list[str]]:
    """Return who refers to each blob: runs, journals of this machine, and versions built here or pushed."""
    return by_digest(_all_references(bench))


def _all_references(bench: Workbench) -> Iterator[tuple[str, str]]:
    yield from journal_weights(bench.settings)
    database = connect(bench.settings, Role.SERVICE)
    with database.client:
        yield from run_weights(database)
    for registry in (bench.built, bench.registry):
        yield from version_weights(registry)


@app.command("ls")
def list_blobs(json: JsonFlag = False) -> None:
    """List the blobs of the store, with who refers to each."""
    bench = Workbench()
    refer = references(bench)
    blobs = list(open_as(bench, "serving").list())
    data = [vars(blob) | {"referenced_by": refer.get(blob.digest, [])} for blob in blobs]
    rows = [
        (blob.digest, f"{blob.size:,}", _when(blob.modified), ", ".join(refer.get(blob.digest, [])[:3]))
        for blob in blobs
    ]
    emit(data, json, lambda: table("Weights", ["digest", "bytes", "put", "of"], rows, "The store is empty."))


@app.command()
def get(
    what: Annotated[str, typer.Argument(help="A run's number for all its files, or a digest.", metavar="RUN|DIGEST")],
    folder: Annotated[Path, typer.Argument(help="The folder to put the files in.")] = Path(),
    json: JsonFlag = False,
) -> None:
    """Bring a run's files, or one blob, out of the store: verified, complete or not at all."""
    bench = Workbench()
    store = open_as(bench, "serving")
    with timed() as clock:
        if what.startswith("sha256:"):
            digest = parse_digest(what)
            paths = [folder / digest.removeprefix("sha256:")]
            with bytes_bar(short(digest), None, json) as progress:
                store.get(digest, paths[0], progress)
        elif what.isdecimal():
            files = find_run(bench.database, parse_run(what)).weights
            with bytes_bar(f"run {what}", sum(file.size for file in files), json) as progress:
                paths = fetch(store, files, folder, progress)
        else:
            raise InvalidName(kind="run or digest", value=what, grammar=f"a run's number, or {DIGEST_GRAMMAR}")
    data = {"files": paths}
    emit(data, json, lambda: done(f"{len(paths)} files in {folder}", clock()))


@app.command()
def put(
    files: Annotated[list[Path], typer.Argument(help="Files in one of the safe formats.")], json: JsonFlag = False
) -> None:
    """Put files into the store, each under its SHA-256. Pickles, archives and programs are refused by content."""
    bench = Workbench()
    store = open_as(bench, "training")
    for file in files:
        check_file(file)
    stored = []
    with timed() as clock:
        for file in files:
            with bytes_bar(file.name, file.stat().st_size, json) as progress:
                digest, size = store.put(file, progress)
            stored.append({"file": file, "digest": digest, "size": size})

    def show() -> None:
        for entry in stored:
            out.print(f"{entry['digest']}  {entry['file']}", markup=False)
        done(f"{len(stored)} files, {sum(file.stat().st_size for file in files):,} bytes", clock())

    emit(stored, json, show)


@app.command()
def verify(json: JsonFlag = False) -> None:
    """Read and hash again all that any run or version refers to. Ends with 1 if something is missing or damaged."""
    bench = Workbench()
    store = open_as(bench, "serving")
    refer = references(bench)
    sizes = {blob.digest: blob.size for blob in store.list()}
    total = sum(sizes.get(digest, 0) for digest in refer)
    with timed() as clock, bytes_bar("verify", total, json) as progress:
        found = upkeep.verify(store, refer, progress)
    broken = [(digest, "missing") for digest in found.missing] + [(digest, "damaged") for digest in found.damaged]
    data = vars(found) | {"ok": found.ok, "referenced_by": {digest: refer[digest] for digest, _ in broken}}

    def show() -> None:
        if broken:
            rows = [(digest, what, ", ".join(refer[digest])) for digest, what in broken]
            table("Broken", ["digest", "", "of"], rows, "")
        done(f"{found.sound} blobs are sound, {found.bytes:,} bytes read", clock())

    emit(data, json, show)
    if broken:
        raise WeightsDamaged(count=len(broken), location=store.location)


@app.command()
def mend(place: Place, endpoint: Endpoint = "", ca: Ca = None, keys: KeyFile = None, json: JsonFlag = False) -> None:
    """Bring what `verify` finds missing or damaged from a backup. What is sound stays; the stack goes on working."""
    bench = Workbench()
    store = open_as(bench, "ops")
    vault = open_vault(place, bench.settings, Gateway(endpoint, ca, keys))
    with timed() as clock:
        with bytes_bar("verify", None, json) as progress:
            found = upkeep.verify(store, references(bench), progress)
        with bytes_bar("mend", None, json) as progress:
            copied = bring_again(store, vault.blobs, found, progress)

    def show() -> None:
        if copied.lost:
            table("Not in this backup, or damaged there too", ["digest"], [(digest,) for digest in copied.lost], "")
        done(f"{found.sound} blobs were sound, {copied.copied} were mended, {copied.bytes:,} bytes copied", clock())

    emit({"sound": found.sound, "mended": copied.copied, "bytes": copied.bytes, "lost": copied.lost}, json, show)
    if copied.lost:
        raise WeightsDamaged(count=len(copied.lost), location=store.location)


@app.command()
def gc(
    grace_days: Annotated[float, typer.Option("--grace-days", min=0, help="Keep what was put since.")] = 7,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Remove blobs that no run and no version refers to, after showing them and asking.

    Runs whose journals lie on other machines are not known: sacristy resync there first.
    """
    bench = Workbench()
    store = open_as(bench, "ops")
    blobs = upkeep.unreferenced(store, references(bench).keys(), grace_days * DAY_S)
    rows = [(blob.digest, f"{blob.size:,}", _when(blob.modified)) for blob in blobs]
    if not json:
        table("Nothing refers to", ["digest", "bytes", "put"], rows, "Nothing refers to no blob: all are in use.")
    if blobs and not yes:
        typer.confirm(f"Remove these {len(blobs)} blobs?", abort=True, err=True)
    with timed() as clock:
        refer = references(bench) if blobs else {}  # again: the answer may have taken an hour
        gone = upkeep.collect(store, (blob for blob in blobs if blob.digest not in refer))
        freed = sum(blob.size for blob in gone) + store.clear_unfinished(max(grace_days, 1) * DAY_S)
    data = {"removed": [blob.digest for blob in gone], "freed": freed}
    emit(data, json, lambda: done(f"{len(gone)} blobs removed, {freed:,} bytes freed", clock()))


@app.command()
def provision(
    endpoint: Annotated[str, typer.Option(help="The gateway's address, such as https://s3.example.org.")],
    admin: Annotated[Path, typer.Option(help="A file with the keys of a user with the caps users=*: access:secret.")],
    ca: Annotated[Path | None, typer.Option(help="The certificate that the gateway's is checked with.")] = None,
    quota_gib: Annotated[int, typer.Option(help="What the buckets may hold together; 0: no limit.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Make users, buckets and rights of ceph/store.toml on a cluster of yours. Doing it again changes nothing."""
    bench = Workbench()
    owner = given_keys(admin)
    plan = read_plan(bench.settings.project / "ceph" / "store.toml")
    make_keys(bench.settings, plan)
    keys = {name: StoreKeys.parse(bench.settings.secret(f"ceph-{name}")) for name in plan.users}
    with timed() as clock:
        changed = apply(plan, endpoint, ca, admin=owner, keys=keys, quota_bytes=quota_gib << 30)

    def show() -> None:
        for line in changed or ["nothing was to be changed"]:
            out.print(line)
        out.print(f"for .sacristy/settings.toml of this project:\n\n{settings_lines(endpoint, ca)}\n", markup=False)
        done("the store is as ceph/store.toml says", clock())

    emit({"changed": changed}, json, show)


def settings_lines(endpoint: str, ca: Path | None) -> str:
    """Return the lines of settings.toml that name a store which was provisioned; its strings are JSON's."""
    facts = {"weights": "s3://weights", "weights_endpoint": endpoint, "data_remote": "s3://data"}
    facts |= {"weights_ca": str(ca.absolute())} if ca else {}  # a relative one would be taken from .sacristy
    return "\n".join(f"{name} = {json_module.dumps(value)}" for name, value in facts.items())


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def add_to(parent: typer.Typer) -> None:
    """Add this file's commands."""
    parent.add_typer(app, name="weights", help="Look into the store of weights, and after it.", rich_help_panel=PANEL)
