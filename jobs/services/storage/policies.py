"""Who may read and write what in `gs://`. Everything that takes an address from a person asks here, and nowhere else.

The answers follow from rows alone and never from what lies in the bucket: a folder of somebody else and one that does
not exist are refused with the same words.
"""

from collections.abc import Iterable, Iterator
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q

from jobs.errors import NotAllowedNow
from jobs.files.address import place_of
from jobs.models import Dataset, SharedFolder, TuningJob, TuningJobQuerySet
from jobs.models.fields.uris import at_or_above, canonical, is_inside
from jobs.text.deferred import gettext as _


def why_not_read(user: User, uri: str) -> str:
    """A sentence, or nothing: an object or a folder that this person may look into, deploy, or go on from."""
    try:
        place = canonical(uri)
    except ValueError as error:
        return str(error)
    if not _is_of_the_console(place) and (user.is_superuser or _is_own(user, place) or _is_shared(user, place)):
        return ""
    return _(
        "You have no access to %s. You can use your own datasets, the output directories of your own tuning jobs, and "
        "folders that an administrator shares with you."
    ) % place  # fmt: skip


def check_can_read(user: User, uri: str) -> str:
    """The address in its one spelling, which is the one to use from here on."""
    if reason := why_not_read(user, uri):
        raise NotAllowedNow(reason)
    return canonical(uri)


def why_not_write(user: User, uri: str) -> str:
    """A sentence, or nothing: a folder that this person's jobs may write to, or to somewhere below."""
    try:
        place = canonical(uri)
    except ValueError as error:
        return str(error)
    if _holds_files_of_the_console(place):
        return _("You don't have permission to write to %s. The console keeps its own files there.") % place
    if user.is_superuser or (_may_write(user, place) and _claimant(place) in (None, user.pk)):
        return ""
    own = own_folder(user)
    if not own:
        return _("You don't have permission to write to %s. Ask an administrator to share a folder with you.") % place
    words = {"uri": place, "own": own}
    return (
        _(
            "You don't have permission to write to %(uri)s. Choose a folder below %(own)s, or ask an administrator"
            " to share a folder with you."
        )
        % words
    )


def check_can_write(user: User, uri: str) -> str:
    if reason := why_not_write(user, uri):
        raise NotAllowedNow(reason)
    return canonical(uri)


def why_not_claim(user: User, uri: str, job: UUID) -> str:
    """As `why_not_write`; and no job other than `job` writes there, above it or below it: each has a folder of its own,
    for ever."""
    if reason := why_not_write(user, uri):
        return reason
    return _why_taken(user, canonical(uri), TuningJob.objects.exclude(pk=job))


def check_can_claim(user: User, uri: str, job: UUID) -> str:
    if reason := why_not_claim(user, uri, job):
        raise NotAllowedNow(reason)
    return canonical(uri)


def why_not_empty(job: TuningJob) -> str:
    """Why the files below the output folder of a job may not be deleted: its owner may not write there any more, or
    another job has the same folder or one in it."""
    if reason := why_not_write(job.owner, job.output_uri):
        return reason
    if not job.owns_output or _why_taken(job.owner, canonical(job.output_uri), TuningJob.objects.exclude(pk=job.pk)):
        return _("The files stay: another tuning job has the same folder, or one above or below it.")
    return ""


def say_taken() -> str:
    return _("Another tuning job already writes to this folder. Choose a different folder.")


def _why_taken(user: User, place: str, jobs: TuningJobQuerySet) -> str:
    near = jobs.filter(Q(output_uri__in=at_or_above(place)) | Q(output_uri__startswith=f"{place}/"))
    # SQLite takes capitals for small letters here.
    taken = (found for found in near.values_list("output_uri", flat=True) if _overlap(found, place))
    folder = next(taken, "")
    if not folder:
        return ""
    if folder == place or why_not_read(user, folder):
        return say_taken()
    words = {"folder": folder}
    return _("Another tuning job writes to %(folder)s. Choose a folder that is not above or below it.") % words


def why_not_share(user: User) -> str:
    return "" if user.is_superuser else _("Only an administrator can share folders.")


