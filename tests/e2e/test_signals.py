# SPDX-License-Identifier: MIT
"""SIGTERM drains, a second one stops; what the service manager is told."""

import os
import shutil
import signal
import socket
import struct

import pytest

from harness import net
from harness.pattern import DOWN, UP
from harness.process import braidd_path, run


def refused(address):
    """Whether a connection is refused."""
    try:
        net.connect(address).close()
        return False
    except (ConnectionRefusedError, ConnectionResetError):  # as the listener closes: either
        return True


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_at_once(world, number):
    daemon = world.local('127.0.0.1:1')
    daemon.signal(number)
    assert daemon.wait_exit(5) == 0


def test_the_local_drains(world, tunnel, target):
    client, served = tunnel.session(target)
    tunnel.local.signal(signal.SIGTERM)
    net.wait_for(lambda: refused(tunnel.local.address), 'new clients to be refused')
    running = net.background(net.exchange, served, DOWN, 3_000_000, UP, 3_000_000)
    net.exchange(client, UP, 3_000_000, DOWN, 3_000_000)
    running.result(net.DEADLINE)
    target.close()  # a client that asked whether it is refused may have come in before
    assert tunnel.local.wait_exit() == 0


def test_the_remote_drains(world, tunnel, target):
    """Its running sessions finish, on new subflows too; a new session is refused."""
    client, served = tunnel.session(target)
    tunnel.remote.signal(signal.SIGTERM)
    tunnel.remote.wait_log('(?i)drain|stop|finish')
    net.assert_refused(tunnel.connect, net.allow(5))
    running = net.background(net.exchange, served, DOWN, 5_000_000, UP, 5_000_000)
    net.exchange(client, UP, 5_000_000, DOWN, 5_000_000)
    running.result(net.DEADLINE)
    assert tunnel.remote.wait_exit() == 0
    assert target.accepted == 1


def test_subflows_are_dialled_again_while_the_remote_drains(world, tunnel, target, kill_subflows):
    client, served = tunnel.session(target)
    tunnel.remote.signal(signal.SIGTERM)
    tunnel.remote.wait_log('(?i)drain|stop|finish')
    kill_subflows(tunnel.port)
    running = net.background(net.exchange, served, DOWN, 1_000_000, UP, 1_000_000)
    net.exchange(client, UP, 1_000_000, DOWN, 1_000_000)
    running.result(net.DEADLINE)
    assert tunnel.remote.wait_exit() == 0


@pytest.mark.parametrize('end', ['local', 'remote'])
def test_the_second_signal_stops(world, tunnel, target, end):
    """At once, and both plain peers hear of it by a reset."""
    client, served = tunnel.session(target)
    daemon = getattr(tunnel, end)
    daemon.signal(signal.SIGTERM)
    daemon.wait_log('(?i)drain|stop|finish')
    assert daemon.alive() and net.is_open(client)
    daemon.signal(signal.SIGTERM)
    daemon.wait_exit(5)
    daemon.judge()
    net.assert_reset(client, net.allow(5))
    net.assert_reset(served, net.allow(5))


def test_signals_until_the_very_end(world):
    """However many come, and however late: it ends by itself."""
    for i in range(10):
        local = world.local('127.0.0.1:1', name=f'local{i}')
        while local.alive():
            local.signal(signal.SIGTERM)
        assert local.wait_exit() == 0


def test_nothing_is_left_in_the_file_system(world, echo):
    """The unix sockets of a daemon that has stopped are gone."""
    tunnel = world.tunnel(echo.address, local={'listen': 'unix:' + world.path('clients')})
    net.ping(tunnel.connect())
    assert os.path.exists(world.path('clients')) and os.path.exists(tunnel.local.control)
    tunnel.local.stop()
    assert not os.path.exists(world.path('clients'))
    assert not os.path.exists(tunnel.local.control)


@pytest.mark.parametrize('what', ['control', 'listener'])
def test_a_unix_socket_in_use_is_not_taken(world, echo, what):
    """A second daemon with the same socket is refused, and the first one keeps it."""
    path = world.path('clients')
    tunnel = world.tunnel(echo.address, local={'listen': f'unix:{path}'})
    config = world.path('second.ini')
    control = tunnel.local.control if what == 'control' else world.path('other.sock')
    listen = path if what == 'listener' else world.path('other')
    with open(config, 'w', encoding='utf-8') as file:
        file.write(f'[braidd]\ncontrol = {control}\n[local web]\nlisten = unix:{listen}\n'
                   f'remote = {tunnel.remote.address}\nsecurity = none\n')
    result = run([braidd_path(), '-c', config])
    assert result.returncode > 0
    assert (control if what == 'control' else path) in result.stderr
    net.ping(tunnel.connect())
    tunnel.local.status_json()


def test_hangup_is_no_end(world, echo_tunnel):
    """SIGHUP reads the configuration again, and changes nothing for those who are there."""
    client = echo_tunnel.connect()
    net.ping(client)
    for daemon in (echo_tunnel.local, echo_tunnel.remote):
        daemon.signal(signal.SIGHUP)
        daemon.wait_log('SIGHUP: .* take a restart')
    net.ping(client)
    net.ping(echo_tunnel.connect())


def test_broken_pipe_is_no_end(world, echo_tunnel):
    """Peers that vanish while they are written to must not end the daemon (SIGPIPE)."""
    for _ in range(20):
        client = echo_tunnel.connect()
        client.sendall(b'x' * 100_000)
        net.abort(client)
    net.ping(echo_tunnel.connect())


