# SPDX-License-Identifier: MIT
"""Fixtures: worlds, tunnels, origins; and the logs of a test that has failed."""

import contextlib
import os
import resource
import signal

import pytest

from harness import names, net, origin as origins, paths
from harness.world import World

WORLD = pytest.StashKey()


def pytest_configure(config):
    """
    Registers the marks; takes all the descriptors there are, for the tests of many clients; and
    ignores no signal, since what a shell in the background has ignored its programs ignore too.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config.addinivalue_line('markers', 'heavy: much traffic or many sockets; not in a quick run')
    config.addinivalue_line('markers', 'secured: run in clear, and with a key')
    config.addinivalue_line('markers', 'last: run after all others, whose time it uses')


def pytest_collection_modifyitems(config, items):
    """BRAID_E2E=quick leaves the heavy tests out; BRAID_E2E_SHARE=2/3 is every third test."""
    if os.environ.get('BRAID_E2E', 'full') == 'quick':
        config.hook.pytest_deselected(items=[item for item in items
                                             if item.get_closest_marker('heavy')])
        items[:] = [item for item in items if not item.get_closest_marker('heavy')]
    share, _, shares = os.environ.get('BRAID_E2E_SHARE', '1/1').partition('/')
    items[:] = items[int(share) - 1::int(shares)]
    items.sort(key=lambda item: item.get_closest_marker('last') is not None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the logs and configurations of its processes."""
    outcome = yield
    report = outcome.get_result()
    here = item.stash.get(WORLD, None)
    if report.failed and here is not None:
        report.sections.extend((f'{name} ({call.when})', words) for name, words in here.logs())


def pytest_generate_tests(metafunc):
    """What is marked `secured` runs in clear and with a key; if it is heavy too, in clear only."""
    marks = metafunc.definition
    if marks.get_closest_marker('secured') and not marks.get_closest_marker('heavy') and \
            'world' in metafunc.fixturenames:
        metafunc.parametrize('world', ['clear', 'key'], indirect=True)


@pytest.fixture
def world(request):
    """An empty world, taken away after the test."""
    here = World(with_key=getattr(request, 'param', 'clear') == 'key')
    request.node.stash[WORLD] = here
    yield here
    here.stop()


@pytest.fixture
def target(world):
    """An origin whose connections the test serves itself."""
    return world.origin()


@pytest.fixture
def echo(world):
    """An origin that sends everything back."""
    return world.origin(handler=origins.echo)


@pytest.fixture
def tunnel(world, target):
    """A tunnel with the defaults, four subflows, that leads to target."""
    return world.tunnel(target.address)


@pytest.fixture
def echo_tunnel(world, echo):
    """A tunnel with the defaults that leads to echo."""
    return world.tunnel(echo.address)


@pytest.fixture(scope='session')
def kill_subflows():
    """net.kill_connections, where ss -K works."""
    if not net.can_kill_connections():
        pytest.skip('ss -K does not work here (CONFIG_INET_DIAG_DESTROY, CAP_NET_ADMIN)')
    return net.kill_connections


@pytest.fixture(scope='session')
def aged_names():
    """The world and the end of a scenario that takes a minute by nature."""
    reason = names.why_not()
    if reason is not None:
        pytest.skip(reason)
    here = World()
    yield here, net.background(names.change_and_follow, here)
    here.stop()


@pytest.fixture(scope='session', autouse=True)
def start_early(request):
    """What takes long by nature runs beside the other tests."""
    if names.why_not() is None and any('aged_names' in item.fixturenames
                                       for item in request.session.items):
        request.getfixturevalue('aged_names')


@pytest.fixture
def laboratories():
    """Makes laboratories, which outlive the processes in them."""
    reason = paths.why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield lambda links, **more: stack.enter_context(paths.Laboratory(links, **more))
