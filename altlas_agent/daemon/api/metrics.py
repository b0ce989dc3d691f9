"""`/metrics`: what is measured anyway, as Prometheus wants to read it. Nothing is kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry
    from starlette.requests import Request

    from altlas_agent.daemon.api.site import Site

MAX_RUNS = 20
"""Above so many live runs their numbers are left out: every label value is a series that somebody keeps."""

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The route. The library is loaded when somebody first asks, and not on the loop: it takes a while."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._render: Callable[[], bytes] | None = None

    async def show(self, _request: Request) -> Response:
        """All figures of this moment."""
        if self._render is None:
            self._render = await to_thread.run_sync(_renderer, self._site)
        return Response(self._render(), media_type=_TYPE)


def _renderer(site: Site) -> Callable[[], bytes]:
    from prometheus_client.exposition import generate_latest
    from prometheus_client.process_collector import ProcessCollector
    from prometheus_client.registry import CollectorRegistry

    registry: CollectorRegistry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Figures(site))
    return lambda: generate_latest(registry)


class Figures:
    """A collector, as the library calls whoever it asks for figures."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterator[Metric]:
        """Everything, by name."""
        yield from self._of_process()
        yield from self._of_store()
        yield from self._of_actors()
        yield from self._of_runs()

    def _of_process(self) -> Iterator[Metric]:
        counts, lag, workers = self._site.counts, self._site.health.lag, self._site.host.workers
        yield _gauge("loop_lag_seconds", "How late the event loop turned over last.", lag.last_s)
        yield _gauge("loop_lag_worst_seconds", "How late it turned over at worst.", lag.worst_s)
        yield _counter("loop_blocked", "How often something held up the event loop.", lag.times_blocked)
        yield _gauge("api_connections", "Clients that are connected.", counts.connections)
        yield _counter("api_refused", "Connections that were refused.", counts.refused)
        yield _gauge("api_streams", "Clients that listen to events.", counts.streams)
        yield _counter("api_gaps", "How often a listener fell behind.", counts.gaps)
        yield _gauge("workers_up", "Sandbox workers that can take a program.", workers.up)
        yield _gauge("workers_wanted", "Sandbox workers that there should be.", workers.wanted)

    def _of_store(self) -> Iterator[Metric]:
        health = self._site.health
        store = health.store()
        yield _gauge("store_writable", "1 while everything can be stored.", float(not health.store_trouble))
        yield _gauge("store_waiting", "Batches that wait to be committed.", store.waiting)
        yield _counter("store_groups", "Commits.", store.groups)
        yield _counter("store_rows", "Rows that were committed.", store.rows)

    def _of_actors(self) -> Iterator[Metric]:
        states = [*self._site.health.actors(), *self._site.host.actors()]
        restarts = [((state.group, state.name), float(state.restarts)) for state in states]
        yield _labelled("actor_restarts_total", "Restarts of an actor.", ("group", "actor"), restarts)
        yield _gauge(
            "degraded_groups", "Groups of actors that are given up for now.", len(self._site.health.degraded)
        )

    def _of_runs(self) -> Iterator[Metric]:
        live = self._site.host.live()
        yield _gauge("runs_live", "Runs of this process.", len(live))
        shown = live if len(live) <= MAX_RUNS else ()
        progress = [(f"r{run.run_id}", run.progress) for run in shown]
        known = [((name,), each) for name, each in progress if each is not None]
        buses = [(f"r{run.run_id}", run.bus.statistics()) for run in shown]
        depths = [
            ((name, each.name), float(each.queued)) for name, bus in buses for each in bus.subscriptions
        ]
        for metric, words, rows in (
            ("attempts", "Attempts of a run.", [(label, float(each.attempts)) for label, each in known]),
            ("solved_tasks", "Tasks that a run has solved.", [(label, float(each.solved)) for label, each in known]),
            ("attempts_per_second", "How fast a run is.", [(label, each.attempts_per_s) for label, each in known]),
            ("bus_events", "Durable events of a run.", [((name,), float(bus.durable)) for name, bus in buses]),
            ("bus_committed", "How many of them are stored.", [((name,), float(bus.committed)) for name, bus in buses]),
            ("bus_dropped", "Events that listeners lost.", [((name,), float(bus.dropped)) for name, bus in buses]),
        ):  # fmt: skip
            yield _labelled(metric, words, ("run",), rows)
        yield _labelled("bus_depth", "Events that wait for a listener.", ("run", "listener"), depths)


def _gauge(name: str, words: str, value: float) -> Metric:
    return _labelled(name, words, (), [((), value)])


def _counter(name: str, words: str, value: float) -> Metric:
    return _labelled(f"{name}_total", words, (), [((), value)])


def _labelled(
    name: str, words: str, labels: Sequence[str], rows: Sequence[tuple[tuple[str, ...], float]]
) -> Metric:
    """A metric with a value for each row of labels; a name that ends in `_total` is a counter."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    metric = kind(f"altlas_{name}", words, labels=labels)
    for values, value in rows:
        metric.add_metric(list(values), value)
    return metric
