from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy import names
from sacristy.errors import InvalidName
from sacristy.names import Reference, Stage, Version

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize("text", ["news", "a", "reviews-2", "a" * 40])
def test_a_model_name_is_returned_as_it_is(text):
    assert names.parse_model(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "News",
        "2news",
        "-news",
        "a" * 41,
        "a" * 300,
        "x; rm -rf /",
        "../../etc",
        "news\n",
        "nеws",
        "a/b",
        "a b",
        "a\0b",
    ],
)
def test_anything_else_is_no_model_name(text):
    with pytest.raises(InvalidName, match="is not a valid model"):
        names.parse_model(text)


@pytest.mark.parametrize(("text", "run"), [("1", 1), ("42", 42), (7, 7)])
def test_a_run_is_a_positive_number(text, run):
    assert names.parse_run(text) == run


@pytest.mark.parametrize("text", ["0", "-1", "01", "1.5", "", "x", "٤", "1" * 16, 0, -3])
def test_anything_else_is_no_run(text):
    with pytest.raises(InvalidName):
        names.parse_run(text)


def test_versions_are_ordered_by_run_and_then_rebuild():
    texts = ["42.1", "7", "42", "42.10", "42.2"]
    assert [str(version) for version in sorted(map(names.parse_version, texts))] == ["7", "42", "42.1", "42.2", "42.10"]


@given(st.integers(1, 10**14), st.integers(0, 9999))
def test_a_version_reads_back_what_it_writes(run, rebuild):
    version = Version(run, rebuild)
    assert names.parse_version(str(version)) == version


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("news", Reference("news")),
        ("news:42", Reference("news", version=Version(42))),
        ("news:42.1", Reference("news", version=Version(42, 1))),
        ("news:production", Reference("news", stage=Stage.PRODUCTION)),
        (f"news@{DIGEST}", Reference("news", digest=DIGEST)),
    ],
)
def test_a_reference_reads_back_what_it_writes(text, reference):
    assert names.parse_reference(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize("text", ["news:", "news:latest", "news@sha256:12", f"news:1@{DIGEST}", ":1", "news:42.0", "@"])
def test_anything_else_is_no_reference(text):
    with pytest.raises(InvalidName):
        names.parse_reference(text)


@given(st.text())
def test_no_text_makes_a_parser_fail_otherwise(text):
    for parse in (names.parse_model, names.parse_version, names.parse_stage, names.parse_file, names.parse_reference):
        with suppress(InvalidName):
            parse(text)


@given(st.text(alphabet="./\\ab\0", min_size=1))
def test_a_file_name_never_leaves_its_folder(text):
    try:
        name = names.parse_file(text)
    except InvalidName:
        return
    assert "/" not in name
    assert not name.startswith(".")


def test_a_blob_lies_under_its_digest():
    assert names.blob_key(DIGEST) == "blobs/sha256/" + "0f" * 32
