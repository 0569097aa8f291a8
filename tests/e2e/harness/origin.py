# SPDX-License-Identifier: MIT
"""The plain TCP (or unix) server behind the tunnel."""

import contextlib
import queue
import selectors
import socket
import threading

from . import net


class Origin:
    """Listens and hands each connection to a handler, in a thread of its own.

    Without a handler the test takes the connections itself with accept(). What a handler raises
    makes close() fail, but for the resets that the tests cause on purpose.
    """

    def __init__(self, address='127.0.0.1:0', handler=None, rcvbuf=None, backlog=1024):
        family, sockaddr = net.parse(address)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        if family != socket.AF_UNIX:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self._socket.bind(sockaddr)
        self._socket.listen(backlog)
        self.address = net.text(self._socket.getsockname())
        self.accepted = 0
        self._handler = handler
        self._queue = queue.Queue()
        self._connections = []
        self._errors = []
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(net.DEADLINE * 3)
            self._connections.append(connection)
            self.accepted += 1
            if self._handler is None:
                self._queue.put(connection)
            else:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                self._handler(connection)
        except (ConnectionError, TimeoutError):
            pass
        except OSError as error:
            if not self._closed:
                self._errors.append(error)
        except BaseException as error:  # pylint: disable=broad-except
            self._errors.append(error)

    def accept(self, timeout=net.DEADLINE):
        """The next connection, for the test to serve."""
        try:
            connection = self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f'no connection to the target within {timeout:g} s') from None
        connection.settimeout(net.DEADLINE)
        return connection

    @property
    def port(self):
        """The port listened on."""
        return int(self.address.rpartition(':')[2])

    def close(self):
        """Stops; fails with what a handler raised."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            connection.close()
        if self._errors:
            raise self._errors[0]


def echo(connection):
    """Sends everything back; ends its half when the peer ended its own."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    while True:
        data = connection.recv(net.CHUNK)
        if not data:
            connection.shutdown(socket.SHUT_WR)
            return
        connection.sendall(data)


def exchange(out, out_length, back, back_length):
    """A handler that sends one pattern and checks the other at the same time."""
    def handler(connection):
        net.exchange(connection, out, out_length, back, back_length)
    return handler


class EchoLoop:
    """An echo server for very many connections: one thread, one selector."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(('127.0.0.1', 0))
        self._socket.listen(4096)
        self._socket.setblocking(False)
        self.address = net.text(self._socket.getsockname())
        self.accepted = 0
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._socket:
                    self._accept()
                else:
                    self._serve(key.fileobj)

    def _accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._socket.accept()
                self.accepted += 1
                self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, connection):
        try:
            data = connection.recv(net.CHUNK)
            if data:
                connection.sendall(data)
                return
        except OSError:
            pass
        self._selector.unregister(connection)
        connection.close()

    def close(self):
        """Stops and closes all connections."""
        self._stop.close()
        self._thread.join(net.DEADLINE)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
