# SPDX-License-Identifier: MIT
"""[path] sections: how the ways are told apart, what each may do, and what becomes of changes."""

import os
import pathlib
import re
import time

import pytest

from harness import net, origin as origins
from harness.paths import NOBODY, SHARED, TWO, Paths
from harness.pattern import DOWN, UP

pytestmark = pytest.mark.heavy

BY_INTERFACE = '[path a]\ninterface = path1\n[path b]\ninterface = path2\n'
BACK_TIME = 1.5  # seconds until what has come back is used again


def allowed(kind):
    """Names of the kernel's congestion controls: 'available' or 'allowed' to everybody."""
    path = f'/proc/sys/net/ipv4/tcp_{kind}_congestion_control'
    return pathlib.Path(path).read_text(encoding='ascii').split()


@pytest.fixture
def plain_lab(laboratories):
    """Two equal links on a client that nobody has set up for several ways."""
    return laboratories(TWO, policy=False)


@pytest.fixture
def unprivileged(plain_lab, world):
    """Skips where nobody cannot even run the programs."""
    os.chmod(world.directory, 0o777)
    if not plain_lab.client.run(*NOBODY, os.environ['BRAIDD'], '--version', check=False):
        pytest.skip('the programs lie where the user nobody cannot run them')


# ---- which way -----------------------------------------------------------------------------------

def test_interfaces_without_privilege_or_policy(unprivileged, plain_lab, world):
    """A stock machine, an ordinary user: each path leaves by its own interface all the same."""
    paths = Paths(plain_lab, world, sections=BY_INTERFACE, privilege=False)
    status = pathlib.Path(f'/proc/{paths.local.pid}/status').read_text(encoding='ascii')
    assert re.search(r'^Uid:\s65534\s65534', status, re.MULTILINE)
    assert re.search(r'^CapEff:\s0+$', status, re.MULTILINE)
    assert paths.check_config() == ([], 0)
    transfer = paths.transfer()
    paths.wait_carried(1)
    paths.wait_carried(2)
    assert [line.partition('%')[0] for line in paths.subflows()] == ['10.77.1.1', '10.77.2.1']
    transfer.finish()


def test_sources_without_privilege_or_policy(unprivileged, plain_lab, world):
    """Where the routes to the remotes differ anyway, source addresses are enough."""
    sections = ('[path a]\nsource = 10.77.1.1\nremote = 10.77.1.2:PORT\n'
                '[path b]\nsource = 10.77.2.1\nremote = 10.77.2.2:PORT\n')
    paths = Paths(plain_lab, world, sections=sections, privilege=False)
    assert paths.check_config() == ([], 0)
    transfer = paths.transfer()
    paths.wait_carried(1)
    paths.wait_carried(2)
    transfer.finish()


def apply(lab, lines):
    """Runs the commands among what braidd -t has said."""
    commands = [line.split() for line in lines if line.startswith('  ')]
    for words in commands:
        lab.client.run(*words)
    return commands


def test_a_source_that_leaves_by_the_wrong_interface(plain_lab, world):
    """braidd -t says so, with commands that put it right; the daemon itself warns too."""
    sections = '[path a]\nsource = 10.77.1.1\n[path b]\nsource = 10.77.2.1\n'
    paths = Paths(plain_lab, world, sections=sections)
    lines, status = paths.check_config()
    assert status == 0
    said = [line for line in lines if not line.startswith('  ')]
    assert len(said) == 1, lines
    assert re.search(r':\d+: \[path b\] source: path2 is to be left by, but what goes from '
                     r'10\.77\.2\.1 to 10\.77\.0\.1:\d+ leaves by path1', said[0]), lines
    paths.local.wait_log(r'\[path b\] source: path2 is to be left by, .*see braidd -t')
    assert apply(plain_lab, lines) == [
        'ip route add default via 10.77.2.2 dev path2 table 1002'.split(),
        'ip rule add from 10.77.2.1 lookup 1002'.split()]
    assert paths.check_config() == ([], 0)
    transfer = paths.transfer()
    paths.wait_carried(2)
    transfer.finish()


