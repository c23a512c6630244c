"""Archives of images: our assembler's, and each trick by which an engine would find another name in one."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import random
import tarfile
from types import SimpleNamespace

from sacristy import __version__
from sacristy.images.archive import Added, export_archive
from sacristy.images.manifest import CONFIG, LAYER, MAX_DOCUMENT, described, image_config, image_manifest
from sacristy.names import Version
from sacristy.stack.composed.archive_rules import MAX_MANIFEST, MOST_LAYERS
from sacristy.targets.naming import name_in_engine

NAME = name_in_engine("digits", Version(7, 1), "sha256:" + "ab" * 32)
SERVICE = f"sacristy/stack:{__version__}"
LAYERS = [b"base" * 5000, b"model" * 3]


def hexed(content):
    return hashlib.sha256(content).hexdigest()


def assembled(name=NAME, *, held=(), more=()):
    """An archive as DockerTarget has it written."""
    below = [described(layer, LAYER) for layer in LAYERS]
    config = image_config(below, {}, 0)
    blobs = {described(each, LAYER).digest: each for each in (*LAYERS, *more, config)}
    on_top = [described(layer, LAYER) for layer in more]
    added = (
        Added(image_config(below + on_top, {}, 0), on_top, lambda it: io.BytesIO(blobs[it.digest])) if more else None
    )
    registry = SimpleNamespace(
        manifest=lambda *_: json.loads(image_manifest(described(config, CONFIG), below, {})),
        open_blob=lambda _, digest: io.BytesIO(blobs[digest]),
    )
    out = io.BytesIO()
    export_archive(registry, "digits", "sha256:" + "0" * 64, name, out, held=held, added=added)
    return out.getvalue()


def packed(*members, layout=tarfile.GNU_FORMAT, **facts):
    """A tar archive of (name or TarInfo, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            for fact, value in facts.items():
                setattr(info, fact, value)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LAYER_FILE, CONFIG_FILE = (f"{hexed(b'layer')}.tar", b"layer"), (f"{hexed(b'{}')}.json", b"{}")
ENTRY = {"Config": CONFIG_FILE[0], "Layers": [LAYER_FILE[0]], "RepoTags": [NAME]}


def written(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def manifest(*, entries=1, **facts):
    return "manifest.json", written([ENTRY | facts] * entries)


def saved(**facts):
    return packed(LAYER_FILE, CONFIG_FILE, manifest(**facts))


def special(name, kind, **facts):
    info = tarfile.TarInfo(name)
    info.type = kind
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, b""


def oci(name, *more):
    """An OCI layout, in which an engine finds names in annotations."""
    blob = "blobs/sha256/" + hexed(b"{}")
    notes = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}
    found = {"digest": "sha256:" + hexed(b"{}"), "size": 2, "annotations": notes}
    index = written({"schemaVersion": 2, "manifests": [found]})
    return packed(("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), (blob, b"{}"), ("index.json", index), *more)


def by_id(name):
    """The engine's oldest layout: a folder for each layer, and a file of names."""
    folder = "1" * 64
    repositories = written({name.partition(":")[0]: {name.partition(":")[2]: folder}})
    files = [(f"{folder}/{each}", b"{}") for each in ("VERSION", "json", "layer.tar")]
    return packed(special(folder, tarfile.DIRTYPE), *files, ("repositories", repositories))


def overlaid(archive, at, content):
    return archive[:at] + content + archive[at + len(content) :]


def headed(at, content):
    """A good archive with other bytes in its first header, whose checksum is right again."""
    blank = overlaid(overlaid(GOOD, at, content), 148, b" " * 8)
    return overlaid(blank, 148, b"%06o\0 " % sum(blank[:512]))


GOOD = saved()
END = len(GOOD.rstrip(b"\0")) // 512 * 512 + 512  # of its manifest
LARGE = assembled(more=[random.Random(0).randbytes(5000)])
SPARE = (f"{'0' * 64}.tar", b"")
BAD = {
    "a service's name": saved(RepoTags=[SERVICE]),
    "a service's name after a good one": saved(RepoTags=[NAME, SERVICE]),
    "the same, of another registry": saved(RepoTags=["elsewhere.example/" + NAME]),
    "a name with a digest": saved(RepoTags=[f"{NAME}@sha256:{'0' * 64}"]),
    "no name": saved(RepoTags=[]),
    "names null": saved(RepoTags=None),
    "a name that is no text": saved(RepoTags=[[NAME]]),
    "two images": saved(entries=2),
    "no image": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", b"[]")),
    "an object": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", written(ENTRY))),
    "a parent": saved(Parent="sha256:" + "0" * 64),
    "sources of layers": saved(LayerSources={}),
    "a key twice": packed(
        LAYER_FILE,
        CONFIG_FILE,
        ("manifest.json", written([ENTRY])[:-2] + b',"RepoTags":["' + SERVICE.encode() + b'"]}]'),
    ),
    "a key in another case": saved(repotags=[SERVICE]),
    "another spelling": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", json.dumps([ENTRY]).encode())),
    "more after the document": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", written([ENTRY]) + b"[]")),
    "deep JSON": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", b"[" * 50_000)),
    "no JSON": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", b"\xff")),
    "large JSON": packed(LAYER_FILE, CONFIG_FILE, ("manifest.json", b" " * (MAX_MANIFEST + 1))),
    "a large configuration": packed(LAYER_FILE, (CONFIG_FILE[0], b" " * (MAX_DOCUMENT + 1)), manifest()),
    "layers that are no list": saved(Layers=5),
    "layers that are text": saved(Layers=""),
    "a layer elsewhere": saved(Layers=["../" + LAYER_FILE[0]]),
    "a configuration elsewhere": saved(Config="/etc/passwd"),
    "a configuration that is a layer": saved(Config=LAYER_FILE[0]),
    "no configuration": packed(LAYER_FILE, manifest()),
    "a file that nothing names": packed(LAYER_FILE, CONFIG_FILE, SPARE, manifest()),
    "too many files": packed(*((f"{number:064x}.tar", b"") for number in range(MOST_LAYERS + 2))),
    "no manifest": packed(LAYER_FILE, CONFIG_FILE),
    "nothing": packed(),
    "no bytes": b"",
    "no tar": b"x" * 2000,
    "manifest first": packed(manifest(), LAYER_FILE, CONFIG_FILE),
    "manifest twice": packed(LAYER_FILE, CONFIG_FILE, manifest(), manifest(RepoTags=[SERVICE])),
    "a layer twice": packed(LAYER_FILE, LAYER_FILE, CONFIG_FILE, manifest()),
    "an archive after its end": GOOD + saved(RepoTags=[SERVICE]),
    "an archive close after its end": GOOD[: GOOD.rindex(b"}]") + 2 + 1024].ljust(len(GOOD), b"\0")
    + saved(RepoTags=[SERVICE]),
    "padding without end": GOOD + bytes(30_000),
    "no end": GOOD[:END],
    "half an end": GOOD[: END + 512],
    "words in the padding": overlaid(GOOD, GOOD.rindex(b"}]") + 2, b"x"),
    "names of old": packed(LAYER_FILE, CONFIG_FILE, ("repositories", b"{}"), manifest()),
    "the oldest layout": by_id(SERVICE),
    "the oldest layout, a model's name": by_id(NAME),
    "an OCI layout": oci(SERVICE),
    "an OCI layout, a model's name": oci(NAME),
    "an OCI layout with a good manifest": oci(SERVICE, LAYER_FILE, CONFIG_FILE, manifest()),
    "an index with a good manifest": packed(LAYER_FILE, CONFIG_FILE, ("index.json", b"{}"), manifest()),
    "manifest by a path": packed(LAYER_FILE, CONFIG_FILE, ("./manifest.json", manifest()[1])),
    "manifest by another case": packed(LAYER_FILE, CONFIG_FILE, ("Manifest.json", manifest()[1])),
    "manifest as a hard link": packed(
        LAYER_FILE, CONFIG_FILE, special("manifest.json", tarfile.LNKTYPE, linkname=LAYER_FILE[0])
    ),
    "manifest as a link": packed(
        LAYER_FILE, CONFIG_FILE, special("manifest.json", tarfile.SYMTYPE, linkname=LAYER_FILE[0])
    ),
    "a layer as a link": packed(
        special(LAYER_FILE[0], tarfile.SYMTYPE, linkname="/etc/shadow"), CONFIG_FILE, manifest()
    ),
    "a folder": packed(special("0" * 64 + ".tar", tarfile.DIRTYPE), LAYER_FILE, CONFIG_FILE, manifest()),
    "a device": packed(special("0" * 64 + ".tar", tarfile.BLKTYPE), LAYER_FILE, CONFIG_FILE, manifest()),
    "a sparse file": packed(special("0" * 64 + ".tar", tarfile.GNUTYPE_SPARSE), LAYER_FILE, CONFIG_FILE, manifest()),
    "a long name": packed(("x" * 200, b""), LAYER_FILE, CONFIG_FILE, manifest()),
    "a long name that is not needed": packed(
        (special("././@LongLink", tarfile.GNUTYPE_LONGNAME)[0], b"manifest.json\0"), LAYER_FILE, CONFIG_FILE, manifest()
    ),
    "a long link": packed(
        (special("././@LongLink", tarfile.GNUTYPE_LONGLINK)[0], b"x\0"), LAYER_FILE, CONFIG_FILE, manifest()
    ),
    "a PAX header": packed(
        (special("x", tarfile.XHDTYPE)[0], b"22 path=manifest.json\n"), LAYER_FILE, CONFIG_FILE, manifest()
    ),
    "a PAX header for all": packed(
        (special("x", tarfile.XGLTYPE)[0], b"22 path=manifest.json\n"), LAYER_FILE, CONFIG_FILE, manifest()
    ),
    "PAX by the library": packed(
        LAYER_FILE, CONFIG_FILE, manifest(), layout=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}
    ),
    "another format": packed(LAYER_FILE, CONFIG_FILE, manifest(), layout=tarfile.USTAR_FORMAT),
    "a name in the prefix": headed(345, b"manifest"),
    "a wrong checksum": overlaid(GOOD, 148, b"000000\0 "),
    "a name after the name's end": headed(99, b"x"),
    "a name of two": headed(68, b"\0x"),
    "a type of old": headed(156, b"\0"),
    "a negative size": headed(124, b"\xff" * 12),
    "a size in another spelling": headed(124, b"          5 "),
    "a target of a link": headed(157, b"manifest.json"),
    "of another owner": packed(LAYER_FILE, CONFIG_FILE, manifest(), uid=1),
    "compressed by gzip": gzip.compress(LARGE),
    "compressed by bzip2": bz2.compress(LARGE),
    "compressed by xz": lzma.compress(LARGE),
    "compressed by zstd": b"\x28\xb5\x2f\xfd" + GOOD,
}
