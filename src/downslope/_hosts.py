"""Join the processes of several hosts, so that one training uses all of their devices."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from downslope import _peers
from downslope._engine import jax
from downslope._errors import SettingError, described, whole

_WAIT = 1800.0  # seconds for processes to come: a cluster may start the last of a thousand late
_SHUTDOWN = 7 * 24 * 3600  # seconds
_FIRST_PORT, _PORTS = 61440, 4096  # where those of SLURM and MPI meet, by the number of their job
_joined: _peers.Peers | None = None


class Meeting(NamedTuple):
    """The address at which the processes of a job meet.

    Args:
        coordinator: host and port of process 0; None if not known.
        hosts: how many processes there are; None if not known.
        number: of this process, counted from 0; None if not known.
    """

    coordinator: str | None = None
    hosts: int | None = None
    number: int | None = None


def join_hosts(coordinator: str | None = None, hosts: int | None = None, number: int | None = None) -> None:
    """Join the processes of several hosts; each calls this once, before computing anything.

    From then on `train(devices="all")` divides each batch among the devices of all of them.

    Args:
        coordinator: host and port of process 0, such as "node1:5600"; None for the value from SLURM, Open MPI,
            a TPU pod or the variable JAX_COORDINATOR_ADDRESS.
        hosts: the number of processes; None for the value from these or from JAX_NUM_PROCESSES.
        number: of this process, counted from 0; None for the value from these, JAX_PROCESS_ID or, in Kubernetes,
            JOB_COMPLETION_INDEX.

    Raises:
        SettingError: if any of these is unknown or unusable, and if JAX has already run in this process.
        DownslopeError: if some processes do not join within half an hour; names them.
    """
    global _joined
    if _joined is not None:
        raise SettingError("this process has already joined the others", hint="call join_hosts once")
    there = meeting_of(os.environ)
    coordinator = there.coordinator if coordinator is None else coordinator
    hosts = there.hosts if hosts is None else whole("hosts", hosts)
    number = there.number if number is None else whole("number", number, least=0)
    if coordinator is None or hosts is None or number is None:
        missing = [n for n, v in (("coordinator", coordinator), ("hosts", hosts), ("number", number)) if v is None]
        raise SettingError(
            f"neither SLURM, MPI nor an environment variable gives the {' and the '.join(missing)} of this process",
            hint='for example join_hosts("node1:5600", hosts=2, number=0), and number=1 in the other process',
        )
    if number >= hosts:
        raise SettingError(f"there is no process {number} among {hosts} processes", hint="they are counted from 0")
    address = _address(coordinator)
    if hosts == 1:
        return
    module = jax()
    if module.distributed.is_initialized() or _has_computed():
        raise SettingError("JAX has already run in this process", hint="call join_hosts first, before reading any data")
    # Before JAX joins: connections that were opened first are closed first when a process is killed, so that its
    # sentence comes before JAX's own abort.
    peers, service = _peers.gather(address, number, hosts, _WAIT)
    local = service.rsplit(":", 1)[0]
    bind = {"coordinator_bind_address": service} if local in ("localhost", "127.0.0.1") else {}
    if module.config.jax_cpu_collectives_implementation is None:
        module.config.update("jax_cpu_collectives_implementation", "gloo")
    # JAX would note SIGTERM and do nothing about it; so it ends this process, and by its connection all others.
    module.config.update("jax_enable_preemption_service", False)
    # Processes that end early wait in JAX's shutdown for the others, of which one may go on for hours.
    module.distributed.initialize(
        service, hosts, number, initialization_timeout=int(_WAIT), shutdown_timeout_seconds=_SHUTDOWN, **bind
    )
    _joined = peers
    atexit.register(_leave)  # after JAX's own, and so called before it


def join_launched() -> bool:
    """Join the processes that a launcher started together, if there are several; tell whether this one is the first."""
    there = meeting_of(os.environ)
    if _joined is None and there.hosts is not None and there.hosts > 1:
        join_hosts()
    return _joined is None or _joined.number == 0


def _has_computed() -> bool:
    """Tell whether JAX has begun to use its devices, after which no process can join."""
    try:
        from jax._src import xla_bridge  # pyright: ignore[reportPrivateImportUsage] - nothing public tells

        return bool(xla_bridge.backends_are_initialized())
    except (ImportError, AttributeError):  # JAX has moved it, and refuses by an error of its own
        return False


def _leave() -> None:
    """Tell the others that this process ends; JAX's shutdown would wait for those that are gone."""
    assert _joined is not None
    if _joined.loss is not None:
        _peers.end_now(1 if hasattr(sys, "last_value") else _peers.AGAIN)
    _joined.leave()


