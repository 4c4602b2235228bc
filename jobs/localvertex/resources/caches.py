"""Cached contents: there are none, since no model here can be asked with one."""

from typing import NoReturn

from google.cloud.aiplatform_v1beta1.types import (
    CachedContent,
    DeleteCachedContentRequest,
    GetCachedContentRequest,
    ListCachedContentsRequest,
    ListCachedContentsResponse,
)
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.resources.call import Call, Route, list_page
from jobs.localvertex.resources.edits import mask

MUTABLE = ("expire_time", "ttl")


def create_cached_content(call: Call) -> CachedContent:
    wanted = call.resource(CachedContent)
    raise ApiError(
        "UNIMPLEMENTED",
        "Operation is not implemented, or supported, or enabled."
        f" The model {wanted.model or '(none)'} does not support cached content.",
    )


def get_cached_content(call: Call) -> CachedContent:
    _raise_not_found(call.request(GetCachedContentRequest).name)


def list_cached_contents(call: Call) -> ListCachedContentsResponse:
    none: list[CachedContent] = []
    found, _ = list_page(call.request(ListCachedContentsRequest), CachedContent, none)
    return ListCachedContentsResponse(cached_contents=found)


def update_cached_content(call: Call) -> CachedContent:
    call.resource(CachedContent, query=("update_mask",))
    mask(call, MUTABLE)
    _raise_not_found(call.path["cached_content.name"])


def delete_cached_content(call: Call) -> empty_pb2.Empty:
    _raise_not_found(call.request(DeleteCachedContentRequest).name)


def _raise_not_found(name: str) -> NoReturn:
    raise ApiError("NOT_FOUND", f"Not found: cached content metadata for {name.rpartition('/')[2]}.")


_CACHE = "projects/*/locations/*/cachedContents/*"
_PARENT = "{parent=projects/*/locations/*}/cachedContents"

ROUTES = [
    Route("create_cached_content", "POST", _PARENT, create_cached_content),
    Route("list_cached_contents", "GET", _PARENT, list_cached_contents),
    Route("get_cached_content", "GET", f"{{name={_CACHE}}}", get_cached_content),
    Route("update_cached_content", "PATCH", f"{{cached_content.name={_CACHE}}}", update_cached_content),
    Route("delete_cached_content", "DELETE", f"{{name={_CACHE}}}", delete_cached_content),
]
