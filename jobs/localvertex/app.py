"""HTTP: paths to functions, Google's error envelope, and the fault switch."""

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.localvertex import inference
from jobs.localvertex.api import versions
from jobs.localvertex.api.bodies import PrettyResponse, content_of, parse_body, reply_of
from jobs.localvertex.api.callers import Hosts, why_not_answer
from jobs.localvertex.api.errors import ApiError, from_http, unavailable
from jobs.localvertex.api.faults import FAIL, Fault, Faults
from jobs.localvertex.api.hosts import check_location
from jobs.localvertex.api.partial import keep_fields
from jobs.localvertex.api.wire import Operation, descriptor_of, render
from jobs.localvertex.devices.look import look
from jobs.localvertex.devices.words import list_devices
from jobs.localvertex.inference import Inference
from jobs.localvertex.memory.serving import MEGABYTE
from jobs.localvertex.project import services
from jobs.localvertex.project.situation import Situation
from jobs.localvertex.resources import absent, batch_jobs, caches, evaluation, imports, metadata, neighbours, operations
from jobs.localvertex.resources.call import Call, Parts, Reply, Route
from jobs.localvertex.resources.endpoints import deploy, deployed_models, endpoints, resource_pools, tensors
from jobs.localvertex.resources.models import model_versions, models, publisher_models, tokens
from jobs.localvertex.resources.tensorboards import boards, points
from jobs.localvertex.resources.tuning import custom_jobs, jobs, pipelines
from jobs.localvertex.serving.streaming import ClientLeft, Streamed
from jobs.localvertex.shortages import shortage_of
from jobs.localvertex.standalone import TOKEN, TOKEN_PATH

log = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = "2"
ENUMS_AS_INTS = "json;enum-encoding=int"
FAULT = "localvertex.fault"  # of the ASGI scope: what the call is to begin and not to finish
TAKE_MESSAGE = "localvertex.take_message"  # of the ASGI scope: a caller within this process that wants no JSON
MODULES = (
    publisher_models,
    tokens,
    jobs,
    custom_jobs,
    pipelines,
    deploy,
    operations,
    endpoints,
    deployed_models,
    tensors,
    models,
    model_versions,
    boards,
    points,
    metadata,
    absent,
    evaluation,
    batch_jobs,
    resource_pools,
    caches,
)


_PROJECT = re.compile(r"projects/([^/:]+)(?:/locations/[^/:]+)?")
_DOT = "__"  # no dots in the names of a regular expression's groups


class Dropped(Exception):
    """A fault: the connection is to be closed without an answer."""


@dataclass(frozen=True)
class Path:
    route: Route
    pattern: re.Pattern[str]


def _compile(route: Route) -> Path:
    """Google's own notation: `{name=projects/*/locations/*}:deploy`."""
    versions = "ui|v1|v1beta1" if "/operations" in route.path else "v1|v1beta1"
    pattern = ""
    for literal, name, template in re.findall(r"([^{]+)|\{([\w.]+)=([^}]+)\}", route.path):
        segments = re.escape(template).replace(r"\*", "[^/:]+")
        pattern += re.escape(literal) if literal else f"(?P<{name.replace('.', _DOT)}>{segments})"
    return Path(route, re.compile(f"^/(?P<_version>{versions})/{pattern}$"))


PATHS = [_compile(route) for module in MODULES for route in module.ROUTES]


