"""What the daemon answers: to those who look, to those who change something, and to those who ask wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import (
    NotFoundError,
    ServiceMissingError,
    SettingsError,
    TaskError,
    UsageError,
)
from altlas_agent.daemon.api.client import Client
from altlas_agent.daemon.api.site import Applied, Begun, Info, Liveness, Readiness, RunLines
from altlas_agent.daemon.live import State
from tests.daemon.api.raw import request
from tests.daemon.conftest import Daemon, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Record


def line(client: Client, run: int) -> object:
    return next((each for each in client.get("/v1/runs", RunLines).rows if each.id == run), None)


def state(client: Client, run: int) -> State | None:
    return next((each.state for each in client.get("/v1/runs", RunLines).rows if each.id == run), None)


def test_it_says_who_it_is_and_that_it_is_well(daemon: Daemon) -> None:
    info = daemon.client.get("/v1/info", Info)
    assert (info.daemon.pid, info.stopping, info.degraded) == (daemon.process.pid, False, ())
    is_live, liveness = daemon.client.probe("/healthz", Liveness)
    assert is_live
    assert liveness.lag.times_blocked == 0
    is_ready, readiness = daemon.client.probe("/readyz", Readiness)
    assert is_ready, readiness


def test_a_run_begins_rests_goes_on_is_steered_saved_and_ended(daemon: Daemon) -> None:
    client, run = daemon.client, daemon.begin(rate=200.0)
    path = f"/v1/runs/r{run}"
    until(lambda: state(client, run) is State.RUNNING)
    assert client.post(f"{path}/pause", Applied) == Applied(
        target=f"r{run}", applied=True, state=State.PAUSED
    )
    assert client.post(f"{path}/pause", Applied).applied is False
    assert client.post(f"{path}/resume", Applied).state is State.RUNNING
    steered = client.patch(f"{path}/config", Applied, {"settings": {"script.rate": 300.0}})
    assert (steered.applied, steered.before) == (True, {"script.rate": 200.0})
    saved = client.post(f"{path}/checkpoint", Applied)
    assert saved.checkpoint is not None
    assert saved.checkpoint.sha256 == "ab" * 32
    client.post(f"{path}/stop", Applied)
    until(lambda: state(client, run) is None)
    with pytest.raises(NotFoundError, match=f"no live run 'r{run}'"):
        client.post(f"{path}/stop", Applied)


def test_a_run_is_shown_as_it_lives_and_as_it_is_stored_also_when_it_is_over(daemon: Daemon) -> None:
    run = daemon.begin(rate=200.0, attempts=5)
    until(lambda: line(daemon.client, run) is None)
    status, body = request(daemon.socket, "GET", f"/v1/runs/{run}")
    shown = msgspec.json.decode(body)
    assert status == 200
    assert (shown["live"], shown["stored"]["id"], shown["stored"]["attempts"]) == (None, run, 5)


def test_actors_channels_and_the_store_are_shown(daemon: Daemon) -> None:
    run = daemon.begin()
    status, body = request(daemon.socket, "GET", "/v1/actors")
    shown = msgspec.json.decode(body)
    assert status == 200
    assert {actor["name"]: actor["life"] for actor in shown["rows"]} == {"api": "running"}
    assert run in [bus["run"] for bus in shown["buses"]]
    assert shown["store"]["pause"] is None
    daemon.client.post(f"/v1/runs/{run}/stop", Applied)


def test_stored_events_come_in_pages_behind_a_cursor_and_without_programs(daemon: Daemon) -> None:
    run = daemon.begin(rate=500.0, attempts=30)
    until(lambda: line(daemon.client, run) is None)
    seen: list[int] = []
    cursor, is_cut = "0", True
    while is_cut:
        status, body = request(daemon.socket, "GET", f"/v1/events?run={run}&after={cursor}&limit=7")
        assert status == 200
        assert b"hostile" not in body
        page = msgspec.json.decode(body)
        seen += [row["seq"] for row in page["rows"]]
        cursor, is_cut = page["cursor"], page["truncated"]
    assert seen == list(range(1, 32))
    _, body = request(daemon.socket, "GET", f"/v1/events?run={run}&content=true&limit=1")
    assert b"hostile" in body


def test_not_ready_says_why_and_goes_away_with_its_reason(daemon: Daemon) -> None:
    run = daemon.begin(workers=0)
    until(lambda: state(daemon.client, run) is State.RUNNING)
    is_ready, readiness = daemon.client.probe("/readyz", Readiness)
    assert not is_ready
    assert readiness.reasons == ("none of 1 sandbox workers is up",)
    daemon.client.post(f"/v1/runs/{run}/stop", Applied)
    until(lambda: daemon.client.probe("/readyz", Readiness)[0])


def test_metrics_are_of_a_form_that_prometheus_reads(daemon: Daemon) -> None:
    run = daemon.begin(rate=100.0)
    until(lambda: state(daemon.client, run) is State.RUNNING)
    status, body = request(daemon.socket, "GET", "/metrics")
    text = body.decode()
    assert status == 200
    for line in (
        "# TYPE altlas_loop_lag_seconds gauge",
        "# TYPE altlas_store_groups_total counter",
        f'altlas_bus_dropped{{run="r{run}"}} 0.0',
        'altlas_actor_restarts_total{actor="api",group="api"} 0.0',
        "altlas_store_writable 1.0",
    ):
        assert line in text
    daemon.client.post(f"/v1/runs/{run}/stop", Applied)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda client: client.post("/v1/runs", Begun, {"suite": "broken"}), TaskError, "not a suite"),
        (
            lambda client: client.post("/v1/runs", Begun, {"suite": "q", "settings": {"run.sead": 1}}),
            SettingsError,
            "unknown: run.sead",
        ),
        (lambda client: client.post("/v1/runs", Begun, {"suit": "q"}), UsageError, "suit"),
        (lambda client: client.post("/v1/runs", Begun, {"suite": 5}), UsageError, "Expected `str`"),
        (lambda client: client.post("/v1/runs", Begun, {"suite": "a\0b"}), UsageError, "suite"),
        (lambda client: client.post("/v1/runs/999999/stop", Applied), NotFoundError, "r999999"),
        (lambda client: client.post("/v1/runs/..%00/stop", Applied), UsageError, "no number of a run"),
        (lambda client: client.get("/v1/runs/999999", Info), NotFoundError, "999999"),
        (lambda client: client.get("/v1/events", Info), UsageError, "say of which run"),
        (lambda client: client.get("/v1/events?run=1&limit=0", Info), UsageError, "limit"),
        (lambda client: client.get("/v1/events?run=1&after=x", Info), UsageError, "no cursor"),
        (lambda client: client.get("/v1/stream?run=1&after=-5", Info), UsageError, "no cursor"),
        (lambda client: client.get("/v1/nothing", Info), NotFoundError, "GET /v1/nothing"),
        (lambda client: client.post("/v1/info", Info), UsageError, "method not allowed"),
        (lambda client: client.post("/v1/shutdown?drain=maybe", Applied), UsageError, "drain is 0 or 1"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_its_reason(
    daemon: Daemon, ask: Callable[[Client], Record], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask(daemon.client)


def test_a_refused_change_of_settings_changes_none_of_them(daemon: Daemon) -> None:
    run = daemon.begin(rate=100.0)
    path = f"/v1/runs/{run}/config"
    with pytest.raises(SettingsError, match=r"not live: script\.block_s"):
        daemon.client.patch(path, Applied, {"settings": {"script.rate": 7.0, "script.block_s": 1.0}})
    steered = daemon.client.patch(path, Applied, {"settings": {"script.rate": 100.0}})
    assert (steered.applied, steered.before) == (False, {"script.rate": 100.0})
    daemon.client.post(f"/v1/runs/{run}/stop", Applied)


def test_a_client_of_a_daemon_that_is_gone_is_told_so(daemon: Daemon) -> None:
    announced = msgspec.structs.replace(daemon.client.announced, socket=str(daemon.socket) + "x")
    with pytest.raises(ServiceMissingError, match="does not answer"):
        Client(announced).get("/v1/info", Info)
