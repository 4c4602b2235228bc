"""Which cause a reason names: by Google's status word, and by the words of Vertex AI and of the local server."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from django.utils import translation

from jobs.text.deferred import render, serialize

from .causes import LONGEST_LINE, LONGEST_REASON, Cause

READ = 4000
LOG_LINES_READ = 60
ROWS_KEPT = 1000


class Rule(NamedTuple):
    """`codes` empty: any. A reason with one of `never` is about something else, whatever words it has."""

    cause: Cause
    pattern: str = ""
    codes: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()


_INVALID = frozenset({"INVALID_ARGUMENT"})
_REFUSED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})
# The first that fits counts.
RULES = (
    Rule(Cause.TERMS, r"\beula\b|licen[cs]e|not allowed to use publisher model|terms of use|accept the terms",
         never=_INVALID),
    Rule(Cause.STOCK_OUT, r"temporarily unavailable|not have enough resources|resource_pool_exhausted|stock-?out"
                          r"|insufficient capacity|resources are insufficient", never=_INVALID),
    Rule(Cause.MEMORY, r"out of memory|out-of-memory|oomkilled|too little memory|can't allocate memory|of memory, and"
                       r"|memory runs out|exit code 137|cuda error: out of|memory limit", never=_INVALID),
    Rule(Cause.DISK, r"disk (?:was|is) full|no space left", never=_INVALID),
    Rule(Cause.DIVERGED, r"loss (?:is|was|became) (?:not a number|nan|inf)|\bdiverged\b"),
    Rule(Cause.REGION, r"must be in the same regional location"),
    Rule(Cause.QUOTA_PROJECT, r"quota project|authenticated using end user credentials", never=_INVALID),
    Rule(Cause.API_DISABLED, r"api has not been used in project|service_disabled|\bapi \S+ isn't enabled",
         never=_INVALID),
    Rule(Cause.BILLING, r"billing to be enabled|billing_disabled|billing isn't enabled", never=_INVALID),
    Rule(Cause.QUOTA, r"\bquotas?\b", never=_INVALID),
    Rule(Cause.QUOTA, codes=frozenset({"RESOURCE_EXHAUSTED"})),
    Rule(Cause.PERMISSION, codes=_REFUSED),
    Rule(Cause.PERMISSION, r"permission|access to the bucket|does not have storage\.|don't have access",
         never=_INVALID),
    Rule(Cause.VALIDATION_DATA, r"validation[ _](?:data|dataset)"),
    Rule(Cause.START_GONE, r"model to continue|custom_?base_?model"),
    Rule(Cause.OUTPUT, r"output[ _](?:uri|folder|directory)"),
    Rule(Cause.WEIGHTS_GONE, r"is empty or not there|no model in gs://|bucket of gs://\S+ doesn't exist"
                             r"|weights (?:of \S+ )?are not on this machine"),
    Rule(Cause.DATA, r"\b(?:lines?|rows?) \d|training[ _](?:data|dataset)|\bjsonl\b|\bdataset\b"),
    Rule(Cause.NEVER_READY, r"never became ready|wasn't deployed within|not become (?:ready|healthy)|health check"),
    Rule(Cause.NEVER_READY, codes=frozenset({"DEADLINE_EXCEEDED"})),
    Rule(Cause.WORKER_GONE, r"hung and was ended|training process (?:was|ended)|model server (?:ended|exited|crashed)"
                            r"|exited (?:unexpectedly|with)|ended (?:by|with) (?:the )?(?:signal|code)|preempt"
                            r"|worker (?:pool )?(?:was |is )?(?:lost|gone|terminated|failed)|non-zero (?:exit )?status",
         never=_INVALID),
    Rule(Cause.TAKEN, codes=frozenset({"ALREADY_EXISTS"})),
    Rule(Cause.VANISHED, codes=frozenset({"NOT_FOUND"})),
)  # fmt: skip
_COMPILED = [(rule, re.compile(rule.pattern, re.IGNORECASE)) for rule in RULES]
_OF_FIELD = {
    "dataset": Cause.DATA, "validation_dataset": Cause.VALIDATION_DATA, "output_uri": Cause.OUTPUT,
    "custom_base_model": Cause.START_GONE,
}  # fmt: skip

_ROWS = re.compile(r"\b(?:lines?|rows?) (\d{1,9}\b(?:, \d{1,9}\b){0,1000})", re.IGNORECASE)
_COMMAND = re.compile(r"Run: (gcloud [^()\n]{1,400}?)(?: \(|\.?$)")
_QUOTA = re.compile(r"\b(?:[a-z]+\.googleapis\.com/\w{1,120}|[A-Z][A-Za-z0-9]{5,80}Per[A-Z]\w{1,40}"
                    r"|GlobalConcurrent\w{1,80})")  # fmt: skip
_MEGABYTES = re.compile(r"\b\d[\d.,]{0,12} ?[KMGT]i?B\b")
_PLACE = re.compile(r"\bis in location `([a-z0-9-]{1,40})`")
_STEP = re.compile(r"\bat step (\d{1,9})")


def in_english(text: str) -> str:
    """What a row says, whatever language it is read in; text from elsewhere as it is."""
    with translation.override(None):
        return str(render(serialize(text)))


def find_cause(code: str, text: str, field: str = "") -> Cause:
    """`field`: that of the request which the console itself found at fault."""
    if field in _OF_FIELD:
        return _OF_FIELD[field]
    read = text[:READ]
    for rule, pattern in _COMPILED:
        if code in rule.never or (rule.codes and code not in rule.codes):
            continue
        if not rule.pattern or pattern.search(read):
            return rule.cause
    return Cause.UNKNOWN


def find_line(log: str, cause: Cause) -> str:
    """The last line of a log that tells of this cause, without its end where it is long."""
    patterns = [pattern for rule, pattern in _COMPILED if rule.cause == cause and rule.pattern]
    lines = reversed(log.splitlines()[-LOG_LINES_READ:])
    return next((line.strip()[:LONGEST_LINE] for line in lines if _fits(patterns, line)), "")


def _fits(patterns: Iterable[re.Pattern[str]], line: str) -> bool:
    return any(pattern.search(line[:READ]) for pattern in patterns)


def find_rows(text: str) -> tuple[int, ...]:
    """The numbers of lines that a reason names, each once, in their order."""
    found = (number for match in _ROWS.finditer(text[: READ * 2]) for number in match[1].split(", "))
    return tuple(sorted({int(number) for number in found} - {0})[:ROWS_KEPT])


def find_command(text: str) -> str:
    found = _COMMAND.search(text[:READ])
    return found[1] if found else ""


def find_quota(text: str) -> str:
    found = _QUOTA.search(text[:READ])
    return found[0] if found else ""


def find_memory(text: str) -> str:
    return ", ".join(dict.fromkeys(_MEGABYTES.findall(text[:READ])))


def find_place(text: str) -> str:
    """Where the bucket is that a reason names."""
    found = _PLACE.search(text[:READ])
    return found[1] if found else ""


def find_step(text: str) -> int | None:
    found = _STEP.search(text[:READ])
    return int(found[1]) if found else None


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
