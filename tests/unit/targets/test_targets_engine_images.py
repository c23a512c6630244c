"""Which of the models' images in an engine are too many."""

from sacristy.targets.engine_images import surplus


def image(at, *names):
    return {"RepoTags": list(names), "Metadata": {"LastTagTime": at}}


def test_each_model_keeps_what_was_loaded_last():
    images = [
        image("2026-01-01T00:00:03Z", "sacristy/models/lamp:1-00000000000a"),
        image("2026-01-01T00:00:01Z", "sacristy/models/lamp:3-00000000000c"),
        image("2026-01-01T00:00:02Z", "sacristy/models/lamp:2-00000000000b"),
        image("2025-01-01T00:00:00Z", "sacristy/models/digits:1-00000000000d"),
    ]
    assert surplus(images, 2) == ["sacristy/models/lamp:3-00000000000c"]
    assert surplus(images, 3) == []
    assert len(surplus(images, 0)) == 4


def test_images_that_are_no_models_are_left_alone():
    assert surplus([image("", "sacristy/stack:1", "debian:12"), {"RepoTags": None}, image("")], 0) == []
