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
from downslope.networks._setup import Setup, train
from downslope.networks._trained import Training, UnitPass, predict, unit_pass
from downslope.networks.data import Encoding, Examples, examples, sample_names
from downslope.networks.layers import (
    ForwardContext,
    Layer,
    Network,
    activation_names,
    network,
)

__all__ = [
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
    "loss_names",
    "network",
    "predict",
    "sample_names",
    "train",
    "unit_pass",
]
