# SPDX-License-Identifier: MIT
"""What is seen from outside: braid status, its JSON, and the line a session leaves in the log."""

import re
import socket

import pytest

from harness import net
from harness.pattern import DOWN, UP

NUMBERS = {
    'daemon': ('pid', 'uptime', 'workers', 'sessions', 'max_sessions', 'memory', 'rss',
               'half_open', 'half_open_memory', 'turned_away', 'turned_away_source',
               'turned_away_failures', 'turned_away_key', 'join_failures'),
    'tunnel': ('total',),
    'session': ('sent', 'received', 'resent', 'age', 'lost'),
    'subflow': ('index', 'path', 'sent', 'received', 'resent', 'rtt', 'rate'),
}
TEXTS = {
    'daemon': ('version', 'state'),
    'tunnel': ('name', 'role', 'security'),
    'session': ('id', 'client', 'target', 'state'),
    'subflow': ('local', 'peer', 'state'),
}


def check_fields(kind, record):
    """All the fields a record has to have, each of its type."""
    for name in NUMBERS[kind]:
        assert isinstance(record[name], int) and record[name] >= 0, f'{kind} {name}: {record}'
    for name in TEXTS[kind]:
        assert isinstance(record[name], str) and record[name], f'{kind} {name}: {record}'


def the_session(daemon, tunnel=0):
    """The one session of a tunnel in the status."""
    sessions = daemon.status_json()['tunnels'][tunnel]['sessions']
    assert len(sessions) == 1, sessions
    return sessions[0]


def test_idle(world, echo_tunnel):
    """Tunnels are shown before anybody uses them."""
    for daemon, role in ((echo_tunnel.local, 'local'), (echo_tunnel.remote, 'remote')):
        status = daemon.status_json()
        assert status['version'] == 1
        check_fields('daemon', status['daemon'])
        assert status['daemon']['pid'] == daemon.pid
        assert status['daemon']['state'] == 'running'
        assert len(status['tunnels']) == 1
        tunnel = status['tunnels'][0]
        check_fields('tunnel', tunnel)
        assert (tunnel['name'], tunnel['role']) == ('web', role)
        assert tunnel['listen'] == [daemon.address]
        assert (tunnel['sessions'], tunnel['total']) == ([], 0)


def test_a_session_with_subflows(world, tunnel, target):
    """Bytes each way are told, at both ends, of the session and of its subflows."""
    client, served = tunnel.connect(), target.accept()
    up, down = 6_000_001, 4_000_003
    sender = net.background(net.send_pattern, client, UP, up, 0, False)
    back = net.background(net.send_pattern, served, DOWN, down, 0, False)
    reader = net.background(lambda: net.recv_pattern(served, UP, up, eof=False))
    net.recv_pattern(client, DOWN, down, eof=False)
    for task in (sender, back, reader):
        task.result(net.DEADLINE)
    seen = {}
    for name, daemon in (('local', tunnel.local), ('remote', tunnel.remote)):
        sent, received = (up, down) if name == 'local' else (down, up)

        def settled(d=daemon, s=sent, r=received):
            found = the_session(d)
            return found if (found['sent'], found['received']) == (s, r) else None
        session = net.wait_for(settled, f'{sent} sent and {received} received at {name}')
        seen[name] = session
        check_fields('session', session)
        assert len(session['subflows']) == 4
        for subflow in session['subflows']:
            check_fields('subflow', subflow)
            assert subflow['state'] == 'active'
            assert subflow['rtt'] > 0
        assert sum(subflow['sent'] for subflow in session['subflows']) >= sent
        assert sum(subflow['received'] for subflow in session['subflows']) >= received
        assert max(subflow['rate'] for subflow in session['subflows']) > 0
        assert len({subflow['index'] for subflow in session['subflows']}) == 4
    assert seen['local']['id'] == seen['remote']['id']
    assert re.fullmatch(r'[0-9a-f]{16}', seen['local']['id'])
    assert seen['local']['client'] == net.text(client.getsockname())
    assert seen['remote']['target'] == target.address
    assert {s['local'] for s in seen['local']['subflows']} == \
        {s['peer'] for s in seen['remote']['subflows']}
    assert {s['peer'] for s in seen['local']['subflows']} == {tunnel.remote.address}


