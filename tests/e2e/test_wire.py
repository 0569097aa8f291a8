# SPDX-License-Identifier: MIT
"""The remote's port, spoken to by hand: what is right works, what is wrong closes the subflow."""

import os
import random
import struct

import pytest

from harness import net, wire
from harness.wire import ack, data, fin, frame, hello_payload, preamble, tlv

CLOSES = 3.0  # seconds, for what can be seen to be wrong at once


class Wild:
    """A remote endpoint with a live session of a real local, to be disturbed by hand."""

    def __init__(self, world, tunnel):
        self.world = world
        self.remote = tunnel.remote
        self.live = tunnel.connect()
        net.ping(self.live)

    def dial(self, **more):
        """A hand-driven subflow."""
        return self.world.add(wire.Subflow(self.remote.address, **more))

    def session(self):
        """A hand-driven subflow whose session exists: its HELLO has been answered."""
        subflow = self.dial()
        subflow.open()
        subflow.hello = wire.hello_fields(subflow.expect(wire.HELLO))
        return subflow

    def assert_closed(self, subflow):
        """It is closed at once, the log names its peer, and the live session goes on."""
        frames, _ = subflow.expect_closed(net.allow(CLOSES))
        self.remote.wait_log(subflow.name.replace('.', r'\.'), net.allow(CLOSES))
        net.ping(self.live)
        return frames


@pytest.fixture
def wild(world, echo_tunnel):
    """A remote endpoint to be disturbed."""
    return Wild(world, echo_tunnel)


# ---- what is right ----

def test_a_session_by_hand(wild):
    """HELLO with CREATE and the first bytes right behind it: they are served."""
    subflow = wild.dial()
    subflow.open(data(0, b'hello'), data(5, b' world'))
    reply = wire.hello_fields(subflow.expect(wire.HELLO))
    assert reply['session'] == subflow.session
    assert reply['flags'] & wire.REPLY
    assert reply['version'] == 1 and reply['instance'] != 0
    assert reply['token'] == bytes(16) and reply['index'] == 0
    assert reply['limit'] >= wire.FIRST_LIMIT
    assert subflow.expect_data(11) == b'hello world'


def test_an_end_by_hand(wild):
    subflow = wild.session()
    subflow.send(data(0, b'hello'), fin(5))
    assert subflow.expect_data(5) == b'hello'
    assert subflow.expect(wire.FIN) == struct.pack('>Q', 5)


def test_both_create_and_a_join_with_the_rest(wild):
    """All first subflows carry the same HELLO; bytes that come on the second fill the gap."""
    subflow = wild.dial()
    subflow.open()
    second = wild.world.add(subflow.join(index=1, flags=wire.CREATE))
    second.send(data(5, b' world'))
    third = wild.world.add(subflow.join(index=2))
    third.send(data(0, b'hello'))
    subflow.expect(wire.HELLO)
    for each in (second, third):
        assert wire.hello_fields(each.expect(wire.HELLO))['flags'] & wire.REPLY
    received = {}
    for each in (subflow, second, third):
        each.socket.settimeout(0.5)

    def whole():
        for each in (subflow, second, third):
            try:
                got = each.receive(0.05)
            except TimeoutError:
                continue
            assert got is not None, 'a good subflow was closed'
            if got[0] == wire.DATA:
                offset = struct.unpack('>Q', got[2][:8])[0]
                for place, byte in enumerate(got[2][8:]):
                    received[offset + place] = byte
        return bytes(received[i] for i in sorted(received)) == b'hello world'
    net.wait_for(whole, 'the echo of both parts')


def test_overlaps_and_repeats(wild):
    """The first copy of a byte counts; what came already is no error."""
    subflow = wild.session()
    subflow.send(data(0, b'abcdef'), data(3, b'defghi'), data(0, b'abc', flags=1),
                 data(2, b'cdefghijkl'))
    assert subflow.expect_data(12) == b'abcdefghijkl'


def test_ping_is_answered(wild):
    subflow = wild.session()
    subflow.send(frame(wire.PING, struct.pack('>Q', 0x0123456789abcdef)))
    assert struct.unpack('>Q', subflow.expect(wire.PONG)[:8])[0] == 0x0123456789abcdef


