"""A desk over the real MongoDB and an OCI layout on disk, with small images in it."""

from sacristy.images.layout import FolderRegistry
from sacristy.images.manifest import CONFIG, described, image_config, image_manifest, labels
from sacristy.images.signature import keys_of, new_private_key, public_pem
from sacristy.release import evidence
from sacristy.release.desk import Desk
from sacristy.release.verdict import Check, Verdict, now
from sacristy.settings import Promotion, Role

RUNS = iter(range(1000, 9999))


class Bench:
    """Makes images, judges them, and opens desks for different people."""

    def __init__(self, mongod, folder):
        self.database = mongod.database(Role.SERVICE)
        self.admin = mongod.database(Role.ADMIN)
        self.registry = FolderRegistry(folder)
        self.model = f"news-{next(RUNS)}"
        self.keys = new_keys(folder.parent / f"home-{self.model}")

    def desk(self, user="ana", **policy):
        return Desk(self.database, self.registry, user, Promotion(**policy), self.keys)

    def image(self, accepted=True):
        """Put an image of a new run into the registry, with evidence of how its test went (None: no test)."""
        run = next(RUNS)
        self.admin.runs.insert_one({"_id": run, "experiment": {"name": self.model}, "status": "COMPLETED"})
        facts = {"model": self.model, "run": run, "version": str(run), "sources": "", "lock": "", "dirty": False}
        names = labels(facts | {"data": None, "commit": ""}, created=0)
        config = image_config([], names, created=0)
        self.registry.put_blob(self.model, described(config, CONFIG).digest, config)
        digest = self.registry.put_manifest(self.model, image_manifest(described(config, CONFIG), [], names))
        self.registry.tag(self.model, str(run), digest)
        image = self.registry.image(self.model, digest)
        if accepted is not None:
            self.judge(image, accepted)
        return image

    def judge(self, image, passed):
        check = Check("score", passed, "0.5", "accuracy 0.9", "" if passed else "accuracy 0.5 is too low")
        figures = {"accuracy": 0.5}
        verdict = Verdict(image.model, str(image.version), image.run, image.digest, (check,), figures, None, now(), 1.0)
        evidence.record(self.database, verdict, "judge")

    def tag(self, stage):
        return self.registry.tags(self.model).get(stage)


def new_keys(folder):
    keys = keys_of(folder)
    keys.private_file.parent.mkdir(parents=True)
    keys.private_file.write_text(new_private_key())
    keys.public_file.write_text(public_pem(keys.private()))
    return keys
