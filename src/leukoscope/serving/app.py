"""The web application over one bundle: the API, and the page that is its first user."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from fastapi import FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartParser

from leukoscope import __version__
from leukoscope.cells.pictures import Upload
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import CARD
from leukoscope.inference.model import Model
from leukoscope.inference.subjects import by_subject
from leukoscope.serving.desk import CALLS, BusyError, Desk, rows
from leukoscope.serving.guard import MOST_BYTES, Guard, refused
from leukoscope.serving.limits import RETRY, Limits
from leukoscope.serving.metrics import Metrics, Watch
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

MOST_FILES = 1000
"""Of a request; Starlette unpacks no more."""

# Beyond this Starlette would write what is sent to a temporary file: cells stay in memory.
MultiPartParser.spool_max_size = MOST_BYTES

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "Another origin asks, or by another name."},
    413: {"model": Problem, "description": "More than a request may hold."},
    422: {"model": Problem, "description": "What was sent is not what is asked for."},
}
BUSY: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "Too much waits; ask again after Retry-After."}
}


class Server:
    """What the routes share: the model, what calls, what explains, what counts."""

    def __init__(self, model: Model, log_names: bool) -> None:
        self.model, self.bundle, self.log_names = model, model.bundle, log_names
        self.desk = Desk(model)
        self.metrics = Metrics(lambda: self.desk.waiting)
        self.explaining = ThreadPoolExecutor(1)  # an explanation has all cores

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

    async def uploads(self, request: Request, files: list[UploadFile]) -> list[Upload]:
        """Return the files of a request, and give their names to the log if it wants them."""
        if self.log_names:
            # As Python writes text: no name begins a line of its own.
            request.state.names = "".join(f" {file.filename!r}" for file in files)
        return [Upload(file.filename or "unnamed", await file.read()) for file in files]

    def explained(self, file: Upload) -> Explained:
        """Explain one picture.

        Raises:
            BadInputError: it cannot be read.
        """
        from leukoscope.reporting.overlay import tinted

        found = self.explainer(file)
        maps = {"Occlusion": found.occlusion, "Grad-CAM": found.grad_cam}
        return Explained(
            call=Call.model_validate(rows(pd.DataFrame([found.call]))[0]),
            seen=_png(found.pixels),
            layers=[
                Layer(name=name, most=float(np.abs(values).max()), png=_png(tinted(values)))
                for name, values in maps.items()
            ],
            nearest=[Neighbour.model_validate(row) for row in rows(found.nearest)],
        )


def create(model: Model, token: str | None = None, log_names: bool = False) -> FastAPI:
    """Return the application.

    Args:
        model: that calls.
        token: that all must show who ask; None: nobody must, who asks from this machine.
        log_names: whether the log holds the names of the pictures that are sent.
    """
    server = Server(model, log_names)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            works = [group.create_task(server.desk.work()) for _ in range(CALLS)]
            yield
            for work in works:
                work.cancel()

    app = FastAPIOffline(
        title="leukoscope",
        version=__version__,
        summary="Tells leukemia blasts from normal cells. Research use only; not a medical device.",
        redoc_url=None,
        lifespan=life,
    )
    app.add_middleware(Limits)
    app.add_middleware(Guard, token=token)
    app.add_middleware(Watch, metrics=server.metrics)  # outermost: it sees what the others refuse
    _routes(app, server)
    _pages(app)
    return app


def _routes(app: FastAPI, server: Server) -> None:
    """Add what programs ask for."""

    @app.exception_handler(BadInputError)
    async def bad_input(_: Request, error: BadInputError) -> JSONResponse:
        return refused(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def other(_: Request, error: RequestValidationError) -> JSONResponse:
        """What is not as the schema says, in one sentence, as all that is refused."""
        found = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return refused(422, "; ".join(found))

    @app.exception_handler(400)
    async def unreadable(_: Request, error: StarletteHTTPException) -> JSONResponse:
        """A form that is none, or of more files than a request may have: bad input as any other."""
        return refused(422, error.detail)

    @app.exception_handler(BusyError)
    async def busy(_: Request, _error: BusyError) -> JSONResponse:
        return refused(503, "too many pictures wait; ask again", RETRY)

    @app.post("/v1/predict", responses=PROBLEMS | BUSY)
    async def predict(
        request: Request,
        files: Annotated[list[UploadFile], File(min_length=1, max_length=MOST_FILES)],
        coverage: Annotated[
            float | None, Query(description="See `leukoscope predict --coverage`.")
        ] = None,
    ) -> Calls:
        """Call pictures: one or many files; one that cannot be read has a reason and no call."""
        kept = server.bundle.info.review.coverage(coverage)
        uploads = await server.uploads(request, files)
        calls = await server.desk.call(uploads, coverage)
        server.metrics.count(calls)
        return Calls(
            bundle=server.bundle.digest,
            engine=server.model.engine,
            coverage=kept,
            calls=[Call.model_validate(row) for row in calls],
        )

    @app.post("/v1/explain", responses=PROBLEMS | BUSY | {501: {"model": Problem}})
    async def explain(request: Request, file: UploadFile) -> Explained:
        """Say what in a picture speaks for its call, and which training cells are like it."""
        if not server.info.explains:
            raise HTTPException(501, "PyTorch is not installed here: nothing can be explained")
        [upload] = await server.uploads(request, [file])
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(server.explaining, server.explained, upload)

    @app.get("/v1/model", responses=PROBLEMS | BUSY)
    async def model() -> ModelInfo:
        """Say what calls: its operating points, what other thresholds do, its card."""
        return server.info

    @app.post("/v1/subjects", responses=PROBLEMS | BUSY)
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
        return [SubjectRow.model_validate(row) for row in rows(table)]

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


def _png(pixels: NDArray[np.uint8]) -> str:
    with BytesIO() as file:
        Image.fromarray(pixels).save(file, "png")
        return b64encode(file.getvalue()).decode()
