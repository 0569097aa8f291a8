# SPDX-License-Identifier: MIT
"""Host names: resolved without blocking, kept for a minute, asked again when they age."""

import pytest

from harness import names as name_servers, net
from harness.names import FIRST, ask, says
from harness.pattern import DOWN, UP


@pytest.fixture
def names(world):
    """A namespace with a name server."""
    reason = name_servers.why_not()
    if reason is not None:
        pytest.skip(reason)
    return name_servers.Names(world)


def test_a_target_and_a_remote_by_name(names):
    target = names.origin(f'{FIRST}:0')
    names.change({'target.test': FIRST, 'remote.test': FIRST})
    remote = names.remote(f'target.test:{target.port}', listen=FIRST)
    port = remote.address.rpartition(':')[2]
    local = names.local(f'remote.test:{port}', section='insecure = yes')
    client = names.connect(local.address)
    served = net.background(lambda: net.exchange(target.accept(), DOWN, 100_001, UP, 100_003))
    net.exchange(client, UP, 100_003, DOWN, 100_001)
    served.result(net.DEADLINE)


def test_answers_are_kept(names):
    target = names.origin(f'{FIRST}:0', handler=says(b'first'))
    names.change({'target.test': FIRST})
    remote = names.remote(f'target.test:{target.port}')
    local = names.local(remote.address)
    for _ in range(30):
        assert ask(names.connect, local.address) == b'first'
    assert names.queries('target.test') == 1


def test_a_name_that_does_not_exist(names):
    """A reset as soon as the name server has said so, and again when it is asked later."""
    remote = names.remote('none.test:80')
    local = names.local(remote.address)
    for _ in range(2):
        net.assert_refused(lambda: names.connect(local.address), net.allow(3))


def test_a_name_that_comes_to_exist(names):
    """That there was no such name is not remembered for long."""
    target = names.origin(f'{FIRST}:0', handler=says(b'first'))
    remote = names.remote(f'target.test:{target.port}')
    local = names.local(remote.address)
    net.assert_refused(lambda: names.connect(local.address), net.allow(3))
    names.change({'target.test': FIRST})

    def answered():
        try:
            return ask(names.connect, local.address)
        except ConnectionResetError:
            return None
    assert net.wait_for(answered, 'the new name to be found', 10) == b'first'


def test_a_name_server_that_is_dead(names):
    """Neither the daemon nor other tunnels wait for it."""
    with open(names.inside.resolv_conf, 'w', encoding='ascii') as file:
        file.write('nameserver 127.0.0.9\n')
    target = names.origin(f'{FIRST}:0', handler=says(b'first'))
    ports = [net.free_port() for _ in range(4)]
    daemon = names.world.braidd('both', ''.join(
        f'[remote t{number}]\nlisten = 127.0.0.1:{ports[number]}\ntarget = {to}\nsecurity = none\n'
        f'[local t{number}]\nlisten = 127.0.0.1:{ports[2 + number]}\n'
        f'remote = 127.0.0.1:{ports[number]}\nsecurity = none\n'
        for number, to in enumerate(('target.test:80', target.address))),
        prefix=names.inside.prefix)
    waiting = names.connect(f'127.0.0.1:{ports[2]}')
    for _ in range(10):
        assert ask(names.connect, f'127.0.0.1:{ports[3]}') == b'first'
    net.assert_reset(waiting, 40)
    assert daemon.alive()


@pytest.mark.heavy
@pytest.mark.last
def test_a_name_is_asked_again_when_it_ages(aged_names):
    """What a target's and a remote's name mean changes: both are followed after a minute."""
    world, end = aged_names
    try:
        end.result(2 * name_servers.AGES)
    except AssertionError:
        for name, words in world.logs():
            print(f'---- {name}\n{words}')
        raise
