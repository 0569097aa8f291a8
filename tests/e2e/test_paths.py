# SPDX-License-Identifier: MIT
"""Many paths, real ones as far as TCP can tell: namespaces joined by emulated links (tests/lab)."""

import time

import pytest

from harness import net, origin as origins
from harness.paths import TWO, Path, Paths
from harness.pattern import DOWN, UP
from harness.transfer import Transfer

pytestmark = pytest.mark.heavy

@pytest.fixture
def two(laboratories, world):
    """Two equal paths."""
    return Paths(laboratories(TWO), world)


def wait_still(transfer, seconds=1.0):
    """Waits until no byte has come for so long."""
    last = (None, time.monotonic())

    def look():
        nonlocal last
        now = (transfer.up_check.received, transfer.down_check.received)
        if now != last[0]:
            last = (now, time.monotonic())
        return time.monotonic() - last[1] >= seconds
    net.wait_for(look, 'no more bytes', interval=0.05)


@pytest.mark.parametrize('way', ['up', 'down'])
def test_two_paths_share_the_bytes(two, way):
    """Neither carries less than a third of what is sent in one direction."""
    client, served = two.connect(), two.target.accept()
    source, sink = (client, served) if way == 'up' else (served, client)
    pattern = UP if way == 'up' else DOWN
    sender = net.background(net.send_pattern, source, pattern, 16_000_000)
    net.recv_pattern(sink, pattern, 16_000_000)
    sender.result(net.DEADLINE)
    carried = [two.links[i].stats()['ab' if way == 'up' else 'ba']['out_bytes'] for i in (0, 1)]
    assert min(carried) > sum(carried) / 3, carried


def test_a_slow_path_adds_and_does_not_hinder(laboratories, world):
    links = [Path('40mbit', '5ms', '50ms'), Path('2mbit', '50ms', '200ms')]
    paths = Paths(laboratories(links), world)
    transfer = paths.transfer()
    transfer.wait_more(8 << 20)
    transfer.finish()


def test_a_path_falls_silent_and_returns(two):
    """The other carries on; once it is back it is used again, without a new session."""
    transfer = two.transfer()
    for link, path in ((two.links[1], 2), (two.links[0], 1)):
        link.down()
        transfer.wait_more(4 << 20)
        link.up()
        two.wait_carried(path)
        transfer.wait_more()
    transfer.finish()


@pytest.mark.parametrize('path', [1, 2])
@pytest.mark.parametrize('lane', ['ab', 'ba'])
def test_a_black_hole_one_way_only(two, path, lane):
    """Data without acks, acks without data: neither holds the session up, nor its end."""
    transfer = two.transfer()
    two.links[path - 1].down(lane)
    transfer.wait_more(8 << 20)
    transfer.finish()


def test_both_paths_away_and_back_within_grace(two):
    """Nothing is lost or doubled, whichever comes back first."""
    transfer = two.transfer()
    for first, second in (two.links, reversed(two.links)):
        first.down()
        second.down()
        wait_still(transfer)
        first.up()
        transfer.wait_more()
        second.up()
        transfer.wait_more()
    transfer.finish()


def test_a_path_that_flaps(two):
    transfer = two.transfer()
    for _ in range(6):
        two.links[1].down()
        transfer.wait_more(1 << 19)
        two.links[1].up()
        transfer.wait_more(1 << 19)
    transfer.finish()


def test_a_path_that_pauses(two):
    """What was held comes late, after it came by the other path."""
    transfer = two.transfer()
    for link in [two.links[1], two.links[0]] * 3:
        link.pause('400ms')
        transfer.wait_more()
    transfer.finish()


def test_the_rate_of_a_path_steps(two):
    transfer = two.transfer()
    for rate in ('1mbit', '40mbit', '2mbit', '80mbit'):
        two.links[0].set(f'rate {rate}')
        transfer.wait_more(2 << 20)
    transfer.finish()


def test_lossy_paths(laboratories, world):
    lossy = Path('40mbit', '5ms', '50ms', 'loss 2%')
    paths = Paths(laboratories([lossy, lossy]), world)
    transfer = paths.transfer()
    transfer.wait_more(4 << 20)
    transfer.finish()


def test_the_subflow_of_a_path_is_reset(two):
    transfer = two.transfer()
    for path in two.lab.paths:
        before = two.subflows()
        two.lab.client.run('ss', '-K', 'src', path.client)
        net.wait_for(lambda b=before: set(two.subflows()) != set(b), 'another subflow')
        transfer.wait_subflows(2)
        two.wait_carried(path.index)
    transfer.finish()


def test_the_first_path_is_dead_at_the_start(laboratories, world):
    """And returns later: it is used then."""
    lab = laboratories(TWO)
    lab.links[0].down()
    paths = Paths(lab, world)
    transfer = Transfer(paths, paths.target)
    transfer.wait_more(4 << 20)
    lab.links[0].up()
    paths.wait_carried(1)
    transfer.finish()


@pytest.mark.parametrize('path', [1, 2])
def test_an_address_goes_and_comes(two, path):
    """As when a cable is pulled, or a lease is over."""
    transfer = two.transfer()
    two.lab.remove_address(path)
    transfer.wait_more(4 << 20)
    two.lab.add_address(path)
    two.wait_carried(path)
    transfer.finish()


def test_three_unlike_paths(laboratories, world):
    paths = Paths(laboratories([Path('20mbit', '2.5ms', '50ms'), Path('10mbit', '12.5ms', '80ms'),
                                Path('5mbit', '30ms', '120ms')]), world)
    transfer = paths.transfer()
    transfer.wait_more(4 << 20)
    for path in (1, 2, 3):
        assert paths.carried(path) > 100_000
    transfer.finish()


def test_a_path_returns_to_a_remote_that_counts_a_dead_subflow(laboratories, world, kill_subflows):
    """With as many as it takes, the remote lets the one go that it hears nothing of."""
    del kill_subflows  # skips where ss -K does not work
    paths = Paths(laboratories(TWO), world, remote_section='max-subflows = 2',
                  handler=origins.echo)
    client = paths.connect()
    net.ping(client)
    net.wait_for(lambda: paths.active() == 2, 'both subflows')
    paths.links[0].down()
    paths.lab.client.run('ss', '-K', 'src', '10.77.1.1')  # the reset is lost on the way
    net.wait_for(lambda: paths.active() == 1, 'one to be gone')
    paths.links[0].up()
    net.wait_for(lambda: paths.active() == 2, 'a subflow on path 1')
    net.ping(client)
    paths.links[1].down()
    net.ping(client)


def test_an_echo_survives_the_loss_of_either_path(laboratories, world):
    """A session that says little has nothing under way that could tell; it goes on all the same."""
    paths = Paths(laboratories(TWO), world, handler=origins.echo)
    client = paths.connect()
    net.ping(client)
    net.wait_for(lambda: len(paths.subflows()) == 2, 'both subflows')
    for link in (*paths.links, *paths.links):
        link.down()
        for i in range(20):
            net.ping(client, b'%d' % i)
        link.up()
        net.ping(client)
