"""The server: loopback unless told otherwise, and then only with a token.

One process calls cells, for one keeps all cores busy; another watches it, and starts a new one
should it die or hang.
"""

from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import EngineName
from leukoscope.inference.model import Model
from leukoscope.serving.app import create
from leukoscope.serving.guard import loopback

SHORTEST_TOKEN = 16

GRACE = 30
"""Seconds that requests under way have when the server is to end."""
HANGS = 60
"""Seconds without a sign of life after which a process is taken for dead."""

LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "leukoscope": {"handlers": ["stderr"], "level": "INFO"},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING"},
    },
}
"""To stderr, a line a request; uvicorn's own line of it would hold whatever path is asked for."""


def serve(
    bundle: Bundle,
    host: str,
    port: int,
    token: str | None,
    engine: EngineName | None,
    threads: int,
    log_names: bool = False,
) -> None:
    """Serve the API and the page until interrupted; requests under way are answered first.

    Args:
        bundle: what calls.
        host: where it listens.
        port: likewise.
        token: that all must show who ask; None: nobody must.
        engine: of the bundle; None: the fastest here.
        threads: of the CPU.
        log_names: whether the log holds the names of the pictures that are sent.

    Raises:
        BadInputError: others could reach `host`, and there is no token, or one easily guessed.
    """
    if not loopback(host) and token is None:
        raise BadInputError(
            f"others can reach {host}: it takes a token, which whoever asks must show; set "
            "LEUKOSCOPE_TOKEN to one of your own, such as `openssl rand -hex 16` gives"
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise BadInputError(f"a token has at least {SHORTEST_TOKEN} characters")
    # Refused here, if at all, and measured here; this process calls nothing.
    chosen = Model(bundle, engine, threads).engine
    config = uvicorn.Config(
        partial(_application, bundle, chosen, threads, token, log_names),
        factory=True,
        host=host,
        port=port,
        workers=1,
        access_log=False,
        log_config=LOGS,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=HANGS,
    )
    socket = config.bind_socket()
    socket.listen(config.backlog)  # who comes before the model is loaded waits
    place = f"[{host}]" if ":" in host else host
    print(f"{bundle.info.name}: http://{place}:{port} (Ctrl-C ends it)", flush=True)
    if bundle.info.phantom:
        print("trained on phantom cells: its calls say nothing about patients")
    print("Research use only; not a medical device.", flush=True)
    Multiprocess(config, [socket]).run()


def _application(
    bundle: Bundle, engine: EngineName, threads: int, token: str | None, log_names: bool
) -> FastAPI:
    """Return the application, in the process that serves it."""
    return create(Model(bundle, engine, threads), token, log_names)
