"""Redis: restarts, evictions, replicas, clusters, and scripts that the server has forgotten."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from costlens_policy.ledger import (
    AccountQuery,
    Adjustment,
    EntryQuery,
    Held,
    LedgerBusyError,
    LedgerUnavailableError,
    ReservationQuery,
    Settled,
    open_ledger,
)
from costlens_policy.ledger.laws.build import NOW, account, hold, hold_lines, settlement, settlement_lines
from costlens_policy.ledger.redis import RedisStore
from tests.ledger.servers import Server, redis_server

TEAM = account()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may damage."""
    with redis_server() as server:
        yield server


def test_scripts_that_the_server_has_forgotten_are_loaded_again(redis: Server) -> None:
    store = RedisStore(redis.url("forgotten"))
    store.reserve(hold("a", TEAM, 5, 10))
    store._server.command("SCRIPT", "FLUSH")
    assert store.settle(settlement("a", TEAM, 3)).lines[0].used == 3


def test_a_server_that_lost_everything_is_an_error_and_not_a_new_beginning(own_server: Server) -> None:
    store = RedisStore(own_server.url("lost"))
    store.charge(settlement("a", TEAM, 5))
    store._server.command("FLUSHALL")
    for attempt in (
        lambda: store.reserve(hold("b", TEAM, 5, 10)),
        lambda: store.settle(settlement("a", TEAM, 5)),
        lambda: store.balances([TEAM], NOW),
    ):
        with pytest.raises(LedgerUnavailableError, match="was emptied since it was opened"):
            attempt()
    again = RedisStore(own_server.url("lost"))
    assert isinstance(again.reserve(hold("b", TEAM, 5, 10)), Held)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_drop_keys_is_refused(own_server: Server, policy: str) -> None:
    store = RedisStore(own_server.url("dropped"))
    store._server.command("CONFIG", "SET", "maxmemory", "100mb")
    store._server.command("CONFIG", "SET", "maxmemory-policy", policy)
    with pytest.raises(LedgerUnavailableError, match=f"its `maxmemory-policy` is `{policy}`; set `noeviction`"):
        RedisStore(own_server.url("dropped"))


def test_an_account_that_the_server_dropped_is_an_error_and_not_a_balance_of_zero(own_server: Server) -> None:
    """As eviction does it, under a `maxmemory-policy` that was set after the ledger was opened."""
    store = RedisStore(own_server.url("evicted"))
    other = account(key="other")
    store.reserve(hold("a", TEAM, 5, 10))
    store.charge(settlement("b", other, 5))
    store._server.command("DEL", f"{{evicted}}:a:{TEAM.name}")
    for attempt in (
        lambda: store.reserve(hold("c", TEAM, 5, 10)),
        lambda: store.reserve(hold_lines("c", (other, 1, None), (TEAM, 5, 10))),
        lambda: store.settle(settlement("a", TEAM, 5)),
        lambda: store.balances([TEAM], NOW),
    ):
        with pytest.raises(LedgerUnavailableError, match="has lost accounts of the ledger"):
            attempt()
    (balance,) = store.balances([other], NOW)
    assert (balance.used, balance.held) == (5, 0), "others go on"


def test_a_restart_with_the_data_goes_unnoticed() -> None:
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        store = RedisStore(server.url("restarted"))
        store.reserve(hold("a", TEAM, 5, 10))
        with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
            store._server.command("SHUTDOWN")
        server.process.wait()
        with subprocess.Popen(server.process.args, stdout=subprocess.DEVNULL) as again:
            try:
                settled = until_reachable(lambda: store.settle(settlement("a", TEAM, 4)))
                assert (settled.lines[0].used, settled.lines[0].held) == (4, 0)
                assert store.settle(settlement("a", TEAM, 4)).repeated
            finally:
                again.terminate()


def until_reachable(operation: Callable[[], Settled]) -> Settled:
    end = time.monotonic() + 30
    while True:
        try:
            return operation()
        except LedgerUnavailableError:
            assert time.monotonic() < end, "the server did not come back"
            time.sleep(0.02)


def test_a_server_out_of_memory_is_an_error_and_records_nothing(own_server: Server) -> None:
    store = RedisStore(own_server.url("full"))
    store.charge(settlement("a", TEAM, 5))
    store._server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(LedgerUnavailableError, match="is out of memory"):
        store.charge(settlement("b", TEAM, 5))
    store._server.command("CONFIG", "SET", "maxmemory", "0")
    assert store.balances([TEAM], NOW)[0].used == 5
    assert not store.charge(settlement("b", TEAM, 5)).repeated


