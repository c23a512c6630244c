"""Gunicorn's settings are read once, from the app folder that is named when they are imported."""

import importlib
import sys

import pytest


@pytest.fixture
def settings(app_folder, monkeypatch):
    def read(**environment):
        for name in ("OMP_NUM_THREADS", "SACRISTY_HOST", "SACRISTY_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"SACRISTY_APP": str(app_folder), **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "sacristy.serving.gunicorn", raising=False)
        return importlib.import_module("sacristy.serving.gunicorn")

    return read


def test_a_container_listens_everywhere_and_a_process_where_it_is_told(settings):
    assert settings().bind == "0.0.0.0:8080"
    assert settings(SACRISTY_HOST="127.0.0.1", SACRISTY_PORT="0").bind == "127.0.0.1:0"


def test_limits_come_from_model_toml(settings, app_folder):
    (app_folder / "model" / "model.toml").write_text("[serving]\nworkers = 3\ntimeout_s = 7\n")
    read = settings()
    assert (read.workers, read.timeout, read.graceful_timeout) == (3, 12, 12)


def test_there_are_threads_left_when_all_predict_and_wait(settings):
    read = settings()
    assert read.threads > read._limits.threads + read.WAITING


def test_the_number_of_torch_threads_is_kept_if_given(settings, monkeypatch):
    import os

    settings(OMP_NUM_THREADS="5")
    assert os.environ["OMP_NUM_THREADS"] == "5"


@pytest.mark.parametrize(("cores", "workers", "threads", "each"), [(16, 2, 4, 2), (2, 1, 4, 1), (8, 1, 1, 8)])
def test_torch_threads_fit_the_cores(settings, cores, workers, threads, each):
    assert settings().torch_threads(cores, workers, threads) == each


@pytest.mark.parametrize(("text", "most"), [("100000 100000", 1), ("max 100000", 10**6), ("50000 100000", 1)])
def test_a_container_quota_counts(settings, tmp_path, text, most):
    (tmp_path / "cpu.max").write_text(text)
    assert 1 <= settings().available_cores(tmp_path / "cpu.max") <= most