def test_commands_are_told_once(plain_lab, world):
    """However many remotes and tunnels a path has, they work when they are pasted."""
    sections = ('[path a]\ninterface = path1\n[path b]\nsource = 10.77.2.1\n'
                'remote = 10.77.0.1:PORT\nremote = 10.77.0.1:1\n'
                '[local other]\nlisten = unix:' + world.path('other') + '\n'
                'security = none\ninsecure = yes\nremote = 10.77.0.1:PORT\n')
    paths = Paths(plain_lab, world, sections=sections)
    lines, _ = paths.check_config()
    assert [line.endswith('this changes it:') for line in lines if line[0] != ' '] == \
        [True, False, False, False]
    assert all(line.endswith('too') for line in lines[3:]), lines
    assert len(apply(plain_lab, lines)) == 2
    assert paths.check_config() == ([], 0)


def test_an_interface_without_a_route(plain_lab, world):
    """Its gateway is all that braidd -t cannot know."""
    plain_lab.client.run('ip', 'route', 'del', 'default', 'dev', 'path2')
    # The kernel then takes everything for a neighbour; as on the internet, none may answer to that.
    plain_lab.server.sysctls({'net.ipv4.conf.all.arp_ignore': '1'})
    paths = Paths(plain_lab, world, sections=BY_INTERFACE)
    lines, status = paths.check_config()
    assert status == 0
    assert re.search(r'\[path b\] interface: path2 has no route to 10\.77\.0\.1:\d+: .*; this '
                     'changes it:$', lines[0])
    assert lines[1:] == ['  ip route add default via GATEWAY dev path2 metric 4096']
    paths.wait_state('a', 'unknown')
    transfer = paths.transfer(subflows=1)
    assert paths.wait_state('b', 'down')['error']
    start = time.monotonic()
    apply(plain_lab, [lines[1].replace('GATEWAY', '10.77.2.2')])
    net.wait_for(lambda: paths.on(2) == 1, 'a subflow on path 2', net.allow(BACK_TIME))
    assert time.monotonic() - start < net.allow(BACK_TIME)
    assert paths.check_config() == ([], 0)
    transfer.finish()


def test_answers_that_a_strict_filter_would_drop(plain_lab, world):
    plain_lab.client.sysctls({'net.ipv4.conf.path2.rp_filter': '1'})
    paths = Paths(plain_lab, world, sections=BY_INTERFACE)
    lines, _ = paths.check_config()
    assert re.search(r'\[path b\] interface: answers from 10\.77\.0\.1:\d+ that come by path2 are '
                     r'dropped, as rp_filter is strict there', lines[0])
    assert len(apply(plain_lab, lines)) == 2
    assert paths.check_config() == ([], 0)
    transfer = paths.transfer()
    paths.wait_carried(2)
    transfer.finish()


def test_a_missing_interface_that_comes(plain_lab, world):
    """A modem that is plugged in while sessions run."""
    plain_lab.client.batch(['link set path2 down', 'link set path2 name unplugged'])
    paths = Paths(plain_lab, world, sections=BY_INTERFACE)
    lines, status = paths.check_config()
    assert (len(lines), status) == (1, 0)
    assert re.search(r'\[path b\] interface: there is no interface path2 now', lines[0])
    transfer = paths.transfer(subflows=1)
    paths.wait_state('b', 'down')
    plain_lab.client.batch(['link set unplugged name path2', 'link set path2 up',
                            'neighbor replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev path2 '
                            'nud permanent',
                            'route add 10.77.2.0/24 dev path2 src 10.77.2.1',
                            'route add default via 10.77.2.2 dev path2 metric 2'])
    net.wait_for(lambda: paths.on(2) == 1, 'a subflow on path 2', net.allow(BACK_TIME))
    paths.wait_carried(2)
    transfer.finish()


