from .account import AccountPreference, Density, Heartbeat, Installation, SignInLink, Theme, preference_of
from .catalogue import CatalogueSync, PublisherModel
from .chat import LONGEST_ANSWER, ChatPreset, Comparison, Conversation, Message, Picture, Role, ShareLink, Vote
from .dataset import ROW_LIMITS, Dataset, DatasetFormat, DatasetPart, DatasetShape
from .endpoint import Endpoint, EndpointEvent, LeaseKind, ServedModel
from .further import FurtherModel
from .status import PartState, ProbeResult
from .storage import StorageListing
from .tuning import (
    GROUPS,
    EventLevel,
    JobEvent,
    Metric,
    Series,
    StatusGroup,
    TuningDraft,
    TuningJob,
    TuningJobQuerySet,
    TuningMode,
    series,
    thinned,
)

__all__ = [
    "GROUPS",
    "LONGEST_ANSWER",
    "ROW_LIMITS",
    "AccountPreference",
    "CatalogueSync",
    "ChatPreset",
    "Comparison",
    "Conversation",
    "Dataset",
    "DatasetFormat",
    "Density",
    "DatasetPart",
    "DatasetShape",
    "Endpoint",
    "EndpointEvent",
    "EventLevel",
    "FurtherModel",
    "Heartbeat",
    "Installation",
    "JobEvent",
    "LeaseKind",
    "Message",
    "Metric",
    "PartState",
    "Picture",
    "ProbeResult",
    "PublisherModel",
    "Role",
    "ServedModel",
    "ShareLink",
    "SignInLink",
    "Series",
    "StatusGroup",
    "StorageListing",
    "Theme",
    "TuningDraft",
    "TuningJob",
    "TuningJobQuerySet",
    "TuningMode",
    "Vote",
    "preference_of",
    "series",
    "thinned",
]
