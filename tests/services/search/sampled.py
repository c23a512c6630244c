"""Runs in Ray's environment: draws trials by a plan and asks whether they may go on. Plan in, JSON out."""

import json
import sys
from types import SimpleNamespace

from sacristy.search.samplers import Numbered, stopper

plan = json.load(sys.stdin)
drawn = [Numbered(plan) for _ in range(2)]
configs = [[sampler.suggest(f"t{place}") for place in range(plan["ask"])] for sampler in drawn]
decisions = {}
for score in plan["scores"]:  # each by itself: they do not judge one another
    scheduler, trial = stopper(plan), SimpleNamespace(trial_id="new")
    scheduler.on_trial_add(None, trial)
    decisions[score] = scheduler.on_trial_result(None, trial, {"points": 1, "score": score})
first, second = ([None if isinstance(each, str) else each for each in given] for given in configs)
print(json.dumps({"first": first, "second": second, "decisions": decisions}))
