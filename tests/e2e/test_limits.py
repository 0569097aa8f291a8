# SPDX-License-Identifier: MIT
"""Many clients, too few descriptors, too many sessions."""

import selectors
import socket
import time

import pytest

from harness import net, origin as origins
from harness.pattern import DOWN, UP

CLIENTS = 1000


def echo_round(clients, message):
    """Every client sends its own message and gets it back, all at the same time."""
    selector = selectors.DefaultSelector()
    waiting = {}
    for number, client in enumerate(clients):
        own = message(number)
        client.sendall(own)
        client.setblocking(False)
        waiting[client] = own
        selector.register(client, selectors.EVENT_READ)
    end = time.monotonic() + net.DEADLINE
    while waiting:
        events = selector.select(max(0, end - time.monotonic()))
        assert events, f'{len(waiting)} of {len(clients)} clients got no answer'
        for key, _ in events:
            client = key.fileobj
            data = client.recv(65536)
            own = waiting[client]
            assert data and own.startswith(data), f'{data!r} where {own!r} is due'
            if len(data) < len(own):
                waiting[client] = own[len(data):]
            else:
                del waiting[client]
                selector.unregister(client)
    for client in clients:
        client.setblocking(True)
        client.settimeout(net.DEADLINE)


@pytest.mark.heavy
def test_a_thousand_clients_at_once(world):
    echo = world.add(origins.EchoLoop())
    tunnel = world.tunnel(echo.address)
    clients = [tunnel.connect() for _ in range(CLIENTS)]
    for turn in range(3):
        echo_round(clients, lambda number, t=turn: b'%d of %d;' % (number, t))
    assert echo.accepted == CLIENTS
    for client in clients:
        client.close()
    for daemon in (tunnel.local, tunnel.remote):
        daemon.session_lines(CLIENTS)
    net.wait_for(lambda: not tunnel.subflows(), 'no subflow left behind')


@pytest.mark.heavy
def test_a_thousand_clients_one_after_another(world):
    """Nothing is left of a session that has ended: no descriptor, no memory."""
    echo = world.add(origins.EchoLoop())
    tunnel = world.tunnel(echo.address)
    pair = (tunnel.local, tunnel.remote)
    for _ in range(100):
        client = tunnel.connect()
        net.ping(client)
        client.close()
    for daemon in pair:
        daemon.session_lines(100)
    net.wait_for(lambda: not tunnel.subflows(), 'no subflow')
    descriptors = [len(daemon.descriptors()) for daemon in pair]
    memory = [daemon.rss() for daemon in pair]
    for _ in range(CLIENTS):
        client = tunnel.connect()
        net.ping(client)
        client.close()
    for daemon, before in zip(pair, descriptors):
        daemon.session_lines(100 + CLIENTS)
        net.wait_for(lambda d=daemon, b=before: len(d.descriptors()) <= b + 2,
                     f'the descriptors of {daemon.name} to be back at {before}')
    for daemon, before in zip(pair, memory):
        if not daemon.sanitized():
            assert daemon.rss() - before <= 2 << 20, f'{daemon.name} grew from {before}'


def test_no_descriptors_at_the_local(world, echo_tunnel):
    """Accepting pauses; who came meanwhile waits in the backlog and is served later."""
    early = [echo_tunnel.connect() for _ in range(5)]
    for client in early:
        net.ping(client)
    local = echo_tunnel.local
    local.limit_descriptors(local.descriptors()[-1] + 3)
    late = [echo_tunnel.connect() for _ in range(20)]
    for number, client in enumerate(late):
        client.sendall(b'%03d' % number)
    local.wait_log('(?i)descriptor|too many open files')
    for client in early:
        net.ping(client)
    busy = cpu_of(local, 0.5)
    assert busy < 0.4, f'{busy:.2f} s of processor time in half a second of waiting'
    for client in early:
        client.close()
    local.limit_descriptors(None)
    for number, client in enumerate(late):
        assert net.recv_exact(client, 3) == b'%03d' % number
    assert len(local.lines('(?i)descriptor|too many open files')) < 30


def test_no_descriptors_at_the_remote(world, echo_tunnel):
    """The remote has descriptors for a few more only: all are served as others leave."""
    early = [echo_tunnel.connect() for _ in range(5)]
    for client in early:
        net.ping(client)
    remote = echo_tunnel.remote
    remote.limit_descriptors(remote.descriptors()[-1] + 2)
    late = [echo_tunnel.connect() for _ in range(20)]
    for number, client in enumerate(late):
        client.sendall(b'%03d' % number)
    remote.wait_log('(?i)descriptor|too many open files')
    for client in early:
        net.ping(client)
    busy = cpu_of(remote, 0.5)
    assert busy < 0.4, f'{busy:.2f} s of processor time in half a second of waiting'
    for client in early:
        client.close()
    remote.limit_descriptors(None)
    for number, client in enumerate(late):
        assert net.recv_exact(client, 3) == b'%03d' % number