@pytest.mark.parametrize('kind', [0x00, 0x80, 0x81, 0xc3, 0xff])
@pytest.mark.parametrize('size', [0, 1, 1000, 65535])
def test_types_that_are_passed_over(wild, kind, size):
    subflow = wild.session()
    subflow.send(frame(kind, bytes(size)), data(0, b'hello'), frame(kind, bytes(size)),
                 data(5, b' world'))
    assert subflow.expect_data(11) == b'hello world'


def test_unknown_tlvs_are_passed_over(wild):
    subflow = wild.dial()
    subflow.open(data(0, b'hello'),
                 tlvs=tlv(0x8123, b'xyz') + tlv(0xffff) + tlv(0x7777, b'q' * 200))
    assert subflow.expect_data(5) == b'hello'


def test_the_longest_hello(wild):
    subflow = wild.dial()
    subflow.open(data(0, b'hello'), tlvs=tlv(0x8001, bytes(512 - 53 - 4)))
    assert subflow.expect_data(5) == b'hello'


def test_padding_before_hello(wild):
    """PAD and what is to be passed over may stand before the first HELLO."""
    subflow = wild.dial()
    subflow.send(preamble(subflow.session, flags=0xff, number=0xabcd), frame(wire.PAD, bytes(100)),
                 frame(0x93, b'xyz', flags=0xff), frame(wire.PAD),
                 frame(wire.HELLO, hello_payload(subflow.session, subflow.token), flags=0xfe),
                 data(0, b'hello', flags=0xfe))
    assert subflow.expect_data(5) == b'hello'


def test_a_limit_that_moves_back(wild):
    """The highest limit counts; an older ACK is no error."""
    subflow = wild.session()
    subflow.send(ack(0, 1 << 20), ack(0, 0), ack(0, 65536), data(0, b'x' * 40_000))
    subflow.send(data(40_000, b'y' * 40_000))
    assert subflow.expect_data(80_000) == b'x' * 40_000 + b'y' * 40_000


def test_the_limit_is_kept(wild):
    """Not a byte past what was allowed comes; when more is allowed the rest does."""
    subflow = wild.session()
    size = min(subflow.hello['limit'], 200_000)
    subflow.send(*(data(start, b'z' * min(50_000, size - start))
                   for start in range(0, size, 50_000)))
    seen = 0
    while seen < wire.FIRST_LIMIT:
        payload = subflow.expect(wire.DATA)
        offset = struct.unpack('>Q', payload[:8])[0]
        assert offset == seen
        seen += len(payload) - 8
    assert seen == wire.FIRST_LIMIT
    subflow.send(frame(wire.PING, bytes(8)))
    subflow.expect(wire.PONG)
    subflow.send(ack(seen, seen + 100, [(0, seen)]))
    payload = subflow.expect(wire.DATA)
    assert struct.unpack('>Q', payload[:8])[0] == seen and len(payload) - 8 == 100


def test_byte_by_byte(wild):
    """Every split of the bytes is the same to the receiver."""
    subflow = wild.dial()
    whole = (preamble(subflow.session) + frame(wire.HELLO, hello_payload(
        subflow.session, subflow.token)) + data(0, b'hello') + frame(0x99, b'xyz')
        + data(5, b' world') + fin(11))
    for byte in whole:
        subflow.send(bytes([byte]))
    assert subflow.expect_data(11) == b'hello world'
    assert subflow.expect(wire.FIN) == struct.pack('>Q', 11)


def test_a_reset_by_hand(world, target):
    """RESET breaks the session off: the target gets a RST."""
    subflow = world.add(wire.Subflow(world.remote(target.address).address))
    subflow.open(data(0, b'hello'))
    served = target.accept()
    assert net.recv_exact(served, 5) == b'hello'
    subflow.send(wire.reset(96, b'gone'))
    net.assert_reset(served, net.allow(CLOSES))


def test_the_result_of_the_target(world):
    """CONNECT_RESULT says refused (98), and the session is over."""
    subflow = world.add(wire.Subflow(world.remote(f'127.0.0.1:{net.free_port()}').address))
    subflow.open()
    frames, _ = subflow.expect_closed(net.allow(CLOSES))
    codes = [struct.unpack('>H', payload[:2])[0] for kind, _, payload in frames
             if kind in (wire.CONNECT_RESULT, wire.RESET)]
    assert 98 in codes, frames


# ---- greetings that are wrong ----

GARBAGE = random.Random(7).randbytes(400)
ID = 0x1234567890abcdef
TOKEN = bytes(range(16))


def opened(*frames, **fields):
    """A good preamble and these frames."""
    return preamble(ID, **fields) + b''.join(frames)


