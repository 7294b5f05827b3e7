"""The devices of a training: one, or several that each take a part of every batch.

Parameters and examples are copied to every device, and the rows of a batch are divided among them. The loss stays the
mean over the whole batch: XLA's partitioner adds the parts of a sum up, so that batch statistics and dropout are those
of one device. A number of rows that the devices do not divide is filled up with rows that count nothing, by XLA.

Only the loop over steps is computed together. What the host does between chunks (evaluations, looks at the curvature,
the search for what is not finite) is computed by each process on its own first device, from the same numbers, so that
it needs no order among processes.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax
from downslope._errors import MissingExtraError, SettingError, described, whole
from downslope._hosts import together
from downslope._types import Plain

if TYPE_CHECKING:
    from jax import Array
    from jax.sharding import Mesh, NamedSharding

_ROWS = "rows"  # the axis of the mesh
_MOST_CHUNKS = 512  # that are told apart in the record
_SHORTEST = 64  # words of a message; their number is a power of 2, as a program is compiled for each


class DeviceLayout:
    """The devices of a training; of one device it changes nothing.

    Args:
        mesh: the devices along one axis; None for the default device.
        hosts: how many processes take part.
        number: of this process among them, counted from 0.
        divides_state: whether each device holds a part of what the method carries, instead of a copy.
    """

    def __init__(
        self, mesh: Mesh | None = None, hosts: int = 1, number: int = 0, *, divides_state: bool = False
    ) -> None:
        self.mesh, self.hosts, self.number, self.divides_state = mesh, hosts, number, divides_state

    @classmethod
    def of(cls, devices: int | str | None, *, divide_state: bool = False) -> DeviceLayout:
        """Return the layout on a number of devices of this machine, or on "all" of every process that joined.

        Args:
            devices: the number, or "all"; None for one.
            divide_state: whether to divide what the method carries among them.

        Raises:
            SettingError: for more devices than there are, and for a state to be divided among one.
        """
        layout = cls._of(devices)
        if divide_state and layout.mesh is None:
            raise SettingError(
                "divide_state divides the state among devices, and this training has one",
                hint='devices=4 or devices="all" takes several',
            )
        return cls(layout.mesh, layout.hosts, layout.number, divides_state=bool(divide_state))

    @classmethod
    def _of(cls, devices: int | str | None) -> DeviceLayout:
        if devices is None:
            return cls()
        module = jax()
        if isinstance(devices, str):
            if devices != "all":
                raise SettingError(f'devices is a whole number or "all", not {described(devices)}')
            chosen, hosts, number = module.devices(), module.process_count(), module.process_index()
        else:
            count, here = whole("devices", devices), module.local_devices()
            if count > len(here):
                raise SettingError(
                    f"of {count} devices, this machine has {len(here)}",
                    hint=f"on the CPU set XLA_FLAGS=--xla_force_host_platform_device_count={count} before Python "
                    'starts; devices="all" takes those of every process that joined',
                )
            chosen, hosts, number = here[:count], 1, 0
        # One device needs no mesh: its programs are those of a training without this choice.
        mesh = None if len(chosen) == 1 else module.sharding.Mesh(np.array(chosen), (_ROWS,))
        return cls(mesh, hosts, number)

    @property
    def devices(self) -> int:
        """The number of devices that take a part of each batch."""
        return 1 if self.mesh is None else int(self.mesh.devices.size)

    @property
    def writes(self) -> bool:
        """Whether this process writes the run and shows its progress."""
        return self.number == 0

    @property
    def facts(self) -> Plain:
        """The devices and the processes, as facts; {} for one device."""
        if self.mesh is None:
            return {}
        return {"devices": self.devices, "hosts": self.hosts} | ({"divided": True} if self.divides_state else {})

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Return the sharding of arrays whose axes are copied, or divided where they are "rows"."""
        assert self.mesh is not None
        return jax().sharding.NamedSharding(self.mesh, jax().sharding.PartitionSpec(*axes))

    def kept_divided(self, tree: Any) -> Any:
        """Return the state of a method, within a compiled program, each leaf divided among the devices if possible.

        A leaf is cut along the longest axis that the devices divide; one without such an axis is copied.
        """
        if not self.divides_state:
            return tree

        def divide(leaf: Array) -> Array:
            axes = [axis for axis, length in enumerate(leaf.shape) if length and length % self.devices == 0]
            if not axes:
                return leaf
            longest = max(axes, key=leaf.shape.__getitem__)
            return jax().lax.with_sharding_constraint(leaf, self.sharding(*(None,) * longest, _ROWS))

        return jax().tree.map(divide, tree)

    def copied(self, tree: Any) -> Any:
        """Return arrays on every device; each process has the same ones. Those that are on all devices stay."""
        if self.mesh is None:
            return tree
        sharding, here = self.sharding(), self.mesh.local_devices

        def copy(leaf: Any) -> Array:
            if getattr(getattr(leaf, "sharding", None), "mesh", None) == self.mesh:
                return leaf
            # Not `device_put` onto devices of other processes, which compares all numbers, and by their wide types.
            array = jax().numpy.asarray(leaf)
            copies = [jax().device_put(array, device) for device in here]
            return jax().make_array_from_single_device_arrays(array.shape, sharding, copies)

        return jax().tree.map(copy, tree)

    def divided(self, tree: Any) -> Any:
        """Return the batches of a chunk, shape (steps, rows, …), with the rows divided among the devices."""
        if self.mesh is None:
            return tree

        def divide(leaf: np.ndarray) -> Array:
            if leaf.ndim < 2 or leaf.shape[1] % self.devices:
                return self.copied(leaf)
            sharding = self.sharding(None, _ROWS)
            return jax().make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

        return jax().tree.map(divide, tree)

    def part(self, rows: int) -> slice | None:
        """Return which of the rows of a step this process's devices get; None for all of them."""
        if self.mesh is None or self.hosts == 1 or rows % self.devices:
            return None
        each, own = rows // self.devices, set(self.mesh.local_devices)
        ranks = [rank for rank, device in enumerate(self.mesh.devices.flat) if device in own]
        return slice(min(ranks) * each, (max(ranks) + 1) * each)

    def local(self, tree: Any) -> Any:
        """Return copied arrays as arrays of this process's first device; those that are divided stay."""
        if self.mesh is None:
            return tree
        return jax().tree.map(lambda leaf: leaf.addressable_data(0) if leaf.is_fully_replicated else leaf, tree)

    def spread(self, batch: Any, accumulate: int) -> Any:
        """Return a batch within a compiled program, its rows divided among the devices.

        Args:
            batch: arrays with one row an example.
            accumulate: the batches that it consists of, each of which is divided.
        """
        if self.mesh is None:
            return batch

        def divide(leaf: Array) -> Array:
            if not leaf.ndim:
                return leaf
            constrain = jax().lax.with_sharding_constraint
            if accumulate == 1:
                return constrain(leaf, self.sharding(_ROWS))
            pieces = leaf.reshape(accumulate, -1, *leaf.shape[1:])
            return constrain(pieces, self.sharding(None, _ROWS)).reshape(leaf.shape)

        return jax().tree.map(divide, batch)

    # What processes tell each other: as words of 32 bits, since sums of numbers would lose signs of 0 and wide types.

    def gathered(self, *numbers: float) -> np.ndarray:
        """Return some numbers of each process, shape (hosts, numbers), in float64; all processes call it at once."""
        row = np.asarray(numbers, np.float64)
        if self.hosts == 1:
            return row[None]
        from jax.experimental import multihost_utils

        words = np.asarray(multihost_utils.process_allgather(row.view(np.uint32)))
        return np.ascontiguousarray(words.reshape(self.hosts, -1)).view(np.float64)

    def of_first(self, message: bytes) -> bytes:
        """Return the bytes that process 0 has; all processes call it at once."""
        if self.hosts == 1:
            return message
        from jax.experimental import multihost_utils

        length = int(self.gathered(len(message))[0, 0])
        words = max(1 << max(-(-length // 4) - 1, 0).bit_length(), _SHORTEST)
        padded = np.zeros(words, np.uint32)
        if self.number == 0:
            padded.view(np.uint8)[:length] = np.frombuffer(message, np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(padded)).view(np.uint8)[:length].tobytes()

    def metrics_of_first(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the measurements of process 0, by which all decide: those of another kind of machine may differ."""
        return dict(metrics) if self.hosts == 1 else json.loads(self.of_first(json.dumps(dict(metrics)).encode()))

    def arrays_of_first(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays of process 0 by name."""
        if self.hosts == 1:
            return dict(arrays)
        file = io.BytesIO()
        # NumPy's files have no types of others, such as bfloat16: these are written as the whole numbers of their bits.
        bits = {f"{array.dtype.name}/{name}": _bits(np.asarray(array)) for name, array in arrays.items()}
        np.savez(file, allow_pickle=False, **bits)
        with np.load(io.BytesIO(self.of_first(file.getvalue())), allow_pickle=False) as read:
            return {name.partition("/")[2]: read[name].view(name.partition("/")[0]) for name in read.files}

    def check_alike(self, *of: Any) -> None:
        """Raise if processes have other plans or data.

        Raises:
            SettingError: naming the first process that has.
        """
        if self.hosts == 1:
            return
        digest = hashlib.blake2b(repr(jax().tree.structure(of)).encode(), digest_size=8)
        for leaf in jax().tree.leaves(of):
            digest.update(leaf.tobytes() if hasattr(leaf, "tobytes") else repr(leaf).encode())
        digests = self.gathered(*np.frombuffer(digest.digest(), np.uint32))
        others = np.flatnonzero((digests != digests[0]).any(1))
        if len(others):
            raise SettingError(
                f"process {others[0]} was started with different choices, data or versions than process 0",
                hint="start all processes with one command and the same files",
            )

    def check_saving(self) -> None:
        """Raise if a run of this layout cannot be saved.

        Raises:
            MissingExtraError: for a state that is divided, without Orbax.
        """
        if not self.divides_state:
            return
        try:
            import orbax.checkpoint  # noqa: F401
        except ImportError:
            raise MissingExtraError(
                "saving a run with divide_state needs Orbax", hint='pip install "downslope[shards]" installs it'
            ) from None

    def together(self, saved: object) -> AbstractContextManager[None]:
        """Return a context in which the processes of this layout end together; see `downslope._hosts`."""
        return nullcontext() if self.hosts == 1 else together(saved)


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


class Pace:
    """The time that each process spent on its own before each chunk, while others may have waited.

    Within a chunk all are as slow as the slowest. On its own a process reads batches, evaluates and writes, which takes
    longer on a slow host as well. Of many chunks neighbours are added up, so that it takes no more room.
    """

    def __init__(self) -> None:
        self.seconds = 0.0  # of this process before the last chunk
        self._since = time.perf_counter()
        self._rows: list[tuple[int, float, float, int]] = []

    def launch(self) -> None:
        """Note that a chunk begins."""
        self.seconds = time.perf_counter() - self._since

    def add(self, step: int, seconds: np.ndarray) -> None:
        """Add the seconds of all processes before the chunk that began at a step."""
        self._since = time.perf_counter()
        self._rows.append((step, float(seconds.max()), float(np.median(seconds)), int(seconds.argmax())))
        if len(self._rows) == _MOST_CHUNKS:
            pairs = zip(self._rows[::2], self._rows[1::2], strict=False)
            self._rows = [(a[0], a[1] + b[1], a[2] + b[2], max(a, b, key=_slowest)[3]) for a, b in pairs]

    @property
    def facts(self) -> Plain:
        """The first step, the seconds of the slowest and of the median process, and the slowest, by chunk."""
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * 4
        return dict(zip(("step", "slowest", "median", "slowest_process"), map(list, columns), strict=True))


def _slowest(row: tuple[int, float, float, int]) -> float:
    return row[1]
