"""The server: one process, loopback unless told otherwise, and then only with a token."""

import uvicorn

from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import EngineName
from leukoscope.inference.model import Model
from leukoscope.serving.app import create
from leukoscope.serving.guard import loopback

SHORTEST_TOKEN = 16


def serve(
    bundle: Bundle,
    host: str,
    port: int,
    token: str | None,
    engine: EngineName | None,
    threads: int,
) -> None:
    """Serve the API and the page until interrupted; requests under way are answered first.

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
    app = create(Model(bundle, engine, threads), token)
    place = f"[{host}]" if ":" in host else host
    print(f"{bundle.info.name}: http://{place}:{port} (Ctrl-C ends it)", flush=True)
    if bundle.info.phantom:
        print("trained on phantom cells: its calls say nothing about patients")
    print("Research use only; not a medical device.", flush=True)
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,  # it would hold the names of what is asked for
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=30,
    )
