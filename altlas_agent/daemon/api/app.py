"""The routes, all of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from altlas_agent.core.errors import AltlasError
from altlas_agent.daemon.api.answers import Refused, on_altlas_error, on_bug, on_refused, refusal
from altlas_agent.daemon.api.controls import Controls
from altlas_agent.daemon.api.metrics import Metrics
from altlas_agent.daemon.api.reads import Pages, Reads
from altlas_agent.daemon.api.stream import Streams

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from altlas_agent.daemon.api.site import Site


def make_app(site: Site) -> Starlette:
    """The whole API over `site`."""
    pages = Pages(site.database)
    reads, controls = Reads(site, pages), Controls(site)
    routes = [
        Route("/healthz", reads.live),
        Route("/readyz", reads.ready),
        Route("/metrics", Metrics(site).show),
        Route("/v1/info", reads.info),
        Route("/v1/actors", reads.actors),
        Route("/v1/runs", reads.runs),
        Route("/v1/runs", controls.start, methods=["POST"]),
        Route("/v1/runs/{run}", reads.run),
        Route("/v1/runs/{run}/stop", controls.stop, methods=["POST"]),
        Route("/v1/runs/{run}/pause", controls.pause, methods=["POST"]),
        Route("/v1/runs/{run}/resume", controls.resume, methods=["POST"]),
        Route("/v1/runs/{run}/checkpoint", controls.checkpoint, methods=["POST"]),
        Route("/v1/runs/{run}/restart", controls.restart, methods=["POST"]),
        Route("/v1/runs/{run}/config", controls.configure, methods=["PATCH"]),
        Route("/v1/runs/{run}/tags", controls.tag, methods=["POST"]),
        Route("/v1/runs/{run}/note", controls.note, methods=["POST"]),
        Route("/v1/runs/{run}/exams", controls.keep_exam, methods=["POST"]),
        Route("/v1/runs/{run}/delete", controls.delete, methods=["POST"]),
        Route("/v1/events", reads.events),
        Route("/v1/stream", Streams(site, pages), methods=["GET"]),
        Route("/v1/shutdown", controls.shutdown, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            AltlasError: on_altlas_error,
            Refused: on_refused,
            HTTPException: _on_no_route,
            Exception: on_bug,
        },
    )


async def _on_no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    kind = "not_found" if status is HTTPStatus.NOT_FOUND else "invalid"
    path = request.url.path[:200]
    return refusal(status, kind, f"{request.method} {path}: {status.phrase.lower()}")
