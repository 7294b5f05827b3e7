"""The objective of a network: its loss averaged over batches of examples, and the statistics of its layers."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict

import numpy as np

from downslope import _tree
from downslope._choices import Choice, defaults
from downslope._engine import Structure, jax, kept, precision, structure_of, structure_of_function
from downslope._types import Plain
from downslope.descent import Batched, Objective
from downslope.networks._loss_probe import LossBehaviour, probed
from downslope.networks._losses import Loss, measured
from downslope.networks._scores import scores_at_end
from downslope.networks.data import NUMBERS, suited_metric
from downslope.networks.layers import size_in_words
from downslope.networks.models import (
    Model,
    OutputForm,
    Walk,
    facts_of_layers,
    facts_of_walk,
    look_through,
    outline,
    output_form_and_shape,
    rewritten,
    statistics,
    walked,
    with_fast_convolutions,
)
from downslope.programs import marked_outputs, program_traits

_BLOCK = 500  # examples that are mapped at once where no gradient is needed
_MOST_ASSESSED = 5000


class ComputationChoices(TypedDict, total=False):
    """The choices of how outputs and loss are computed; `_Computation` reads them by name."""

    l2: Annotated[
        float,
        Choice(
            0.0,
            "The factor λ of a penalty λ Σ w² on all kernels, added to the loss.",
            "computation",
            least=0,
            compiles=True,
        ),
    ]
    mixed_precision: Annotated[
        bool, Choice(False, "Compute in bfloat16, with weights in float32.", "computation", compiles=True)
    ]
    class_weights: Annotated[
        Literal["balanced"] | Mapping[Any, float] | Sequence[float] | None,
        Choice(
            None,
            'Weights of the classes in the loss: "balanced" for rows / (classes × rows of the '
            "class), a mapping from labels to weights, or weights in the order of the classes; None for equal weights.",
            "computation",
            kind="weights",
            metavar="WEIGHTS",
            compiles=True,
            typed="Weights of the classes in the loss: balanced; no=1,yes=20; or 1,20 in the order of the classes.",
        ),
    ]


def network_objective(
    model: Model,
    training: tuple[Any, Any],
    held_out: tuple[Any, Any] | None,
    loss: Loss,
    kind: str,
    *,
    batch: int,
    computing: Plain,
    facts: Plain | None = None,
    stream: Iterable[Any] | None = None,
    own: Callable[[Any], Structure] = structure_of_function,
) -> Objective:
    """Return the objective of a network over examples.

    Args:
        model: the network.
        training: inputs and targets; the first of them, where they come as a stream.
        held_out: inputs and targets for validation, or None.
        loss: the loss.
        kind: the kind of the targets, which decides the metric.
        batch: the size of a batch, for which the layers of foreign models are inferred.
        computing: the choices of `ComputationChoices` by name, the weights of classes as numbers in their order.
        facts: facts on the examples.
        stream: batches of inputs and targets, or None.
        own: the function from a model or a loss of the user's to the structure that its programs are kept for.
    """
    loss = loss.weighted(computing.get("class_weights") or ())
    metric = ((facts or {}).get("data") or {}).get("metric") or suited_metric(kind, None)
    compute, evaluation, structure = _computation(model, loss, computing, own)
    judged = _Judged(evaluation)
    # A built-in network records its own layers; those of a foreign one are inferred from its program.
    walk = None if model.layers else walked(compute.loss, model.point, model.memory, training, batch)
    inside = (
        facts_of_layers(model, training[0])
        if walk is None
        else facts_of_walk(walk, model.point, model.memory, training, batch)
    )
    target = ((facts or {}).get("encoding") or {}).get("target")
    form, shape = _output(compute, model, training[0])
    behaviour = _tried(loss, shape, training[1], kind)
    described = {**loss.describe(), "from_logits": _takes_logits(loss, behaviour)}
    outputs = form.facts(int(np.prod(shape)))
    wanted = int(np.prod(np.shape(training[1])[1:]))
    # Of a mean and a spread, as a user's loss may take them, no one number stands for the target.
    is_scored = kind != NUMBERS or loss.whole is None or behaviour.form != "" or outputs["outputs"] == wanted
    assess = functools.partial(_assessed, judged, described, kind if is_scored else None, metric)
    batched = Batched(
        loss=compute.loss,
        memory=model.memory,
        examples=training if stream is None else None,
        stream=stream,
        sample=training,
        held_out=held_out,
        layers=tuple(inside["layers"]),
        **_look_inside(compute, model, walk),
        assess=assess,
        conclude=functools.partial(_concluded, judged, described, kind if is_scored else None, target),
        facts={
            **(facts or {}),
            "network": {
                **_network_facts(model, described, kind, metric, inside),
                **_traits(compute, model, walk, training, batch, structure),
                **outputs,
                **compute.choices,
                "class_weights": list(loss.weights) or None,
            },
            "loss": behaviour.describe(),
        },
        structure=structure,
    )
    return Objective(
        function=_NetworkValue(compute.loss, model.memory),
        name="loss",
        read_as=_sentence(model, loss),
        data={"inputs": training[0], "targets": training[1]},
        precision="float32",
        batched=batched if model.layers else with_fast_convolutions(batched),
        structure=structure,
        recipe=functools.partial(
            network_objective,
            model,
            training,
            held_out,
            loss,
            kind,
            batch=batch,
            computing=computing,
            facts=facts,
            stream=stream,
            own=structure.again,
        ),
    )


class _NetworkValue:
    """The loss over all the examples.

    Args:
        loss: the loss of a batch.
        memory: the memory at step 0.
    """

    def __init__(self, loss: Callable[..., Any], memory: Any) -> None:
        self._loss, self._memory = loss, memory

    def __call__(self, point: Any, data: Any) -> Any:
        return self._loss(point, self._memory, (data["inputs"], data["targets"]), None)[0]


class _Computation:
    """The functions of point, memory and batch that are traced."""

    def __init__(self, model: Model, loss: Loss, computing: Plain) -> None:
        self.model, self._loss = model, loss
        self.choices = {**defaults(ComputationChoices), **computing}
        # The penalty is on kernels alone: biases and scales of a normalisation have one axis.
        self._kernels = [np.ndim(leaf) > 1 for leaf in _tree.leaves(model.point)]

    def forward(self, point: Any, memory: Any, inputs: Any, key: Any, training: bool, nudges: Any = None) -> Any:
        """Map a batch, in bfloat16 with mixed precision."""
        if self.choices["mixed_precision"]:
            # The weights themselves stay float32; their gradient passes through this cast.
            point, inputs = jax().tree.map(_shortened, (point, inputs))
        passed = self.model.forward(point, memory, inputs, key, training, nudges)
        # A mean over a batch needs more than the eight bits of a bfloat16.
        outputs = passed.outputs.astype("float32")
        # Running means keep their type, or the loop would be compiled again for another carry.
        kept = jax().tree.map(lambda new, old: new.astype(old.dtype), passed.memory, memory)
        # One row of outputs an example, as the targets have; a module that returns a bare number has none.
        return passed._replace(outputs=outputs[:, None] if outputs.ndim == 1 else outputs, memory=kept)

    def loss(self, point: Any, memory: Any, batch: Any, key: Any) -> tuple[Any, Any]:
        """Return the loss of a batch in training, and the memory after it."""
        inputs, targets = batch
        passed = self.forward(point, memory, inputs, key, True)
        # In a program without names for layers, nothing else says where the network ends.
        outputs = passed.outputs if self.model.layers else marked_outputs(passed.outputs)
        return self._loss.of_batch(outputs, targets) + self._penalty(point), passed.memory

    def seen(self, point: Any, memory: Any, batch: Any, key: Any, nudges: Any) -> tuple[Any, tuple[Any, Any]]:
        """Return the loss, the memory and the layers' statistics."""
        inputs, targets = batch
        passed = self.forward(point, memory, inputs, key, True, nudges)
        value = self._loss.of_batch(passed.outputs, targets) + self._penalty(point)
        return value, (passed.memory, statistics(self.model.activations, passed.before, passed.after))

    def nudges(self, batch: Any) -> tuple[Any, ...]:
        """Return zeros of the shapes of a batch's pre-activations."""
        # Shapes follow from an abstract evaluation, without running the network.
        shapes = jax().eval_shape(
            lambda point, memory, inputs: self.forward(point, memory, inputs, None, True).before,
            self.model.point,
            self.model.memory,
            batch[0],
        )
        return tuple(jax().numpy.zeros(shape.shape, shape.dtype) for shape in shapes)

    def at_rest(self, point: Any, memory: Any, inputs: Any) -> Any:
        """Return the outputs without dropout, by running means, shape (rows, …)."""

        def block_mapped(point: Any, memory: Any, block: Any) -> Any:
            return self.forward(point, memory, block, None, False).outputs

        mapping = block_mapped if self.model.layers else rewritten(block_mapped)
        rows = inputs.shape[0]
        # Blocks of one size share a compiled loop and bound the memory for activations; the rest is one more program.
        whole = rows // _BLOCK * _BLOCK
        outputs = []
        if whole:
            blocks = inputs[:whole].reshape(-1, _BLOCK, *inputs.shape[1:])
            mapped = jax().lax.map(lambda block: mapping(point, memory, block), blocks)
            outputs.append(mapped.reshape(whole, *mapped.shape[2:]))
        if rows > whole:
            outputs.append(mapping(point, memory, inputs[whole:]))
        return jax().numpy.concatenate(outputs)

    def judged(self, point: Any, memory: Any, sets: Mapping[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
        """Return, by set, the outputs at rest, their loss, and the targets, of at most 5000 examples."""
        results = {}
        for name, (inputs, targets) in sets.items():
            outputs, wanted = self.at_rest(point, memory, inputs[:_MOST_ASSESSED]), targets[:_MOST_ASSESSED]
            results[name] = (outputs, self._loss.of_batch(outputs, wanted), wanted)
        return results

    def _penalty(self, point: Any) -> Any:
        """Return λ Σ w² over the kernels."""
        # Without a penalty its sum does not become part of the program.
        if not self.choices["l2"]:
            return 0.0
        kernels = [leaf for leaf, counts in zip(_tree.leaves(point), self._kernels, strict=True) if counts]
        return self.choices["l2"] * sum(jax().numpy.sum(leaf**2) for leaf in kernels)


def _computation(
    model: Model, loss: Loss, computing: Plain, own: Callable[[Any], Structure]
) -> tuple[_Computation, Callable[..., Any], Structure]:
    """Return the functions of a network, the compiled evaluation, and what further programs are kept for.

    Networks of the same layers of downslope's own share them, so that a second training, by another rate or seed or on
    other data, is not traced again. A function of the user's may have changed since: it is traced in each training.
    """

    def build(model: Model) -> tuple[_Computation, Callable[..., Any]]:
        compute = _Computation(model, loss, computing)
        return compute, jax().jit(compute.judged)

    if model.structure is None or loss.whole is not None:
        network = model.rebuilt(model.point, model.memory)
        structure = own(loss.whole or type(network[0] if isinstance(network, tuple) else network))
        compute, judged = build(model)
        return compute, kept(structure, "judged", lambda: judged), structure
    structure = structure_of(("network", model.structure, loss.name, loss.from_logits, *sorted(computing.items())))
    # Shapes stand for the weights, which a program that is shared would keep alive.
    compute, judged = kept(structure, "computation", lambda: build(outline(model)))
    return compute, judged, structure


def _shortened(leaf: Any) -> Any:
    """Return a float array in bfloat16."""
    return leaf.astype("bfloat16") if jax().numpy.issubdtype(leaf.dtype, np.floating) else leaf


def _look_inside(compute: _Computation, model: Model, walk: Walk | None) -> dict[str, Any]:
    """Return `seen` and `nudges` of an objective: built in, inferred from a foreign model, or None."""
    if walk is not None:
        return look_through(walk)
    if model.layers:
        return {"seen": compute.seen, "nudges": compute.nudges}
    return {"seen": None, "nudges": None}


class _Judged:
    """The compiled evaluation of a network, which knows the last one: the end is evaluated, and then scored.

    Args:
        judged: `judged(point, memory, sets)`, as `_Computation` has it.
    """

    def __init__(self, judged: Callable[..., Any]) -> None:
        self._judged = judged
        # Of trainings in several threads each may take the place of the other, which costs an evaluation.
        self._last: tuple[tuple[Any, ...], Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Return the outputs, the loss and the targets by set."""
        last = self._last
        if last is not None and all(old is new for old, new in zip(last[0], arguments, strict=True)):
            return last[1]
        results = self._judged(*arguments)
        self._last = arguments, results
        return results

    def forget(self) -> None:
        """Forget the last evaluation."""
        self._last = None


def _assessed(
    judged: _Judged, loss: Plain, kind: str | None, metric: str, point: Any, memory: Any, sets: Mapping[str, Any]
) -> dict[str, float]:
    """Return the loss and the metrics of the network at rest, on at most 5000 examples of each set.

    Without a kind of targets there is the loss alone.
    """
    measurements: dict[str, float] = {}
    balanced = metric == "balanced_accuracy"
    for of, (outputs, value, targets) in judged(point, memory, sets).items():
        arrays = np.asarray(outputs), np.asarray(targets)
        scores = {} if kind is None else measured(kind, *arrays, from_logits=loss["from_logits"], balanced=balanced)
        measurements |= {f"{of}_loss": float(value), **{f"{of}_{name}": number for name, number in scores.items()}}
    return measurements


def _concluded(
    judged: _Judged,
    loss: Plain,
    kind: str | None,
    target: Plain | None,
    point: Any,
    memory: Any,
    sets: Mapping[str, Any],
) -> Plain:
    """Return the scores at the end on at most 5000 examples of each set, as facts; none without a kind of targets."""
    results = {} if kind is None else judged(point, memory, sets)
    judged.forget()
    if kind is None:
        return {}
    scores = {
        of: scores_at_end(kind, np.asarray(outputs), np.asarray(targets), loss, target)
        for of, (outputs, _, targets) in results.items()
    }
    return {"scores": {"validation": None, **scores}}


def _network_facts(model: Model, loss: Plain, kind: str, metric: str, inside: Plain) -> Plain:
    """Return the facts on the network before training."""
    return {
        "description": model.description,
        **inside,
        "parameters": _tree.size(model.point),
        "loss": loss,
        "kind": kind,
        "metric": metric,
        "normalised": model.description.get("normalised", False)
        or any(layer.get("normalisation", "none") != "none" for layer in model.description.get("layers", [])),
        "gradients_kept": False,
    }


def _traits(
    compute: _Computation, model: Model, walk: Walk | None, training: tuple[Any, Any], batch: int, structure: Structure
) -> Plain:
    """Return the traits of the program of a training step; see `program_traits`."""
    if walk is not None:
        return _of_program(walk.closed, model, training)
    layers = model.description.get("layers", [])
    dropout = [float(layer["dropout"]) for layer in layers if layer.get("dropout")]
    known = {"dropout": dropout, "normalised_over": [], "cut_off": [], "statistics_move": None}
    if all(layer.get("normalisation", "none") == "none" for layer in layers):
        return known
    some = jax().tree.map(lambda leaf: np.asarray(leaf)[:1].repeat(batch, 0), training)

    def traced() -> Plain:
        with precision("float32"):
            closed = jax().make_jaxpr(compute.loss)(model.point, model.memory, some, jax().random.key(0))
        traits = _of_program(closed, model, training)
        return {name: traits[name] for name in ("normalised_over", "statistics_move")}

    if model.structure is None:
        return {**known, **traced()}
    # Of downslope's own layers only the shapes decide, and these are those of a program.
    leaves, form = jax().tree.flatten(some)
    key = "traits", form, tuple((leaf.shape, leaf.dtype.str) for leaf in leaves)
    return {**known, **kept(structure, key, traced)}


def _of_program(closed: Any, model: Model, batch: tuple[Any, Any]) -> Plain:
    """Return the traits of the program of a loss."""
    return program_traits(
        closed, _tree.part_names(model.point), len(_tree.leaves(model.memory)), len(_tree.leaves(batch))
    )


def _output(compute: _Computation, model: Model, inputs: Any) -> tuple[OutputForm, tuple[int, ...]]:
    """Return the form of the last operations of a model, and the shape of the outputs of an example.

    The network is traced once for both, unless its layers say the shape.
    """
    if model.outputs is not None:
        return OutputForm.of(model.activations[-1]), model.outputs

    def at_rest(point: Any, memory: Any, rows: Any) -> Any:
        return compute.forward(point, memory, rows, None, False).outputs

    arguments = model.point, model.memory, np.asarray(inputs[:3])

    if model.layers:
        with precision("float32"):
            shape = jax().eval_shape(at_rest, *arguments).shape
        return OutputForm.of(model.activations[-1]), shape[1:]
    form, shape = output_form_and_shape(at_rest, *arguments)
    return form, shape[1:]


def _takes_logits(loss: Loss, behaviour: LossBehaviour) -> bool | None:
    """Return whether a loss takes logits, of a user's by its values; None where it takes neither these nor shares."""
    if loss.whole is None:
        return loss.from_logits
    return {"logits": True, "probabilities": False}.get(behaviour.takes)


def _tried(loss: Loss, shape: tuple[int, ...], targets: Any, kind: str) -> LossBehaviour:
    """Return the behaviour of the loss on artificial outputs of a shape."""
    wanted = np.asarray(targets)
    # Classes that are in no row count as well where the outputs have room for them.
    classes = 0 if kind == NUMBERS else max(int(wanted.max()) + 1, int(np.prod(shape)), 2)
    own = None if loss.whole is not None else (loss.name, loss.from_logits, loss.weights)
    return probed(lambda outputs, targets: loss.of_batch(outputs, targets[0]), shape, (wanted,), classes, own)


def _sentence(model: Model, loss: Loss) -> str:
    """Return the objective in words."""
    description = model.description
    if description["kind"] != "network":
        return f"{loss.name} of {description['class']} ({description['kind']})"
    sizes = [size for layer in description["layers"] if (size := size_in_words(layer)) is not None]
    shape = "×".join(map(str, description["inputs"]))
    return f"{loss.name} of a network {shape} → {' → '.join(sizes)}"
