from .account import AccountPreference, Density, Heartbeat, Installation, SignInLink
from .catalogue import CatalogueSync, PublisherModel
from .chat import Conversation, Message, Role
from .dataset import ROW_LIMITS, Dataset, DatasetFormat
from .endpoint import Endpoint
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
    "ROW_LIMITS",
    "AccountPreference",
    "CatalogueSync",
    "Conversation",
    "Dataset",
    "DatasetFormat",
    "Density",
    "Endpoint",
    "EventLevel",
    "Heartbeat",
    "Installation",
    "JobEvent",
    "Message",
    "Metric",
    "PublisherModel",
    "Role",
    "SignInLink",
    "Series",
    "StatusGroup",
    "TuningDraft",
    "TuningJob",
    "TuningJobQuerySet",
    "TuningMode",
    "series",
    "thinned",
]