def test_a_lost_subflow_is_shown(world, tunnel, target, kill_subflows):
    client, served = tunnel.connect(), target.accept()
    sender = net.background(net.send_pattern, client, UP, 3_000_000, 0, False)
    net.recv_pattern(served, UP, 3_000_000, eof=False)
    sender.result(net.DEADLINE)
    victim = net.wait_for(lambda: tunnel.subflows() if len(tunnel.subflows()) == 4 else None,
                          'four subflows')[0]
    kill_subflows(tunnel.port, victim)

    def shown():
        session = the_session(tunnel.local)
        lost = [s for s in session['subflows'] if s['state'] == 'lost']
        alive = [s for s in session['subflows'] if s['state'] == 'active']
        return session if len(lost) == 1 and len(alive) == 4 else None
    session = net.wait_for(shown, 'one lost subflow and four that live')
    assert session['lost'] == 1
    lost = [s for s in session['subflows'] if s['state'] == 'lost'][0]
    assert lost['local'] == f'127.0.0.1:{victim}'


def test_several_tunnels(world, echo):
    """Each session stands under its own tunnel."""
    ports = [net.free_port() for _ in range(3)]
    daemon = world.braidd('both', (
        f'[remote far]\nlisten = 127.0.0.1:{ports[0]}\ntarget = {echo.address}\nsecurity = none\n'
        f'[local one]\nlisten = 127.0.0.1:{ports[1]}\nremote = 127.0.0.1:{ports[0]}\n'
        'security = none\n'
        f'[local two]\nlisten = 127.0.0.1:{ports[2]}\nremote = 127.0.0.1:{ports[0]}\n'
        'security = none\nsubflows = 7\ngrace = 5s\n'))
    one = [world.connect(f'127.0.0.1:{ports[1]}') for _ in range(2)]
    two = [world.connect(f'127.0.0.1:{ports[2]}') for _ in range(3)]
    for client in one + two:
        net.ping(client)
    tunnels = {tunnel['name']: tunnel for tunnel in daemon.status_json()['tunnels']}
    assert {name: len(tunnel['sessions']) for name, tunnel in tunnels.items()} == \
        {'far': 5, 'one': 2, 'two': 3}
    assert {session['client'] for session in tunnels['two']['sessions']} == \
        {net.text(client.getsockname()) for client in two}


@pytest.mark.parametrize('workers', ['1', '2'])
def test_many_sessions(world, echo, workers):
    """The status of hundreds of sessions is whole, and asking holds nobody up."""
    tunnel = world.tunnel(echo.address, local={'top': f'workers = {workers}'})
    clients = [tunnel.connect() for _ in range(300)]
    for client in clients:
        net.ping(client)
    status = tunnel.local.status_json()
    sessions = status['tunnels'][0]['sessions']
    assert {session['client'] for session in sessions} == \
        {net.text(client.getsockname()) for client in clients}
    assert len({session['id'] for session in sessions}) == 300
    assert status['daemon']['sessions'] == 300


def test_the_table(world, echo_tunnel):
    client = echo_tunnel.connect()
    net.ping(client)
    result = echo_tunnel.local.braid_status()
    assert (result.returncode, result.stderr) == (0, '')
    words = result.stdout
    assert 'web' in words and echo_tunnel.local.address in words
    assert net.text(client.getsockname()) in words
    assert echo_tunnel.remote.address in words
    for title in ('SENT', 'RECEIVED', 'RTT', 'RATE', 'RESENT', 'STATE'):
        assert title in words.upper(), title


def test_long_names_and_paths(world, echo):
    """The longest name and a path that has to be encoded, in the table and in the JSON."""
    name = 'A-z_0.9' + 'x' * 57
    path = world.path('cli ents,=%20"\u00e9')
    far, near = net.free_port(), net.free_port()
    daemon = world.braidd('odd', (
        f'[remote {name}]\nlisten = 127.0.0.1:{far}\ntarget = {echo.address}\nsecurity = none\n'
        f'[local plain]\nlisten = 127.0.0.1:{near}\nlisten = unix:{path}\n'
        f'remote = 127.0.0.1:{far}\nsecurity = none\n'))
    for address in (f'127.0.0.1:{near}', f'unix:{path}'):
        net.ping(world.connect(address))
    tunnels = {tunnel['name']: tunnel for tunnel in daemon.status_json()['tunnels']}
    assert set(tunnels) == {name, 'plain'}
    assert len(tunnels[name]['sessions']) == 2
    assert tunnels['plain']['listen'] == [f'127.0.0.1:{near}', f'unix:{path}']
    assert name in daemon.braid_status().stdout


