# SPDX-License-Identifier: MIT
"""Bytes through the tunnel, both ways at once, exact to the last one."""

import pytest

from harness import net, origin as origins
from harness.pattern import DOWN, UP

pytestmark = pytest.mark.secured

KIB = 1024
SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 5 * KIB * KIB + 3]
PAIRS = [(size, size) for size in SIZES] + [(0, 3_000_001), (3_000_001, 0), (1, 3_000_001),
                                            (3_000_001, 1)]

needs_ipv6 = pytest.mark.skipif(not net.has_ipv6(), reason='no ::1 here')
FAMILIES = [pytest.param('127.0.0.1', id='ipv4'),
            pytest.param('[::1]', id='ipv6', marks=needs_ipv6),
            pytest.param('unix:', id='unix')]


def run_exchange(world, tunnel, up, down, target):
    """One client; checks both directions to their ends."""
    client = tunnel.connect()
    served = net.background(lambda: net.exchange(target.accept(), DOWN, down, UP, up))
    net.exchange(client, UP, up, DOWN, down)
    served.result(net.DEADLINE)


@pytest.mark.parametrize('up, down', PAIRS, ids=[f'{up}-{down}' for up, down in PAIRS])
def test_sizes(world, tunnel, target, up, down):
    run_exchange(world, tunnel, up, down, target)


@pytest.mark.parametrize('listen', FAMILIES)
@pytest.mark.parametrize('to', FAMILIES)
def test_listeners_and_targets(world, listen, to):
    target = world.origin('unix:' + world.path('target') if to == 'unix:' else f'{to}:0')
    if listen == 'unix:':
        listen += world.path('clients')
    tunnel = world.tunnel(target.address, local={'listen': listen})
    for _ in range(2):
        run_exchange(world, tunnel, 300_007, 200_003, target)


@pytest.mark.parametrize('between', FAMILIES)
def test_between_the_endpoints(world, target, between):
    if between == 'unix:':
        between += world.path('subflows')
    tunnel = world.tunnel(target.address, remote={'listen': between})
    run_exchange(world, tunnel, 3_000_017, 2_000_003, target)


@needs_ipv6
def test_several_listeners_of_a_section(world, target):
    also = f'[::1]:{net.free_port()}'
    socket = f'unix:{world.path("also")}'
    far_also = f'[::1]:{net.free_port()}'
    tunnel = world.tunnel(target.address, remote={'section': f'listen = {far_also}'},
                          local={'section': f'listen = {also}\nlisten = {socket}\n'
                                            f'remote = {far_also}'})
    for address in (tunnel.local.address, also, socket):
        client = world.connect(address)
        served = net.background(lambda: net.exchange(target.accept(), DOWN, 70_001, UP, 90_001))
        net.exchange(client, UP, 90_001, DOWN, 70_001)
        served.result(net.DEADLINE)


def test_a_stale_unix_socket_is_replaced(world, target):
    path = world.path('clients')
    tunnel = world.tunnel(target.address, local={'listen': f'unix:{path}'})
    tunnel.local.kill()
    again = world.local(tunnel.remote.address, listen=f'unix:{path}', name='again')
    tunnel.local = again
    run_exchange(world, tunnel, 1000, 1000, target)


def test_every_remote_is_a_path(world, target):
    """Two remotes: one subflow on each by default, and both carry the bytes."""
    second = f'127.0.0.2:{net.free_port()}'
    tunnel = world.tunnel(target.address, remote={'section': f'listen = {second}'},
                          local={'section': f'remote = {second}'})
    client = tunnel.connect()
    far = target.accept()
    stop = []
    served = net.background(pump_back, far, stop)
    net.background(drain, client)
    net.wait_for(lambda: len(tunnel.subflows()) == 1
                 and len(net.connections(int(second.rpartition(':')[2]))) == 1,
                 'one subflow to each remote')
    stop.append(True)
    served.result(net.DEADLINE)


