"""The model of the cluster's stories: the nearest of ten mean pictures, in plain Python."""

import json
import tempfile
from pathlib import Path

import data
from serve import Lamp

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("lamp")


@ex.config
def config():
    sharpness = 1.0  # noqa: F841


@ex.automain
def main(_run, sharpness):
    parts = data.read()
    tracking.log_data(_run, data.NAME, f"sha256:{data.SHA256}", sum(map(len, parts.values())))
    train, heldout = parts["train"], parts["heldout"]
    means = [train.pixels[train.labels == label].mean(axis=0).round(6).tolist() for label in range(10)]
    examples = [
        {"instance": pixels.tolist(), "target": str(label)}
        for pixels, label in zip(heldout.pixels, heldout.labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "means.json").write_text(json.dumps({"means": means, "sharpness": sharpness}))
        lamp = Lamp()
        lamp.load(folder)
        found = [lamp.encode(each).label for each in lamp.predict([example["instance"] for example in examples])]
        golden = {example["target"]: example["instance"] for example in examples}
        answers = [lamp.encode(each).model_dump() for each in lamp.predict(list(golden.values()))]
        kept = [{"instance": i, "prediction": answer} for i, answer in zip(golden.values(), answers, strict=True)]
        (folder / "golden.json").write_text(json.dumps(kept))
        (folder / "heldout.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
        weights.save(_run, folder)
    return {"accuracy": sum(a == e["target"] for a, e in zip(found, examples, strict=True)) / len(examples)}
