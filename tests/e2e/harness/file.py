# SPDX-License-Identifier: MIT
"""braid server and braid client: files of a pattern, and programs that move them."""

import contextlib
import os
import re
import signal
import subprocess

from . import net
from .process import SANITIZER, braid_path

PROTOCOLS = ['tcp', 'mptcp.4']


def make(path, length):
    """A file of random bytes; returns its path."""
    with open(path, 'wb') as file:
        while length > 0:
            file.write(os.urandom(min(length, 1 << 20)))
            length -= min(length, 1 << 20)
    return path


def content(path):
    """What is in a file."""
    with open(path, 'rb') as file:
        return file.read()


class Braid:
    """A running braid server or client."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **more):
        self.process = subprocess.Popen([braid_path(), *arguments], stdin=stdin, stdout=stdout,
                                        stderr=subprocess.PIPE, **more)
        os.set_blocking(self.process.stderr.fileno(), False)
        self._words = b''

    def words(self):
        """What it has said on standard error so far."""
        with contextlib.suppress(BlockingIOError):
            self._words += self.process.stderr.read() or b''
        return self._words.decode()

    def wait_listening(self, count=1):
        """Waits until it listens; the addresses."""
        def look():
            found = re.findall(r'listening on (\S+)$', self.words(), re.MULTILINE)
            assert self.process.poll() is None, self.words()
            return found if len(found) == count else None
        return net.wait_for(look, 'a listening server')

    def wait(self, timeout=net.DEADLINE):
        """Waits for its end: (exit status, standard output or None, standard error)."""
        os.set_blocking(self.process.stderr.fileno(), True)
        out, error = self.process.communicate(timeout=timeout)
        words = self._words.decode() + error.decode()
        assert SANITIZER.search(words) is None, words
        return self.process.returncode, out, words

    def signal(self, number=signal.SIGTERM):
        """Sends it a signal."""
        self.process.send_signal(number)

    def close(self):
        """Ends it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def server(world, protocol, *arguments, host='127.0.0.1:0', options=(), **more):
    """A server that listens, and the address that leads to it."""
    running = world.add(Braid('server', *options, f'{protocol}://{host}', *arguments, **more))
    addresses = running.wait_listening(len(host.split(',')))
    return running, f'{protocol}://{",".join(addresses)}'


def client(world, address, *arguments, options=(), **more):
    """A client that runs."""
    return world.add(Braid('client', *options, address, *arguments, **more))


def assert_good(*ends):
    """All have ended well, and said how much and how fast; the number of bytes."""
    lengths = set()
    for end in ends:
        status, out, words = end.wait()
        assert status == 0, words
        said = (out or b'').decode() + words
        found = re.search(r'^(\d+) bytes, \d+\.\d MiB/s, \d+ ms$', said, re.MULTILINE)
        assert found, said
        lengths.add(int(found.group(1)))
    assert len(lengths) == 1, lengths
    return lengths.pop()


def assert_failed(end, *words):
    """It has failed, with one line that has these words in it."""
    status, _, said = end.wait()
    assert status == 1, (status, said)
    lines = [line for line in said.splitlines() if 'listening on' not in line]
    for word in words:
        assert re.search(word, lines[-1]), said
