# SPDX-License-Identifier: MIT
"""A slow reader stops the sender, and costs at most the window."""

import time

import pytest

from harness import net
from harness.pattern import DOWN, UP

MIB = 1 << 20
# What may be on the way to a reader that reads nothing: the window of 8 MiB, and what the kernel
# takes into the sockets before and behind it (tcp_wmem and tcp_rmem, 4 and 6 MiB by default).
MOST_ON_THE_WAY = 40 * MIB
MOST_RSS = 24 * MIB  # of an endpoint, one session with a slow reader


def pair(tunnel, target, upwards):
    """(sender, reader, pattern) in the direction asked for."""
    client, served = tunnel.connect(), target.accept()
    return (client, served, UP) if upwards else (served, client, DOWN)


@pytest.mark.heavy
@pytest.mark.parametrize('upwards', [True, False], ids=['up', 'down'])
def test_a_reader_that_stops(world, tunnel, target, upwards):
    """The sender is stopped; memory has a bound; later all bytes come, in order."""
    sender, reader, pattern = pair(tunnel, target, upwards)
    sent = net.fill(sender, pattern, most=MOST_ON_THE_WAY)
    assert sent > 64 * 1024
    for daemon in (tunnel.local, tunnel.remote):
        if not daemon.sanitized():
            assert daemon.peak_rss() <= MOST_RSS, f'{daemon.name}: {daemon.peak_rss()} bytes'
    rest = net.background(net.send_pattern, sender, pattern, 5 * MIB, sent)
    net.recv_pattern(reader, pattern, sent + 5 * MIB)
    rest.result(net.DEADLINE)


@pytest.mark.heavy
def test_a_slow_reader(world, tunnel, target):
    """A reader of a few MiB a second holds its sender to that, and memory stays where it was."""
    sender, reader, pattern = pair(tunnel, target, False)
    done = net.background(net.send_pattern, sender, pattern, 64 * MIB, 0, False)
    offset = 0
    for _ in range(40):
        data = net.recv_exact(reader, 128 * 1024)
        pattern.check(offset, data)
        offset += len(data)
        time.sleep(0.025)  # this is the reader's speed, not a wait for anything
    assert not done.done(), 'the sender was not stopped'
    for daemon in (tunnel.local, tunnel.remote):
        if not daemon.sanitized():
            assert daemon.peak_rss() <= MOST_RSS, f'{daemon.name}: {daemon.peak_rss()} bytes'
    net.recv_pattern(reader, pattern, 64 * MIB - offset, offset, eof=False)
    done.result(net.DEADLINE)


def test_a_stopped_session_stops_nobody_else(world, tunnel, target):
    stuck, stuck_reader, pattern = pair(tunnel, target, True)
    sent = net.fill(stuck, pattern)
    client = tunnel.connect()
    served = target.accept()
    other = net.background(net.exchange, served, DOWN, 2 * MIB, UP, 2 * MIB)
    net.exchange(client, UP, 2 * MIB, DOWN, 2 * MIB)
    other.result(net.DEADLINE)
    stuck.shutdown(1)
    net.recv_pattern(stuck_reader, pattern, sent)


def test_one_direction_stopped_and_the_other_not(world, tunnel, target):
    """A client that does not read may still send as much as it likes."""
    client, served = tunnel.connect(), target.accept()
    sent = net.fill(served, DOWN)
    sender = net.background(net.send_pattern, client, UP, 8 * MIB)
    net.recv_pattern(served, UP, 8 * MIB)
    sender.result(net.DEADLINE)
    served.shutdown(1)
    net.recv_pattern(client, DOWN, sent)


@pytest.mark.heavy
def test_memory_comes_back(world, tunnel, target):
    """After stuck sessions have gone, their memory does not stay with the daemons for ever."""
    stuck = [pair(tunnel, target, number % 2 == 0) for number in range(6)]
    for sender, _, pattern in stuck:
        net.fill(sender, pattern, quiet=0.3)
    if tunnel.local.sanitized():
        pytest.skip('RSS says nothing under AddressSanitizer')
    for sender, reader, _ in stuck:
        net.abort(sender)
        reader.close()
    for daemon in (tunnel.local, tunnel.remote):
        daemon.session_lines(6)
        net.wait_for(lambda d=daemon: d.rss() <= MOST_RSS,
                     f'{daemon.name} back below {MOST_RSS} bytes')