def cpu_of(process, seconds):
    """Processor seconds a process uses in so many seconds."""
    def used():
        with open(f'/proc/{process.pid}/stat', encoding='ascii') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
    before = used()
    time.sleep(seconds)  # the measure itself
    return used() - before


def open_and_idle(tunnel, target):
    """Sessions that say nothing."""
    return [tunnel.session(target) for _ in range(20)]


def ended_by_the_client(tunnel, target):
    """Sessions of which the client has ended its half."""
    pairs = open_and_idle(tunnel, target)
    for client, served in pairs:
        client.shutdown(socket.SHUT_WR)
        net.assert_eof(served)
    return pairs


def ended_by_the_target(tunnel, target):
    """Sessions of which the target has ended its half."""
    pairs = open_and_idle(tunnel, target)
    for client, served in pairs:
        served.shutdown(socket.SHUT_WR)
        net.assert_eof(client)
    return pairs


def stuck_at_the_target(tunnel, target):
    """A session whose target does not read."""
    pair = tunnel.session(target)
    net.fill(pair[0], UP)
    return pair


def stuck_and_ended(tunnel, target):
    """The same, and the client has ended its half behind what nobody reads."""
    pair = stuck_at_the_target(tunnel, target)
    pair[0].shutdown(socket.SHUT_WR)
    return pair


def stuck_at_the_client(tunnel, target):
    """A session whose client does not read."""
    pair = tunnel.session(target)
    net.fill(pair[1], DOWN)
    return pair


def without_a_remote(tunnel, target):
    """Sessions that wait for their remote endpoint to come back."""
    pairs = open_and_idle(tunnel, target)
    tunnel.remote.kill()
    return pairs


@pytest.mark.parametrize('state', [open_and_idle, ended_by_the_client, ended_by_the_target,
                                   stuck_at_the_target, stuck_and_ended, stuck_at_the_client,
                                   without_a_remote])
def test_waiting_costs_no_processor_time(world, tunnel, target, state):
    """Whatever sessions wait for, nobody goes round in circles meanwhile."""
    kept = state(tunnel, target)
    for daemon in (tunnel.local, tunnel.remote):
        if daemon.alive():
            busy = cpu_of(daemon, 0.7)
            assert busy <= 0.1, f'{daemon.name}: {busy:.2f} s of processor time in 0.7 s'
    assert kept


def test_max_sessions(world, echo):
    """A client too many waits in the queue until another has gone; those inside go on."""
    tunnel = world.tunnel(echo.address, local={'top': 'max-sessions = 3'})
    inside = [tunnel.connect() for _ in range(3)]
    for client in inside:
        net.ping(client)
    outside = tunnel.connect()
    outside.sendall(b'me too')
    tunnel.local.wait_log('max-sessions')
    for client in inside:
        net.ping(client)
    assert echo.accepted == 3
    inside.pop().close()
    assert net.recv_exact(outside, 6) == b'me too'


def test_max_sessions_at_the_remote(world, echo):
    """A session too many is refused by the remote: its client gets a reset, the others go on."""
    tunnel = world.tunnel(echo.address, remote={'top': 'max-sessions = 3'})
    inside = [tunnel.connect() for _ in range(3)]
    for client in inside:
        net.ping(client)
    net.assert_refused(tunnel.connect, net.allow(5))
    for client in inside:
        net.ping(client)
    inside.pop().close()
    tunnel.remote.session_lines(1)
    net.ping(tunnel.connect())
    assert echo.accepted == 4


def test_nodelay_everywhere(world, echo_tunnel):
    """Every TCP connection of both daemons has TCP_NODELAY, asked from the sockets themselves."""
    client = echo_tunnel.connect()
    for _ in range(20):
        client.sendall(b'x' * 60000)
        net.recv_exact(client, 60000)
    for daemon in (echo_tunnel.local, echo_tunnel.remote):
        checked = 0
        for sock in borrowed_sockets(daemon):
            with sock:
                if sock.family in (socket.AF_INET, socket.AF_INET6) and connected(sock):
                    checked += 1
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1, \
                        f'{daemon.name}: {sock}'
        assert checked >= 2


def connected(sock):
    """Whether it has a peer."""
    try:
        return bool(sock.getpeername())
    except OSError:
        return False


def borrowed_sockets(process):
    """Duplicates of a process' sockets, by pidfd_getfd(2)."""
    import ctypes
    import os
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(process.pid)
    try:
        for number in process.descriptors():
            if not os.readlink(f'/proc/{process.pid}/fd/{number}').startswith('socket:'):
                continue
            copy = libc.syscall(438, pidfd, number, 0)
            if copy < 0:
                pytest.skip(f'pidfd_getfd: {os.strerror(ctypes.get_errno())}')
            yield socket.socket(fileno=copy)
    finally:
        os.close(pidfd)
