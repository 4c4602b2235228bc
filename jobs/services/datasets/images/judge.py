"""Whether the images that rows name are there, and may be read by whoever owns the rows."""

from collections.abc import Collection, Mapping
from functools import cached_property

from django.contrib.auth.models import User

from jobs.models import DatasetImage
from jobs.models.fields.uris import canonical
from jobs.services.storage import policies
from jobs.text.deferred import gettext as _
from jobs.text.printable import printable

from . import places
from .parts import Fault, RowImage

LONGEST_SHOWN = 200


class Judge:
    """For the rows of one person. `fresh`: files that came along with the rows; `refused`: why others did not, by their
    names. What lies in buckets is not looked at: only the worker may ask there."""

    def __init__(
        self, owner: User, fresh: Collection[str] = (), refused: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        self._owner, self._fresh, self._refused = owner, fresh, refused or {}
        self._answers: dict[str, tuple[str, str] | None] = {}

    def __call__(self, image: RowImage) -> Fault | None:
        if image.is_inline:
            return None
        if image.address not in self._answers:
            self._answers[image.address] = self._find_problem(image.address)
        problem = self._answers[image.address]
        return (image.path, *problem) if problem else None

    def _find_problem(self, address: str) -> tuple[str, str] | None:
        """And its remedy."""
        if address in self._refused:
            return self._refused[address]
        shown = printable(address[:LONGEST_SHOWN])
        if not address.startswith("gs://"):
            return _say_not_stored(address, shown)
        if file := places.own_file(self._owner.pk, address):
            return None if file in self._fresh or file in self._known else _say_lost(shown)
        if reason := policies.why_not_read(self._owner, address):
            return reason, _("Remove the image, or refer to one that you have access to.")
        if canonical(address) != address:
            return _("%s is a folder, not an image.") % shown, _("Refer to the image itself.")
        return None

    @cached_property
    def _known(self) -> frozenset[str]:
        files = DatasetImage.objects.filter(dataset__owner=self._owner).values_list("file", flat=True)
        return frozenset(files.distinct())


def _say_not_stored(address: str, shown: str) -> tuple[str, str]:
    if address.lower().startswith(("http:", "https:")):
        remedy = _("Upload the rows and their images together as a zip file, or refer to images by gs:// paths.")
        return _("Images on the web are never fetched: %s.") % shown, remedy
    remedy = _("Upload the rows and their images together as a zip file, and check the name of this one.")
    return _("The image %s is not among the images of this dataset.") % shown, remedy


def _say_lost(shown: str) -> tuple[str, str]:
    remedy = _("Upload the zip file with the rows and their images again.")
    return _("The console has no image for %s.") % shown, remedy
