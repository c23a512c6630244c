"""Which archives the operator may load: our assembler's, and none by which the engine would give another name."""

import io
import tarfile

import pytest
from archives import BAD, END, GOOD, LARGE, LAYER_FILE, LAYERS, NAME, SERVICE, assembled

from sacristy import __version__
from sacristy.images.manifest import LAYER, described
from sacristy.names import Version
from sacristy.stack.composed.archive_rules import NotOurs, looked_at
from sacristy.stack.composed.init import IMAGES
from sacristy.targets.naming import is_name_in_engine, name_in_engine


def through(archive):
    """What would reach the engine, and why no more did."""
    parts = []
    try:
        parts.extend(looked_at(io.BytesIO(archive)))  # what came before an error is kept
    except NotOurs as reason:
        return b"".join(parts), str(reason)
    return b"".join(parts), ""


@pytest.mark.parametrize(
    "archive",
    [
        GOOD,
        LARGE,
        assembled(),
        assembled(held=[described(LAYERS[0], LAYER).digest]),
        assembled(more=[b"weights" * 100_000, b""]),
        assembled(name_in_engine("a" * 40, Version(10**14, 9999), "sha256:" + "0" * 64)),
    ],
)
def test_an_archive_of_our_assembler_passes_as_it_is(archive):
    assert through(archive) == (archive, "")


@pytest.mark.parametrize("name", [SERVICE, "digits:7", "sacristy/digits:7-" + "a" * 12, NAME + "\n"])
def test_our_assemblers_archive_under_another_name_does_not(name):
    assert "is not a model's" in through(assembled(name))[1]


@pytest.mark.parametrize("archive", BAD.values(), ids=BAD)
def test_no_other_passes_and_nothing_of_it_is_an_image(archive):
    passed, why = through(archive)
    assert why
    assert not {b"manifest.json", b"repositories", b"index.json", b"oci-layout"} & set(names_in(passed))
    with pytest.raises(tarfile.ReadError):  # and no reader finds its end
        read_to_the_end(passed)


def names_in(archive):
    return [archive[at : at + 100].rstrip(b"\0/") for at in range(0, len(archive), 512)]


def read_to_the_end(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as found:
        assert all(member.isreg() and member.name[:64].strip("0123456789abcdef") == "" for member in found)
    if not archive.endswith(bytes(1024)):
        raise tarfile.ReadError("no end")


@pytest.mark.parametrize("length", [0, 1, 511, 512, 600, END - 1024, END - 512, END - 1, END, END + 1023])
def test_a_part_of_a_good_one_does_not_pass(length):
    passed, why = through(GOOD[:length])
    assert why
    assert b"manifest.json" not in passed


def test_no_images_name_of_the_stack_is_a_models():
    assert is_name_in_engine(NAME)
    assert not [image for image in IMAGES if is_name_in_engine(f"sacristy/{image}:{__version__}")]
    assert not is_name_in_engine("sacristy/stack:1-" + "a" * 12)


class Endless(io.BytesIO):
    """Zeros without end after its bytes; remembers how much was asked for at once."""

    most = 0

    def read(self, size=-1):
        self.most = max(self.most, size)
        return super().read(size) or bytes(size)


def test_a_layer_of_gigabytes_passes_in_small_parts():
    info = tarfile.TarInfo(LAYER_FILE[0])
    info.size = 20 << 30
    archive = Endless(info.tobuf(tarfile.GNU_FORMAT))
    parts = looked_at(archive)
    assert next(parts) == archive.getvalue()
    assert {len(next(parts)) for _ in range(100)} == {archive.most}
    assert archive.most <= 1 << 16
