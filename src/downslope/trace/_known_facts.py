"""The keys of a trace's plan and facts, each with its meaning.

Every key is optional. A reader that lacks one says so (`Diagnosis.not_run`); it never guesses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict, get_args, get_origin, get_type_hints


class BatchPlan(TypedDict, total=False):
    """The entries of a plan on how the examples of a step are drawn."""

    size: Annotated[int | None, "examples of a batch; None where each step sees all rows"]
    accumulate: Annotated[int, "batches whose gradients make one step"]
    evaluate_every: Annotated[int | None, "steps between evaluations"]
    patience: Annotated[int | None, "evaluations without a lower validation loss before the run ends"]
    probe_every: Annotated[int | None, "steps between measurements of the curvature"]
    best_by: Annotated[str | None, "the measurement whose best point is kept: `validation_loss`, …; None for the last"]


class TracePlan(TypedDict, total=False):
    """The keys of a trace's plan."""

    read_as: Annotated[str, "the objective in words, the title of pictures and reports"]
    method: Annotated[str, "the method's name: `adam`, `gradient descent`, …"]
    learning_rate: Annotated[float | None, "the rate, or its base where a schedule changes it"]
    schedule: Annotated[str | None, "the schedule's name: `constant`, `cosine`, …"]
    schedule_settings: Annotated[Mapping[str, Any], "the numbers of the schedule"]
    settings: Annotated[Mapping[str, float], "the numbers of the method: `beta1`, `weight_decay`, …"]
    steps: Annotated[int, "the steps that were planned"]
    tolerance: Annotated[float | None, "the gradient's norm at which the run would end"]
    clip_norm: Annotated[float | None, "the norm that gradients are cut to"]
    clip_value: Annotated[float | None, "the size that each number of a gradient is cut to"]
    seed: Annotated[int, "the seed"]
    batches: Annotated[BatchPlan, "how the examples of a step are drawn"]


class DataFacts(TypedDict, total=False):
    """The facts on the rows."""

    rows: Annotated[int | None, "rows trained on"]
    validation_rows: Annotated[int | None, "rows held back"]
    features: Annotated[int, "numbers of one row of inputs"]
    outputs: Annotated[int, "numbers to be predicted of one row, or classes"]
    target_kind: Annotated[str, "`numbers`, `two classes` or `classes`"]
    class_counts: Annotated[Sequence[int] | None, "rows of each class; None for numbers"]
    chance_score: Annotated[float | None, "the score of guessing"]
    reference_score: Annotated[float | None, "what a simple learner scores on the rows trained on, each left out"]
    validation_reference_score: Annotated[float | None, "its score on the rows held back"]
    balanced_reference_score: Annotated[
        float | None, "what it scores in balanced accuracy, where the loop measures another score"
    ]
    reference_by: Annotated[str | None, "which learner that is: `nearest neighbours`, …"]
    shuffled_score: Annotated[float | None, "its mean score on shuffled targets"]
    shuffled_deviation: Annotated[float | None, "the deviation of those scores"]
    input_mean: Annotated[float, "mean of all inputs as the network sees them"]
    input_deviation: Annotated[float, "their deviation"]
    input_low: Annotated[float, "the lowest of them"]
    input_high: Annotated[float, "the highest of them"]
    largest_feature_mean: Annotated[float, "mean of the feature that is farthest from 0"]
    largest_feature_deviation: Annotated[float | None, "deviation of the widest feature"]
    smallest_feature_deviation: Annotated[float | None, "deviation of the narrowest that varies"]
    constant_features: Annotated[int, "features that do not vary"]
    target_mean: Annotated[float | None, "mean of all targets as the network sees them; None for classes"]
    target_deviation: Annotated[float | None, "their deviation"]
    target_low: Annotated[float | None, "the lowest of them"]
    target_high: Annotated[float | None, "the highest of them"]
    metric: Annotated[str, "of all scores here: `accuracy`, `balanced_accuracy` or `r2`"]
    rows_compared: Annotated[int | None, "rows trained on of which it is known whether they repeat others"]
    repeated_rows: Annotated[int | None, "those of them that repeat an earlier one"]
    rows_on_both_sides: Annotated[int | None, "rows held back that are also among the training rows"]
    share_on_both_sides: Annotated[float | None, "their share of the rows held back"]
    repeats_by_chance: Annotated[float | None, "the share of rows that would repeat others by chance"]
    every_combination: Annotated[bool, "whether the rows hold every combination of features that have two values each"]
    row_number: Annotated[str | None, "the column that numbers the rows"]
    row_number_score: Annotated[float | None, "what a simple learner scores by it alone"]
    score_without: Annotated[float | None, "what it scores without such columns"]
    copy_column: Annotated[str | None, "a column that holds the targets again, in any unit"]
    copy_explained: Annotated[float | None, "the share of its variance that the targets explain"]
    score_without_copy: Annotated[float | None, "what a simple learner scores by the other columns"]
    shift_auc: Annotated[float | None, "how well neighbours tell rows held back from others: an area under a curve"]
    shift_column: Annotated[str | None, "the feature that distinguishes them best"]
    shift_column_auc: Annotated[float | None, "how well it does"]
    shift_error: Annotated[float | None, "the standard error of these areas where rows are alike"]
    target_ratio: Annotated[float | None, "the 95th percentile of positive targets over the 5th"]
    log_reference_score: Annotated[float | None, "R² of a simple learner on their logarithms"]
    log_reference_of_logs: Annotated[float | None, "its R² on the logarithms"]
    between_batches: Annotated[float | None, "the share of the targets' variance between batches of a stream"]
    between_batches_shuffled: Annotated[float | None, "its mean over permutations of the rows"]
    between_batches_deviation: Annotated[float | None, "its deviation over them"]


