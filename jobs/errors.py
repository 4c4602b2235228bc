"""What can go wrong in the domain.

JobsError
├── InvalidTransition     a state change that the table forbids
├── NotAllowedNow         the action does not fit the state of the thing; the message says what to do
│   ├── SpendingLimitReached   it would cost more than may be spent today
│   └── InvalidValues   what was asked for cannot be; each problem has a code, a field and a sentence
├── KeyReused             one form key, two different requests
├── NoRoom                the disk has too little room for it, or can only be read
├── ImageRefused        a file that is no picture a model could see; the message says why and the remedy
├── ImageGone           the file of a picture is not there any more; the message names it and says the remedy
├── StoreUnavailable      the store of files does not answer or refuses the console; nothing was changed in it
└── DatasetRejected       a file that cannot be used at all; the message says why and the remedy
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs import origin


class JobsError(Exception):
    """`str(error)` is a sentence for the person. If the request ends with a refusal, this is why."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        origin.refuse(re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower())


class InvalidTransition(JobsError):
    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"{old} cannot become {new}.")
        self.old, self.new = old, new


class NotAllowedNow(JobsError):
    pass


class SpendingLimitReached(NotAllowedNow):
    pass


@dataclass(frozen=True)
class Problem:
    """`code` is for programs, `field` as the request calls it, `sentence` for the person: what is wrong, and the
    remedy."""

    code: str
    field: str
    sentence: str


class InvalidValues(NotAllowedNow):
    """`str(error)` has the sentences of all problems."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        sentences = [problem.sentence for problem in self.problems]
        super().__init__(sentences[0] if len(sentences) == 1 else " ".join(sentences))


class KeyReused(JobsError):
    pass


class NoRoom(JobsError):
    pass


class DatasetRejected(JobsError):
    pass


class ImageRefused(JobsError):
    pass


class ImageGone(JobsError):
    pass


class StoreUnavailable(JobsError):
    pass


def refuse_for(reason: str) -> None:
    """Raises NotAllowedNow with the sentence, if there is one: what `why_not_x` answered, for `check_can_x`."""
    if reason:
        raise NotAllowedNow(reason)
