# SPDX-License-Identifier: MIT
"""braidd in the seed's format: both ends, either end, and both formats on one port."""

import socket

import pytest

from harness import net, seed
from harness.pattern import DOWN, UP

SEED = {'section': 'protocol = seed'}
ENDS = [0, 1, 65_537, 3_000_001]


def exchange(client, served, up, down):
    """Both directions at once, to their ends."""
    far = net.background(lambda: net.exchange(served(), DOWN, down, UP, up))
    net.exchange(client, UP, up, DOWN, down)
    far.result(net.DEADLINE)


@pytest.mark.parametrize('up', ENDS)
@pytest.mark.parametrize('down', ENDS)
def test_both_ends(world, target, up, down):
    tunnel = world.tunnel(target.address, remote=SEED, local=SEED)
    exchange(tunnel.connect(), target.accept, up, down)


def test_many_clients(world, target):
    """Each has its own subflows, and all of them end."""
    tunnel = world.tunnel(target.address, remote=SEED, local=SEED)
    sessions = [tunnel.session(target) for _ in range(20)]
    assert len(tunnel.subflows()) == 80
    for client, served in sessions:
        served.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b''
        client.close()
        served.close()
    net.wait_for(lambda: not tunnel.subflows(), 'the end of all subflows')


def test_a_reset_is_a_reset(world, target):
    tunnel = world.tunnel(target.address, remote=SEED, local=SEED)
    client, served = tunnel.session(target)
    net.abort(client)
    with pytest.raises(ConnectionResetError):
        served.recv(1)
    client, served = tunnel.session(target)
    net.abort(served)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_target_that_is_not_there(world):
    """There is no word for it but a reset."""
    tunnel = world.tunnel(f'127.0.0.1:{net.free_port()}', remote=SEED, local=SEED)
    with pytest.raises(ConnectionResetError):
        tunnel.connect().recv(1)


def test_both_formats_on_one_port(world, target):
    """The other end is moved over one client at a time."""
    remote = world.remote(target.address, section='accept-seed = yes')
    old = world.local(remote.address, name='old', **SEED)
    new = world.local(remote.address, name='new')
    for local in (old, new, old, new):
        exchange(world.connect(local.address), target.accept, 200_001, 100_003)


def test_the_status_tells_them_apart(world, echo):
    remote = world.remote(echo.address, section='accept-seed = yes')
    old = world.local(remote.address, name='old', **SEED)
    new = world.local(remote.address, name='new')
    clients = {name: world.connect(daemon.address) for name, daemon in (('seed', old),
                                                                        ('braid', new))}
    for client in clients.values():
        net.ping(client)
    for name, daemon in (('seed', old), ('braid', new)):
        tunnel = daemon.status_json()['tunnels'][0]
        assert tunnel['protocol'] == name
        assert [session['protocol'] for session in tunnel['sessions']] == [name]
    tunnel = remote.status_json()['tunnels'][0]
    assert tunnel['protocol'] == 'either'
    assert sorted(session['protocol'] for session in tunnel['sessions']) == ['braid', 'seed']


@pytest.mark.parametrize('section', ['protocol = seed', 'accept-seed = yes'])
@pytest.mark.parametrize('streams', [1, 3, 16])
def test_its_client(world, echo, section, streams):
    remote = world.remote(echo.address, section=section)
    peer = seed.connect(remote.address, streams)
    sent = bytes(range(256)) * 4000
    for at in range(0, len(sent), 100_000):
        peer.write(sent[at:at + 100_000])
    peer.shutdown()
    assert peer.received() == (sent, ['shutdown'] * streams)


def test_its_server(world):
    listening = world.add(seed.Server())
    local = world.local(listening.address, section='protocol = seed\nsubflows = 3')
    client = world.connect(local.address)
    peer = listening.accept()
    assert len(peer.socks) == 3
    client.sendall(b'question' * 1000)
    client.shutdown(socket.SHUT_WR)
    assert peer.received() == (b'question' * 1000, ['shutdown'] * 3)
    peer.write(b'answer' * 1000)
    peer.shutdown()
    assert net.recv_exact(client, 6000) == b'answer' * 1000
    assert client.recv(1) == b''


@pytest.mark.parametrize('bare', [False, True])
def test_an_end_that_nobody_says(world, bare):
    listening = world.add(seed.Server())
    local = world.local(listening.address,
                        section=f'protocol = seed\nbare-end = {"yes" if bare else "no"}')
    client = world.connect(local.address)
    peer = listening.accept()
    peer.write(b'answer')
    assert net.recv_exact(client, 6) == b'answer'
    peer.bare_end()
    if bare:
        assert client.recv(1) == b''
    else:
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_path_that_is_not_there(world, target):
    """Those that have connected half a second later are all there are."""
    remote = world.remote(target.address, **SEED)
    local = world.local(remote.address, section=(
        f'remote = 127.0.0.1:{net.free_port()}\nprotocol = seed'))
    client = world.connect(local.address)
    client.sendall(b'hello')
    assert net.recv_exact(target.accept(), 5) == b'hello'


@pytest.mark.parametrize('opening, words', [
    (seed.opening(1, 17), 'too many sessions or subflows'),
    (seed.opening(1, 0), 'protocol error'),
    (seed.opening(1, 1 << 63), 'protocol error'),
])
@pytest.mark.parametrize('section', ['protocol = seed', 'accept-seed = yes'])
def test_openings_that_are_refused(world, target, section, opening, words):
    remote = world.remote(target.address, section=section)
    with net.connect(remote.address) as sock:
        sock.sendall(opening)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    net.wait_for(lambda: words in remote.log(), 'a line about it')


def test_off_unless_asked_for(world, target):
    remote = world.remote(target.address)
    with net.connect(remote.address) as sock:
        sock.sendall(seed.opening(1, 1))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert target.accepted == 0


@pytest.mark.parametrize('role, lines, words', [
    ('local', 'remote = 127.0.0.1:1\nprotocol = seed\nkey = /nowhere\n', 'no encryption'),
    ('remote', 'target = 127.0.0.1:1\naccept-seed = yes\nkey = /nowhere\n', 'no encryption'),
    ('remote', 'target = 127.0.0.1:1\nprotocol = seed\n', 'or security = none'),
])
def test_it_has_no_security(world, role, lines, words):
    daemon = world.braidd('daemon', f'[{role} web]\nlisten = 127.0.0.1:{net.free_port()}\n{lines}',
                          wait=False, clean_exit=(1,))
    daemon.wait_exit()
    assert words in daemon.log()