def pump_back(sock, stop):
    """Sends a pattern until told to stop."""
    offset = 0
    while not stop:
        offset += sock.send(DOWN.at(offset, net.CHUNK))
    sock.shutdown(1)


def drain(sock):
    """Reads to the end."""
    while sock.recv(net.CHUNK):
        pass


def test_server_speaks_first(world, tunnel, target):
    client = tunnel.connect()
    served = target.accept()
    served.sendall(b'220 ready\r\n')
    assert net.recv_exact(client, 11) == b'220 ready\r\n'
    client.sendall(b'QUIT\r\n')
    assert net.recv_exact(served, 6) == b'QUIT\r\n'
    served.close()
    net.assert_eof(client)


def test_many_small_writes_one_after_another(world, echo_tunnel):
    client = echo_tunnel.connect()
    for number in range(1000):
        net.ping(client, b'%04d' % number)


def test_sessions_do_not_mix(world, echo_tunnel):
    clients = [echo_tunnel.connect() for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(b'%04d' % number * 5000)
    for number, client in enumerate(clients):
        assert net.recv_exact(client, 20000) == b'%04d' % number * 5000


def test_a_client_that_is_gone_before_the_target_answers(world, tunnel, target):
    """connect(), send, close() at once: the target still gets every byte and the end."""
    for _ in range(20):
        client = tunnel.connect()
        client.sendall(UP.at(0, 1000))
        client.close()
        served = target.accept()
        net.recv_pattern(served, UP, 1000)
        served.close()


def test_names_of_the_machine_itself(world):
    """localhost, from /etc/hosts, both as remote and as target."""
    target = world.origin('127.0.0.1:0')
    remote = world.remote(f'localhost:{target.port}')
    port = remote.address.rpartition(':')[2]
    tunnel_local = world.local(f'localhost:{port}')
    client = world.connect(tunnel_local.address)
    served = net.background(lambda: net.exchange(target.accept(), DOWN, 100_001, UP, 100_003))
    net.exchange(client, UP, 100_003, DOWN, 100_001)
    served.result(net.DEADLINE)


@pytest.mark.parametrize('workers', ['1', '2', 'auto'])
def test_workers(world, workers):
    target = world.origin(handler=origins.exchange(DOWN, 1_500_001, UP, 1_000_003))
    top = f'workers = {workers}'
    tunnel = world.tunnel(target.address, remote={'top': top}, local={'top': top})
    clients = [tunnel.connect() for _ in range(8)]
    running = [net.background(net.exchange, client, UP, 1_000_003, DOWN, 1_500_001)
               for client in clients]
    for each in running:
        each.result(net.DEADLINE)
    if workers == '2':
        assert tunnel.local.threads() >= 2 and tunnel.remote.threads() >= 2


@pytest.mark.parametrize('workers', ['1', '2'])
def test_several_tunnels_in_one_process(world, workers):
    """Both kinds of section, twice each, in one process: every tunnel leads to its own target."""
    targets = [world.origin(), world.origin()]
    config = f'workers = {workers}\n'
    ports = [net.free_port() for _ in range(4)]
    for number, target in enumerate(targets):
        far, near = ports[2 * number:2 * number + 2]
        config += (f'[remote t{number}]\nlisten = 127.0.0.1:{far}\ntarget = {target.address}\n'
                   f'security = none\n[local t{number}]\nlisten = 127.0.0.1:{near}\n'
                   f'remote = 127.0.0.1:{far}\nsecurity = none\n')
    world.braidd('both', config)
    for number, target in enumerate(targets):
        client = world.connect(f'127.0.0.1:{ports[2 * number + 1]}')
        up, down = 400_000 + number, 600_000 + number
        served = net.background(lambda t=target, u=up, d=down:
                                net.exchange(t.accept(), DOWN, d, UP, u))
        net.exchange(client, UP, up, DOWN, down)
        served.result(net.DEADLINE)
    assert [target.accepted for target in targets] == [1, 1]
