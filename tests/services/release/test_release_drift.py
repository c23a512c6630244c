"""What the doctor sees of stages that are not what the records say."""

import pytest

from sacristy.errors import StageMovedByHand
from sacristy.images.signature import signature_tag
from sacristy.names import Stage
from sacristy.release import moves, promotion
from sacristy.release.drift import stage_faults

PRODUCTION, STAGING = Stage.PRODUCTION, Stage.STAGING


def test_the_doctor_sees_nothing_wrong_with_what_was_promoted(bench):
    promotion.promote(bench.desk(), bench.image(), PRODUCTION, "one")
    assert list(stage_faults(bench.desk())) == []


def test_the_doctor_sees_a_tag_that_was_moved_by_hand(bench):
    promotion.promote(bench.desk(), bench.image(), PRODUCTION, "one")
    bench.registry.tag(bench.model, "production", bench.image().digest)
    moved, unsigned = stage_faults(bench.desk())
    assert "was moved by hand" in moved[0]
    assert "--adopt" in moved[1]
    assert "is not signed" in unsigned[0]


def test_the_doctor_sees_an_image_without_evidence(bench):
    image = bench.image()
    promotion.promote(bench.desk(), image, STAGING, "")
    bench.admin.evidence.delete_many({"digest": image.digest})
    ((what, mend),) = stage_faults(bench.desk())
    assert "without evidence" in what
    assert mend == f"sacristy test {image}"


def test_the_doctor_sees_a_stage_that_was_removed_by_hand(bench):
    promotion.promote(bench.desk(), bench.image(), PRODUCTION, "one")
    bench.registry.untag(bench.model, "production")
    ((what, _),) = stage_faults(bench.desk())
    assert what == f"{bench.model}:production was removed by hand"


def test_the_doctor_sees_an_image_that_cannot_be_read(bench):
    image = bench.image()
    promotion.promote(bench.desk(), image, PRODUCTION, "one")
    blob = bench.registry.manifest(bench.model, image.digest)["config"]["digest"]
    bench.registry.layout(bench.model).store.delete(blob)
    ((what, mend),) = stage_faults(bench.desk())
    assert "cannot be read" in what
    assert "rollback" in mend


def test_the_doctor_sees_a_signature_that_is_gone(bench):
    image = bench.image()
    promotion.promote(bench.desk(), image, PRODUCTION, "one")
    bench.registry.untag(bench.model, signature_tag(image.digest))
    ((what, mend),) = stage_faults(bench.desk())
    assert "is not signed" in what
    assert mend == f"sacristy promote {image} production --why 'sign it'"


def test_the_doctor_sees_an_index_that_cannot_be_read_and_looks_at_the_other_models(bench):
    promotion.promote(bench.desk(), bench.image(), PRODUCTION, "one")
    bench.registry.untag(bench.model, "production")
    damaged = bench.registry.root / "a-model" / "index.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    (first, _), (second, _) = stage_faults(bench.desk())
    assert first.startswith("a-model: its stages cannot be read")
    assert second == f"{bench.model}:production was removed by hand"


def test_what_the_policy_adopts_needs_no_word(bench):
    promotion.promote(bench.desk(), bench.image(), PRODUCTION, "one")
    found = bench.image()
    bench.registry.tag(bench.model, "production", found.digest)
    with pytest.raises(StageMovedByHand):
        promotion.settled(bench.desk(), bench.model, PRODUCTION)
    assert promotion.settled(bench.desk(stages_moved_by_hand="adopt"), bench.model, PRODUCTION) == found.digest
    assert [move["action"] for move in moves.events(bench.database, bench.model)] == ["promoted", "adopted"]