@contextlib.contextmanager
def together(saved: object = None) -> Iterator[None]:
    """Within a `with` block, let this process and the others that joined end together; see `Peers.together`.

    Args:
        saved: the folder of the run; None if it is not saved.
    """
    if _joined is None:
        yield
        return
    advice = (
        "Start all processes again; with save= and resume=, a training continues from its last state."
        if saved is None
        else f"Start all processes again with resume (--resume): the run in {saved} continues from its last state."
    )
    with _joined.together(advice):
        yield


def end_with(code: int) -> None:
    """Exit with a code if others ended early or were ended, as JAX would wait for them; else return."""
    if _joined is not None and _joined.loss is not None:
        _peers.end_now(code)


def _address(coordinator: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        SettingError: for anything else.
    """
    match = re.fullmatch(r"\[?([^\[\]\s]+?)\]?:(\d{1,5})", coordinator) if isinstance(coordinator, str) else None
    if match is None or not 0 < int(match[2]) < 65536:
        raise SettingError(
            f"the coordinator is a host and a port, not {described(coordinator)}", hint='for example "node1:5600"'
        )
    return match[1], int(match[2])


def meeting_of(environment: Mapping[str, str]) -> Meeting:
    """Return the address at which the processes of a job meet, from the launcher's environment variables.

    >>> meeting_of({"JAX_COORDINATOR_ADDRESS": "node1:5600", "JAX_NUM_PROCESSES": "4", "JOB_COMPLETION_INDEX": "2"})
    Meeting(coordinator='node1:5600', hosts=4, number=2)
    """
    # Without a step of its own, a script of SLURM is one process, whatever was reserved for it.
    slurm = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS") if "SLURM_STEP_NODELIST" in environment else ()
    hosts = _first(environment, "JAX_NUM_PROCESSES", *slurm, "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
    number = _first(
        environment,
        "JAX_PROCESS_ID",
        *(("SLURM_PROCID",) if slurm else ()),
        *("OMPI_COMM_WORLD_RANK", "PMI_RANK", "JOB_COMPLETION_INDEX", "TPU_WORKER_ID"),
    )
    tpu = [name for name in environment.get("TPU_WORKER_HOSTNAMES", "").split(",") if name]
    if hosts is None and len(tpu) > 1:
        hosts = len(tpu)
    coordinator = environment.get("JAX_COORDINATOR_ADDRESS") or _coordinator(environment, bool(slurm), tpu)
    return Meeting(coordinator, hosts, number)


def _first(environment: Mapping[str, str], *names: str) -> int | None:
    """Return the first of some variables that holds a whole number."""
    return next((int(environment[name]) for name in names if environment.get(name, "").isdecimal()), None)


def _coordinator(environment: Mapping[str, str], is_slurm: bool, tpu: list[str]) -> str | None:
    """Return where process 0 is reached: its host, and a port by the number of the job."""
    if is_slurm:
        job, step = (_first(environment, name) or 0 for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        return f"{first_of(environment['SLURM_STEP_NODELIST'])}:{_FIRST_PORT + (job + 97 * step) % _PORTS}"
    local, size = _first(environment, "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"), None
    if local is not None:
        size = _first(environment, "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
    uri = environment.get("OMPI_MCA_orte_hnp_uri", "")
    digits = re.match(r"\d+", uri)
    port = _FIRST_PORT + (int(digits[0]) // 4096 if digits else 0) % _PORTS
    if local is not None and local == size:
        return f"127.0.0.1:{port}"
    address = re.search(r"tcp://([^,:]+)|tcp6://\[([^,\]]+)", uri)
    if address is not None:
        return f"{address[1] or address[2]}:{port}"
    return f"{tpu[0]}:{_FIRST_PORT}" if len(tpu) > 1 else None


def first_of(nodes: str) -> str:
    """Return the first host of a list as SLURM writes it.

    >>> first_of("node[001-004,009],other7"), first_of("gpu3,gpu4"), first_of("rack2-n[7,9]-ib")
    ('node001', 'gpu3', 'rack2-n7-ib')
    """
    match = re.match(r"([^,\[]*)(?:\[([^\],-]+)[^\]]*\]([^,\[]*))?", nodes)
    assert match is not None
    return "".join(part or "" for part in match.groups())