def test_a_replica_is_an_error(own_server: Server) -> None:
    store = RedisStore(own_server.url("replica"))
    store._server.command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(LedgerUnavailableError, match="is a replica; name the primary"):
        store.reserve(hold("a", TEAM, 5, 10))
    store._server.command("REPLICAOF", "NO", "ONE")
    assert isinstance(store.reserve(hold("a", TEAM, 5, 10)), Held)


def test_a_replica_can_be_looked_at(own_server: Server) -> None:
    store = RedisStore(own_server.url("looked_at"))
    store.charge(settlement("a", TEAM, 5))
    store.reserve(hold("b", TEAM, 1, 10))
    store._server.command("REPLICAOF", "127.0.0.1", "1")
    store._server.command("SCRIPT", "FLUSH")
    look_at(own_server.url("looked_at"))
    with pytest.raises(LedgerUnavailableError, match="there is no ledger `looked_for`"):
        open_ledger(own_server.url("looked_for"), read_only=True)


def test_a_user_who_may_only_read_can_look(own_server: Server) -> None:
    store = RedisStore(own_server.url("looked_at"))
    store.charge(settlement("a", TEAM, 5))
    store.reserve(hold("b", TEAM, 1, 10))
    store._server.command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+eval", "+evalsha", "+info")
    url = own_server.url("looked_at").replace("redis://", "redis://reader:secret@")
    look_at(url)
    with pytest.raises(LedgerUnavailableError, match="does not let this user"):
        open_ledger(url).charge(settlement("c", TEAM, 1))


def look_at(url: str) -> None:
    store = open_ledger(url, read_only=True)
    (balance,) = store.balances([TEAM], NOW)
    assert (balance.used, balance.held) == (5, 1)
    assert len(store.entries(EntryQuery()).items) == 1
    assert [item.call for item in store.reservations(ReservationQuery(), NOW).items] == ["b"]
    assert store.accounts(AccountQuery(), NOW).items == (balance,)
    assert store.reservation("a", NOW) is not None


def test_a_server_that_hangs_or_is_gone_is_an_error(own_server: Server) -> None:
    store = open_ledger(own_server.url("gone") + "&timeout=0.2")
    quick = RedisStore(own_server.url("gone"))
    quick._server.command("CLIENT", "PAUSE", "1500")
    with pytest.raises(LedgerUnavailableError, match=r"at 127.0.0.1 did not answer in time"):
        store.reserve(hold("a", TEAM, 5, 10))
    own_server.process.kill()
    own_server.process.wait()
    with pytest.raises(LedgerUnavailableError, match=r"at 127.0.0.1 cannot be reached"):
        store.reserve(hold("a", TEAM, 5, 10))


def test_a_connection_that_was_cut_is_made_again(own_server: Server) -> None:
    store = RedisStore(own_server.url("cut"))
    for number in range(5):
        store.charge(settlement(f"{number}", TEAM, 1))
        killer = RedisStore(own_server.url("other"))
        killer._server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.balances([TEAM], NOW)[0].used == 5


def test_connections_are_cut_for_ever(own_server: Server) -> None:
    store = open_ledger(own_server.url("for_ever") + "&connections=3")
    killer = RedisStore(own_server.url("other"))
    for number in range(150):
        store.charge(settlement(f"{number}", TEAM, 1))
        killer._server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.balances([TEAM], NOW)[0].used == 150


