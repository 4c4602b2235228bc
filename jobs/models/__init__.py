from .account import Heartbeat, Installation, SignInLink
from .catalogue import CatalogueSync, PublisherModel
from .chat import Conversation, Message, Role
from .dataset import ROW_LIMITS, Dataset, DatasetFormat, DatasetPart, DatasetShape
from .endpoint import Endpoint
from .tuning import EventLevel, JobEvent, Metric, TuningDraft, TuningJob, TuningMode, series

__all__ = [
    "ROW_LIMITS",
    "CatalogueSync",
    "Conversation",
    "Dataset",
    "DatasetFormat",
    "DatasetPart",
    "DatasetShape",
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
    "TuningDraft",
    "TuningJob",
    "TuningMode",
    "series",
]