def test_a_unix_client(world, echo):
    tunnel = world.tunnel(echo.address, local={'listen': 'unix:' + world.path('clients')})
    client = tunnel.connect()
    net.ping(client)
    assert the_session(tunnel.local)['client'].startswith('unix:')


# ---- the log line ----

LINE = re.compile(r'session (?P<id>[0-9a-f]{16}) tunnel=(?P<tunnel>\S+) client=(?P<client>\S+) '
                  r'target=(?P<target>\S+) key=(?P<key>\S*) sent=(?P<sent>\d+) '
                  r'received=(?P<received>\d+) duration=(?P<duration>\d+\.\d+) subflows=(?P<subflows>\S*) '
                  r'resent=(?P<resent>\d+) end=(?P<end>.+)$')
SHARE = re.compile(r'(\d+):(\d+)\((\d+)%\)')


def end_of(daemon):
    """The fields of the one session's end."""
    line = daemon.session_lines(1)[0]['line']
    match = LINE.search(line)
    assert match, line
    return match.groupdict()


def test_the_line_of_an_orderly_end(world, tunnel, target):
    client, served = tunnel.connect(), target.accept()
    up, down = 5_000_001, 3_000_003
    name = net.text(client.getsockname())
    running = net.background(net.exchange, served, DOWN, down, UP, up)
    net.exchange(client, UP, up, DOWN, down)
    running.result(net.DEADLINE)
    client.close()
    served.close()
    ends = {'local': end_of(tunnel.local), 'remote': end_of(tunnel.remote)}
    for role, end in ends.items():
        sent, received = (up, down) if role == 'local' else (down, up)
        assert (int(end['sent']), int(end['received'])) == (sent, received), role
        assert end['tunnel'] == 'web' and end['key'] == ''
        assert 0 < float(end['duration']) < 60
        shares = [tuple(map(int, share)) for share in SHARE.findall(end['subflows'])]
        assert len(shares) == 4, end['subflows']
        assert sorted(index for index, _, _ in shares) == [0, 1, 2, 3]
        assert sum(size for _, size, _ in shares) >= sent + received
        assert 97 <= sum(percent for _, _, percent in shares) <= 103
    assert ends['local']['id'] == ends['remote']['id']
    assert ends['local']['client'] == name
    assert ends['remote']['target'] == target.address
    assert ends['local']['end'] == ends['remote']['end']


def test_the_line_says_why_a_session_ended(world, tunnel, target):
    """An orderly end, an abort and a refusal are told apart."""
    client, served = tunnel.connect(), target.accept()
    client.shutdown(socket.SHUT_WR)
    net.assert_eof(served)
    served.close()
    net.assert_eof(client)
    orderly = end_of(tunnel.local)['end']
    net.abort(tunnel.connect())
    aborted = LINE.search(tunnel.local.session_lines(2)[1]['line'])['end']
    refused_tunnel = world.local(world.remote(f'127.0.0.1:{net.free_port()}', name='far').address,
                                 name='near')
    net.assert_refused(lambda: world.connect(refused_tunnel.address))
    refused = end_of(refused_tunnel)['end']
    assert len({orderly, aborted, refused}) == 3
    assert 'reset' in aborted and 'refused' in refused


def test_one_line_a_session(world, echo_tunnel):
    for _ in range(10):
        client = echo_tunnel.connect()
        net.ping(client)
        client.close()
    for daemon in (echo_tunnel.local, echo_tunnel.remote):
        lines = daemon.session_lines(10)
        assert len(lines) == 10
        assert len({LINE.search(line['line'])['id'] for line in lines}) == 10


@pytest.mark.parametrize('level, shown', [('error', False), ('notice', False), ('info', True)])
def test_the_level_of_the_log(world, echo, level, shown):
    """A session's end is told at info, and not above."""
    remote = world.remote(echo.address)
    local = world.local(remote.address, top=f'log-level = {level}', wait=False)
    client = net.wait_for(lambda: connected(world, local), 'the local to listen')
    net.ping(client)
    client.close()
    remote.session_lines(1)
    local.stop()
    assert bool(local.lines('tunnel=')) == shown
    assert bool(local.lines(r'\bready$')) == shown


def connected(world, daemon):
    """A client, or None when it is refused."""
    try:
        return world.connect(daemon.address)
    except ConnectionRefusedError:
        return None