# ---- several remotes -----------------------------------------------------------------------------

def test_the_first_remote_that_answers(laboratories, world):
    """One refuses, one is silent; the next session begins with the third."""
    sections = ('[path a]\ninterface = path1\nremote = 10.77.1.2:1\n'
                'remote = 10.77.1.9:PORT\nremote = 10.77.1.2:PORT\n')
    paths = Paths(laboratories(TWO[:1]), world, sections=sections, handler=origins.echo)
    client = paths.connect()
    net.ping(client)
    start = time.monotonic()
    another = paths.connect()
    net.ping(another)
    assert time.monotonic() - start < net.allow(1)
    assert paths.state('a')['state'] == 'up'


# ---- priority and mode ---------------------------------------------------------------------------

def is_left_alone(paths, other, path, transfer):
    """Waits until a path carries next to nothing while bytes go on on the other one."""
    def look():
        before = paths.carried(path)
        paths.wait_carried(other, 2 << 20)
        transfer.wait_more(1 << 19)
        return paths.carried(path) - before < 100_000
    net.wait_for(look, f'path {path} to be left alone')


@pytest.mark.parametrize('section,sections', [
    ('', BY_INTERFACE + 'priority = backup\n'),
    ('mode = backup', BY_INTERFACE),
    ('mode = backup\npaths = b a', BY_INTERFACE + 'priority = backup\n'),
], ids=['priority', 'mode', 'both'])
def test_a_backup_is_used_only_while_no_primary_works(laboratories, world, section, sections):
    paths = Paths(laboratories(TWO), world, section=section, sections=sections)
    transfer = paths.transfer()
    assert [paths.state(name)['priority'] for name in 'ab'] == ['primary', 'backup']
    is_left_alone(paths, 1, 2, transfer)
    paths.links[0].down()
    transfer.wait_more(2 << 20)
    paths.links[0].up()
    is_left_alone(paths, 1, 2, transfer)
    transfer.finish()


def test_a_backup_is_all_there_is(laboratories, world):
    """The primary path has no link when the session begins."""
    lab = laboratories(TWO)
    lab.client.run('ip', 'link', 'set', 'path1', 'down')
    paths = Paths(lab, world, sections=BY_INTERFACE + 'priority = backup\n', handler=origins.echo)
    for _ in range(3):
        start = time.monotonic()
        net.ping(paths.connect())
        assert time.monotonic() - start < net.allow(1)
    assert paths.state('a')['state'] == 'down'


@pytest.mark.parametrize('way', ['up', 'down'])
def test_redundant_sends_every_byte_on_both(laboratories, world, way):
    paths = Paths(laboratories(TWO), world, section='mode = redundant', sections=BY_INTERFACE)
    client, served = paths.connect(), paths.target.accept()
    source, sink = (client, served) if way == 'up' else (served, client)
    pattern, lane = (UP, 'ab') if way == 'up' else (DOWN, 'ba')
    net.wait_for(lambda: len(paths.subflows()) == 2, 'both subflows')
    before = [paths.carried(path, lane) for path in (1, 2)]
    sender = net.background(net.send_pattern, source, pattern, 4_000_000)
    net.recv_pattern(sink, pattern, 4_000_000)
    sender.result(net.DEADLINE)
    carried = [paths.carried(path, lane) - start for path, start in zip((1, 2), before)]
    assert min(carried) > 3_000_000, carried
    ends = {'up': paths.local, 'down': paths.remote}
    session, = ends[way].status_json()['tunnels'][0]['sessions']
    assert session['resent'] > 2_500_000


# ---- what a path is allowed ----------------------------------------------------------------------

