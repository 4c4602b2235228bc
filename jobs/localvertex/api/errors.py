"""What this server says no with, in Google's words and numbers."""

from dataclasses import dataclass, field
from typing import Any

# status → (HTTP code, gRPC code), from google/rpc/code.proto
CODES: dict[str, tuple[int, int]] = {
    "CANCELLED": (499, 1),
    "INVALID_ARGUMENT": (400, 3),
    "DEADLINE_EXCEEDED": (504, 4),
    "NOT_FOUND": (404, 5),
    "ALREADY_EXISTS": (409, 6),
    "PERMISSION_DENIED": (403, 7),
    "RESOURCE_EXHAUSTED": (429, 8),
    "FAILED_PRECONDITION": (400, 9),
    "ABORTED": (409, 10),
    "UNIMPLEMENTED": (501, 12),
    "INTERNAL": (500, 13),
    "UNAVAILABLE": (503, 14),
}


@dataclass
class ApiError(Exception):
    status: str
    message: str
    details: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.message

    @property
    def http_code(self) -> int:
        return CODES[self.status][0]

    @property
    def grpc_code(self) -> int:
        return CODES[self.status][1]

    def envelope(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.http_code, "message": self.message, "status": self.status}
        if self.details:
            body["details"] = self.details
        return {"error": body}


def invalid(message: str, field_name: str = "") -> ApiError:
    if not field_name:
        return ApiError("INVALID_ARGUMENT", message)
    violation = {"field": field_name, "description": message}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return ApiError("INVALID_ARGUMENT", message, [detail])


def not_found(what: str) -> ApiError:
    return ApiError("NOT_FOUND", f"{what} is not found.")


def precondition(message: str) -> ApiError:
    return ApiError("FAILED_PRECONDITION", message)


def exists(what: str) -> ApiError:
    return ApiError("ALREADY_EXISTS", f"{what} already exists.")


def unavailable(message: str) -> ApiError:
    return ApiError("UNAVAILABLE", message)


def from_http(code: int) -> str:
    """The status that Google's front end answers with for an HTTP code."""
    return next((status for status, (http, _) in CODES.items() if http == code), "INTERNAL")
