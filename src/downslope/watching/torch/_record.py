"""From the device to the host: the kept tensors of some steps become rows, records of layers and facts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from downslope.trace import Spectrum
from downslope.watching._rows import WatchedRows
from downslope.watching._seen import BatchOrder, ClassRecalls, SeenRows, comparable, scores_of_classes
from downslope.watching.torch._curvature import CurvatureEnds, ends_of
from downslope.watching.torch._facts import dropped, merged, network_facts
from downslope.watching.torch._library import Module, Tensor, torch
from downslope.watching.torch._looks import COLUMNS, Sight
from downslope.watching.torch._model import Parts, rank_and_processes
from downslope.watching.torch._sampled import SampledWeights
from downslope.watching.torch._tried import tried

_GRADIENT = "activation_gradient_norm"


class StepRecord:
    """What is kept of a step until it is fetched."""

    __slots__ = (
        "ends",
        "losses",
        "norms",
        "number",
        "rate",
        "scale",
        "sights",
        "sizes",
        "skipped",
        "updates",
        "weights",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.losses: list[tuple[Any, list[Tensor]]] = []  # each with the gradients that arrived at it
        self.norms: Tensor | None = None
        self.rate: Any = math.nan
        self.scale: Tensor | None = None
        self.skipped: Any = False
        self.sights: list[Sight] = []
        self.ends: CurvatureEnds | None = None
        self.weights: list[Tensor] | None = None  # before the step
        self.sizes: Tensor | None = None
        self.updates: Tensor | None = None


class FetchedSteps(NamedTuple):
    """The numbers of some steps.

    Args:
        values: the value of each.
        weights: what its losses were multiplied by in all.
        scales: the scale of a scaler.
        norms: of the gradients, shape (steps, parts).
        skipped: whether its gradients overflowed, so that no step was taken.
    """

    values: np.ndarray
    weights: np.ndarray
    scales: np.ndarray
    norms: np.ndarray
    skipped: np.ndarray


class HostCopies:
    """The numbers of looks on the host, in one transfer from each device.

    Args:
        steps: the steps that were looked at.
    """

    def __init__(self, steps: Sequence[StepRecord]) -> None:
        tensors = [tensor for step in steps for tensor in (step.sizes, step.norms, step.updates)]
        for sight in (sight for step in steps for sight in step.sights):
            tensors += [sight.sums, sight.score, sight.classes, sight.recalls, *sight.gradients]
        known = {id(tensor): tensor for tensor in tensors if tensor is not None}
        self._arrays: dict[int, np.ndarray] = {}
        for device in {tensor.device for tensor in known.values()}:
            own = {key: tensor for key, tensor in known.items() if tensor.device == device}
            numbers = torch.cat([tensor.reshape(-1) for tensor in own.values()]).double().cpu().numpy()
            begin = 0
            for key, tensor in own.items():
                self._arrays[key] = numbers[begin : begin + tensor.numel()].reshape(tensor.shape)
                begin += tensor.numel()

    def __getitem__(self, tensor: Tensor) -> np.ndarray:
        return self._arrays[id(tensor)]


class Recorder:
    """Makes rows, looks and facts of what was kept of steps.

    Args:
        model: the model.
        parts: its parameters by part.
        rows: where rows go.
        seen: the sample of rows.
        optimizers: how many step the model.
        has_scaler: whether the scale of the losses is known.
    """

    def __init__(
        self, model: Module, parts: Parts, rows: WatchedRows, seen: SeenRows, optimizers: int, has_scaler: bool
    ) -> None:
        self._model, self._parts, self._rows, self._seen = model, parts, rows, seen
        self.criterion: Any = None  # to be tried, once there are targets
        self._optimizers, self._has_scaler = optimizers, has_scaler
        self._facts: dict[str, Any] = {}
        self._layers: dict[str, dict[str, Any]] = {}  # what is known of each, by name
        self._scores: list[np.ndarray] = []
        self.sampled = SampledWeights(parts.by_name)  # of weights that are too many to be kept
        self._recalls, self._order = ClassRecalls(), BatchOrder()
        self.modes: Callable[[], dict[str, bool | None]] = dict  # of evaluations and steps, as facts
        self._reached: set[str] = set()
        self._moved = np.zeros(len(parts.labels), bool)  # parts with a gradient other than 0
        self._unread: dict[str, str] = {}  # parts that no layer was read from, and the operation that uses each
        self._notes: list[str] = []
        self._skipped = 0
        self._host = HostCopies(())
        self.start: list[Tensor] | None = None  # the weights before the first step, until they are fetched

    def add(self, steps: Sequence[StepRecord], notes: Sequence[str]) -> None:
        """Fetch the numbers of steps and add them.

        Args:
            steps: the steps, in order.
            notes: sentences on what could not be looked at.
        """
        if not self._rows.part_names:
            start = self.start or None
            self._rows.name_parts(self._parts.labels, {} if start is None else self._parts.arrays(start))
            self.start = []
        looks = [step for step in steps if step.sizes is not None or step.sights]
        self._host = HostCopies(looks)
        if steps:
            self._add_steps(steps, self._fetched(steps))
            self._add_looks(looks)
        self._renew(steps, notes)
        self._host = HostCopies(())

    def _fetched(self, steps: Sequence[StepRecord]) -> FetchedSteps:
        """Return the numbers of steps, in a few transfers."""
        scales = np.array([1.0 if step.scale is None else float(step.scale) for step in steps])
        skipped = np.array([bool(step.skipped) for step in steps])
        values, weights = np.zeros(len(steps)), np.zeros(len(steps))
        terms = [(row, x, g) for row, step in enumerate(steps) for x, cell in step.losses for g in cell]
        rows = [row for row, _, _ in terms]
        arrived = _host([gradient for _, _, gradient in terms])
        whole = all(gradient.dim() == 0 for _, _, gradient in terms)
        losses = _host([x if whole else x * gradient for _, x, gradient in terms])
        np.add.at(values, rows, losses * arrived if whole else losses)
        np.add.at(weights, rows, arrived)
        known = set(rows)
        for row, step in enumerate(steps):
            if row not in known:  # no gradient came by: the losses are parts of another one, or plain numbers
                values[row] = np.mean([_whole(loss) for loss, _ in step.losses]) * scales[row]
                weights[row] = scales[row]
        unknown = torch.full((len(self._parts.labels),), math.nan)
        norms = (
            torch.stack([unknown if step.norms is None else step.norms.to("cpu") for step in steps])
            if any(step.norms is None for step in steps)
            else torch.stack([step.norms for step in steps])
        )
        return FetchedSteps(values / scales, weights / scales, scales, norms.double().cpu().numpy(), skipped)

    def _add_steps(self, steps: Sequence[StepRecord], numbers: FetchedSteps) -> None:
        """Add a row for each step."""
        self._skipped += int(numbers.skipped.sum())
        if not self._has_scaler and np.any(numbers.weights > 16):
            note = "The losses arrive multiplied, as by a GradScaler: pass it as scaler=, or their size is not known."
            if note not in self._notes:
                self._notes.append(note)
        steps_taken = np.array([step.number for step in steps], np.int64)
        self._moved |= (numbers.norms > 0).any(axis=0)
        owned = numbers.norms[:, self._parts.owned]
        with np.errstate(all="ignore"):
            gradient = np.sqrt(np.nansum(np.square(owned), axis=1))
        # Parts of an optimizer that made no step are NaN as well, and no fault.
        stepped = np.asarray(np.isfinite(numbers.norms).any(axis=1))
        for row in np.flatnonzero(~numbers.skipped & ~(np.isfinite(owned).all(axis=1) & np.isfinite(gradient))):
            bad = [index for index in self._parts.owned if not self._is_fine(numbers.norms[row, index], stepped[row])]
            if bad:
                self._rows.bad_parts[int(steps_taken[row])] = self._parts.labels[bad[0]]
                gradient[row] = math.nan
        gradient[numbers.skipped] = math.nan
        values = numbers.values.copy()
        for row in np.flatnonzero(numbers.skipped & ~np.isfinite(values)):
            # The loss of a step that overflowed is no loss of the network; the one before stands for it.
            values[row] = values[row - 1] if row else np.nan
        lengths = np.full(len(steps), math.nan)
        for row, step in enumerate(steps):
            if step.updates is not None:
                lengths[row] = float(step.updates.double().square().sum().sqrt())
        self._rows.add_steps(
            {
                "step": steps_taken,
                "value": values,
                "gradient_norm": gradient,
                "update_norm": lengths,
                "learning_rate": np.array([float(step.rate) for step in steps]),
            },
            {
                "gradient_norm": steps_taken[numbers.skipped].tolist(),
                "update_norm": steps_taken[np.isnan(lengths)].tolist(),
            },
        )
        for row, step in enumerate(steps):
            if step.ends is not None:
                self._add_curvature(step, float(numbers.weights[row]))

    def _is_fine(self, norm: float, stepped: bool) -> bool:
        """Tell whether the norm of a part is finite, or not measured since another optimizer steps it."""
        return math.isfinite(norm) or (math.isnan(norm) and stepped and self._optimizers > 1)

    def _add_curvature(self, step: StepRecord, weight: float) -> None:
        """Add the curvature of the whole step, of which one of several micro-batches has a part."""
        assert step.ends is not None
        low, high = ends_of(step.ends.plain.double().cpu().numpy())
        scaled = None if step.ends.scaled is None else ends_of(step.ends.scaled.double().cpu().numpy())[1] * weight
        if math.isfinite(low) and math.isfinite(high):
            values = np.array([low * weight, high * weight])
            self._rows.add_spectrum(Spectrum(step.number, values, False, None, None, scaled))

    def _add_looks(self, steps: Sequence[StepRecord]) -> None:
        """Add a row for each step that was looked at."""
        if not steps:
            return
        seen = [self._of_layers(step) for step in steps]
        names = merged(self._rows.layer_names, *(list(each) for each in seen))
        if names:
            self._rows.name_layers(names)
        columns = (*COLUMNS, _GRADIENT)
        layers = {
            column: np.array([[each.get(name, {}).get(column, math.nan) for name in names] for each in seen], float)
            for column in columns
        }
        nothing = np.full(len(self._parts.labels), math.nan)
        parts = {
            "parameter_norm": [step.sizes for step in steps],
            "gradient_norm": [step.norms for step in steps],
            "update_norm": [step.updates for step in steps],
        }
        self._rows.add_looks(
            [step.number for step in steps],
            {
                column: np.stack([nothing if norms is None else self._host[norms] for norms in each])
                for column, each in parts.items()
            },
            layers if names else {},
        )

    def _of_layers(self, step: StepRecord) -> dict[str, dict[str, float]]:
        """Return the statistics of the layers of a step by name."""
        by_name: dict[str, dict[str, float]] = {}
        # The gradient by a pre-activation is that of one micro-batch of several.
        many = len(step.losses) if len(step.sights) == 1 else 1
        scale = 1.0 if step.scale is None else float(step.scale)
        for sight in step.sights:
            table = None if sight.sums is None else sight.statistics(self._host[sight.sums])
            for index, layer in enumerate(sight.layers):
                arrived = sight.gradients[index] if index < len(sight.gradients) else None
                row: dict[str, float] = (
                    dict(zip(COLUMNS, table[index].tolist(), strict=True)) if table is not None else {}
                )
                row[_GRADIENT] = math.nan if arrived is None else float(self._host[arrived]) * many / scale
                by_name[layer.name] = row
        return by_name

    def _renew(self, steps: Sequence[StepRecord], notes: Sequence[str]) -> None:
        """Renew facts and plan by what the looks saw."""
        looked = [step for step in steps if step.sights]
        for step in looked:
            for sight in step.sights:
                self._reached |= sight.reached
                self._unread |= sight.unread
                if sight.targets is not None:
                    self._try(sight)
                if sight.inputs is not None and sight.targets is not None:
                    self._seen.add(sight.inputs.cpu().numpy(), _targets(sight.targets))
                if sight.classes is not None:
                    self._seen.count(self._host[sight.classes])
                if sight.recalls is not None:
                    counts = self._host[sight.recalls]
                    self._recalls.add(counts)
                    if len(step.losses) == 1:  # of several only the first is looked at
                        self._order.add(counts[0])
                if sight.score is not None:
                    self._scores.append(self._host[sight.score])
                noise = sight.noise_scale()
                if noise is not None:
                    self._rows.measure(step.number, {"noise_scale": noise})
        if looked:
            facts = network_facts(self._model, looked[-1].sights, self._parts, self._layers, self._facts)
            if not facts["dropout"]:
                facts["dropout"] = dropped([sight for step in looked for sight in step.sights])
            self._facts |= facts
            sight = looked[-1].sights[0]
            if sight.examples is not None:
                size = sight.examples * rank_and_processes()[1]
                self._rows.plan["batches"] = {"size": size, "accumulate": max(len(looked[-1].losses), 1)}
        if self._facts:
            self._rows.facts["network"] = self._network()
        self.renew_data()
        late = self._recalls.late()
        scores = {} if late is None else scores_of_classes(*late)
        if scores:
            self._rows.facts["scores"] = {"training": scores, "validation": None}
        notes = [*notes, *self._notes, *self._not_read()]
        if self._skipped:
            notes.append(f"{self._skipped} steps were skipped, since their gradients overflowed.")
        if notes:
            self._rows.facts["notes"] = notes

    def _not_read(self) -> list[str]:
        """Return sentences on the parts that were looked at and that no layer was read from."""
        notes = []
        if self._unread:
            listed = ", ".join(f"{part} ({operation})" for part, operation in self._unread.items())
            notes.append(f"No layer was read from these parts, whose operation is not known: {listed}.")
        hidden = [part for part in itertools.compress(self._parts.labels, self._moved) if part not in self._reached]
        if hidden and self._reached:
            listed = ", ".join(hidden)
            notes.append(f"These parts have a gradient and are hidden from the graph, as by a checkpoint: {listed}.")
        return notes

    def _try(self, sight: Sight) -> None:
        """Try the criterion, once."""
        criterion, self.criterion = self.criterion, None
        if criterion is None or sight.targets is None or sight.ending.outputs is None:
            return
        classes = not sight.targets.is_floating_point()
        try:
            facts = tried(criterion, sight.targets.cpu(), sight.ending.outputs, classes=classes)
        except Exception as error:
            self._notes.append(f"The criterion could not be tried: {type(error).__name__}: {error}.")
        else:
            self._rows.facts["loss"] = {**facts, **(self._rows.facts.get("loss") or {})}

    def _network(self, *, is_end: bool = False) -> dict[str, Any]:
        """Return the facts on the network, with the parts that the loss never had a derivative by."""
        facts = dict(self._facts)
        loss = facts.pop("loss_facts", None)
        if loss:
            self._rows.facts["loss"] = {**(self._rows.facts.get("loss") or {}), **loss}
        facts |= self.modes()
        sampled = self.sampled.facts(is_end=is_end)
        if sampled:
            facts["weights"] = sampled
        facts["held"] = self._parts.held
        facts["not_stepped"] = self._parts.not_stepped
        if self._reached:
            # What has a gradient is reached, though a checkpoint may hide it from the graph.
            moved = itertools.compress(self._parts.labels, self._moved)
            aside = {*self._parts.held, *self._parts.not_stepped, *self._reached, *moved}
            facts["cut_off"] = [name for name in self._parts.labels if name not in aside]
        return facts

    def settle(self) -> None:
        """Renew the facts for the last time, with those that are measured once."""
        if self._facts:
            self._rows.facts["network"] = self._network(is_end=True)
        self.renew_data()
        order = self._order.facts()
        if order:
            self._rows.facts["data"] = {**(self._rows.facts.get("data") or {}), **order}

    def renew_data(self) -> None:
        """Renew the facts on the rows that were seen."""
        kind = self._facts.get("kind")
        known = self._seen.facts(
            None if kind is None else "numbers" if kind == "numbers" else "classes", self._facts.get("outputs")
        )
        if known or self._rows.facts.get("data"):
            before = self._rows.facts.get("data") or {}
            counts = {name: before[name] for name in ("validation_rows",) if name in before}
            measured = {name for row in self._rows.measured.values() for name in row}
            self._rows.facts["data"] = {**comparable(known, measured), **counts}

    def score(self) -> dict[str, float]:
        """Return how well the batches of the looks since the last time were predicted, before their steps."""
        scores, self._scores = self._scores, []
        shapes = {score.shape for score in scores}
        if len(shapes) != 1:
            return {}
        total = np.sum(scores, axis=0)
        if total.ndim == 1:
            return {"training_accuracy": float(total[0] / total[1])} if total[1] > 0 else {}
        count, left, first, second = total
        spread = np.sum(second - first**2 / count)
        return {"training_r2": float(1 - np.sum(left) / spread)} if spread > 0 else {}


def _whole(loss: Any) -> float:
    return float(loss.detach().double().sum()) if isinstance(loss, torch.Tensor) else float(loss)


def _host(tensors: Sequence[Tensor]) -> np.ndarray:
    """Return the sums of tensors on the host, in one transfer."""
    if not tensors:
        return np.zeros(0)
    scalars = [tensor if tensor.dim() == 0 else tensor.sum() for tensor in tensors]
    return torch.stack(scalars).double().cpu().numpy()


def _targets(targets: Tensor) -> np.ndarray:
    return (targets.double() if targets.is_floating_point() else targets).cpu().numpy()
