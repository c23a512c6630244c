"""What a real Gunicorn does when a model is slow, fails, hangs, dies, or cannot be loaded."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from sacristy.release.requests import RawRequest, send


def in_background(call):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


def test_a_failing_model_is_a_500_with_an_id_and_the_traceback_only_in_the_log(server):
    answer = server.ask(first=2)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    identity = answer.json()["error"]["message"].split("look for ")[1].split()[0]
    assert f"prediction {identity} failed" in server.log.read_text()
    assert "RuntimeError: secret of the model" in server.log.read_text()


def test_a_stop_finishes_the_request_under_way(start, eventually):
    server = start()
    thread, answers = in_background(lambda: server.ask(first=1, timeout=10))
    eventually(lambda: connections(server))
    assert server.stop() == 0
    thread.join()
    assert answers[0].status_code == 200


def test_a_hanging_prediction_is_a_504_and_its_worker_is_replaced(start, eventually):
    server = start(limits="timeout_s = 1")
    (before,) = eventually(lambda: workers(server))  # it listens before it has one
    answer = server.ask(first=3, timeout=10)
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "prediction_timed_out"
    eventually(lambda: workers(server) not in ([], [before]))
    assert server.ask(timeout=10).status_code == 200
    assert "threading.Event().wait()" in server.log.read_text()
    assert "WORKER TIMEOUT" not in server.log.read_text()  # it left by itself, Gunicorn did not have to kill it


def test_while_one_prediction_hangs_others_and_health_are_answered(start):
    server = start(limits="timeout_s = 3\nthreads = 2")
    thread, _ = in_background(lambda: server.ask(first=3, timeout=10))
    assert server.ask(timeout=2).status_code == 200
    assert httpx.get(f"{server.url}/v2/health/live", timeout=2).status_code == 200
    thread.join()


def test_more_clients_than_threads_are_all_answered_over_kept_connections(start):
    server = start(limits="threads = 2")

    def ask_often(_):
        with httpx.Client(base_url=server.url, timeout=20) as client:
            return [client.post("/predict", json={"instances": [[0, 16]]}).status_code for _ in range(20)]

    with ThreadPoolExecutor(12) as clients:
        assert [set(statuses) for statuses in clients.map(ask_often, range(12))] == [{200}] * 12


def test_a_worker_that_dies_is_replaced(start, eventually):
    server = start()
    (before,) = eventually(lambda: workers(server))  # it listens before it has one
    assert send("127.0.0.1", server.port, question(4), timeout_s=5)[0] == 0
    eventually(lambda: workers(server) not in ([], [before]))
    assert server.ask(timeout=10).status_code == 200
    assert "sacristy_ready 1.0" in httpx.get(f"{server.url}/metrics").text.splitlines()


def test_overload_is_refused_at_once_and_passes(start):
    server = start(limits="threads = 1")
    with ThreadPoolExecutor(48) as clients:
        answers = list(clients.map(lambda _: server.ask(first=1, timeout=60), range(48)))
    statuses = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert set(statuses) == {200, 503}
    assert all(answer.headers["Retry-After"] == "1" for answer in refused)
    assert max(answer.elapsed.total_seconds() for answer in refused) < 5
    assert server.ask(timeout=5).status_code == 200


def test_a_model_that_cannot_load_ends_the_process_with_the_cause(start):
    server = start(load='raise OSError("weights are gone")')
    assert server.process.wait(15) == 3
    assert "OSError: weights are gone" in server.log.read_text()


def test_a_serve_py_that_cannot_be_imported_ends_the_process_with_the_cause(start):
    server = start(top="import no_such_module")
    assert server.process.wait(15) == 3
    assert "No module named 'no_such_module'" in server.log.read_text()


def test_a_wrong_golden_answer_leaves_it_live_but_not_ready(start):
    golden = [{"instance": [0, 16], "prediction": {"label": "low", "probabilities": {"low": 1.0, "high": 0.0}}}]
    server = start(golden=golden)
    ready = httpx.get(f"{server.url}/v2/health/ready")
    assert ready.status_code == 503
    assert "0.label is 'high', expected 'low'" in ready.json()["error"]
    assert httpx.get(f"{server.url}/v2/health/live").status_code == 200
    assert server.ask().status_code == 503
    assert "0.label is 'high', expected 'low'" in server.log.read_text()


def test_loading_longer_than_the_timeout_is_not_a_hang(start):
    server = start(limits="timeout_s = 1", load="time.sleep(8)")
    assert server.ask(timeout=15).status_code == 200
    assert "WORKER TIMEOUT" not in server.log.read_text()


def test_metrics_add_up_over_workers(start):
    server = start(limits="workers = 2")
    for _ in range(20):
        server.ask()
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    assert 'sacristy_requests_total{method="POST",page="/predict",status="200"} 20.0' in lines
    assert "sacristy_instances_total 20.0" in lines
    assert any(line.startswith("sacristy_model{digest=") for line in lines)


def test_what_a_killed_server_left_in_memory_goes_at_the_next_start_and_nothing_else(start, server, eventually):
    killed = start()
    left, kept = metrics_folder(killed), metrics_folder(server)
    family = psutil.Process(killed.process.pid).children()
    killed.process.kill()
    killed.process.wait()
    psutil.wait_procs(family, timeout=20)
    assert left.is_dir()
    stopped = start()
    assert (left.exists(), kept.is_dir(), metrics_folder(stopped).is_dir()) == (False, True, True)
    mine = metrics_folder(stopped)
    stopped.stop()
    assert not mine.exists()


def test_more_silent_clients_than_threads_are_let_go(start):
    server = start(limits="threads = 1")
    silent = RawRequest("POST", "/predict", (), b"POST /predict HTTP/1.1\r\nHost: a\r\n", raw=True)
    with ThreadPoolExecutor(60) as clients:
        for _ in range(60):
            clients.submit(send, "127.0.0.1", server.port, silent, 40)
        begin = time.monotonic()
        assert server.ask(timeout=40).status_code == 200
    assert time.monotonic() - begin < 25


def metrics_folder(server):
    """Return the folder that a server's workers share: it holds a lock in it."""
    opened = [Path(file.path) for file in psutil.Process(server.process.pid).open_files()]
    (lock,) = [path for path in opened if path.name == "lock"]
    return lock.parent


def question(first):
    body = b'{"instances": [[%d, 16]]}' % first
    head = (("Host", "a"), ("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return RawRequest("POST", "/predict", head, body)


def workers(server):
    return sorted(child.pid for child in psutil.Process(server.process.pid).children())


def connections(server):
    found = [psutil.Process(pid).net_connections() for pid in workers(server)]
    return [item for items in found for item in items if item.status == psutil.CONN_ESTABLISHED]
