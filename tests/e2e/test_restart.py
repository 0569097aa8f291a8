# SPDX-License-Identifier: MIT
"""Endpoints that come late, die, and come back as somebody else."""

import errno
import socket
import time

import pytest

from harness import net, origin as origins
from harness.pattern import DOWN, UP


def test_a_remote_that_starts_later(world, echo):
    """Clients that came before it are served once it is there."""
    address = f'127.0.0.1:{net.free_port()}'
    local = world.local(address)
    clients = [world.connect(local.address) for _ in range(5)]
    for client in clients:
        client.sendall(b'early')
    assert all(net.is_open(client) for client in clients)
    world.remote(echo.address, address=address)
    for client in clients:
        assert net.recv_exact(client, 5) == b'early'


def test_a_remote_that_starts_later_and_a_client_that_has_ended(world, target):
    """The whole of a request that came before the remote, with its end, gets through."""
    address = f'127.0.0.1:{net.free_port()}'
    local = world.local(address)
    client = world.connect(local.address)
    net.send_pattern(client, UP, 50_000)
    world.remote(target.address, address=address)
    served = target.accept()
    net.recv_pattern(served, UP, 50_000)
    net.send_pattern(served, DOWN, 70_000)
    net.recv_pattern(client, DOWN, 70_000)


def test_a_restarted_remote_resets_its_old_sessions(world, target):
    """Never a silent restart: the client hears of it, and the target gets no second connection."""
    tunnel = world.tunnel(target.address)
    idle, busy = tunnel.connect(), tunnel.connect()
    for client in (idle, busy):
        client.sendall(b'hello')
    served = [target.accept(), target.accept()]
    for connection in served:
        assert net.recv_exact(connection, 5) == b'hello'
    tunnel.remote.kill()
    for connection in served:
        with pytest.raises((ConnectionResetError, AssertionError)):
            net.recv_exact(connection, 1)
    busy.sendall(b'into the void')
    world.remote(target.address, address=tunnel.remote.address)
    net.assert_reset(busy)
    net.assert_reset(idle)
    assert target.accepted == 2
    fresh = tunnel.connect()
    fresh.sendall(b'fresh')
    assert net.recv_exact(target.accept(), 5) == b'fresh'
    assert target.accepted == 3


def test_a_restarted_remote_in_the_middle_of_a_transfer(world, target):
    tunnel = world.tunnel(target.address)
    client, served = tunnel.connect(), target.accept()
    end = net.background(flood, client)
    assert net.recv_exact(served, 1_000_000)
    tunnel.remote.kill()
    world.remote(target.address, address=tunnel.remote.address)
    assert end.result(net.DEADLINE) in (errno.ECONNRESET, errno.EPIPE)
    assert target.accepted == 1


def flood(sock):
    """Sends until the connection breaks; returns by which error."""
    try:
        offset = 0
        while True:
            offset += sock.send(UP.at(offset, net.CHUNK))
    except OSError as error:
        return error.errno


def test_a_remote_that_never_returns(world, echo):
    """After grace the session is over: a reset, and not before."""
    tunnel = world.tunnel(echo.address, local={'section': 'grace = 1s'})
    client = tunnel.connect()
    net.ping(client)
    tunnel.remote.kill()
    start = time.monotonic()
    net.assert_reset(client, net.allow(6))
    assert time.monotonic() - start >= 0.9
    assert 'end=' in tunnel.local.session_lines()[0]['line']


def test_no_grace(world, echo):
    tunnel = world.tunnel(echo.address, local={'section': 'grace = 0s'})
    client = tunnel.connect()
    net.ping(client)
    tunnel.remote.kill()
    net.assert_reset(client, net.allow(3))


def test_a_remote_that_never_was(world):
    local = world.local(f'127.0.0.1:{net.free_port()}', section='grace = 500ms')
    client = world.connect(local.address)
    net.assert_reset(client, net.allow(6))


def test_a_local_that_dies(world, target):
    """The remote outlives it and serves the next one."""
    tunnel = world.tunnel(target.address)
    client = tunnel.connect()
    client.sendall(b'hello')
    served = target.accept()
    assert net.recv_exact(served, 5) == b'hello'
    tunnel.local.kill()
    with pytest.raises((ConnectionResetError, AssertionError)):
        net.recv_exact(client, 1)
    tunnel.local = world.local(tunnel.remote.address, name='again')
    client = tunnel.connect()
    client.sendall(b'again')
    assert net.recv_exact(target.accept(), 5) == b'again'


def test_dials_are_spaced(world):
    """A remote that is away is not dialled in a tight loop."""
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(100)
    listener.settimeout(0.1)
    local = world.local(net.text(listener.getsockname()))
    world.connect(local.address).sendall(b'hello')
    count = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            connection, _ = listener.accept()
            net.abort(connection)
            count += 1
        except TimeoutError:
            pass
    listener.close()
    assert 3 <= count <= 100, f'{count} dials in 3 s'


ANSWERS = [b'', b'HTTP/1.1 400 Bad Request\r\n\r\n', bytes(100), b'\xff' * 70000]


def test_something_else_answers_on_the_remotes_port(world):
    """Silence, words, zeros, ones: the client gets a reset in time; meanwhile nothing grows."""
    def says(answer):
        def handler(connection):
            connection.sendall(answer)
            while connection.recv(net.CHUNK):
                pass
        return handler
    wrong = [world.origin(handler=says(answer)) for answer in ANSWERS]
    near = [f'127.0.0.1:{net.free_port()}' for _ in wrong]
    local = world.braidd('local', ''.join(
        f'[local t{number}]\nlisten = {near[number]}\nremote = {origin.address}\n'
        'security = none\ngrace = 1s\n' for number, origin in enumerate(wrong)))
    before = local.rss()
    clients = [world.connect(address) for address in near]
    for client in clients:
        client.sendall(b'hello')
    for client in clients:
        net.assert_reset(client, net.allow(15))
    for answer, origin in zip(ANSWERS, wrong):
        if answer:
            local.wait_log(origin.address.replace('.', r'\.'), net.allow(5))
    if not local.sanitized():
        assert local.rss() - before < 4 << 20


def test_the_target_dies_with_the_daemon_alive(world):
    """The origin is gone with its sessions: resets or ends, then refusals; then it is back."""
    echo = origins.Origin(handler=origins.echo)
    tunnel = world.tunnel(echo.address)
    client = tunnel.connect()
    net.ping(client)
    echo.close()
    net.assert_refused(tunnel.connect)
    again = world.origin(echo.address, handler=origins.echo)
    net.ping(tunnel.connect())
    assert again.accepted == 1
