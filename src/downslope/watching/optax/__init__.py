"""JAX loops: rows in the state of an Optax transformation, and records of the layers of a loss function."""

from downslope.watching.optax._instrument import LoopInstrument
from downslope.watching.optax._kept_batch import KeptBatchInstrument
from downslope.watching.optax._recorded import RecordedRows, RecordedState, recorded, recorded_rows

__all__ = ["KeptBatchInstrument", "LoopInstrument", "RecordedRows", "RecordedState", "recorded", "recorded_rows"]
