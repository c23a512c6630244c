"""An ordinary run, and runs that say, print and leave unusual things."""

import hashlib
import os
import subprocess
from pathlib import Path

import gridfs
import pytest
from pymongo.errors import OperationFailure

from sacristy.settings import Role
from sacristy.tracking.runs import find_run, list_runs
from sacristy.tracking.series import outlines, read_frame, read_metrics

from .conftest import assert_nothing_is_left, assert_whole


def test_a_run_arrives_whole(bench):
    bench.train(
        """
        @ex.config
        def config():
            epochs = 3
            tags = ["first"]

        @ex.automain
        def main(_run, epochs):
            print("hello from the run")
            for step in range(epochs * 100):
                _run.log_scalar("loss", 1.0 / (step + 1))
            _run.info["note"] = "fine"
            tracking.log_data(_run, "uci-digits", "sha256:" + "0" * 64, 1797)
            return {"accuracy": 0.97}
        """,
        "with",
        "epochs=2",
        "-c",
        "a comment",
    )
    run = bench.newest()
    assert_whole(bench, run, 200)
    assert (run.model, run.complete, run.result, run.data["rows"]) == ("digits", True, {"accuracy": 0.97}, 1797)
    assert run.config["epochs"] == 2
    assert run.document["meta"]["comment"] == "a comment"
    assert run.document["info"]["note"] == "fine"
    assert "hello from the run" in run.document["captured_out"]
    assert [r.id for r in list_runs(bench.db, model="digits", status="completed", tag="first")] == [run.id]
    assert list(read_frame(bench.db, run.id)["step"]) == list(range(200))


def test_omniboard_finds_a_drawn_series_and_a_card(bench):
    bench.train("@ex.automain\ndef main(_run):\n    [_run.log_scalar('a.b/$c', i) for i in range(50_000)]\n")
    run = bench.newest()
    (listed,) = run.document["info"]["metrics"]
    drawn = bench.db.metrics.find_one({"run_id": run.id, "name": listed["name"]})
    assert str(drawn["_id"]) == listed["id"]
    assert len(drawn["steps"]) == len(drawn["values"]) == len(drawn["timestamps"]) <= 10_000
    assert (drawn["values"][0], drawn["values"][-1]) == (0.0, 49_999.0)
    files = {artifact["name"]: artifact["file_id"] for artifact in run.document["artifacts"]}
    page = gridfs.GridFS(bench.db).get(files["run-card.html"]).read().decode()
    assert "<polyline" in page


def test_the_outlines_of_many_runs_are_read_without_their_points(bench):
    bench.train("@ex.automain\ndef main(_run):\n    [_run.log_scalar('loss', i) for i in range(20_000)]\n")
    bench.train("@ex.automain\ndef main(_run):\n    _run.log_scalar('b', 2)\n    _run.log_scalar('a', 1)\n")
    bench.server.database(Role.ADMIN).points.delete_many({})
    found = outlines(bench.db, [1, 2, 3])
    assert found[2] == {"a": [1.0], "b": [2.0]}
    assert (found[1]["loss"][0], found[1]["loss"][-1]) == (0.0, 19_999.0)
    assert len(found[1]["loss"]) <= 10_000
    assert set(found) == {1, 2}


def test_an_artifact_may_be_deleted_after_the_call(bench):
    bench.train(
        """
        @ex.automain
        def main(_run):
            with open("big.bin", "wb") as file:
                file.write(bytes(range(256)) * 4096)
            _run.add_artifact("big.bin", "folder/big.bin")
            os.remove("big.bin")
        """
    )
    artifact = bench.newest().document["artifacts"][0]
    assert artifact["name"] == "folder_big.bin"
    assert gridfs.GridFS(bench.db).get(artifact["file_id"]).read() == bytes(range(256)) * 4096


def test_resources_are_recorded_by_the_hash_that_dvc_knows_and_never_as_copies(bench):
    (bench.project / "plain.csv").write_bytes(b"a,b\n" * 100_000)
    (bench.project / "kept.csv").write_text("x")
    (bench.project / "kept.csv.dvc").write_text(f"outs:\n- md5: {'ab' * 16}\n  path: kept.csv\n")
    bench.train(
        """
        @ex.automain
        def main(_run):
            with _run.open_resource("plain.csv") as file:
                file.read()
            _run.open_resource("kept.csv").close()
        """
    )
    run = bench.newest()
    found = {Path(path).name: digest for path, digest in run.document["resources"]}
    assert found == {"plain.csv": hashlib.md5(b"a,b\n" * 100_000).hexdigest(), "kept.csv": "ab" * 16}
    assert bench.db["fs.files"].count_documents({"length": {"$gte": 100_000}}) == 0
    assert (run.document["experiment"]["sources"], run.complete) == ([], True)


def test_a_hundred_megabytes_of_bytes_and_colour_are_printed(bench):
    bench.train(
        """
        @ex.automain
        def main(_run):
            print("the first line", flush=True)
            line = b"\\x1b[31mred\\x1b[0m \\xff\\xfe\\x00 " * 50 + b"\\n"
            for _ in range(100_000_000 // len(line)):
                os.write(1, line)
            print("the last line")
            return 1
        """,
        stdout=subprocess.DEVNULL,
    )
    run = bench.newest()
    text, output = run.document["captured_out"], run.document["sacristy"]["output"]
    assert (run.status, run.result, run.complete) == ("COMPLETED", 1, True)
    assert "the first line" in text
    assert "the last line" in text
    assert f"{output['omitted']} bytes left out here" in text
    assert len(text) < 200_000
    (artifact,) = [a for a in run.document["artifacts"] if a["name"] == "captured_out.txt"]
    content = gridfs.GridFS(bench.db).get(artifact["file_id"]).read()
    line = b"\x1b[31mred\x1b[0m \xff\xfe\x00 " * 50 + b"\n"
    assert len(content) == output["bytes"]
    assert content.count(line) == 100_000_000 // len(line)
    assert_nothing_is_left(bench)