class Application:
    def __init__(self, parts: Parts, faults: Faults, known: Hosts) -> None:
        self._parts = parts
        self._faults = faults
        self._known = known
        self._inference = Inference(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = self._refusal(request) or await self._response(request)
            await response(scope, receive, send)
        except (Dropped, ClientLeft, ClientDisconnect):
            await _hang_up(send)

    def _refusal(self, request: Request) -> ASGIApp | None:
        """Before the body is read; whatever of it comes goes with the connection."""
        why = why_not_answer(request.scope["path"], request.headers.items(), self._known)
        if not why:
            return None
        refusal = _error(ApiError("PERMISSION_DENIED", why))
        refusal.headers["Connection"] = "close"
        return refusal

    async def _response(self, request: Request) -> ASGIApp:
        try:
            return await self._answer(request)
        except ApiError as refusal:
            return _error(refusal, is_small=_is_of_the_model(request.url.path))
        except (Dropped, ClientLeft, ClientDisconnect):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.url.path)
            if problem := shortage_of(error):
                return _error(unavailable(problem))
            return _error(ApiError("INTERNAL", "Internal error encountered."))

    async def _answer(self, request: Request) -> ASGIApp:
        if request.url.path == "/healthz":
            return PrettyResponse(await run_in_threadpool(self._health))
        if request.url.path == TOKEN_PATH:
            return PrettyResponse(TOKEN)
        if asked := inference.match(request.url.path):
            self._expect(request, "POST")
            check_location(request.url.path)
            return await self._faulty(asked.method, self._inference.answer, request, asked)
        if self._parts.as_google and (question := services.find(request.method, request.url.path)):
            return reply_of(request, question.answer(parse_body(await content_of(request)), self._situation))
        if neighbours.is_asked(request.method, request.url.path):
            query, body = request.query_params.multi_items(), parse_body(await content_of(request))
            reply = await run_in_threadpool(neighbours.answer, self._parts, request.url.path, query, body)
            return reply_of(request, reply)
        if self._parts.imports is not None and imports.is_asked(request.url.path):
            imports.check_key(request.headers.get("authorization", ""), self._parts.import_key)
            body = parse_body(await content_of(request))
            found = await run_in_threadpool(imports.answer, self._parts, request.method, request.url.path, body)
            return reply_of(request, found)
        path, values = self._find(request)
        return await self._faulty(path.route.method, self._call, request, path.route, values)

    @property
    def _situation(self) -> Situation:
        return Situation.read(self._faults.project())

    def _check_project(self, method: str, path: str) -> None:
        if not self._parts.as_google:
            return
        named = _PROJECT.search(path)
        project, resource = (named[1], named[0]) if named else (self._parts.project, "")
        self._situation.check_call(method, project, resource)

    async def _faulty(self, method: str, work: Any, request: Request, *arguments: Any) -> ASGIApp:
        self._check_project(method, request.url.path)
        fault = self._faults.next(method)
        if fault is not None:
            request.scope[FAULT] = fault
            await _before(fault)
        response: Response = await work(request, *arguments)
        if fault is not None and fault.mode == "drop_after":
            await _waste(response)
            raise Dropped
        return HalfAnswer(response, fault.size) if fault is not None and fault.mode == "half_answer" else response

    async def _call(self, request: Request, route: Route, values: dict[str, str]) -> Response:
        query = list(request.query_params.multi_items())
        version = values.pop("_version")
        host, fault = request.headers.get("host", ""), request.scope.get(FAULT)
        fault = fault if fault is not None and fault.mode == FAIL else None
        call = Call(self._parts, values, query, parse_body(await content_of(request)), host, version, fault)
        reply = await run_in_threadpool(self._run, route, call)
        if take := request.scope.get(TAKE_MESSAGE):
            take(reply)
            return Response()
        asked = request.query_params
        shown = render(reply, enums_as_ints=ENUMS_AS_INTS in (asked.get("$alt"), asked.get("alt")))
        if fields := asked.get("fields") or asked.get("$fields"):
            shown = keep_fields(shown, descriptor_of(type(reply)), fields)
        return reply_of(request, shown)

    def _run(self, route: Route, call: Call) -> Reply:
        """/ui/, where Google's clients poll, has no version of its own: it is the operation's."""
        if call.version == "v1" and "/operations" not in route.path and not versions.has_call(route.method):
            raise ApiError("NOT_FOUND", f"v1 has no {route.method}; v1beta1 has.")
        if route.verb != "GET":
            call.parts.store.require_room()
        reply = route.run(call)
        api = call.version
        if api == "ui" and isinstance(reply, Operation):
            api = call.parts.store.note(reply.name).get("api", "v1beta1")
        return versions.as_v1(reply) if api == "v1" else reply

    def _find(self, request: Request) -> tuple[Path, dict[str, str]]:
        check_location(request.url.path)
        matches = [(path, found) for path in PATHS if (found := path.pattern.match(request.url.path))]
        for path, found in matches:
            if path.route.verb == request.method:
                return path, {key.replace(_DOT, "."): value for key, value in found.groupdict().items()}
        if matches:
            self._expect(request, matches[0][0].route.verb)
        raise ApiError("NOT_FOUND", f"{request.method} {request.url.path} is not a call that this server knows.")

    def _expect(self, request: Request, verb: str) -> None:
        if request.method != verb:
            raise ApiError("NOT_FOUND", f"{request.url.path} takes {verb}, not {request.method}.")

    def _health(self) -> dict[str, Any]:
        base_models = [
            {"id": w.id, "state": w.state, "message": w.message, "tunable": w.trainable, "deployable": w.servable}
            for w in self._parts.weights.all()
        ]
        serving = {"models": self._parts.serving.states(), "budget_mb": self._parts.serving.budget // MEGABYTE}
        return {
            "status": "ok",
            "base_models": base_models,
            "running": self._parts.runner.running,
            "serving": serving,
            "devices": list_devices(look()),
        }


async def _before(fault: Fault) -> None:
    if fault.mode == "drop_before":
        raise Dropped
    if fault.mode == "delay":
        await asyncio.sleep(fault.seconds)
    if fault.mode == "refuse":
        raise Refused(fault)


class Refused(ApiError):
    """A fault: any HTTP code, whatever this server would have said."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(from_http(fault.status), fault.message)
        self.code = fault.status

    @property
    def http_code(self) -> int:
        return self.code


class HalfAnswer:
    """A fault: sends the headers and `size` bytes of the body, and never the whole of it, then ends the connection."""

    def __init__(self, whole: Response, size: int) -> None:
        self._whole = whole
        self._left = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def cut(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            else:
                await self._pass(message, send)
            if self._left <= 0:
                raise Dropped

        await self._whole(scope, receive, cut)

    async def _pass(self, message: Message, send: Send) -> None:
        body, last = message.get("body", b""), not message.get("more_body", False)
        part = body[: min(self._left, max(0, len(body.rstrip()) - 1) if last else len(body))]
        self._left = 0 if last else self._left - len(part)
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def _waste(response: Response) -> None:
    """What feeds a stream ends too."""
    if isinstance(response, Streamed):
        await response.waste()


async def _hang_up(send: Send) -> None:
    """Closes the socket under uvicorn's feet, after what was written has left: ASGI has no word for it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.close()
    await asyncio.sleep(0.01)


def _is_of_the_model(path: str) -> bool:
    """Whether a model server answers by itself: those who read its streams take each line as a whole."""
    asked = inference.match(path)
    return asked is not None and asked.is_small


def _error(error: ApiError, *, is_small: bool = False) -> JSONResponse:
    kind = JSONResponse if is_small else PrettyResponse
    response = kind(error.envelope(), error.http_code, media_type=PrettyResponse.media_type)
    if error.status == "UNAVAILABLE":
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response
