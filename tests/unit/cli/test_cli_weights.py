"""What the commands of the store say."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sacristy.cli.weights import settings_lines


def test_what_provision_prints_for_the_settings_can_be_pasted(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a relative path in the settings is taken from .sacristy, not from here
    found = tomllib.loads(settings_lines("https://s3.example.org", Path("ca.pem")))
    assert found == {
        "weights": "s3://weights",
        "weights_endpoint": "https://s3.example.org",
        "weights_ca": str(tmp_path / "ca.pem"),
        "data_remote": "s3://data",
    }
    assert "weights_ca" not in settings_lines("https://s3.example.org", None)
