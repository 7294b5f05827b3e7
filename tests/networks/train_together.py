"""One of several processes that train together; one of them kills itself half way if it is told to."""

import os
import signal
import sys

import downslope as ds
from downslope.descent.batches import _descent as _batch_descent

CHOICES = {
    "data": "iris", "hidden": (4,), "steps": 60, "batch": 64, "evaluate_every": 20, "probe_every": 0, "progress": False,
}  # fmt: skip


def kill(training):
    """End this process half way without a word, if it is the one that is to be killed."""
    if os.environ.get("KILLED") == os.environ["JAX_PROCESS_ID"] and training.trace.last_step >= 30:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _batch_descent._WRITE_SECONDS, _batch_descent._SNAPSHOT_SHARE = 0.0, 1.0  # all is written after each chunk
    ds.join_hosts()
    divided = "DIVIDED" in os.environ
    ds.train(**CHOICES, devices="all", divide_state=divided, watch=kill, save=sys.argv[1], resume=True)
