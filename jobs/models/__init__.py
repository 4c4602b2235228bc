from .account import Heartbeat, Installation, SignInLink
from .catalogue import CatalogueSync, PublisherModel
from .chat import Conversation, Message, Role
from .dataset import ROW_LIMITS, Dataset, DatasetFormat
from .endpoint import Endpoint, EndpointEvent, LeaseKind
from .tuning import EventLevel, JobEvent, Metric, TuningDraft, TuningJob, TuningMode, series

__all__ = [
    "ROW_LIMITS",
    "CatalogueSync",
    "Conversation",
    "Dataset",
    "DatasetFormat",
    "Endpoint",
    "EndpointEvent",
    "EventLevel",
    "Heartbeat",
    "Installation",
    "JobEvent",
    "LeaseKind",
    "Message",
    "Metric",
    "PublisherModel",
    "Role",
    "SignInLink",
    "TuningDraft",
    "TuningJob",
    "TuningMode",
    "series",
]