def test_a_server_that_closes_idle_connections(own_server: Server) -> None:
    store = RedisStore(own_server.url("idle"))
    store._server.command("CONFIG", "SET", "timeout", "1")
    store.charge(settlement("a", TEAM, 1))
    time.sleep(2.2)
    store.charge(settlement("b", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 2


def test_three_hundred_threads_share_the_connections(redis: Server) -> None:
    store = open_ledger(redis.url("crowd") + "&connections=20")
    together = threading.Barrier(300)

    def work(number: int) -> None:
        together.wait(60)
        for turn in range(2):
            store.charge(settlement(f"{number} {turn}", TEAM, 1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.balances([TEAM], NOW)[0].used == 600
    assert isinstance(store, RedisStore)
    assert store._server._pool._process.made <= 20


def test_a_server_with_no_connection_left_lets_threads_wait_for_their_own(own_server: Server) -> None:
    store = RedisStore(own_server.url("full"))
    store._server.command("CONFIG", "SET", "maxclients", "3")
    together = threading.Barrier(20)

    def work(number: int) -> None:
        together.wait(60)
        store.charge(settlement(f"{number}", TEAM, 1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.balances([TEAM], NOW)[0].used == 20


def test_a_stall_is_over_when_it_is_over(own_server: Server) -> None:
    store = open_ledger(own_server.url("stalled") + "&timeout=0.3")
    store.charge(settlement("a", TEAM, 1))
    own_server.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LedgerUnavailableError, match="did not answer in time"):
        store.charge(settlement("b", TEAM, 1))
    own_server.process.send_signal(signal.SIGCONT)
    assert store.charge(settlement("b", TEAM, 1)).lines[0].used == 2


def test_a_primary_that_became_a_replica_is_asked_for_anew(own_server: Server) -> None:
    """As where a name in the URL leads to another server after a failover: each connection is made once more."""
    store = RedisStore(own_server.url("failover"))
    made = store._server._pool._connect
    calls: list[int] = []

    def connect() -> object:
        calls.append(1)
        if len(calls) == 2:
            with Redis.from_url(own_server.address) as client:
                client.replicaof("NO", "ONE")
        return made()

    store._server.command("REPLICAOF", "127.0.0.1", "1")
    store._server._pool._connect = connect  # type: ignore[assignment]  # counts
    assert isinstance(store.reserve(hold("a", TEAM, 5, 10)), Held)


def test_somebody_elses_script_is_no_lost_ledger(own_server: Server) -> None:
    store = RedisStore(own_server.url("script"))
    store._server.command("CONFIG", "SET", "busy-reply-threshold", "20")
    endless = threading.Thread(target=run_for_ever, args=(own_server,), daemon=True)
    endless.start()
    time.sleep(0.3)
    with pytest.raises(LedgerBusyError, match="has been running another client's script for too long"):
        store.charge(settlement("a", TEAM, 1))
    store._server.command("SCRIPT", "KILL")
    endless.join(10)
    assert store.charge(settlement("a", TEAM, 1)).lines[0].used == 1


def run_for_ever(server: Server) -> None:
    with Redis.from_url(server.address) as client, pytest.raises(ResponseError):
        client.eval("while true do end", 0)


def test_a_wrong_password_is_an_error(own_server: Server) -> None:
    RedisStore(own_server.url("open"))._server.command("CONFIG", "SET", "requirepass", "right")
    with pytest.raises(LedgerUnavailableError, match="password"):
        RedisStore(own_server.url("open"))
    url = own_server.url("open").replace("redis://", "redis://:wrong@")
    with pytest.raises(LedgerUnavailableError, match="rejects the user or password") as caught:
        RedisStore(url)
    assert "wrong" not in str(caught.value)


def test_keys_of_another_version_are_refused(redis: Server) -> None:
    store = RedisStore(redis.url("newer"))
    store._server.command("SET", "{newer}:version", "99")
    with pytest.raises(LedgerUnavailableError, match=r"another version .* \(keys 99, this one knows 1\)"):
        RedisStore(redis.url("newer"))


def test_ledgers_of_one_server_are_apart(redis: Server) -> None:
    first, second = RedisStore(redis.url("first")), RedisStore(redis.url("second"))
    first.charge(settlement("a", TEAM, 5))
    assert second.balances([TEAM], NOW)[0].used == 0
    assert second.entries(EntryQuery()).items == ()


def test_every_key_is_in_one_slot_of_a_cluster() -> None:
    """A cluster refuses a script that touches keys of several slots, so going through everything once is enough."""
    with redis_server("--cluster-enabled", "yes") as server:
        assign_slots(server)
        store = RedisStore(server.url("cluster"))
        other = account("other/budget", "x")
        store.reserve(hold_lines("a", (TEAM, 5, 10), (other, 5, 10)))
        store.extend("a", timedelta(hours=1), NOW)
        store.settle(settlement_lines("a", (TEAM, 5), (other, 5)))
        store.reserve(hold("b", TEAM, 5, 10))
        store.release("b", NOW)
        store.adjust(Adjustment("t", "topup", TEAM, 5, "ann", "why not", NOW))
        assert store.balances([TEAM, other], NOW)[0].used == 5
        assert len(store.entries(EntryQuery(account=TEAM)).items) == 2
        assert store.reservations(ReservationQuery(), NOW).items == ()


def assign_slots(server: Server) -> None:
    import redis

    client = redis.Redis(port=server.port)
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    end = time.monotonic() + 20
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        assert time.monotonic() < end
        time.sleep(0.05)
    client.close()


def test_calls_are_remembered_and_entries_kept_as_the_url_says(redis: Server) -> None:
    store = RedisStore(redis.url("short") + "&remember=60&history=100")
    for number in range(1000):
        store.charge(settlement(f"{number}", TEAM, 1))
    assert store.balances([TEAM], NOW)[0].used == 1000
    assert 100 <= len(store.entries(EntryQuery(limit=2000)).items) < 400
    assert 100 <= len(store.entries(EntryQuery(account=TEAM, limit=2000)).items) < 400
    assert store._server.command("PTTL", "{short}:c:5") != -1
