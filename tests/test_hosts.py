"""Processes that train together meet, learn at once that one has ended, and end with a sentence."""

import os
import socket
import threading

import numpy as np
import pytest
from ports import free_port
from waiting import until

import downslope as ds
from downslope import _hosts, _peers
from downslope.descent.batches._layout import Pace


def meeting(hosts):
    port, peers = free_port(), {}

    def come(number):
        peers[number] = _peers.gather(("127.0.0.1", port), number, hosts, 10.0)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(hosts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({service for _, service in peers.values()}) == 1
    return [peers[number][0] for number in range(hosts)]


@pytest.fixture
def ended(monkeypatch):
    """The codes with which processes ended, in place of their ends."""
    codes = []
    monkeypatch.setattr(_peers, "end_now", codes.append)
    monkeypatch.setattr(_peers, "_GRACE", 0.2)
    return codes


@pytest.fixture
def met(ended):  # torn down before the ends are real again
    """A function that returns processes that have met, as threads of this one."""
    everybody = []

    def meet(hosts=2):
        everybody.extend(meeting(hosts))
        return everybody

    yield meet
    for peer in everybody:
        peer.close()


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_the_end_of_a_process_ends_all_others_with_a_sentence(met, ended, capsys, victim):
    peers = met(3)
    with peers[0].together("Start again."), peers[1].together("Start again."), peers[2].together("Start again."):
        for connection in list(peers[victim]._connections.values()):
            connection.shutdown(socket.SHUT_RDWR)  # as the system does for a process that was killed
        assert until(lambda: len(ended) >= 2, 5)
    assert set(ended) == {75}
    told = capsys.readouterr().err
    assert f"process {victim} of 3 on {socket.gethostname()} has ended, and this training needs every process" in told
    assert "Start again." in told


def test_an_error_in_one_process_ends_the_others_and_is_raised_in_it(met, ended, capsys):
    first, second = met()
    with first.together("Start again."):
        with pytest.raises(ds.DataError, match="no such row"), second.together("Start again."):
            raise ds.DataError("no such row")
        assert until(lambda: ended, 5)
    assert "process 1 of 2" in capsys.readouterr().err
    assert second.loss == f"process 1 of 2 on {socket.gethostname()} failed: DataError: no such row"
    with pytest.raises(ds.DownslopeError, match="failed: DataError"), second.together(""):
        raise AssertionError


def test_a_process_that_ends_after_the_training_ends_nobody(met, ended):
    first, second = met()
    with first.together(""), second.together(""):
        pass
    second.leave()
    second._connections[0].shutdown(socket.SHUT_RDWR)
    assert until(lambda: not first._connections, 5)
    assert ended == []
    with pytest.raises(ds.DownslopeError, match="has ended before a training that needs it"), first.together(""):
        raise AssertionError


def test_processes_that_do_not_come_are_named():
    with pytest.raises(ds.DownslopeError, match=r"processes 1, 2 of 3 did not join within 0\.1 s"):
        _peers.gather(("127.0.0.1", free_port()), 0, 3, 0.1)
    with pytest.raises(ds.DownslopeError, match=r"process 0 does not answer at 127\.0\.0\.1"):
        _peers.gather(("127.0.0.1", free_port()), 1, 3, 0.1)


def test_two_processes_of_one_number_are_told_apart():
    port, errors = free_port(), []

    def come(number, hosts):
        try:
            _peers.gather(("127.0.0.1", port), number, hosts, 1.0)
        except ds.DownslopeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=come, args=arguments) for arguments in ((0, 3), (1, 3), (1, 3), (2, 4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any("a process joined as 1 of 3, and there is a process 1 already" in error for error in errors)
    assert any("a process joined as 2 of 4, and process 0 waits for 3" in error for error in errors)


SLURM = {"SLURM_STEP_NODELIST": "node[07-09]", "SLURM_NTASKS": "16", "SLURM_PROCID": "3", "SLURM_JOB_ID": "4097"}
MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"}


@pytest.mark.parametrize(
    ("environment", "meeting"),
    [
        ({}, (None, None, None)),
        (SLURM, ("node07:61441", 16, 3)),
        (SLURM | {"SLURM_STEP_ID": "1"}, ("node07:61538", 16, 3)),
        ({name: text for name, text in SLURM.items() if name != "SLURM_STEP_NODELIST"}, (None, None, None)),
        (MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, ("127.0.0.1:61440", 4, 1)),
        (MPI | {"OMPI_MCA_orte_hnp_uri": "4096.0;tcp://10.96.0.1,10.1.0.1:34911"}, ("10.96.0.1:61441", 4, 1)),
        (
            {"JAX_COORDINATOR_ADDRESS": "run-0.run:5600", "JAX_NUM_PROCESSES": "8", "JOB_COMPLETION_INDEX": "5"},
            ("run-0.run:5600", 8, 5),
        ),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1", "TPU_WORKER_ID": "1"}, ("t0:61440", 2, 1)),
    ],
)
def test_launchers_tell_where_processes_meet(environment, meeting):
    assert _hosts.meeting_of(environment) == meeting


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "neither SLURM, MPI nor an environment variable gives the coordinator and the hosts and the number"),
        (("node1", 2, 0), "the coordinator is a host and a port, not 'node1'"),
        (("node1:5600", 2, 2), "there is no process 2 among 2 processes"),
        (("node1:5600", 0, 0), "hosts must be a whole number of at least 1"),
        (("node1:5600", 2, -1), "number must be a whole number of at least 0"),
    ],
)
def test_what_cannot_be_joined_is_refused(monkeypatch, arguments, message):
    monkeypatch.setattr(os, "environ", {})
    with pytest.raises(ds.SettingError, match=message):
        ds.join_hosts(*arguments)


def test_joining_after_something_was_computed_is_refused():
    import jax

    jax.devices()
    with pytest.raises(ds.SettingError, match="JAX has already run in this process"):
        ds.join_hosts("127.0.0.1:5600", 2, 0)


def test_waiting_takes_no_more_room_the_longer_a_training_lasts():
    pace = Pace()
    for chunk in range(5000):
        pace.add(10 * chunk, np.array([1.0, 2.0, 6.0]))
    facts = pace.facts
    assert len(facts["step"]) <= 512
    assert facts["step"] == sorted(facts["step"])
    assert sum(facts["slowest"]) == pytest.approx(30_000)
    assert sum(facts["median"]) == pytest.approx(10_000)
    assert set(facts["slowest_process"]) == {2}