def greeting(**fields):
    """A good preamble and a HELLO with these fields."""
    return opened(frame(wire.HELLO, hello_payload(fields.pop('session', ID), TOKEN, **fields)))


GREETINGS = {
    'garbage': GARBAGE,
    'zeros': bytes(400),
    'ones': b'\xff' * 400,
    'http': b'GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\n\r\n',
    'tls': bytes.fromhex('16030102000100 01fc0303'.replace(' ', '')) + GARBAGE,
    'ssh': b'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n' * 3,
    'id 0': preamble(0) + frame(wire.HELLO, hello_payload(0, TOKEN)),
    'magic': opened(frame(wire.HELLO, hello_payload(ID, TOKEN)), magic=b'BRE'),
    'version 0': opened(frame(wire.HELLO, hello_payload(ID, TOKEN)), version=0),
    'version 2': opened(frame(wire.HELLO, hello_payload(ID, TOKEN)), version=2),
    'TLS where there is none': opened(GARBAGE, security=1),
    'security 255': opened(frame(wire.HELLO, hello_payload(ID, TOKEN)), security=255),
    'DATA first': opened(data(0, b'hello')),
    'ACK first': opened(ack(0, 65536)),
    'PING first': opened(frame(wire.PING, bytes(8))),
    'unknown type first': opened(frame(0x7f, bytes(8))),
    'empty HELLO': opened(frame(wire.HELLO)),
    'HELLO one byte short': opened(frame(wire.HELLO, hello_payload(ID, TOKEN)[:52])),
    'HELLO of 64 KiB': opened(frame(wire.HELLO, hello_payload(ID, TOKEN) + bytes(2000),
                                    length=65535)),
    'HELLO of 513 bytes': greeting(tlvs=tlv(0x8001, bytes(513 - 53 - 4))),
    'another id in HELLO': greeting(session=ID + 1),
    'version 0 in HELLO': greeting(version=0),
    'REPLY unasked': greeting(flags=wire.CREATE | wire.REPLY),
    'TLV past the frame': greeting(tlvs=tlv(0x8001, b'xyz', length=4)),
    'TLV of 64 KiB': greeting(tlvs=tlv(0x8001, b'xyz', length=65535)),
    'half a TLV': greeting(tlvs=b'\x80\x01\x00'),
    'join to an unknown id': greeting(flags=0),
}


@pytest.mark.parametrize('name', GREETINGS)
def test_wrong_greeting(wild, name):
    subflow = wild.dial()
    subflow.send(GREETINGS[name])
    wild.assert_closed(subflow)


def test_a_wrong_greeting_reaches_no_target(world, target):
    remote = world.remote(target.address)
    for words in GREETINGS.values():
        subflow = wire.Subflow(remote.address)
        subflow.send(words)
        subflow.expect_closed(net.allow(CLOSES))
        subflow.close()
    good = world.add(wire.Subflow(remote.address))
    good.open(data(0, b'good'))
    assert net.recv_exact(target.accept(), 4) == b'good'
    assert target.accepted == 1


def test_refusals_say_why(wild):
    """A join that is refused is answered by a HELLO with the REPLY flag and a status."""
    subflow = wild.dial(session=ID, token=TOKEN)
    subflow.send(greeting(flags=0))
    frames, _ = subflow.expect_closed(net.allow(CLOSES))
    replies = [wire.hello_fields(payload) for kind, _, payload in frames if kind == wire.HELLO]
    assert len(replies) == 1 and replies[0]['flags'] & wire.REPLY, frames
    assert bytes.fromhex('000200020003') in replies[0]['tlvs'], 'TLV 2, status 3: unknown session'


# ---- frames that are wrong ----

def past_the_limit(subflow):
    return data(subflow.hello['limit'], b'x')


def across_the_limit(subflow):
    return data(subflow.hello['limit'] - 1, b'xx')


