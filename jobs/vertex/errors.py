"""What the gateway raises; no other exception leaves it.

VertexError
├── Refused              definitive: the request is wrong or not allowed; the same call will be refused again
│   ├── NotFound         the named resource does not exist
│   ├── AlreadyExists    the chosen id is taken
│   ├── NotAuthorised    credentials missing, expired or without the role
│   ├── LicenceRequired  the model's licence is not accepted in this project
│   └── StockOut         no free machine of the type asked for, here and now; another one or another region may do
├── NotSent              the request provably never left, whatever the reason: may be sent again
├── Unavailable          a read failed for now; retry later
│   └── OverQuota        429: retry later, and say so
└── OutcomeUnknown       a create was sent and no definite answer came back: it may or may not exist

`str(error)` is a sentence with the remedy; `code` is Google's status word, such as INVALID_ARGUMENT. Where that word
says too little, a chat has its own: CONTEXT_LENGTH, NO_IMAGES, NO_TOOLS, QUOTA, COLD. UNREADABLE_FILE: of the
credentials.
"""

NO_TOOLS = "NO_TOOLS"
UNAUTHENTICATED, UNREADABLE_FILE = "UNAUTHENTICATED", "UNREADABLE_FILE"
# No replica is there yet, and the request that says so has asked for one: it was dropped, and may be sent again.
COLD = "COLD"


class VertexError(Exception):
    retryable = False

    def __init__(self, message: str, code: str = "UNKNOWN", retry_after: float = 0) -> None:
        """`retry_after`: for how many seconds the server asks to wait, where it does."""
        super().__init__(message)
        self.code, self.retry_after = code, retry_after

    @property
    def is_about_credentials(self) -> bool:
        """It was not looked at what was asked for, because nobody is known to ask."""
        return self.code in (UNAUTHENTICATED, UNREADABLE_FILE)


class Refused(VertexError):
    pass


class NotFound(Refused):
    pass


class AlreadyExists(Refused):
    pass


class NotAuthorised(Refused):
    pass


class LicenceRequired(Refused):
    pass


class StockOut(Refused):
    pass


class NotSent(VertexError):
    retryable = True


class Unavailable(VertexError):
    retryable = True


class OverQuota(Unavailable):
    pass


class OutcomeUnknown(VertexError):
    pass
