"""The corpus of invalid requests that are well-formed HTTP, through Flask's test client."""

from pathlib import Path

import pytest

from sacristy.errors import InvalidRequestCase
from sacristy.release.requests import CaseFile, load_cases

FOLDER = Path(__file__).parents[2] / "requests" / "invalid"
CASES = [case for case in load_cases(FOLDER) if not case.raw and "ten-megabytes" not in case.name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_as_its_file_says(text_client, case):
    request = case.build("hello")
    headers = [(name, value) for name, value in request.headers if name != "Connection"]
    answer = text_client.open(request.path, method=request.method, headers=headers, data=request.body)
    over = answer.status_code == 413  # this app's limit is 4 KiB
    assert over or case.check(answer.status_code, answer.data) is None


def test_the_corpus_is_as_large_as_promised():
    assert len(load_cases(FOLDER)) >= 40


@pytest.mark.parametrize("text", ["{", '{"title": "x", "expect": {"status": [500]}}', '{"title": "x", "sattus": 1}'])
def test_a_case_that_follows_no_schema_is_refused(tmp_path, text):
    (tmp_path / "01.json").write_text(text)
    with pytest.raises(InvalidRequestCase, match=r"01\.json"):
        load_cases(tmp_path)


def test_an_empty_folder_is_no_corpus(tmp_path):
    with pytest.raises(InvalidRequestCase):
        load_cases(tmp_path)


def case_of(tmp_path, **file):
    document = CaseFile.model_validate({"title": "x", "expect": {"status": [422], "field": "instances.0*"}, **file})
    (tmp_path / "01.json").write_text(document.model_dump_json())
    return load_cases(tmp_path)[0]


def test_the_first_number_is_found_wherever_it_is(tmp_path):
    case = case_of(tmp_path, body=[{"first_number": "NaN"}])
    assert case.build([[], ["a", 1.5, 2]]).body == b'[[], ["a", NaN, 2]]'
    assert case.build("text").body == b"NaN"


def test_pieces_are_joined_and_repeated(tmp_path):
    case = case_of(tmp_path, body=[{"text": "[$instance]"}, {"base64": "//79"}, {"text": "x", "times": 3}])
    assert case.build("é").body == b'["\\u00e9"]\xff\xfe\xfdxxx'


ERROR = b'{"error": {"code": "c", "message": "m", "field": "%s", "expected": "e"}}'


def test_only_the_expected_refusal_passes(tmp_path):
    case = case_of(tmp_path)
    assert case.check(422, ERROR % b"instances.0.1") is None
    assert "names 'other'" in case.check(422, ERROR % b"other")
    assert "status 500" in case.check(500, ERROR % b"instances.0")
    assert "no JSON error" in case.check(422, b"<html>")
    assert "traceback" in case.check(422, b"Traceback (most recent call last)")