def test_max_rate(laboratories, world):
    """Of all subflows on the path together, and no concern of the other path's."""
    sections = ('[path a]\ninterface = path1\nsubflows = 2\nmax-rate = 4mbit\n'
                '[path b]\ninterface = path2\n')
    paths = Paths(laboratories(TWO), world, sections=sections)
    client, served = paths.connect(), paths.target.accept()
    sender = net.background(net.send_pattern, client, UP, 12_000_000)
    sink = net.background(net.recv_pattern, served, UP, 12_000_000)
    net.wait_for(lambda: len(paths.subflows()) == 3, 'three subflows')
    assert len(paths.sockets(more='-i')) >= 3
    start, before = time.monotonic(), paths.carried(1, 'ab')
    sender.result(net.DEADLINE)
    sink.result(net.DEADLINE)
    rate = 8 * (paths.carried(1, 'ab') - before) / (time.monotonic() - start)
    assert 1e6 < rate < 4.8e6, rate  # with the headers of Ethernet, IP and TCP


def test_congestion_control(laboratories, world):
    """Each path has its own; what cannot be had costs one line, and no session."""
    default = pathlib.Path('/proc/sys/net/ipv4/tcp_congestion_control').read_text(
        encoding='ascii').strip()
    chosen = next(name for name in allowed('allowed') if name != default)
    forbidden = set(allowed('available')) - set(allowed('allowed'))
    wanted = min(forbidden) if forbidden else 'no_such_one'
    sections = (f'[path a]\ninterface = path1\ncongestion-control = {chosen}\n'
                f'[path b]\ninterface = path2\ncongestion-control = {wanted}\n')
    lab = laboratories(TWO)
    paths = Paths(lab, world, sections=sections, handler=origins.echo,
                  privilege=not forbidden)
    clients = [paths.connect() for _ in range(4)]
    for client in clients:
        net.ping(client)
    net.wait_for(lambda: len(paths.subflows()) == 8, 'both subflows of each session')
    details = lab.client.run('ss', '-Htin', 'src', '10.77.1.1')
    assert len(re.findall(rf'\b{chosen}\b', details)) == 4, details
    lines = paths.local.lines('congestion control')
    assert len(lines) == 1, lines
    assert f'path b: congestion control {wanted} cannot be had' in lines[0]
    assert ('tcp_allowed_congestion_control' in lines[0]) == bool(forbidden)


# ---- changes -------------------------------------------------------------------------------------

def test_an_address_goes_and_comes(plain_lab, world):
    """Its subflow goes with it at once, and comes with it at once."""
    paths = Paths(plain_lab, world, sections=BY_INTERFACE)
    transfer = paths.transfer()
    plain_lab.remove_address(2)
    paths.local.wait_log('its source address is gone', net.allow(1))
    assert paths.wait_state('b', 'down', net.allow(1))['error']
    transfer.wait_more(4 << 20)
    plain_lab.add_address(2)
    net.wait_for(lambda: paths.on(2) == 1, 'a subflow on path 2', net.allow(BACK_TIME))
    paths.wait_carried(2)
    transfer.finish()


@pytest.mark.parametrize('how', ['carrier', 'admin'])
def test_a_link_goes_and_comes(plain_lab, world, how):
    """Nothing is heard of it by TCP; netlink is enough."""
    paths = Paths(plain_lab, world, sections=BY_INTERFACE)
    transfer = paths.transfer()

    def switch(on):
        if how == 'carrier':
            paths.links[1].carrier(on, 'ab')
        elif on:
            plain_lab.client.batch([
                'link set path2 up', 'neighbor replace 10.77.2.2 lladdr 02:00:00:00:02:02 dev '
                'path2 nud permanent', 'route add 10.77.2.0/24 dev path2 src 10.77.2.1',
                'route add default via 10.77.2.2 dev path2 metric 2'])
        else:
            plain_lab.client.run('ip', 'link', 'set', 'path2', 'down')
    switch(False)
    assert paths.wait_state('b', 'down', net.allow(1))['error']
    paths.local.wait_log('path b is down: the machine has no way to it', net.allow(1))
    transfer.wait_more(4 << 20)
    switch(True)
    paths.wait_state('b', 'up', net.allow(BACK_TIME))
    paths.wait_carried(2, 200_000, net.allow(BACK_TIME))
    transfer.finish()


