"""Tasks: a model and its data as an objective that can be trained."""

from downslope.networks.tasks._examples import example_task, read_examples
from downslope.networks.tasks._loss_function import function_task
from downslope.networks.tasks._scoring import Scoring
from downslope.networks.tasks._sizes import LayerChoices, NetworkChoices
from downslope.networks.tasks._stream import is_stream, stream_task
from downslope.networks.tasks._streamed_file import file_task, survey_file

__all__ = [
    "LayerChoices",
    "NetworkChoices",
    "Scoring",
    "example_task",
    "file_task",
    "function_task",
    "is_stream",
    "read_examples",
    "stream_task",
    "survey_file",
]
