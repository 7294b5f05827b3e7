"""On which devices a training computes: one, or several that each take a part of every batch.

Parameters and examples are copied to every device, and the rows of a batch are divided among them. The loss stays the
mean over the whole batch: XLA's partitioner adds the parts of a sum up, so that batch statistics and dropout are those
of one device. A number of rows that the devices do not divide is filled up with rows that count nothing, by XLA.

Only the loop over steps is computed together. What the host does between chunks (evaluations, looks at the curvature,
the search for what is not finite) is computed by each process on its own first device, from the same numbers, so that
it needs no order among processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError, described, whole
from downslope._types import Plain

if TYPE_CHECKING:
    from jax import Array
    from jax.sharding import Mesh, NamedSharding

_ROWS = "rows"  # the axis of the mesh
_SHORTEST = 64  # words of a message; lengths are powers of 2, as a program is compiled for each


class DeviceLayout:
    """The devices of a training; of one device it changes nothing.

    Args:
        mesh: the devices along one axis; None for the default device.
        hosts: how many processes take part.
        number: of this process among them, counted from 0.
    """

    def __init__(self, mesh: Mesh | None = None, hosts: int = 1, number: int = 0) -> None:
        self.mesh, self.hosts, self.number = mesh, hosts, number

    @classmethod
    def of(cls, devices: int | str | None) -> DeviceLayout:
        """Return the layout on so many devices of this machine, or on "all" of every process that joined.

        Raises:
            SettingError: for more devices than there are.
        """
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
        """How many devices take a part of each batch."""
        return 1 if self.mesh is None else int(self.mesh.devices.size)

    @property
    def writes(self) -> bool:
        """Whether this process writes the run and shows its progress."""
        return self.number == 0

    @property
    def facts(self) -> Plain:
        """The devices and the processes, as facts; {} for one device."""
        return {} if self.mesh is None else {"devices": self.devices, "hosts": self.hosts}

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Return the sharding of arrays whose axes are copied, or divided where they are "rows"."""
        assert self.mesh is not None
        return jax().sharding.NamedSharding(self.mesh, jax().sharding.PartitionSpec(*axes))

    def copied(self, tree: Any) -> Any:
        """Return arrays on every device; each process has the same ones."""
        if self.mesh is None:
            return tree
        sharding, here = self.sharding(), self.mesh.local_devices

        def copy(leaf: Any) -> Array:
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

    def local(self, tree: Any) -> Any:
        """Return copied arrays as arrays of this process's first device."""
        if self.mesh is None:
            return tree
        return jax().tree.map(lambda leaf: leaf.addressable_data(0), tree)

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
