"""Watched trainings whose outcome and cause are known: recall, right cause first, alarms, and what watching changed.

    python benchmarks/watching_cases.py FILE [SEEDS]

FILE is a module with `CASES`: by name the symptoms that are right, or "healthy", and a function `run(watch, *, seed,
mended=False)` that trains with a loop of its own, tells `watch(model, optimizer, folder, every=…)` its losses, and
returns a result with `trace`, `first_loss` and `model`. A finding is right if it is the first problem and its symptom
is among those. A sick case without its fault is healthy. Each case also runs unwatched: the weights must come out the
same to the last bit, and the value of step 0 must be the first loss.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it

import downslope as ds
from downslope import Severity


class Verdict(NamedTuple):
    """What a diagnosis of one run says.

    Args:
        name: the case.
        right: the symptoms that are right; empty for a healthy one.
        problems: the symptoms of the problems, in order.
        good: the first finding that is no problem.
        is_same: whether the weights are those of the unwatched run.
        is_value: whether the value of step 0 is the first loss.
        cost: CPU seconds over those of the unwatched run.
    """

    name: str
    right: tuple[str, ...]
    problems: tuple[str, ...]
    good: str
    is_same: bool
    is_value: bool
    cost: float

    @property
    def is_as_it_should_be(self) -> bool:
        """Whether the right cause comes first, or nothing is wrong and nothing is said to be."""
        return bool(self.problems) and self.problems[0] in self.right if self.right else not self.problems


def module_of(file: Path) -> ModuleType:
    """Return a file as a module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def judged(name: str, run: Any, right: tuple[str, ...], **choices: Any) -> Verdict:
    """Return the verdict on a case."""
    began = time.process_time()
    alone = run(**choices)
    between = time.process_time()
    watched = run(ds.watch, **choices)
    ended = time.process_time()
    diagnosis = ds.diagnose(watched.trace)
    problems = tuple(finding.symptom for finding in diagnosis if finding.severity is Severity.PROBLEM)
    states = alone.model.state_dict(), watched.model.state_dict()
    # NaN equals itself here: a training that diverged has it in both.
    is_same = all(torch.allclose(states[0][key], states[1][key], 0, 0, equal_nan=True) for key in states[0])
    first = float(watched.trace.recorded["value"][0])
    is_value = abs(first - watched.first_loss) <= 1e-4 * max(abs(watched.first_loss), 1e-30)
    good = next((finding.symptom for finding in diagnosis if finding.severity is Severity.GOOD), "")
    return Verdict(name, right, problems, good, is_same, is_value, (ended - between) / (between - began))


def main(file: Path, seeds: int) -> int:
    """Run all cases of a file, print what comes out, and return the number of runs that are not as they should be."""
    torch.set_num_threads(1)
    verdicts = []
    for name, (right, run) in module_of(file).CASES.items():
        symptoms = () if right == "healthy" else tuple(right)
        for seed in range(seeds):
            verdicts.append(judged(name, run, symptoms, seed=seed))
            if symptoms:
                verdicts.append(judged(f"{name}, mended", run, (), seed=seed, mended=True))
            for verdict in verdicts[-2 if symptoms else -1 :]:
                marks = "" if verdict.is_as_it_should_be else "  ✗"
                marks += "" if verdict.is_same else "  OTHER WEIGHTS"
                marks += "" if verdict.is_value else "  OTHER VALUE"
                said = ", ".join(verdict.problems) or verdict.good
                print(f"{verdict.name:34s} {seed}  × {verdict.cost:4.2f}  {said}{marks}", flush=True)
    sick, healthy = ([v for v in verdicts if bool(v.right) is is_sick] for is_sick in (True, False))
    recalled = sum(bool(set(v.problems) & set(v.right)) for v in sick)
    noticed = sum(bool(v.problems) for v in sick)
    first = sum(bool(v.is_as_it_should_be) for v in sick)
    alarms = sum(bool(v.problems) for v in healthy)
    print(f"sick: {noticed} of {len(sick)} noticed, {recalled} with the right cause, {first} with it first")
    print(f"healthy and mended: {alarms} of {len(healthy)} with an alarm")
    changed = sum(not v.is_same for v in verdicts)
    print(f"other weights: {changed} of {len(verdicts)}; other first value: {sum(not v.is_value for v in verdicts)}")
    return sum(not v.is_as_it_should_be or not v.is_same or not v.is_value for v in verdicts)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1) > 0)