@pytest.mark.slow
def test_two_million_scalars_in_one_run(bench):
    bench.train("@ex.automain\ndef main(_run):\n    for i in range(2_000_000): _run.log_scalar('loss', 1 / (i + 1))\n")
    assert_whole(bench, bench.newest(), 2_000_000)
    assert bench.db.points.find_one({}, sort=[("count", -1)])["count"] == 4096


def test_metrics_of_any_name_and_value_arrive(bench):
    said = bench.train(
        """
        NAMES = ["$set", "a.b", "a/b", "ünï ☃", "", "\\ud800", "_id", "x" * 500]

        @ex.automain
        def main(_run):
            import numpy as np
            for name in NAMES:
                _run.log_scalar(name, np.float32(1))
            _run.log_scalar("odd", float("nan"))
            _run.log_scalar("odd", float("-inf"))
            _run.log_scalar("odd", "text")
            _run.log_scalar("odd", np.zeros(3))
            _run.info["$where"] = {"a.b": {1, 2}, "huge": 2**70, "long": "x" * 3_000_000, 5: np.arange(3)}
            return {"score": np.float64(0.5)}
        """
    )
    run = bench.newest()
    metrics = read_metrics(bench.db, run.id)
    assert {"$set", "a.b", "a/b", "ünï ☃", "", "\\ud800", "_id", "x" * 500, "odd"} == set(metrics)
    assert str(list(metrics["odd"].values)) == "[nan, -inf]"
    assert "metric 'odd': the value 'text' is refused: it is not a number" in said
    assert run.document["info"]["@where"]["5"] == [0, 1, 2]
    assert (run.result, run.complete) == ({"score": 0.5}, True)
    assert run.document["sacristy"]["journal"]["refused"] == 2
    assert_nothing_is_left(bench)


def test_a_clock_set_back_changes_neither_order_nor_durations(bench):
    bench.train(
        """
        import datetime, sacred.run

        class Earlier(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return datetime.datetime.utcnow() - datetime.timedelta(hours=1)

        @ex.automain
        def main(_run):
            for i in range(100):
                if i == 50:
                    real = time.time
                    time.time = lambda: real() - 3600
                    sacred.run.datetime.datetime = Earlier
                _run.log_scalar("loss", 1 / (i + 1))
        """
    )
    run = bench.newest()
    assert_whole(bench, run, 100)
    assert run.started <= run.heartbeat <= run.stopped
    assert (run.stopped - run.started).total_seconds() < 60


def test_a_failing_run_keeps_its_trace_and_exit_code(bench):
    bench.train("@ex.automain\ndef main(_run):\n    _run.log_scalar('loss', 1)\n    1 / 0\n", code=1)
    run = bench.newest()
    assert_whole(bench, run, 1, "FAILED")
    assert "ZeroDivisionError" in "".join(run.document["fail_trace"])


def test_a_number_of_ones_own_choice_is_refused_in_one_line(bench):
    said = bench.train("@ex.automain\ndef main(_run):\n    pass\n", "--id=7", code=1)
    assert "the database numbers the runs" in said
    assert "Traceback" not in said


def test_a_user_can_do_no_more_than_its_role_needs(bench):
    bench.train("@ex.automain\ndef main(_run):\n    pass\n")
    training, service, omniboard = (bench.server.database(r) for r in (Role.TRAINING, Role.SERVICE, Role.OMNIBOARD))
    refused = [
        lambda: training.runs.delete_one({}),
        lambda: training.promotions.insert_one({}),
        lambda: service.runs.delete_one({}),
        lambda: service.points.insert_one({}),
        lambda: omniboard.metrics.delete_many({}),
        lambda: omniboard.promotions.insert_one({}),
        lambda: omniboard["fs.files"].delete_one({}),
    ]
    for attempt in refused:
        with pytest.raises(OperationFailure, match="not authorized"):
            attempt()
    omniboard.runs.update_one({"_id": 1}, {"$set": {"omniboard": {"tags": ["good"]}}})
    omniboard["omniboard.custom.columns"].delete_one({"name": "Stage"})
    assert find_run(service, 1).document["omniboard"]["tags"] == ["good"]


def test_a_terminal_sees_weights_being_saved_and_the_run_does_not_record_that(bench):
    keeper, terminal = os.openpty()
    trainer = bench.start(
        """
        @ex.automain
        def main(_run):
            from pathlib import Path
            from sacristy import weights
            from sacristy.weights import bar
            bar.EVERY_S = 0.0
            folder = Path("leave")
            folder.mkdir()
            (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
            print("hello", file=sys.stderr)
            weights.save(_run, folder)
        """,
        stderr=terminal,
    )
    trainer.communicate(timeout=60)
    seen = os.read(keeper, 1 << 16)
    for number in (keeper, terminal):
        os.close(number)
    assert trainer.returncode == 0, seen
    assert b"weights \xe2\x94" in seen
    run = bench.newest()
    assert [file.name for file in run.weights] == ["model.safetensors"]
    assert "hello" in run.document["captured_out"]
    assert "weights" not in run.document["captured_out"]