# ---- the service manager ----

def test_notify(world, echo):
    """READY=1 when it listens, STOPPING=1 when it drains."""
    path = world.path('notify')
    manager = world.add(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    manager.bind(path)
    manager.settimeout(net.DEADLINE)
    tunnel = world.tunnel(echo.address)
    daemon = world.local(tunnel.remote.address, name='notifying', env={'NOTIFY_SOCKET': path})
    assert b'READY=1' in manager.recv(4096).split(b'\n')
    client = world.connect(daemon.address)
    net.ping(client)
    daemon.signal(signal.SIGTERM)
    while b'STOPPING=1' not in manager.recv(4096).split(b'\n'):
        pass
    net.ping(client)
    client.close()
    assert daemon.wait_exit() == 0


def listening_socket(address):
    """A socket as a service manager hands it over."""
    family, sockaddr = net.parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(sockaddr)
    sock.listen(64)
    return sock


# What a service manager does between fork and exec: LISTEN_PID is the child's own number.
PASS_SOCKETS = ('import os, sys; n = len(sys.argv[1].split(","));\n'
                'fds = [os.dup(int(f)) for f in sys.argv[1].split(",")]\n'
                '[os.dup2(f, 100 + i) for i, f in enumerate(fds)]\n'
                '[os.dup2(100 + i, 3 + i, inheritable=True) for i in range(n)]\n'
                'os.closerange(3 + n, 200)\n'
                'os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(n))\n'
                'os.execv(sys.argv[2], sys.argv[2:])\n')


def start_activated(world, name, config, sockets):
    """braidd with sockets passed as file descriptors 3 and up."""
    import sys
    numbers = ','.join(str(sock.fileno()) for sock in sockets)
    return world.braidd(name, config, prefix=[sys.executable, '-c', PASS_SOCKETS, numbers],
                        pass_fds=[sock.fileno() for sock in sockets])


def test_socket_activation(world, echo):
    """Listening sockets that were handed over are used: a client may be waiting on them already."""
    near, far = (f'127.0.0.1:{net.free_port()}' for _ in range(2))
    near_socket, far_socket = listening_socket(near), listening_socket(far)
    with near_socket, far_socket:
        early = world.connect(near)
        early.sendall(b'early')
        daemon = start_activated(
            world, 'activated',
            f'[local web]\nlisten = {near}\nremote = {far}\nsecurity = none\n'
            f'[remote web]\nlisten = {far}\ntarget = {echo.address}\nsecurity = none\n',
            [near_socket, far_socket])
        inode = os.stat(near_socket.fileno()).st_ino
        held = [os.readlink(f'/proc/{daemon.pid}/fd/{fd}') for fd in daemon.descriptors()]
        assert f'socket:[{inode}]' in held
    assert net.recv_exact(early, 5) == b'early'
    net.ping(world.connect(near))


def test_socket_activation_by_systemd(world, echo):
    tool = shutil.which('systemd-socket-activate')
    if tool is None:
        pytest.skip('there is no systemd-socket-activate here')
    tunnel = world.tunnel(echo.address)
    address = f'127.0.0.1:{net.free_port()}'
    daemon = world.braidd('activated', f'[local web]\nlisten = {address}\nsecurity = none\n'
                                       f'remote = {tunnel.remote.address}\n',
                          prefix=[tool, '-l', address], wait=False)
    client = net.wait_for(lambda: try_connect(world, address), 'the activator to listen')
    client.sendall(b'first')
    assert net.recv_exact(client, 5) == b'first'
    daemon.wait_ready()


def try_connect(world, address):
    """A connection, or None when it is refused."""
    try:
        return world.connect(address)
    except ConnectionRefusedError:
        return None


def test_a_socket_handed_over_that_no_section_wants(world, echo):
    """A mistake in the .socket unit is told, with the address, instead of being passed over."""
    wanted, stray = (f'127.0.0.1:{net.free_port()}' for _ in range(2))
    with listening_socket(stray) as sock:
        import subprocess
        import sys
        path = world.path('stray.ini')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'[local web]\nlisten = {wanted}\nremote = {echo.address}\n'
                       'security = none\n')
        with subprocess.Popen([sys.executable, '-c', PASS_SOCKETS, str(sock.fileno()),
                               braidd_path(), '-c', path], pass_fds=[sock.fileno()],
                              stderr=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stderr:
                    if stray in line:
                        break
                    assert not line.rstrip().endswith('ready'), 'ready, and no word of the socket'
                else:
                    raise AssertionError('ended, and no word of the socket')
            finally:
                process.kill()


def test_the_log_goes_to_the_journal_with_priorities(world):
    """Under systemd each line begins with its priority and bears no time."""
    daemon = world.local('127.0.0.1:1', env={'JOURNAL_STREAM': journal_stream(world, 'local')})
    assert daemon.lines(r'^<6>.*\bready$'), daemon.log()


def journal_stream(world, name):
    """What systemd would say of the log file: its device and inode."""
    path = world.path(f'{name}.log')
    with open(path, 'ab'):
        status = os.stat(path)
    return f'{status.st_dev}:{status.st_ino}'


def test_client_that_lingers_zero_before_drain(world, echo_tunnel):
    """An aborted client does not keep a draining daemon."""
    client = echo_tunnel.connect()
    net.ping(client)
    echo_tunnel.local.signal(signal.SIGTERM)
    echo_tunnel.local.wait_log('(?i)drain|stop|finish')
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()
    assert echo_tunnel.local.wait_exit(5) == 0
