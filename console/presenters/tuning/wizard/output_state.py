"""What is known about the output folder of a draft, in a word that the page shows."""

from dataclasses import dataclass
from datetime import datetime

from jobs.models import TuningDraft
from jobs.services.tuning.output_check import PATIENCE

UNKNOWN, ASKED, LATE, BAD, FREE, OCCUPIED, UNCLEAR = "unknown", "asked", "late", "bad", "free", "occupied", "unclear"


@dataclass(frozen=True)
class OutputState:
    """`text` is the sentence of Cloud Storage with BAD and UNCLEAR."""

    uri: str
    state: str
    text: str = ""
    checked_at: datetime | None = None


def output_state(draft: TuningDraft, uri: str, now: datetime) -> OutputState:
    known, uri = draft.output_check, uri.strip().rstrip("/")
    if not uri or known.get("uri") != uri:
        return OutputState(uri, UNKNOWN)
    if "checked_at" not in known:
        late = now - datetime.fromisoformat(known["asked_at"]) > PATIENCE
        return OutputState(uri, LATE if late else ASKED)
    checked_at = datetime.fromisoformat(known["checked_at"])
    if "unknown" in known:
        return OutputState(uri, UNCLEAR, known["unknown"], checked_at)
    if known["problem"]:
        return OutputState(uri, BAD, known["problem"], checked_at)
    return OutputState(uri, FREE if known["is_empty"] else OCCUPIED, checked_at=checked_at)
