"""A validated training configuration that can be trained repeatedly."""

from __future__ import annotations

import functools
import inspect
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack, cast

from downslope._choices import checked, defaults, refuse_unknown, schema
from downslope._copies import check_functions, fields_alone
from downslope._engine import Structure, jax, structure_of_function
from downslope._errors import DataError, SettingError, described, whole
from downslope._types import Plain
from downslope.descent import (
    Beginning,
    DeviceLayout,
    Plan,
    Record,
    checked_progress,
    descend_batches,
    plan,
    settings_of_own,
)
from downslope.methods import SCHEDULE_SETTINGS
from downslope.networks._choices import (
    DataLike,
    ModelLike,
    RunChoices,
    SetupChanges,
    TargetLike,
    TrainingChoices,
    batches_of,
    in_order,
    method_and_rate,
)
from downslope.networks._replicates import Replicates, seeds_of
from downslope.networks._saving import (
    as_written,
    identity,
    is_plain,
    journal_of,
    plain,
    replicate_folder,
    run_folder,
    same_choice,
    spread_over,
)
from downslope.networks._trained import Batching, Revival, Task, Training
from downslope.networks.data import Encoding
from downslope.networks.layers import Layer, from_dict, layers_in, with_layers
from downslope.networks.models import packed, unpacked
from downslope.networks.tasks import (
    NetworkChoices,
    Scoring,
    example_task,
    file_task,
    function_task,
    is_stream,
    read_examples,
    stream_task,
    survey_file,
)
from downslope.tables import is_streamed, listed
from downslope.trace import Outcome, Trace

_CHOICES = schema(TrainingChoices)
_IN_LAYERS = frozenset(name for name, choice in schema(SetupChanges).items() if choice.in_layers)
_STEPPING = sorted(name for name, choice in _CHOICES.items() if choice.noun == "step")
_ONLY_IN_LAYERS = _IN_LAYERS - _CHOICES.keys()
# What a model that comes ready has settled; its loss, and what its outputs stand for, are still open.
_SIZES = tuple(name for name in schema(NetworkChoices) if name not in ("output_activation", "loss", "from_logits"))
_NOT_FOR_FUNCTIONS = (
    *schema(NetworkChoices),
    *("target", "l2", "mixed_precision", "class_weights", "task", "drop", "missing", "streaming"),
)
_NOT_FOR_STREAMS = ("target", "drop", "missing", "begin", "streaming")


