"""Trainings on one device and on four virtual ones, in a process of its own: prints what they show as JSON."""

import json
import re
import shutil
import sys
from pathlib import Path

import jax
import numpy as np

import downslope as ds
from downslope.descent.batches import _descent as _batch_descent

CHOICES = {"data": "iris", "hidden": (8,), "steps": 40, "evaluate_every": 20, "probe_every": 0, "progress": False}
PLAIN = {"batch": 64, "layers_every": 0}
HARD = {"normalisation": "batch", "dropout": 0.2, "batch": 30, "accumulate": 2, "keep": "best"}


def rows(devices, **choices):
    """Return the first ten losses, the end and the end's rows by layer."""
    trace = ds.train(**CHOICES, **choices, devices=devices).trace
    layers = [column[-1].tolist() for column in trace.layer_columns.values() if len(column)]
    return {
        "losses": trace.recorded["value"][:10].tolist(),
        "last": float(trace.recorded["value"][-1]),
        "layers": layers,
    }


def local_shapes(**choices):
    """Return the shapes of matrix products in the program of one of four devices."""
    texts = []
    run = _batch_descent.BatchDescent.run

    def looked_at(self, *arguments):
        examples, order = self.source.chunk(0, 1)
        lowered = self.program.run.lower(self.state, np.int32(1), examples, order, self.arguments)
        texts.append(lowered.compile().as_text())
        return run(self, *arguments)

    _batch_descent.BatchDescent.run = looked_at
    try:
        ds.train(**CHOICES, **choices, devices=4)
    finally:
        _batch_descent.BatchDescent.run = run
    return sorted(set(re.findall(r"= f32\[([\d,]+)\]\S* dot\(", texts[0])))


def divided(folder):
    """Return what trainings with a divided state show.

    Shares of Adam's moments on a device; whether the numbers are those of copied moments; whether a run that was cut
    off goes on to the same bits; and what the refusals of a copied state and of a damaged shard say.
    """
    _batch_descent._WRITE_SECONDS, _batch_descent._SNAPSHOT_SHARE = 0.0, 1.0
    shares, run = [], _batch_descent.BatchDescent.run

    def looked_at(self, *arguments):
        moments = [leaf for leaf in jax.tree.leaves(self.state.rule) if leaf.ndim == 2]
        shares.extend(leaf.addressable_shards[0].data.size / leaf.size for leaf in moments)
        return run(self, *arguments)

    def stop(done, steps, value):
        if done == 20:
            raise RuntimeError("stopped")

    choices = CHOICES | HARD | {"devices": 4}
    copied = ds.train(**choices).trace
    _batch_descent.BatchDescent.run = looked_at
    whole = ds.train(**choices, divide_state=True).trace
    _batch_descent.BatchDescent.run = run
    refusals = []
    try:
        ds.train(**(choices | {"progress": stop}), divide_state=True, save=folder)
    except RuntimeError:
        damaged = shutil.copytree(folder, f"{folder}-damaged")
        for file in Path(damaged).glob("shards-*/**/d/*"):  # Orbax writes them twice, and reads one of the two
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        for there, divide_state in ((folder, False), (damaged, True)):
            try:
                ds.train(**choices, divide_state=divide_state, save=there, resume=True)
            except ds.DownslopeError as error:
                refusals.append(str(error))
    again = ds.train(**choices, divide_state=True, save=folder, resume=True).trace
    same = [np.array_equal(again.end[name], leaf) for name, leaf in whole.end.items()]
    same += [np.array_equal(again.recorded[name], whole.recorded[name], equal_nan=True) for name in whole.recorded]
    return {
        "shares": shares,
        "apart": float(np.abs(whole.recorded["value"] - copied.recorded["value"]).max()),
        "same": all(same),
        "refusals": refusals,
        "facts": dict(again.facts["layout"]),
    }


def resumed(folder):
    """Return whether a run that was cut off goes on to the same bits, and what the refusal of other devices says."""
    _batch_descent._WRITE_SECONDS, _batch_descent._SNAPSHOT_SHARE = 0.0, 1.0

    def stop(done, steps, value):
        if done == 20:
            raise RuntimeError("stopped")

    whole = ds.train(**CHOICES, **HARD, devices=4).trace
    refusals = []
    try:
        ds.train(**(CHOICES | {"progress": stop}), **HARD, devices=4, save=folder)
    except RuntimeError:
        try:
            ds.train(**CHOICES, **HARD, save=folder, resume=True)
        except ds.SettingError as error:
            refusals.append(str(error))
    again = ds.train(**CHOICES, **HARD, devices=4, save=folder, resume=True).trace
    same = [np.array_equal(again.end[name], leaf) for name, leaf in whole.end.items()]
    same += [np.array_equal(again.recorded[name], whole.recorded[name], equal_nan=True) for name in ("step", "value")]
    same += [np.array_equal(again.metrics[name], column, equal_nan=True) for name, column in whole.metrics.items()]
    return {"same": all(same), "refusals": refusals, "facts": dict(again.facts["layout"])}


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "plain": [rows(devices, **PLAIN) for devices in (None, 4)],
                "hard": [rows(devices, **HARD) for devices in (None, 4)],
                "shapes": local_shapes(**PLAIN),
                "resumed": resumed(sys.argv[1]),
                "divided": divided(f"{sys.argv[1]}-divided"),
            }
        )
    )
