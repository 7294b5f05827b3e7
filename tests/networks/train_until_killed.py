"""A training that is killed: digits with batch normalisation and dropout, written into the folder given."""

import sys

import downslope as ds
from downslope.descent.batches import _descent as _batch_descent


def trained(folder, steps, progress=False):
    """Return the training, gone on with if the folder holds one."""
    return ds.train(
        data="digits",
        hidden=(24, 24),
        normalisation="batch",
        dropout=0.1,
        steps=steps,
        evaluate_every=200,
        probe_every=0,
        seed=4,
        save=folder,
        resume=True,
        progress=progress,
    )


if __name__ == "__main__":
    _batch_descent._WRITE_SECONDS, _batch_descent._SNAPSHOT_SHARE = 0.0, 1.0  # all is written before it is shown
    trained(sys.argv[1], int(sys.argv[2]), lambda done, steps, value: print(done, flush=True))
