"""Networks: an objective averaged over batches of examples, the same descent, more columns."""

from downslope.networks._choices import (
    DataLike,
    ModelLike,
    ReplicateChoices,
    SetupChanges,
    TargetLike,
    TrainChoices,
    TrainingChoices,
)
from downslope.networks._losses import loss_names
from downslope.networks._replicates import Replicates, SeedScore
from downslope.networks._scores import ClassScores
from downslope.networks._setup import Setup
from downslope.networks._train import train
from downslope.networks._trained import Batching, Training, UnitPass, predict, unit_pass
from downslope.networks.data import Encoding, Examples, examples, facts, facts_of_arrays, sample_names
from downslope.networks.layers import (
    ForwardContext,
    Layer,
    Network,
    activation_names,
    network,
)
from downslope.networks.models import model_of
from downslope.networks.tasks import function_task

__all__ = [
    "Batching",
    "ClassScores",
    "DataLike",
    "Encoding",
    "Examples",
    "ForwardContext",
    "Layer",
    "ModelLike",
    "Network",
    "ReplicateChoices",
    "Replicates",
    "SeedScore",
    "Setup",
    "SetupChanges",
    "TargetLike",
    "TrainChoices",
    "Training",
    "TrainingChoices",
    "UnitPass",
    "activation_names",
    "examples",
    "facts",
    "facts_of_arrays",
    "function_task",
    "loss_names",
    "model_of",
    "network",
    "predict",
    "sample_names",
    "train",
    "unit_pass",
]