def test_default_routes_are_followed(plain_lab, world):
    """A path that says nothing goes where the routes say: by another link, when the first goes."""
    paths = Paths(plain_lab, world, sections='[path any]\nsubflows = 1\n')
    transfer = paths.transfer(subflows=1)
    assert paths.on(1) == 1
    plain_lab.client.run('ip', 'link', 'set', 'path1', 'down')
    net.wait_for(lambda: paths.on(2) == 1, 'a subflow on path 2', net.allow(BACK_TIME))
    transfer.wait_more(2 << 20)
    transfer.finish()


def test_a_path_known_to_be_dead_is_not_waited_for(laboratories, world):
    """Nor dialled by every session that begins."""
    paths = Paths(laboratories(TWO), world, sections=BY_INTERFACE, handler=origins.echo)
    paths.links[0].down()
    first = paths.connect()
    net.ping(first)
    down = paths.wait_state('a', 'down')
    assert (down['subflows'], down['error']) == (0, 'no answer')
    clients = []
    for _ in range(20):
        start = time.monotonic()
        clients.append(paths.connect())
        net.ping(clients[-1])
        assert time.monotonic() - start < net.allow(0.5)
        assert len([line for line in paths.sockets('syn-sent') if '10.77.1.1' in line]) <= 1
    paths.links[0].up()
    net.wait_for(lambda: paths.on(1) == 21, 'every session on path 1', net.allow(BACK_TIME))
    assert paths.state('a')['subflows'] == 21


def test_status_shows_the_paths(laboratories, world):
    """State, since when, round trip, rate; as a table and as JSON."""
    sections = BY_INTERFACE + 'source = 10.77.2.1\npriority = backup\n'
    paths = Paths(laboratories(TWO), world, sections=sections)
    assert paths.state('a')['state'] == paths.state('b')['state'] == 'unknown'
    transfer = paths.transfer()
    transfer.wait_more(4 << 20)
    found = paths.wait_state('a', 'up')
    assert found['interface'] == 'path1' and 'source' not in found
    assert found['remote'] == paths.local.status_json()['tunnels'][0]['remote']
    assert (found['priority'], found['subflows']) == ('primary', 1)
    assert 10_000 <= found['rtt'] < 500_000 and 1e6 < found['rate'] < 6e6 and found['age'] > 0
    assert paths.state('b')['source'] == '10.77.2.1'
    table = paths.local.braid_status().stdout
    assert re.search(r'^ *path a: up for \d+\w+, 1 subflow, [\d.]+ ms, [\d.]+ Mbit/s; '
                     rf'path1 > {SHARED}:\d+$', table, re.MULTILINE), table
    assert re.search(r'^ *path b: backup, up for .*; path2 10\.77\.2\.1 > ', table,
                     re.MULTILINE), table
    transfer.finish()


def test_a_restarted_remote_resets_the_client(laboratories, world):
    """Another instance is another endpoint, by whichever path it answers."""
    paths = Paths(laboratories(TWO), world, sections=BY_INTERFACE, handler=origins.echo)
    client = paths.connect()
    net.ping(client)
    net.wait_for(lambda: len(paths.subflows()) == 2, 'both subflows')
    paths.links[0].down()
    net.ping(client)
    paths.remote.kill()
    paths.start_remote()
    net.assert_reset(client)
    net.ping(paths.connect())


def test_a_backup_follows_an_early_silence(laboratories, world):
    """The session has just been answered, and says nothing until its path is gone."""
    paths = Paths(laboratories(TWO), world, sections=BY_INTERFACE + 'priority = backup\n',
                  handler=origins.echo)
    client = paths.connect()
    net.wait_for(lambda: paths.on(1) == 1, 'the subflow on path 1')
    paths.links[0].down()
    start = time.monotonic()
    net.ping(client)
    assert time.monotonic() - start < net.allow(2)