@dataclass(frozen=True, eq=False)
class Setup:
    """A validated training configuration, which can be trained repeatedly.

    Data are read and the network is built once, when they are first needed.

    Args:
        model, data, target: as for `train`.
        choices: the other arguments of `train` by name, except those on display and saving. Choices of a network and
            settings of the method are absent if they were not passed.
        number: an identifier shared by its copies, so that they share the programs of a user's model or loss.
    """

    model: Any
    data: Any
    target: Any
    choices: Mapping[str, Any]
    number: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # Without the task: the data are read and the network is built again where they are needed.
        model = packed(self.model)
        check_functions("the setup", *jax().tree.leaves(model), self.data, self.target, *self.choices.values())
        if hasattr(self.data, "__next__"):
            raise DataError(
                "the setup cannot be pickled, since its data come from an iterator, which can be read only once",
                hint="give a list of batches, or a loader that can be pickled",
            )
        return {**fields_alone(self), "model": model}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, model=unpacked(state["model"]), is_copy=True)

    def _structure_of(self, origin: Any) -> Structure:
        """Return the structure that programs of a user's model or loss are kept for."""
        return structure_of_function(origin, self.number, lasting="is_copy" in self.__dict__)

    @classmethod
    def of(
        cls,
        model: ModelLike | DataLike | None = None,
        data: DataLike | ModelLike | None = None,
        target: TargetLike | None = None,
        **choices: Unpack[TrainingChoices],
    ) -> Setup:
        """Return the setup for the arguments of `train`; those not passed have their defaults.

        Raises:
            SettingError: for an unknown argument or a value out of range.
        """
        return cls(*in_order(model, data, target), _completed(choices))

    def changed(self, **changes: Unpack[SetupChanges]) -> Setup:
        """Return a setup with other choices.

        Args:
            changes: arguments of `train`. Choices of hidden layers (`activation`, `initialisation`, `normalisation`,
                `skip`, `dropout`) and `output_activation` are also made in a model that is a list of layers or a
                `Network`, whose weights are then drawn anew; so are `bias`, `least_units` of a hidden layer, and
                `output_units`. None removes a choice of a network or a setting.

        Raises:
            SettingError: for a choice of layers in a foreign model.
        """
        # None removes a choice of a network, whatever values the choice itself allows.
        removed = {name for name, choice in changes.items() if choice is None and name in schema(NetworkChoices)}
        kept = {name: choice for name, choice in changes.items() if name not in removed}
        passed = checked(SetupChanges, kept, settings=settings_of_own(changes))
        passed |= {name: None for name, choice in changes.items() if choice is None}
        model, data, target = (passed.pop(name, getattr(self, name)) for name in ("model", "data", "target"))
        of_layers = {name: passed[name] for name in _IN_LAYERS if name in passed}
        if model is not None and of_layers:
            model = with_layers(model, of_layers)
            passed = {name: choice for name, choice in passed.items() if name not in of_layers}
            if "output_activation" in of_layers:
                passed["output_activation"] = of_layers["output_activation"]
        elif "least_units" in of_layers:
            # Without a model the hidden sizes are raised to the least number of units.
            sizes = self.choices.get("hidden", _CHOICES["hidden"].default)
            passed["hidden"] = tuple(max(units, of_layers["least_units"]) for units in sizes)
        named = {name: choice for name, choice in passed.items() if name not in _ONLY_IN_LAYERS}
        # The sizes describe a network that another model takes the place of.
        settled = _SIZES if changes.get("model") is not None else ()
        rest = {n: c for n, c in self.choices.items() if n not in settled and not _is_replaced(n, named)}
        setup = Setup(model, data, target, {**rest, **{n: c for n, c in named.items() if c is not None or _is_full(n)}})
        # Rows are shared where the data did not change, and the task where nothing that builds it did: data are read
        # and programs compiled once.
        if not changes.keys() & {"data", "target", "validation"}:
            setup.__dict__["rows_read"] = self.rows_read
        if "task" in self.__dict__ and setup.structure == self.structure:
            setup.__dict__["task"] = self.task
        return setup

    @property
    def layers(self) -> tuple[Layer, ...] | None:
        """The layers of a built-in model; None for a model given by its sizes and for foreign models."""
        return layers_in(self.model)

    @property
    def is_foreign(self) -> bool:
        """Whether the model is foreign, so that its layers cannot be changed."""
        return self.model is not None and self.layers is None

    @property
    def explicit_choices(self) -> dict[str, Any]:
        """The choices that differ from the defaults, by name."""
        usual = defaults(TrainingChoices)
        return {n: c for n, c in self.choices.items() if not (n in usual and same_choice(c, usual[n]))}

    @property
    def all_choices(self) -> dict[str, Any]:
        """Every choice by name; omitted choices of a built-in network have their defaults."""
        return {**defaults(NetworkChoices), **self.choices}

    def as_python(self) -> str:
        """Return the equivalent call of `train`; a value that cannot be written appears as its argument's name."""
        model = [] if self.model is None else [as_written(self.model, "model")]
        data = [("" if model else "data=") + as_written(self.data, "data")]
        target = [] if self.target is None else [f"target={as_written(self.target, 'target')}"]
        choices = [f"{name}={as_written(choice, name)}" for name, choice in self.explicit_choices.items()]
        return f"ds.train({', '.join([*model, *data, *target, *choices])})"

    def as_plain(self) -> Plain:
        """Return the setup as plain data; `untold` names the arguments that are not plain data."""
        entries = {"model": self.model, "data": self.data, "target": self.target, **self.explicit_choices}
        if self.layers is not None and isinstance(self.model, list | tuple):
            entries["model"] = [layer.as_dict() for layer in self.layers]
        untold = [name for name, value in entries.items() if not is_plain(value)]
        return {**{name: plain(value) for name, value in entries.items() if name not in untold}, "untold": untold}

    @classmethod
    def from_plain(cls, entries: Plain, **others: Any) -> Setup:
        """Return the setup that `as_plain` describes.

        Args:
            entries: the plain data.
            others: arguments that are not plain data, by name: `data`, `model`, `validation`, …

        Raises:
            DataError: for an argument that is in neither.
        """
        # Arrays and functions are not in a file; data that were a file or a sample are.
        lacking = [name for name in entries["untold"] if others.get(name) is None]
        if lacking:
            raise DataError(
                f"the run does not include its {listed(lacking)}", hint=f"pass what it was trained with: {lacking[0]}=…"
            )
        choices = {name: value for name, value in entries.items() if name != "untold"} | {
            name: value for name, value in others.items() if value is not None
        }
        if isinstance(choices["model"], list) and all(isinstance(layer, dict) for layer in choices["model"]):
            choices["model"] = [from_dict(layer) for layer in choices["model"]]
        return cls.of(choices.pop("model"), choices.pop("data"), choices.pop("target"), **choices)

    @functools.cached_property
    def rows_read(self) -> dict[Any, Any]:
        """The examples for this setup and those that it was changed to, by their seed and how they were read."""
        return {}

    @functools.cached_property
    def structure(self) -> tuple[Any, ...]:
        """The choices that two setups share if they have the same rows, network, loss and compiled program."""
        building = {name: identity(choice) for name, choice in self.choices.items() if _builds(name)}
        return (
            *map(identity, (self.model, self.data, self.target)),
            self.choices["seed"],
            frozenset(building.items()),
        )

    @functools.cached_property
    def task(self) -> Task:
        """The trainable task, with the data read and the network built.

        Raises:
            DataError, SettingError, ObjectiveError: for data, choices or a model that cannot be used.
        """
        arguments = self.choices
        choices = cast(NetworkChoices, {**defaults(NetworkChoices), **_of_noun(arguments, "network")})
        batching = Batching(arguments["batch"], arguments["accumulate"])
        reading = _of_noun(arguments, "rows")
        computing = _of_noun(arguments, "computation")
        model, data, seed, validation = self.model, self.data, arguments["seed"], arguments["validation"]
        # A function is a loss function even without a start, so that the error is about the missing start.
        if arguments["start"] is not None or inspect.isfunction(model) or isinstance(model, functools.partial):
            self._refuse("a loss function", _NOT_FOR_FUNCTIONS)
            start = arguments["start"]
            scoring = Scoring.of(arguments["outputs"], arguments["targets"])
            return function_task(model, start, data, validation, batching, seed, scoring, self._structure_of)
        self._refuse("a network, whose outputs and targets are known", ("outputs", "targets"))
        own = self._structure_of
        if model is not None:
            self._refuse("a model that is built already", _SIZES)
        if is_stream(data, pairs=True):
            self._refuse("a stream", _NOT_FOR_STREAMS)
            task = reading["task"]
            return stream_task(model, choices, data, validation, seed=seed, task=task, computing=computing, own=own)
        rest = {"seed": seed, "computing": computing, "own": own}
        way = seed, validation if isinstance(validation, int | float) else None, identity(reading)
        streams = is_streamed(data, reading["streaming"])
        if streams:
            self._refuse("rows that are streamed", ("begin",))
        if way not in self.rows_read:
            read = survey_file if streams else read_examples
            self.rows_read[way] = read(data, self.target, validation, seed, reading)
        if streams:
            return file_task(model, choices, self.rows_read[way], batching.batch, **rest)
        return example_task(model, choices, self.rows_read[way], batching, **rest)

    def _refuse(self, what: str, names: Iterable[str]) -> None:
        """Raise for a choice that differs from its default and does nothing for this kind of model or data."""
        usual = {**defaults(TrainingChoices), "target": None}
        chosen = {**usual, **self.choices, "target": self.target}
        idle = [name for name in names if name in chosen and not same_choice(chosen[name], usual[name])]
        if idle:
            raise SettingError(f"{idle[0]} does not apply to {what}", hint="leave it out")

    @property
    def encoding(self) -> Encoding | None:
        """The encoding of data as inputs and of outputs as predictions; None without rows of examples."""
        batched = self.task.objective.batched
        plain = None if batched is None else batched.facts.get("encoding")
        return None if plain is None else Encoding.from_dict(plain)

    def plan(self, seed: int | None = None) -> Plan:
        """Return the plan of the training.

        Args:
            seed: of the weights and of the order of examples; None for that of the setup, which always decides which
                rows are held back.
        """
        planned = self._plan_of_rest(seed)
        begin = self.choices["begin"]
        return planned if begin is None else replace(planned, beginning=self._beginning(begin, seed))

    def _beginning(self, begin: Any, seed: int | None) -> Beginning:
        """Return the first steps, which have choices of their own.

        Raises:
            SettingError: for choices that decide more than how to step, and without a number of steps.
        """
        if not isinstance(begin, Mapping) or "steps" not in begin:
            raise SettingError(
                f"begin is a mapping with the number of first steps, not {described(begin)}",
                hint='for example begin={"steps": 100, "learning_rate": 0.1}',
            )
        most = self.choices["steps"]
        steps = whole("steps of the beginning", begin["steps"])
        if steps >= most:
            raise SettingError(
                f"begin must have fewer steps than the training, {most}; it has {steps}", hint="begin with fewer"
            )
        others = {name: choice for name, choice in begin.items() if name not in ("steps", "revive")}
        refuse_unknown(others, (*_CHOICES, "revive"), settings_of_own(others))
        wrong = [name for name in others if not _is_stepping(name)]
        if wrong:
            raise SettingError(
                f"begin cannot change {wrong[0]}",
                hint=f"it can change {listed(_STEPPING)}, and settings of these",
            )
        revive = begin.get("revive", False)
        if not isinstance(revive, bool):
            raise SettingError(f"revive is true or false, not {described(revive)}")
        change = Revival(self, seed) if revive else None
        if change is not None and self.task.revived is None:
            raise SettingError("the units of this model are unknown, so none can be revived", hint="leave revive out")
        return Beginning(self.changed(begin=None, **others)._plan_of_rest(seed), steps, change)

    def _plan_of_rest(self, seed: int | None) -> Plan:
        """Return the plan of the training without its first steps."""
        arguments, task = self.choices, self.task
        settings = {name: choice for name, choice in arguments.items() if _is_setting(name)}
        if arguments["weight_decay"]:
            settings["weight_decay"] = arguments["weight_decay"]
        chosen, rate = method_and_rate(arguments, settings)
        every = arguments["layers_every"]
        planned = plan(
            task.objective,
            # A seed of its own changes weights and order; the rows held back stay, so that runs are comparable.
            task.start if seed is None else task.start_of(seed),
            method=chosen,
            learning_rate=rate,
            record=Record(every or 1, layers_every=every, spectrum=False),
            seed=arguments["seed"] if seed is None else seed,
            batches=batches_of(task, arguments),
            **{name: arguments[name] for name in ("schedule", "steps", "clip_norm", "clip_value")},
            **settings,
        )
        return replace(planned, facts={"asked": self.as_plain()})

    def train(
        self,
        seed: int | None = None,
        *,
        progress: bool | Callable[[int, int, float], None] | None = None,
        save: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        watch: Callable[[Training], None] | None = None,
        devices: int | str | None = None,
        divide_state: bool = False,
    ) -> Training:
        """Train with the given seed, or that of the setup; the other arguments as for `train`."""
        progress = checked_progress(progress)
        if watch is not None and not callable(watch):
            raise SettingError(f"watch is a function of a training, not {described(watch)}")
        looks = None if watch is None else lambda so_far: watch(self._training(so_far))
        layout = DeviceLayout.of(devices, divide_state=divide_state)
        with run_folder(save, layout, resume=resume, overwrite=overwrite) as folder:
            planned = spread_over(layout, self.plan(seed))
            journal = functools.partial(journal_of, planned, folder, resume, save)
            trace = descend_batches(planned, progress=progress, journal=journal, watch=looks, layout=layout)
        return self._training(trace)

    def replicate(
        self,
        seeds: int | Sequence[int],
        **running: Unpack[RunChoices],
    ) -> Replicates:
        """Train with several seeds, one after another, sharing one compiled program.

        Args:
            seeds: their number, counted from the seed of the setup; or the seeds.
            **running: as for `train`, of each training; in the folder `save` each has one of its own: seed-0, …

        Raises:
            SettingError: for fewer than two different seeds.
            DataError: for data that can be read only once.
        """
        chosen, trainings = seeds_of(seeds, self.choices["seed"]), []
        if hasattr(self.data, "__next__"):
            raise DataError("an iterator can supply only one training", hint="give a list of batches, or a loader")
        for seed in chosen:
            folder = replicate_folder(running.get("save"), seed)
            training = self.train(seed, **{**running, "save": folder})
            trainings.append(training)
            # Ctrl-C ends the training under way and those that have not begun.
            if training.trace.outcome is Outcome.INTERRUPTED:
                break
        return Replicates(self, chosen, tuple(trainings))

    def _training(self, trace: Trace) -> Training:
        """Return the training that a trace of this setup belongs to."""
        return replace(self.task.training(trace), objective=self.task.objective, setup=self)