FRAMES = {
    'a second HELLO': lambda s: frame(wire.HELLO, hello_payload(s.session, s.token)),
    'DATA past the limit': past_the_limit,
    'DATA across the limit': across_the_limit,
    'DATA that wraps': lambda s: data(wire.MAX_U64 - 2, b'x' * 10),
    'DATA without bytes': lambda s: data(0, b''),
    'DATA at the last offset': lambda s: data(wire.MAX_U64, b'x'),
    'DATA of 7 bytes': lambda s: frame(wire.DATA, bytes(7)),
    'DATA of 0 bytes': lambda s: frame(wire.DATA),
    'ACK of what was not sent': lambda s: ack(1 << 40, 1 << 20),
    'ACK of everything': lambda s: ack(wire.MAX_U64, wire.MAX_U64),
    'ACK one byte short': lambda s: frame(wire.ACK, bytes(15)),
    'ACK with half a count': lambda s: frame(wire.ACK, bytes(16 + 5)),
    'ACK with counts not sent': lambda s: ack(0, 65536, [(0, 1 << 40)]),
    'ACK with 65 counts': lambda s: ack(0, 65536, [(i, 0) for i in range(65)]),
    'ACK of 64 KiB': lambda s: frame(wire.ACK, bytes(2000), length=65535),
    'FIN one byte short': lambda s: frame(wire.FIN, bytes(7)),
    'FIN below the data': lambda s: data(0, b'x' * 100) + fin(50),
    'FIN at the last offset': lambda s: fin(wire.MAX_U64),
    'a second FIN that differs': lambda s: data(0, b'x' * 100) + fin(200) + fin(201),
    'DATA past FIN': lambda s: data(0, b'x' * 10) + fin(20) + data(20, b'x'),
    'DATA across FIN': lambda s: data(0, b'x' * 10) + fin(20) + data(15, b'x' * 6),
    'RESET one byte short': lambda s: frame(wire.RESET, bytes(1)),
    'PING one byte short': lambda s: frame(wire.PING, bytes(7)),
    'PING of 64 KiB': lambda s: frame(wire.PING, bytes(2000), length=65535),
    'PONG one byte short': lambda s: frame(wire.PONG, bytes(7)),
    'unknown type 0e': lambda s: frame(0x0e, bytes(8)),
    'unknown type 7f': lambda s: frame(0x7f, bytes(8)),
    'unknown type 40, empty': lambda s: frame(0x40),
    'PING of 1025 bytes': lambda s: frame(wire.PING, bytes(1025)),
    'CONNECT_RESULT from the wrong side': lambda s: frame(wire.CONNECT_RESULT, bytes(2)),
    'CLOSE before the end': lambda s: frame(wire.CLOSE, bytes(2)),
    'REPLY from the wrong side': lambda s: frame(wire.HELLO, hello_payload(
        s.session, bytes(16), flags=wire.REPLY)),
    'garbage': lambda s: b'\x55' + GARBAGE,
}


@pytest.mark.parametrize('name', FRAMES)
def test_wrong_frame(wild, name):
    subflow = wild.session()
    subflow.send(FRAMES[name](subflow))
    wild.assert_closed(subflow)


def test_a_second_fin_that_is_the_same(wild):
    """Control frames come again at will: no error."""
    subflow = wild.session()
    subflow.send(data(0, b'hello'), fin(5), fin(5), data(0, b'hello', flags=1), fin(5))
    assert subflow.expect_data(5) == b'hello'
    assert subflow.expect(wire.FIN) == struct.pack('>Q', 5)


# ---- joins ----

def test_join_with_a_wrong_token(wild):
    """Who knows the id only gets nowhere, with or without CREATE; the session is not touched."""
    subflow = wild.session()
    for index, flags in ((1, 0), (2, wire.CREATE)):
        for token in (bytes(16), os.urandom(16),
                      subflow.token[:15] + bytes([subflow.token[15] ^ 1]),
                      bytes([subflow.token[0] ^ 128]) + subflow.token[1:]):
            thief = wild.world.add(subflow.join(index=index, flags=flags, token=token))
            thief.send(data(0, b'stolen'), wire.reset(96))
            wild.assert_closed(thief)
    subflow.send(data(0, b'hello'))
    assert subflow.expect_data(5) == b'hello'


def test_join_with_an_index_in_use(wild):
    subflow = wild.session()
    twin = wild.world.add(subflow.join(index=0))
    wild.assert_closed(twin)
    subflow.send(data(0, b'hello'))
    assert subflow.expect_data(5) == b'hello'


def test_join_with_an_index_used_before(wild):
    """Never reused: neither while the subflow lives nor after."""
    subflow = wild.session()
    other = subflow.join(index=7)
    other.expect(wire.HELLO)
    net.abort(other.socket)
    again = wild.world.add(subflow.join(index=7))
    wild.assert_closed(again)
    subflow.send(data(0, b'hello'))
    assert subflow.expect_data(5) == b'hello'


