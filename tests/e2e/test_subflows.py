# SPDX-License-Identifier: MIT
"""Subflows that die under a transfer: bytes stay exact, and they are dialled again."""

import pytest

from harness import net
from harness.pattern import DOWN, UP
from harness.transfer import SUBFLOWS, Transfer

pytestmark = pytest.mark.secured


def test_a_transfer_gets_all_its_subflows(world, tunnel, target):
    transfer = Transfer(tunnel, target)
    transfer.wait_subflows()
    transfer.wait_more()
    assert len(tunnel.subflows()) == SUBFLOWS
    transfer.finish()
    net.wait_for(lambda: not tunnel.subflows(), 'no subflow left behind')


@pytest.mark.parametrize('number', [1, 2, 8, 16])
def test_the_number_of_subflows(world, target, number):
    tunnel = world.tunnel(target.address, local={'section': f'subflows = {number}'})
    transfer = Transfer(tunnel, target)
    transfer.wait_subflows(number)
    transfer.wait_more()
    transfer.wait_subflows(number)  # or soon again: one that was thought dead may have been replaced
    transfer.finish()


def test_no_more_subflows_than_the_remote_allows(world, target):
    tunnel = world.tunnel(target.address, remote={'section': 'max-subflows = 2'},
                          local={'section': 'subflows = 4'})
    transfer = Transfer(tunnel, target)
    transfer.wait_subflows(2)
    transfer.wait_more(8 << 20)
    transfer.finish()


def test_each_subflow_killed_in_turn(world, tunnel, target, kill_subflows):
    transfer = Transfer(tunnel, target)
    first = transfer.wait_subflows()
    for port in first:
        transfer.wait_more()
        kill_subflows(tunnel.port, port)
        net.wait_for(lambda p=port: p not in tunnel.subflows(), 'the subflow to be gone')
        transfer.wait_subflows()
    transfer.wait_more()
    assert not set(first) & set(tunnel.subflows())
    transfer.finish()


def test_all_subflows_killed_at_once(world, tunnel, target, kill_subflows):
    transfer = Transfer(tunnel, target)
    for _ in range(3):
        before = transfer.wait_subflows()
        transfer.wait_more()
        kill_subflows(tunnel.port)
        net.wait_for(lambda b=before: not set(b) & set(tunnel.subflows()),
                     'the old ones to be gone')
        transfer.wait_more()
    transfer.wait_subflows()
    transfer.finish()


def test_killed_from_the_side_of_the_remote(world, tunnel, target, kill_subflows):
    """The remote's sockets die first; the local learns of it by a RST."""
    transfer = Transfer(tunnel, target)
    for port in transfer.wait_subflows():
        transfer.wait_more()
        kill_subflows(port, tunnel.port)
        net.wait_for(lambda p=port: p not in tunnel.subflows(), 'the subflow to be gone')
        transfer.wait_subflows()
    transfer.finish()


def test_killed_while_idle(world, echo_tunnel, kill_subflows):
    """A session that says nothing survives as well, and its next byte gets through."""
    client = echo_tunnel.connect()
    for round_trip in range(3):
        net.ping(client, b'%d' % round_trip)
        before = net.wait_for(echo_tunnel.subflows, 'a subflow')
        kill_subflows(echo_tunnel.port)
        net.wait_for(lambda b=before: not set(b) & set(echo_tunnel.subflows()), 'them to be gone')
        net.ping(client, b'%d again' % round_trip)


def test_killed_under_a_half_close(world, tunnel, target, kill_subflows):
    """The end of one half is as safe as its bytes."""
    for _ in range(5):
        client, served = tunnel.connect(), target.accept()
        sender = net.background(net.send_pattern, client, UP, 2_000_003)
        net.recv_pattern(served, UP, 1_000_000, eof=False)
        kill_subflows(tunnel.port)
        net.recv_pattern(served, UP, 1_000_003, 1_000_000)
        sender.result(net.DEADLINE)
        kill_subflows(tunnel.port)
        net.send_pattern(served, DOWN, 1000)
        net.recv_pattern(client, DOWN, 1000)


def test_killed_while_the_reader_is_stopped(world, tunnel, target, kill_subflows):
    """All that is on the way when the subflows die comes again, once."""
    client, served = tunnel.connect(), target.accept()
    sent = net.fill(client, UP)
    kill_subflows(tunnel.port)
    kill_subflows(tunnel.port)
    rest = net.background(net.send_pattern, client, UP, 1_000_000, sent)
    net.recv_pattern(served, UP, sent + 1_000_000)
    rest.result(net.DEADLINE)


@pytest.mark.heavy
def test_many_sessions_lose_their_subflows(world, kill_subflows):
    tunnel = world.tunnel((target := world.origin()).address)
    transfers = [Transfer(tunnel, target) for _ in range(4)]
    for _ in range(3):
        for transfer in transfers:
            transfer.wait_more(1 << 18)
        kill_subflows(tunnel.port)
    for transfer in transfers:
        transfer.wait_more(1 << 18)
    for transfer in transfers:
        transfer.finish()


def test_a_lost_subflow_is_logged(world, tunnel, target, kill_subflows):
    """Somebody who reads the log sees that subflows died, and of which peer."""
    transfer = Transfer(tunnel, target)
    transfer.wait_subflows()
    kill_subflows(tunnel.port)
    transfer.wait_more()
    transfer.wait_subflows()
    transfer.finish()
    line = tunnel.local.session_lines()[0]
    assert line['tunnel'] == 'web'
    assert int(line['resent']) >= 0