def own_folder(user: User) -> str:
    """Where this person's jobs write unless told otherwise. By number: a name can be given to somebody else."""
    return f"{settings.VERTEX_BUCKET}/tuning/users/{user.pk}" if settings.VERTEX_BUCKET else ""


def images_folder(owner_id: int) -> str:
    """Where the images of this person's datasets lie for Vertex AI to read, by number as above."""
    return f"{settings.VERTEX_BUCKET}/datasets/users/{owner_id}/images" if settings.VERTEX_BUCKET else ""


def output_root(user: User) -> str:
    """What a new job is proposed a folder in."""
    if not user.is_superuser:
        return own_folder(user)
    return f"{settings.VERTEX_BUCKET}/tuning" if settings.VERTEX_BUCKET else ""


def folders_below(user: User, uri: str) -> list[str]:
    """The names right below `uri` that lead to what this person may read; "" stands above all buckets."""
    start = f"{uri}/" if uri else "gs://"
    found = {root.removeprefix(start).partition("/")[0] for root in _roots(user) if root.startswith(start)}
    return sorted(found)


def list_hidden_names(user: User, uri: str) -> set[str]:
    """The names right below a folder of this person where jobs of somebody else write."""
    own = {name} if (name := _name_below(uri, _place_of_files())) else set()
    if user.is_superuser or _is_shared(user, uri):
        return own
    others = TuningJob.objects.exclude(owner=user).filter(output_uri__startswith=f"{uri}/")
    names = {found.removeprefix(f"{uri}/") for found in others.values_list("output_uri", flat=True)}
    return own | {name for name in names if "/" not in name and why_not_read(user, f"{uri}/{name}")}


def _name_below(folder: str, place: str) -> str:
    """Of what lies right below the folder; nothing when `place` is elsewhere or further down."""
    name = place.removeprefix(f"{folder}/")
    return name if name != place and "/" not in name else ""


def _place_of_files() -> str:
    """Nothing where they lie in the data directory."""
    return place_of(settings.STORAGES["files"])


def _is_of_the_console(place: str) -> bool:
    """Datasets and pictures of everybody: nobody gets at them past the pages that ask whose they are."""
    kept = _place_of_files()
    return bool(kept) and is_inside(place, kept)


def _holds_files_of_the_console(place: str) -> bool:
    kept = _place_of_files()
    return bool(kept) and _overlap(place, kept)


def _roots(user: User) -> Iterator[str]:
    if own := own_folder(user):
        yield own
    yield from TuningJob.objects.visible_to(user).values_list("output_uri", flat=True).distinct().order_by()
    yield from SharedFolder.objects.shared_with(user).values_list("uri", flat=True)


def _is_own(user: User, place: str) -> bool:
    claimant = _claimant(place)
    if claimant is not None:
        return claimant == user.pk
    own = [folder for folder in (own_folder(user), images_folder(user.pk)) if folder]
    return any(is_inside(place, folder) for folder in own) or _is_own_dataset(user, place)


def _is_own_dataset(user: User, place: str) -> bool:
    folder = f"{settings.VERTEX_BUCKET}/datasets/"
    try:
        pk = UUID(place.removeprefix(folder).removesuffix(".jsonl"))
    except ValueError:
        return False
    return place == f"{folder}{pk}.jsonl" and Dataset.objects.visible_to(user).filter(pk=pk).exists()


def _claimant(place: str) -> int | None:
    """Whose output folder it lies in: that of the nearest job, and of two of one folder the earlier one."""
    claims = TuningJob.objects.filter(output_uri__in=at_or_above(place)).order_by("created_at")
    nearest = max(claims.values_list("output_uri", "owner_id"), key=lambda claim: len(claim[0]), default=None)
    return nearest[1] if nearest else None


def _is_shared(user: User, place: str) -> bool:
    return bool(SharedFolder.objects.shared_with(user).filter(uri__in=at_or_above(place)).exists())


def _may_write(user: User, place: str) -> bool:
    own = own_folder(user)
    shared: Iterable[str] = SharedFolder.objects.shared_with(user).filter(may_write=True).values_list("uri", flat=True)
    return any(is_inside(place, folder) for folder in [own, *shared] if folder)


def _overlap(one: str, other: str) -> bool:
    return is_inside(one, other) or is_inside(other, one)