def test_more_joins_than_allowed(world, echo):
    remote = world.remote(echo.address, section='max-subflows = 3')
    subflow = world.add(wire.Subflow(remote.address))
    subflow.open()
    subflow.expect(wire.HELLO)
    joined = [world.add(subflow.join(index=index)) for index in (1, 2)]
    for each in joined:
        each.expect(wire.HELLO)
    one_more = world.add(subflow.join(index=3))
    one_more.expect_closed(net.allow(CLOSES))
    joined[0].send(data(0, b'hello'))
    net.wait_for(lambda: any(got and got[0] == wire.DATA for got in
                             (peek(each) for each in (subflow, *joined))), 'the echo')


def peek(subflow):
    """The next frame, if one comes soon."""
    try:
        return subflow.receive(0.05)
    except TimeoutError:
        return None


def test_a_late_create_opens_nothing_twice(world, target):
    """The id of a session that has ended is not taken again, however slow a CREATE was."""
    remote = world.remote(target.address)
    subflow = world.add(wire.Subflow(remote.address))
    subflow.open(data(0, b'hello'), fin(5))
    served = target.accept()
    net.recv_exact(served, 5)
    served.close()
    subflow.expect(wire.FIN)
    subflow.send(ack(1, 65536))
    remote.session_lines(1)
    late = world.add(wire.Subflow(remote.address, subflow.session, subflow.token))
    late.open(data(0, b'hello'), index=1)
    late.expect_closed(net.allow(CLOSES))
    assert not remote.lines('refused'), 'that is nothing to worry about'
    other = world.add(wire.Subflow(remote.address))
    other.open(data(0, b'other'))
    assert net.recv_exact(target.accept(), 5) == b'other'
    assert target.accepted == 2


# ---- the other side: a remote that is wrong ----

ANSWERS = {
    'DATA past the limit': lambda hello: data(hello['limit'], b'x'),
    'ACK of what was not sent': lambda hello: ack(1 << 40, 1 << 20),
    'a second HELLO': None,
    'unknown type 7f': lambda hello: frame(0x7f, bytes(8)),
    'HELLO one byte short': lambda hello: frame(wire.HELLO, bytes(52)),
    'DATA of 7 bytes': lambda hello: frame(wire.DATA, bytes(7)),
    'FIN at the last offset': lambda hello: fin(wire.MAX_U64),
}


@pytest.mark.parametrize('name', ANSWERS)
def test_a_remote_that_breaks_the_protocol(world, echo, name):
    """The local closes the subflow, names the peer, and its other tunnel goes on."""
    wrong = world.origin()
    good = world.remote(echo.address)
    near = [f'127.0.0.1:{net.free_port()}' for _ in range(2)]
    local = world.braidd('local', ''.join(
        f'[local t{number}]\nlisten = {near[number]}\nremote = {address}\nsecurity = none\n'
        for number, address in enumerate((wrong.address, good.address))))
    live = world.connect(near[1])
    net.ping(live)
    client = world.connect(near[0])
    client.sendall(b'hello')
    subflow = wire.Subflow(wrong.accept())
    hello = subflow.expect_greeting()
    subflow.answer()
    if ANSWERS[name] is None:
        subflow.answer()
    else:
        subflow.send(ANSWERS[name](hello))
    subflow.expect_closed(net.allow(CLOSES))
    local.wait_log(wrong.address.replace('.', r'\.'), net.allow(CLOSES))
    net.ping(live)


def test_a_remote_by_hand(world):
    """What a local sends first, and that it takes what a right remote answers."""
    by_hand = world.origin()
    local = world.local(by_hand.address)
    client = world.connect(local.address)
    client.sendall(b'hello')
    subflow = wire.Subflow(by_hand.accept())
    hello = subflow.expect_greeting()
    assert hello['flags'] & wire.CREATE and hello['session'] != 0 and hello['version'] >= 1
    assert hello['ack'] == 0 and hello['limit'] >= wire.FIRST_LIMIT
    assert subflow.expect_data(5) == b'hello'
    subflow.answer()
    subflow.send(frame(wire.CONNECT_RESULT, bytes(2)), ack(5, 65541, [(hello['index'], 5)]),
                 data(0, b'world'))
    assert net.recv_exact(client, 5) == b'world'
    client.shutdown(1)
    assert subflow.expect(wire.FIN) == struct.pack('>Q', 5)
