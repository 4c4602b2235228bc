from .account import AccountPreference, Density, Heartbeat, Installation, SignInLink, Theme, preference_of
from .catalogue import CatalogueSync, PublisherModel
from .chat import BARE, LONGEST_ANSWER, ChatPreset, Comparison, Conversation, Message, Picture, Role, ShareLink, Vote
from .dataset import ROW_LIMITS, Dataset, DatasetFormat, DatasetPart, DatasetShape
from .endpoint import Endpoint, EndpointEvent, LeaseKind, ServedModel
from .further import FurtherModel
from .notification import (
    WANTED_AT_FIRST,
    Bell,
    Delivery,
    DeliveryState,
    Notification,
    NotificationChoice,
    Problem,
    bell_of,
)
from .notification import Subject as NotificationSubject
from .notification import Way as NotificationWay
from .notification_words import Kind as NotificationKind
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
    "BARE",
    "GROUPS",
    "LONGEST_ANSWER",
    "ROW_LIMITS",
    "WANTED_AT_FIRST",
    "AccountPreference",
    "Bell",
    "CatalogueSync",
    "ChatPreset",
    "Comparison",
    "Conversation",
    "Dataset",
    "DatasetFormat",
    "Delivery",
    "DeliveryState",
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
    "Notification",
    "NotificationChoice",
    "NotificationKind",
    "NotificationSubject",
    "NotificationWay",
    "PartState",
    "Picture",
    "ProbeResult",
    "Problem",
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
    "bell_of",
    "preference_of",
    "series",
    "thinned",
]
