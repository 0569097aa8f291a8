# SPDX-License-Identifier: MIT
"""Host names: a name server of our own in a namespace of our own, whose answers can be changed."""

import os
import shutil
import signal
import time

from . import namespace, net
from .process import Process

AGES = 60.0  # seconds that an answer is kept
FIRST, SECOND = '127.0.0.2', '127.0.0.3'


class Names:
    """A namespace with a name server whose answers can be changed."""

    def __init__(self, world):
        self.world = world
        self.inside = world.add(namespace.Namespace(world.directory))
        self._hosts = world.path('hosts')
        self.answer({})
        self._server = Process('dnsmasq', [
            *self.inside.prefix, shutil.which('dnsmasq'), '--keep-in-foreground',
            '--conf-file=/dev/null', '--no-resolv', '--no-hosts', f'--addn-hosts={self._hosts}',
            '--listen-address=127.0.0.1', '--bind-interfaces', '--user=root', '--pid-file=',
            '--log-queries', '--log-facility=-',
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


def why_not():
    """Why there can be no such thing here; None: there can."""
    if shutil.which('dnsmasq') is None:
        return 'there is no dnsmasq here'
    return namespace.why_not()


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
