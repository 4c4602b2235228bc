from .account import Heartbeat, Installation, SignInLink
from .catalogue import CatalogueSync, PublisherModel
from .chat import LONGEST_ANSWER, ChatPreset, Comparison, Conversation, Message, Picture, Role, ShareLink, Vote
from .dataset import ROW_LIMITS, Dataset, DatasetFormat
from .endpoint import Endpoint, EndpointEvent, LeaseKind
from .tuning import EventLevel, JobEvent, Metric, TuningDraft, TuningJob, TuningMode, series

__all__ = [
    "LONGEST_ANSWER",
    "ROW_LIMITS",
    "CatalogueSync",
    "ChatPreset",
    "Comparison",
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
    "Picture",
    "PublisherModel",
    "Role",
    "ShareLink",
    "SignInLink",
    "TuningDraft",
    "TuningJob",
    "TuningMode",
    "Vote",
    "series",
]
