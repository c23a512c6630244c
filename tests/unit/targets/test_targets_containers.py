"""The docker target's command lines, word by word. No engine."""

import pytest

from sacristy import commands
from sacristy.errors import CommandFailed, ImageWithoutBase, ProgramMissing
from sacristy.images.layout import FolderRegistry
from sacristy.images.manifest import CONFIG, described, digest_of, image_config, image_manifest, labels
from sacristy.model_file import Resources
from sacristy.settings import Settings
from sacristy.targets import containers, docker
from sacristy.targets.containers import Container
from sacristy.targets.docker import DockerTarget

ALONE = "com.docker.network.bridge.enable_icc=false"
DIGEST = "sha256:" + "d" * 64
MADE = Container("news-production-0a", "sha256:id", DIGEST, "h0", Resources(cpu=1.5, memory_mib=700), port=4711)
TOML = 'title = "News"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n'
COMMON = [
    *("--cpus", "1.5", "--memory", "700m", "--memory-swap", "700m", "--pids-limit", "512", "--shm-size", "256m"),
    *("--user", "65532:65532", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--read-only", "--tmpfs", "/tmp:rw,noexec,nosuid,nodev,size=256m"),
    *("--log-driver", "json-file", "--log-opt", "max-size=10m", "--log-opt", "max-file=3"),
    *("--env", f"SACRISTY_DIGEST={DIGEST}", "sha256:id"),
]


def test_a_stage_is_published_on_loopback_only_and_kept_alive():
    assert containers.run_command(MADE) == [
        *("docker", "run", "--detach", "--pull", "never", "--name", "news-production-0a"),
        *("--label", "dev.sacristy.home=h0", "--label", f"dev.sacristy.digest={DIGEST}"),
        *("--network", "sacristy", "--publish", "127.0.0.1:4711:8080", "--restart", "unless-stopped"),
        *COMMON,
    ]


def test_in_the_composed_stack_a_stage_is_reached_by_name_and_not_published():
    joined = Container("news-production-0a", "sha256:id", DIGEST, "h0", Resources(), joined="models")
    words = containers.run_command(joined)
    assert words[words.index("--network") :][:4] == ["--network", "models", "--restart", "unless-stopped"]
    assert "--publish" not in words


def test_a_trial_is_in_a_network_without_a_way_out():
    trial = Container("news-trial-0a", "sha256:id", DIGEST, "h0", Resources(cpu=1.5, memory_mib=700))
    assert containers.run_command(trial) == [
        *("docker", "run", "--detach", "--pull", "never", "--name", "news-trial-0a"),
        *("--label", "dev.sacristy.home=h0", "--label", f"dev.sacristy.digest={DIGEST}"),
        *("--network", "sacristy-trial", "--dns", "127.0.0.1", "--restart", "no"),
        *COMMON,
    ]
    assert "--internal" in containers.network_command(trial.network)


@pytest.mark.parametrize(("purpose", "stage"), [("production", True), ("staging", True), ("trial", False)])
def test_only_a_stages_instance_is_published(purpose, stage):
    assert containers.is_stage(purpose) is stage


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (containers.list_command("h0"), "container ls --all --filter label=dev.sacristy.home=h0 --format {{.Names}}"),
        (containers.network_command("n"), f"network create --driver bridge --opt {ALONE} n"),
        (containers.find_network_command("n"), "network inspect --format {{.Id}} n"),
        (containers.inspect_command("x"), "container inspect x"),
        (containers.logs_command("x", 5), "container logs --tail 5 x"),
        (containers.read_command("x", "/f"), "container exec x cat /f"),
        (containers.stop_command("x", 45), "container stop --time 45 x"),
        (containers.remove_command("x"), "container rm --force --volumes x"),
    ],
)
def test_what_the_engine_is_told(argv, words):
    assert argv == ["docker", *words.split()]


@pytest.mark.parametrize(("said", "grace_s"), [("[serving]\ntimeout_s = 60\n", 75), ("", 45), (None, 15)])
def test_a_request_in_flight_has_the_time_that_its_model_allows(tmp_path, monkeypatch, said, grace_s):
    given = []
    monkeypatch.setattr(docker, "run", lambda argv, timeout_s: given.append((argv, timeout_s)))
    if said is not None:
        folder = tmp_path / "models" / "news"
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(TOML + said)
    name = "news-production-1f.0123abcd"
    DockerTarget(Settings(project=tmp_path, home=tmp_path), FolderRegistry(tmp_path / "registry")).stop(name)
    (stop, waited_s), (remove, _) = given
    assert stop == ["docker", "container", "stop", "--time", str(grace_s), name]
    assert waited_s > grace_s
    assert remove == containers.remove_command(name)


def test_an_image_without_a_base_is_refused_before_the_engine_is_asked(tmp_path):
    registry = FolderRegistry(tmp_path / "registry")
    facts = {"model": "toy", "run": 7, "version": "7", "sources": "", "lock": "", "dirty": False, "data": None}
    names = labels(facts | {"commit": ""}, created=0)
    config = image_config([], names, created=0)
    registry.put_blob("toy", digest_of(config), config)
    digest = registry.put_manifest("toy", image_manifest(described(config, CONFIG), [], names))
    target = DockerTarget(Settings(project=tmp_path, home=tmp_path), registry)
    with pytest.raises(ImageWithoutBase) as fault:
        target.start(registry.image("toy", digest), "trial")
    assert fault.value.advice == "sacristy env build toy, then sacristy build toy --run 7 --rebuild"


def test_a_program_is_fed_and_its_last_line_is_the_fault():
    assert commands.feed(["cat"], lambda out: out.write(b"hello\n")) == "hello"
    with pytest.raises(CommandFailed, match="No such file"):
        commands.feed(["cat", "/no/such/file"], lambda out: out.write(b"x" * (1 << 20)))
    with pytest.raises(ProgramMissing):
        commands.feed(["no-such-program"], lambda _: None)


def test_a_feeder_that_fails_ends_the_program():
    def fail(_):
        raise KeyError("lost")

    with pytest.raises(KeyError):
        commands.feed(["cat"], fail)
