"""A training's divided state on disk: each process writes and reads its own shards.

With `divide_state` no device, and no host, holds all that a method carries, such as Adam's two moments. So it cannot go
through one process into the journal. Orbax writes the shards into a folder of the run, `shards-<n>`, which every
process must see. The journal's note says which folder belongs to the rows before it, with name, shape, type and the
checksum of each shard; it is acknowledged with them, and only then is the folder before removed. So a run that is cut
off at any moment has the shards of its last state.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError, TraceError
from downslope._types import Plain
from downslope.descent.batches._layout import DeviceLayout

if TYPE_CHECKING:
    from jax import Array

_WORDS = 2  # of 32 bits, in a checksum


class DividedState:
    """Shards of a run on disk; all processes call its methods at once.

    Args:
        layout: the devices, among which the state is divided.
        folder: the folder of the run.
        note: what `save` returned for the state to go on from; {} for none.

    Raises:
        MissingExtraError: without Orbax.
        SettingError: if some process cannot reach the folder.
    """

    def __init__(self, layout: DeviceLayout, folder: Path, note: Plain) -> None:
        layout.check_saving()
        from orbax.checkpoint import StandardCheckpointer

        self._layout, self._folder, self._note = layout, folder, note
        self._number = int(note.get("number", 0))
        seen = layout.gathered(folder.is_dir())[:, 0]
        if not seen.all():
            raise SettingError(
                f"process {np.flatnonzero(seen == 0)[0]} cannot reach the folder {folder}",
                hint="with divide_state every process writes there: use a file system that all hosts share",
            )
        self._checkpointer = StandardCheckpointer()
        self.clean()

    def save(self, leaves: Mapping[str, Array]) -> Plain:
        """Write the shards of arrays by name, and return what the journal notes of them."""
        self._number += 1
        self._checkpointer.save(self._folder.absolute() / _name(self._number), dict(leaves))
        self._checkpointer.wait_until_finished()
        sums = self._checksums(leaves)
        arrays = [
            {"name": name, "shape": list(leaf.shape), "type": str(leaf.dtype), "checksums": column}
            for (name, leaf), column in zip(leaves.items(), sums, strict=True)
        ]
        self._note = {"number": self._number, "arrays": arrays}
        return self._note

    def restored(self, begun: Mapping[str, Array]) -> dict[str, Array]:
        """Return the arrays of the state to go on from, divided as those of a state that begins.

        Raises:
            TraceError: if they are not those that were written.
        """
        folder = self._folder.absolute() / _name(self._number)
        written = {each["name"]: each for each in self._note["arrays"]}
        alike = {name: (list(leaf.shape), str(leaf.dtype)) for name, leaf in begun.items()}
        if {name: (each["shape"], each["type"]) for name, each in written.items()} != alike:
            raise TraceError(f"{folder} holds arrays of another training")
        wanted = {
            n: jax().ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding) for n, leaf in begun.items()
        }
        try:
            leaves: dict[str, Array] = self._checkpointer.restore(folder, wanted)
        except Exception as error:  # its readers raise what a flipped bit leads to, an AttributeError once in a hundred
            raise TraceError(f"{folder} is damaged: Orbax cannot read it ({type(error).__name__})") from error
        for name, sums in zip(begun, self._checksums({name: leaves[name] for name in begun}), strict=True):
            if sums != written[name]["checksums"]:
                raise TraceError(f"{folder} is damaged: a shard of {name} is not what its checksum says")
        return leaves

    def clean(self) -> None:
        """Remove what does not belong to the last state that was noted; process 0 does it."""
        if not self._layout.writes:
            return
        for other in self._folder.glob("shards-*"):
            if other.name != _name(self._number):
                shutil.rmtree(other, ignore_errors=True)

    def _checksums(self, leaves: Mapping[str, Array]) -> list[list[str]]:
        """Return the checksums of each array's shards, in the order of the devices."""
        assert self._layout.mesh is not None
        devices = {device: index for index, device in enumerate(self._layout.mesh.devices.flat)}
        words = np.zeros((len(leaves), len(devices), _WORDS), np.uint32)
        for index, leaf in enumerate(leaves.values()):
            for shard in leaf.addressable_shards:
                digest = hashlib.blake2b(np.asarray(shard.data).tobytes(), digest_size=4 * _WORDS).digest()
                words[index, devices[shard.device]] = np.frombuffer(digest, np.uint32)
        # Each shard is one process's: the others add 0.
        whole = self._layout.gathered(*words.ravel().tolist()).sum(0).astype(np.uint32).reshape(words.shape)
        return [[shard.tobytes().hex() for shard in of_leaf] for of_leaf in whole]


def _name(number: int) -> str:
    return f"shards-{number}"
