# SPDX-License-Identifier: MIT
"""Host names, with a name server of our own in a namespace of our own."""

import os
import shutil
import signal
import time

import pytest

from harness import namespace, net
from harness.pattern import DOWN, UP
from harness.process import Process
from harness.world import World

AGES = 60.0  # seconds that an answer is kept
FIRST, SECOND = '127.0.0.2', '127.0.0.3'


class Names:
    """A namespace with a name server whose answers can be changed."""

    def __init__(self, world):
        reason = namespace.why_not()
        if reason is None and shutil.which('dnsmasq') is None:
            reason = 'there is no dnsmasq here'
        if reason is not None:
            pytest.skip(reason)
        self.world = world
        self.inside = world.add(namespace.Namespace(world.directory))
        self._hosts = world.path('hosts')
        self.answer({})
        self._server = Process('dnsmasq', [
            *self.inside.prefix, shutil.which('dnsmasq'), '--keep-in-foreground', '--conf-file=/dev/null',
            '--no-resolv', '--no-hosts', f'--addn-hosts={self._hosts}', '--listen-address=127.0.0.1',
            '--bind-interfaces', '--user=root', '--pid-file=', '--log-queries', '--log-facility=-',
            '--local=/test/'], world.directory)
        world.processes.append(self._server)
        self._server.wait_log('started, version')

    def answer(self, addresses):
        """What names mean from now on."""
        with open(self._hosts + '.new', 'w', encoding='ascii') as file:
            for name, address in addresses.items():
                file.write(f'{address} {name}\n')
        os.rename(self._hosts + '.new', self._hosts)

    def change(self, addresses):
        """The same, while the server runs."""
        before = len(self._server.lines(r'read \S*hosts'))
        self.answer(addresses)
        self._server.signal(signal.SIGHUP)
        net.wait_for(lambda: len(self._server.lines(r'read \S*hosts')) > before,
                     'the name server to have read the new names')

    def queries(self, name):
        """How often a name was asked for."""
        # Resolvers mix upper and lower case at random, against forged answers.
        return len(self._server.lines(rf'(?i)query\[A\] {name} '))

    def origin(self, address, **more):
        """An origin inside."""
        return self.world.add(self.inside.call(lambda: self.world.origin(address, **more)))

    def connect(self, address):
        """A client inside."""
        return self.inside.call(self.world.connect, address)

    def remote(self, target, **more):
        """A remote endpoint inside, of one worker, since each worker keeps answers of its own."""
        return self.world.remote(target, top='workers = 1', prefix=self.inside.prefix, **more)

    def local(self, remote, **more):
        """A local endpoint inside, of one worker."""
        return self.world.local(remote, top='workers = 1', prefix=self.inside.prefix, **more)


@pytest.fixture
def names(world):
    """A namespace with a name server."""
    return Names(world)


def ask(connect, address):
    """One short connection: what the target says of itself."""
    client = connect(address)
    with client:
        return client.recv(100)


def says(word):
    """A handler that says a word and ends."""
    def handler(connection):
        connection.sendall(word)
    return handler


def test_a_target_and_a_remote_by_name(names):
    target = names.origin(f'{FIRST}:0')
    names.change({'target.test': FIRST, 'remote.test': FIRST})
    remote = names.remote(f'target.test:{target.port}', listen=FIRST)
    local = names.local(f'remote.test:{remote.address.rpartition(":")[2]}', section='insecure = yes')
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
        net.assert_refused(lambda: names.connect(local.address), 3)


def test_a_name_that_comes_to_exist(names):
    """That there was no such name is not remembered for long."""
    target = names.origin(f'{FIRST}:0', handler=says(b'first'))
    remote = names.remote(f'target.test:{target.port}')
    local = names.local(remote.address)
    net.assert_refused(lambda: names.connect(local.address), 3)
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


# ---- ageing: takes a minute, so it runs beside all the other tests ----

def change_and_follow(world):
    """The name of a target and that of a remote come to mean something else."""
    names = Names(world)
    targets = {address: names.origin(f'{address}:0', handler=says(word)) for address, word in
               (('127.0.0.4', b'far first'), ('127.0.0.5', b'far second'))}
    first = names.origin(f'{FIRST}:0', handler=says(b'first'))
    names.origin(f'{SECOND}:{first.port}', handler=says(b'second'))
    names.change({'target.test': FIRST, 'remote.test': FIRST})

    by_target = names.local(names.remote(f'target.test:{first.port}').address, name='by-target')
    there = names.remote(targets['127.0.0.4'].address, listen=FIRST, name='there')
    port = there.address.rpartition(':')[2]
    names.remote(targets['127.0.0.5'].address, address=f'{SECOND}:{port}', name='elsewhere')
    by_remote = names.local(f'remote.test:{port}', section='insecure = yes', name='by-remote')
    assert ask(names.connect, by_target.address) == b'first'
    assert ask(names.connect, by_remote.address) == b'far first'

    names.change({'target.test': SECOND, 'remote.test': SECOND})
    end = time.monotonic() + AGES + 15
    due = {by_target.address: b'second', by_remote.address: b'far second'}
    while due:
        for address, word in list(due.items()):
            if ask(names.connect, address) == word:
                del due[address]
        assert time.monotonic() < end, f'the new answers were not followed: {due}'
        time.sleep(0.25)
    for address, word in ((by_target.address, b'second'), (by_remote.address, b'far second')):
        assert ask(names.connect, address) == word
    for name in ('target.test', 'remote.test'):
        assert names.queries(name) == 2


@pytest.fixture(scope='session')
def aged_names():
    """The scenario, started when the session starts (conftest.py)."""
    world = World()
    yield world, net.background(change_and_follow, world)
    world.stop()


@pytest.mark.heavy
@pytest.mark.last
def test_a_name_is_asked_again_when_it_ages(aged_names):
    world, end = aged_names
    try:
        end.result(2 * AGES)
    except AssertionError:
        for name, words in world.logs():
            print(f'---- {name}\n{words}')
        raise
