# SPDX-License-Identifier: MIT
"""What networks do to subflows: silence, ends within a frame, slices, frozen endpoints."""

import signal
import time

import pytest

from harness import net
from harness.middle import Middle
from harness.pattern import DOWN, UP
from harness.transfer import SUBFLOWS, Transfer


class Relayed:
    """A tunnel whose subflows pass through a Middle."""

    def __init__(self, world, target, section='', slice_bytes=65536):
        self._world = world
        self.remote = world.remote(target.address)
        self.middle = world.add(Middle(self.remote.address, slice_bytes))
        self.local = world.local(self.middle.address, section=section)
        self._port = int(self.middle.address.rpartition(':')[2])

    def connect(self):
        """A client."""
        return self._world.connect(self.local.address)

    def subflows(self):
        """The local ports of the subflows that are established now."""
        return net.connections(self._port)


@pytest.fixture
def relayed(world, target):
    """A tunnel with four subflows through a Middle."""
    return Relayed(world, target)


def test_a_subflow_that_falls_silent(world, relayed, target):
    """What it held comes on the others, long before anything times out."""
    transfer = Transfer(relayed, target)
    transfer.wait_subflows()
    for link in relayed.middle.links[:SUBFLOWS - 1]:
        transfer.wait_more()
        link.freeze()
        start = time.monotonic()
        transfer.wait_more(8 << 20)
        assert time.monotonic() - start < net.allow(5)
    transfer.finish()


def test_a_silent_subflow_that_comes_back(world, relayed, target):
    """Late copies of bytes that came elsewhere meanwhile do no harm."""
    transfer = Transfer(relayed, target)
    transfer.wait_subflows()
    link = relayed.middle.links[0]
    for _ in range(3):
        link.freeze()
        transfer.wait_more(8 << 20)
        carried = link.carried
        link.thaw()
        net.wait_for(lambda c=carried: link.carried > c, 'it to carry bytes again')
        transfer.wait_more()
    transfer.finish()


def test_all_subflows_silent_for_a_while(world, relayed, target):
    transfer = Transfer(relayed, target)
    transfer.wait_subflows()
    transfer.wait_more()
    for link in relayed.middle.links:
        link.freeze()
    time.sleep(2)  # the outage itself
    for link in relayed.middle.links:
        link.thaw()
    transfer.wait_more(4 << 20)
    transfer.finish()


@pytest.mark.parametrize('how', ['reset', 'finish'])
def test_subflows_that_end_in_the_middle_of_a_frame(world, relayed, target, how):
    """An end without CLOSE is a loss, be it a RST or a FIN."""
    transfer = Transfer(relayed, target)
    transfer.wait_subflows()
    for _ in range(6):
        transfer.wait_more()
        alive = [link for link in relayed.middle.links if link.alive()]
        getattr(alive[0], how)()
        net.wait_for(lambda: len([link for link in relayed.middle.links if link.alive()]) >= 4,
                     'a replacement')
    transfer.finish()


def test_an_outage_that_resets_and_refuses(world, relayed, target):
    """No subflow can be had for a second: the session waits and goes on where it was."""
    transfer = Transfer(relayed, target)
    transfer.wait_subflows()
    transfer.wait_more()
    relayed.middle.refusing = True
    for link in relayed.middle.links:
        link.reset()
    time.sleep(1)  # the outage itself
    relayed.middle.refusing = False
    transfer.wait_more(4 << 20)
    transfer.wait_subflows()
    transfer.finish()


def test_an_outage_while_both_halves_end(world, relayed, target):
    """Ends that were on their way when the subflows died arrive all the same."""
    for _ in range(3):
        client, served = relayed.connect(), target.accept()
        sender = net.background(net.send_pattern, client, UP, 500_000)
        back = net.background(net.send_pattern, served, DOWN, 500_000)
        for link in relayed.middle.links:
            link.reset()
        net.recv_pattern(served, UP, 500_000)
        net.recv_pattern(client, DOWN, 500_000)
        sender.result(net.DEADLINE)
        back.result(net.DEADLINE)


@pytest.mark.parametrize('slice_bytes', [1, 7, 1448])
def test_slices(world, target, slice_bytes):
    """TCP may cut the bytes anywhere."""
    relayed = Relayed(world, target, slice_bytes=slice_bytes)
    size = 3000 * slice_bytes
    client = relayed.connect()
    served = net.background(lambda: net.exchange(target.accept(), DOWN, size, UP, size))
    net.exchange(client, UP, size, DOWN, size)
    served.result(net.DEADLINE)


@pytest.mark.heavy
@pytest.mark.parametrize('end', ['local', 'remote'])
def test_an_endpoint_that_is_frozen(world, tunnel, target, end):
    """A machine that sleeps for three seconds and wakes up again: nothing is lost."""
    transfer = Transfer(tunnel, target)
    transfer.wait_subflows()
    transfer.wait_more()
    daemon = getattr(tunnel, end)
    daemon.signal(signal.SIGSTOP)
    time.sleep(3)  # the sleep itself
    daemon.signal(signal.SIGCONT)
    transfer.wait_more(4 << 20)
    transfer.wait_subflows()
    transfer.finish()


def test_a_slow_subflow_beside_fast_ones(world, target):
    """Two remotes, one behind a link of small slices: bytes stay in order, none is lost."""
    remote = world.remote(target.address)
    middle = world.add(Middle(remote.address, 100))
    local = world.local(remote.address, section=f'remote = {middle.address}')
    client = world.connect(local.address)
    served = net.background(lambda: net.exchange(target.accept(), DOWN, 8_000_001, UP, 8_000_003))
    net.exchange(client, UP, 8_000_003, DOWN, 8_000_001)
    served.result(net.DEADLINE)