class ScoreFacts(TypedDict, total=False):
    """The scores at the end on some rows, each of classes in the order of the classes."""

    rows: Annotated[Any, "rows of each class; of numbers, all rows"]
    precision: Annotated[Sequence[float | None], "the share of the rows predicted as a class that are of it"]
    recall: Annotated[Sequence[float | None], "the share of the rows of a class that are predicted as it"]
    f1: Annotated[Sequence[float | None], "the harmonic mean of both"]
    auc: Annotated[Sequence[float | None], "the area under the curve of a class"]
    confusion: Annotated[Sequence[Sequence[int]] | None, "rows by class and predicted class"]
    accuracy: Annotated[float, "the share of right rows"]
    accuracy_error: Annotated[float, "its standard error"]
    balanced_accuracy: Annotated[float, "the mean recall"]
    balanced_accuracy_error: Annotated[float, "its standard error"]
    r2: Annotated[float | None, "R² of numbers"]
    r2_error: Annotated[float | None, "its standard error"]
    r2_of_logs: Annotated[float | None, "R² of their logarithms"]
    mean_absolute_error: Annotated[float | None, "in the unit of the numbers"]
    root_mean_square_error: Annotated[float | None, "in the unit of the numbers"]


class ScoresAtEnd(TypedDict, total=False):
    """The scores at the end by the rows that they are of."""

    training: Annotated[ScoreFacts, "on rows trained on"]
    validation: Annotated[ScoreFacts, "on rows held back; None where there are none"]


class NamedLoss(TypedDict, total=False):
    """A loss by name."""

    name: Annotated[str, "its name: `softmax cross-entropy`, `mean squared error`, `custom`, …"]
    from_logits: Annotated[bool | None, "whether it takes logits; None if it is not a cross-entropy"]


class NetworkFacts(TypedDict, total=False):
    """The facts on the network."""

    metric: Annotated[str, "what people read: `accuracy`, `balanced_accuracy`, `r2`, or `loss`"]
    kind: Annotated[str, "what is predicted: `numbers`, `two classes` or `classes`"]
    layers: Annotated[Sequence[str], "the names of the layers, in forward order"]
    activations: Annotated[Sequence[str], "the activation of each layer; an empty text where it is not known"]
    normalised: Annotated[bool, "whether a layer normalises"]
    kernels: Annotated[
        Sequence[Mapping[str, Any]],
        "for each layer how its kernel lies (`leaf`, `bias`, `input_axes`, `unit_axes`, `ranges`, `positions`), and "
        "the layer among the others (`depth`, `height`, `bypassed`, `is_only_way`, `normalised`)",
    ]
    weights: Annotated[
        Mapping[str, Mapping[str, float]],
        "of weights that are too many to be kept, by layer from samples: the `mean_square` of the first ones, and the "
        "share of units that are copies, `copies_at_start` and `copies_at_end`",
    ]
    nested: Annotated[
        Sequence[Mapping[str, Any]],
        "the kernels inside loops and branches: `leaves`, `inside`, and of a scan `length`, `per_step` and `in_all`",
    ]
    input_size: Annotated[float | None, "root mean square of what the first layers read"]
    loss: Annotated[NamedLoss, "the loss"]
    l2: Annotated[float, "the penalty on the weights"]
    penalty: Annotated[float | None, "the part of the loss at the start that depends on the parameters alone"]
    parameters: Annotated[int, "numbers that are trained"]
    output: Annotated[str, "the activation of the output: `linear`, `softmax`, …; an empty text if not known"]
    output_bounds: Annotated[Sequence[float | None] | None, "the least and the largest output; None for no bound"]
    outputs: Annotated[int, "numbers that the network makes of one example"]
    dropout: Annotated[Sequence[float] | None, "the share of units that each random mask drops"]
    normalised_over: Annotated[Sequence[int] | None, "the number of values behind each statistic that is normalised by"]
    cut_off: Annotated[Sequence[str] | None, "the parts that the loss has no derivative by, whatever the numbers"]
    held: Annotated[Sequence[str] | None, "the parts that are set to need no gradient"]
    not_stepped: Annotated[Sequence[str] | None, "the parts that the method was not given"]
    evaluated_as_trained: Annotated[bool | None, "whether each evaluation that was seen was in training mode"]
    trained_as_evaluated: Annotated[bool | None, "whether the last step was in evaluation mode, but not the first"]
    gradients_kept: Annotated[bool | None, "whether each backward pass added to the gradient of the step before"]
    moving_target: Annotated[str, "what has a loss that need not fall; not set where it should fall"]
    statistics_move: Annotated[bool | None, "whether running statistics depend on the batches; None without any"]


