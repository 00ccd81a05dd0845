"""The web application over one bundle: the API, and the page that is its first user."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from fastapi import FastAPI, HTTPException, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.formparsers import MultiPartParser

from leukoscope import __version__
from leukoscope.cells.preprocess import Upload
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import CARD
from leukoscope.inference.model import Model
from leukoscope.inference.subjects import by_subject
from leukoscope.serving.desk import BusyError, Desk
from leukoscope.serving.guard import MOST_BYTES, Guard
from leukoscope.serving.metrics import Metrics
from leukoscope.serving.schemas import (
    Call,
    Calls,
    Explained,
    Layer,
    ModelInfo,
    Neighbour,
    Problem,
    SubjectRow,
    Worklist,
)

if TYPE_CHECKING:
    from leukoscope.inference.explain import Explainer

PAGE = Path(__file__).parent / "page"
RETRY_SECONDS = "2"

# Beyond this Starlette would write what is sent to a temporary file: cells stay in memory.
MultiPartParser.spool_max_size = MOST_BYTES

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The token is missing or wrong."},
    413: {"model": Problem, "description": "More than a request may hold."},
}
BUSY: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "Too much waits; ask again after Retry-After."}
}


class Server:
    """What the routes share: the model, what calls, what explains, what counts."""

    def __init__(self, model: Model) -> None:
        self.model, self.bundle = model, model.bundle
        self.desk = Desk(model)
        self.metrics = Metrics(lambda: self.desk.waiting)
        self.explaining = asyncio.Lock()

    @cached_property
    def explainer(self) -> "Explainer":
        """The networks in PyTorch, loaded when they are first asked for: it takes seconds."""
        from leukoscope.inference.explain import Explainer

        return Explainer(self.bundle)

    @cached_property
    def info(self) -> ModelInfo:
        """What is told of the model."""
        info = self.bundle.info
        return ModelInfo(
            name=info.name,
            bundle=self.bundle.digest,
            engine=self.model.engine,
            made_by=info.made_by,
            networks=[network.model for network in info.networks],
            phantom=info.phantom,
            window=info.preprocessing.window,
            coverage=info.review.coverage(None),
            most_coverage=info.review.most,
            people=info.review.people,
            points=info.points,
            curve=info.curve,
            explains=find_spec("torch") is not None,
            card=self.bundle.file(CARD).read_text("utf-8") if CARD in info.digests else None,
        )

    def explained(self, file: Upload) -> Explained:
        """Explain one picture.

        Raises:
            BadInputError: it cannot be read.
        """
        from leukoscope.reporting.overlay import tinted

        found = self.explainer(file)
        maps = {"Occlusion": found.occlusion, "Grad-CAM": found.grad_cam}
        return Explained(
            call=_calls(pd.DataFrame([found.call]))[0],
            seen=_png(found.pixels),
            layers=[
                Layer(name=name, most=float(np.abs(values).max()), png=_png(tinted(values)))
                for name, values in maps.items()
            ],
            nearest=[Neighbour.model_validate(row) for row in _records(found.nearest)],
        )


def create(model: Model, token: str | None = None) -> FastAPI:
    """Return the application.

    Args:
        model: that calls.
        token: that all must show who ask; None: nobody must, who asks from this machine.
    """
    server = Server(model)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(server.desk.work())
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    app = FastAPIOffline(
        title="leukoscope",
        version=__version__,
        summary="Tells leukemia blasts from normal cells. Research use only; not a medical device.",
        redoc_url=None,
        lifespan=life,
    )
    app.middleware("http")(server.metrics.watch)
    app.add_middleware(Guard, token=token)
    _routes(app, server)
    _pages(app)
    return app


def _routes(app: FastAPI, server: Server) -> None:
    """Add what programs ask for."""

    @app.exception_handler(BadInputError)
    async def bad_input(_: Request, error: BadInputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(BusyError)
    async def busy(_: Request, _error: BusyError) -> JSONResponse:
        return JSONResponse(
            {"detail": "too many pictures wait; ask again"}, 503, {"Retry-After": RETRY_SECONDS}
        )

    @app.post("/v1/predict", responses=PROBLEMS | BUSY)
    async def predict(
        files: list[UploadFile],
        coverage: Annotated[
            float | None, Query(description="See `leukoscope predict --coverage`.")
        ] = None,
    ) -> Calls:
        """Call pictures: one or many files; one that cannot be read has a reason and no call."""
        kept = server.bundle.info.review.coverage(coverage)
        calls = await server.desk.call([await _upload(file) for file in files], coverage)
        server.metrics.count(calls)
        return Calls(
            bundle=server.bundle.digest,
            engine=server.model.engine,
            coverage=kept,
            calls=_calls(calls),
        )

    @app.post("/v1/explain", responses=PROBLEMS | {501: {"model": Problem}})
    async def explain(file: UploadFile) -> Explained:
        """Say what in a picture speaks for its call, and which training cells are like it."""
        if not server.info.explains:
            raise HTTPException(501, "PyTorch is not installed here: nothing can be explained")
        upload = await _upload(file)
        async with server.explaining:  # one has all cores
            return await asyncio.to_thread(server.explained, upload)

    @app.get("/v1/model", responses=PROBLEMS)
    async def model() -> ModelInfo:
        """Say what calls: its operating points, what other thresholds do, its card."""
        return server.info

    @app.post("/v1/subjects", responses=PROBLEMS)
    async def subjects(worklist: Worklist) -> list[SubjectRow]:
        """Count called cells by subject, with the share of blasts corrected for wrong calls."""
        info = server.bundle.info
        for point in (*info.points, *info.curve):
            if point.threshold == worklist.threshold:
                break
        else:
            raise BadInputError(
                f"nothing is known of the threshold {worklist.threshold:g}: /v1/model lists those "
                "of which something is"
            )
        cells = pd.DataFrame(
            [cell.model_dump() for cell in worklist.cells],
            columns=["subject", "probability", "call"],
        ).astype({"subject": "string", "probability": "float64", "call": "string"})
        table = await asyncio.to_thread(by_subject, cells, point)
        return [SubjectRow.model_validate(row) for row in _records(table)]

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the server answers."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response, responses=PROBLEMS)
    async def metrics() -> Response:
        """Say what was asked and answered, in Prometheus' form."""
        return Response(server.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _pages(app: FastAPI) -> None:
    """Add what a browser opens."""
    app.mount("/page", StaticFiles(directory=PAGE), name="page")

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html")


async def _upload(file: UploadFile) -> Upload:
    return Upload(file.filename or "unnamed", await file.read())


def _calls(calls: pd.DataFrame) -> list[Call]:
    return [Call.model_validate(row) for row in _records(calls)]


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return the rows with None where there is nothing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _png(pixels: NDArray[np.uint8]) -> str:
    with BytesIO() as file:
        Image.fromarray(pixels).save(file, "png")
        return b64encode(file.getvalue()).decode()