def _completed(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked choices with the defaults; choices of a network and settings that were not passed are left out."""
    passed = checked(TrainingChoices, choices, also=("model", "data", "target"), settings=settings_of_own(choices))
    kept = {name: choice for name, choice in passed.items() if choice is not None or _is_full(name)}
    return {**defaults(TrainingChoices, without=("network",)), **kept}


def _is_full(name: str) -> bool:
    """Tell whether a choice always has a value in a setup."""
    return name in _CHOICES and not _CHOICES[name].is_setting and _CHOICES[name].noun != "network"


def _builds(name: str) -> bool:
    """Tell whether a choice decides rows, network or loss; those of a step are arguments of the same task."""
    return name in _CHOICES and _CHOICES[name].compiles and _CHOICES[name].noun != "step"


def _is_setting(name: str) -> bool:
    """Tell whether a choice is a setting of a method or schedule, also of the caller's own."""
    return name not in _CHOICES or _CHOICES[name].is_setting


def _is_stepping(name: str) -> bool:
    """Tell whether the first steps of a training can have a choice of their own."""
    return _is_setting(name) or _CHOICES[name].noun == "step"


def _of_noun(choices: Mapping[str, Any], noun: str) -> dict[str, Any]:
    """Return the choices that belong to a noun."""
    return {name: choice for name, choice in choices.items() if name in _CHOICES and _CHOICES[name].noun == noun}


def _is_replaced(name: str, changes: Mapping[str, Any]) -> bool:
    """Tell whether a choice gives way to others: a new method or schedule replaces the settings of the old one too."""
    if name in changes:
        return True
    if name in SCHEDULE_SETTINGS:
        return "schedule" in changes
    return "method" in changes and _is_setting(name)