class LossFacts(TypedDict, total=False):
    """The behaviour of the loss on artificial outputs; changes are relative to the change between fresh draws."""

    unpaired: Annotated[float | None, "its change when targets are dealt to other rows"]
    not_additive: Annotated[float | None, "the part of a change that two halves of a batch make only together"]
    joint: Annotated[float | None, "how much a change of the outputs depends on the targets they are compared with"]
    descent: Annotated[float | None, "its change when outputs move towards their targets"]
    takes: Annotated[str, "`logits`, `probabilities`, `log-probabilities`, `numbers`; an empty text if not known"]
    form: Annotated[str, "`squares` for a loss that is quadratic in the outputs, else an empty text"]
    label_gain: Annotated[float | None, "its change from right and sure outputs to wrong ones, over its range"]
    squeezed: Annotated[float | None, "the width that it squeezes logits into before its softmax; None for none"]
    unbounded: Annotated[bool | None, "whether it falls for ever as the outputs grow"]
    leaf: Annotated[str, "the leaf of a batch that `unpaired` is about; an empty text for the targets"]
    unread: Annotated[str, "the leaves that it does not read, where it reads a single one; an empty text for none"]
    label_shift: Annotated[int | None, "classes from a label to the output that costs it least; 0 for its own"]


class LogFacts(TypedDict, total=False):
    """The facts on the log that a trace was read from."""

    kind: Annotated[str, "what wrote it"]
    unit: Annotated[str, "what its steps count: `step`, `epoch`, or `row`"]
    columns: Annotated[Mapping[str, str], "the columns that were read, by what they are"]
    pieces: Annotated[int, "runs in the file, of which the last was read"]
    begins_late: Annotated[bool, "whether the run had begun before its first row"]
    planned: Annotated[bool, "whether the log says how many steps were planned"]
    parts_move: Annotated[bool, "whether parts of the loss rise or fall, whatever their sum does"]
    means_of: Annotated[int, "steps that a row is the mean of"]
    moving_target: Annotated[str, "why the loss need not fall: `adversarial training` or `reinforcement learning`"]


class LayoutFacts(TypedDict, total=False):
    """The devices that computed a training together."""

    devices: Annotated[int, "devices that each took a part of every batch"]
    hosts: Annotated[int, "processes that they belonged to"]
    divided: Annotated[bool, "whether each held a part of the optimiser's state"]
    waiting: Annotated[
        Mapping[str, Sequence[float]],
        "by chunk its first `step`, the seconds of the `slowest` and the `median` process before it, and the number of "
        "the `slowest_process`",
    ]


class TraceFacts(TypedDict, total=False):
    """The keys of a trace's facts, which are measured once."""

    data: Annotated[DataFacts, "the rows"]
    network: Annotated[NetworkFacts, "the network"]
    loss: Annotated[LossFacts, "the loss"]
    scores: Annotated[ScoresAtEnd, "the scores at the end"]
    log: Annotated[LogFacts, "the log that it was read from"]
    layout: Annotated[LayoutFacts, "the devices, where there were several"]
    unrecorded_steps: Annotated[int, "the steps taken after the last row, of a loop that never evaluates where it ends"]
    not_measured: Annotated[Mapping[str, Sequence[int]], "by column, the steps at which it was not measured"]


def known_keys(of: type) -> dict[str, str]:
    """Return the keys of a mapping and of those inside it, by dotted name, with their meanings.

    >>> known_keys(LossFacts)["descent"]
    'its change when outputs move towards their targets'
    """
    keys: dict[str, str] = {}
    for name, hint in get_type_hints(of, include_extras=True).items():
        kind, meaning = get_args(hint)
        keys[name] = meaning
        if isinstance(kind, type) and get_origin(kind) is None and hasattr(kind, "__required_keys__"):
            keys |= {f"{name}.{inner}": text for inner, text in known_keys(kind).items()}
    return keys


def judged_scores(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scores at the end on rows held back, or on those trained on where none were; {} without any."""
    scores = facts.get("scores") or {}
    return scores.get("validation") or scores.get("training") or {}


def class_labels(facts: Mapping[str, Any], classes: int) -> list[str]:
    """Return the labels of the classes, or their indices if the facts have another number of labels."""
    target = (facts.get("encoding") or {}).get("target") or {}
    labels = [str(label) for label in target.get("categories") or ()]
    return labels if len(labels) == classes else [str(index) for index in range(classes)]
