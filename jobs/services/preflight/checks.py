"""Each check asks Google Cloud one or two free questions. What it is not allowed to ask is unknown, and said so."""

from collections.abc import Callable, Iterator
from functools import cached_property

from django.conf import settings

from jobs.models import PublisherModel
from jobs.services.catalogue import policies as catalogue, regions
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway, grants
from jobs.vertex.errors import NotFound, OverQuota, Refused, VertexError

from .lines import Check, Line, Subject, Verdict

TUNING_RIGHTS = ("aiplatform.tuningJobs.create", "aiplatform.tuningJobs.get", "aiplatform.tuningJobs.cancel")
CONTAINER_RIGHTS = ("aiplatform.customJobs.create", "aiplatform.customJobs.get", "aiplatform.customJobs.cancel")
SERVING_RIGHTS = ("aiplatform.endpoints.create", "aiplatform.endpoints.deploy", "aiplatform.models.upload")
# Quotas of Vertex AI, by accelerator: as `gcloud ai model-garden models deploy` asks for them.
SERVING_QUOTAS = {
    "NVIDIA_L4": "L4", "NVIDIA_TESLA_T4": "T4", "NVIDIA_TESLA_P4": "P4", "NVIDIA_TESLA_V100": "V100",
    "NVIDIA_TESLA_P100": "P100", "NVIDIA_TESLA_A100": "A100", "NVIDIA_A100_80GB": "A10080GB",
    "NVIDIA_H100_80GB": "H100", "NVIDIA_RTX_PRO_6000": "RTXPRO6000",
}  # fmt: skip
TRAINING_QUOTAS = {"NVIDIA_L4": "L4", "NVIDIA_TESLA_A100": "A100", "NVIDIA_A100_80GB": "A10080GB"}
TUNING_QUOTA = "GlobalConcurrentManagedOssModelTuningJobs"
AGENTS = ("gcp-sa-aiplatform", "gcp-sa-vertex-moss-ft")
# As which a container runs, unless it has an account of its own.
CONTAINER_AGENTS = ("gcp-sa-aiplatform", "gcp-sa-aiplatform-cc")
WRITES = frozenset({
    "roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin", "roles/storage.legacyBucketOwner",
})  # fmt: skip
# Multi-regions of Cloud Storage, and the beginnings of the regions that lie in them.
MULTI_REGIONS = {"us": ("us-",), "eu": ("europe-",), "asia": ("asia-",)}
UNLIMITED = -1


class Preflight:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.gateway = subject, get_gateway()

    def lines(self) -> Iterator[Line]:
        """In the order in which they depend on each other. Where nobody is signed in nothing else can be asked."""
        signed_in = self._ask(Check.CREDENTIALS, self._credentials)
        yield signed_in
        if signed_in.verdict == Verdict.FAILED:
            return
        for check, look in self._checks():
            yield self._ask(check, look)
        if self.subject.is_serving:
            yield Line(Check.CAPACITY, Verdict.UNKNOWN, _("Free machines can't be known before the deployment."))

    def _checks(self) -> Iterator[tuple[Check, Callable[[], Line]]]:
        yield Check.API, self._api
        yield Check.BILLING, self._billing
        yield Check.RIGHTS, self._rights
        if self.subject.bucket:
            yield Check.BUCKET, self._bucket
            yield Check.BUCKET_REGION, self._bucket_region
            yield Check.AGENTS, self._agents
        if self.subject.data_buckets:
            yield Check.DATA_REGION, self._data_region
        if self.subject.base_model:
            yield Check.TERMS, self._terms
        if self.subject.training_accelerator:
            yield Check.TRAINING_QUOTA, self._training_quota
        elif self.subject.is_tuning:
            yield Check.TUNING_QUOTA, self._tuning_quota
        if self.subject.is_serving and self.subject.accelerators:
            yield Check.SERVING_QUOTA, self._serving_quota

    def _ask(self, check: Check, look: Callable[[], Line]) -> Line:
        try:
            return look()
        except VertexError as error:
            failed = check in DEFINITE and isinstance(error, Refused) and not isinstance(error, OverQuota)
            return Line(check, Verdict.FAILED if failed else Verdict.UNKNOWN, str(error))

    def _credentials(self) -> Line:
        found = self.gateway.connection.credentials()
        return Line(Check.CREDENTIALS, Verdict.PASSED, found.principal)

    def _api(self) -> Line:
        self.gateway.connection.look()
        return Line(Check.API, Verdict.PASSED, grants.VERTEX)

    def _billing(self) -> Line:
        if self.gateway.project.has_billing():
            return Line(Check.BILLING, Verdict.PASSED)
        text = _("The project has no billing account that is open.")
        return Line(Check.BILLING, Verdict.FAILED, text, (grants.link_billing(),))

    def _rights(self) -> Line:
        training = CONTAINER_RIGHTS if self.subject.training_accelerator else TUNING_RIGHTS
        wanted = (training if self.subject.is_tuning else ()) + (SERVING_RIGHTS if self.subject.is_serving else ())
        missing = self.gateway.project.missing_permissions(wanted or TUNING_RIGHTS + SERVING_RIGHTS)
        if not missing:
            return Line(Check.RIGHTS, Verdict.PASSED)
        command = grants.grant_on_project(self._account, grants.ROLE_OF_VERTEX)
        text = _("The console's account lacks %(rights)s.") % {"rights": ", ".join(missing)}
        return Line(Check.RIGHTS, Verdict.FAILED, text, (command,))

    def _bucket(self) -> Line:
        problem = self.gateway.storage.problem_with_output(self.subject.bucket)
        if not problem:
            return Line(Check.BUCKET, Verdict.PASSED, self._bucket_uri)
        if self._location:
            command = grants.grant_on_bucket(self._bucket_name, self._account)
        else:
            command = grants.create_bucket(self._bucket_name, self._region or settings.VERTEX_LOCATION)
        return Line(Check.BUCKET, Verdict.FAILED, problem, (command,))

    def _bucket_region(self) -> Line:
        if not self._location:
            return Line(Check.BUCKET_REGION, Verdict.UNKNOWN, _("The bucket has to exist first."))
        if not self._region or _lies_in(self._region, self._location):
            return Line(Check.BUCKET_REGION, Verdict.PASSED, self._location)
        text = _("The bucket is in %(bucket)s, and the job in %(region)s. Choose a bucket or a region to match.")
        words = {"bucket": self._location, "region": self._region}
        command = grants.create_bucket(f"{self._bucket_name}-{self._region}", self._region)
        return Line(Check.BUCKET_REGION, Verdict.WARNING, text % words, (command,))

    def _data_region(self) -> Line:
        places = {bucket: self._find_location(bucket) for bucket in self.subject.data_buckets}
        if missing := [bucket for bucket, place in places.items() if not place]:
            text = _("The bucket %(bucket)s has to exist first.") % {"bucket": missing[0]}
            return Line(Check.DATA_REGION, Verdict.UNKNOWN, text)
        listed = ", ".join(f"{bucket} ({place})" for bucket, place in places.items())
        far = [bucket for bucket, place in places.items() if self._region and not _lies_in(self._region, place)]
        if not far:
            return Line(Check.DATA_REGION, Verdict.PASSED, listed)
        text = _(
            "The job is in %(region)s, and reads from %(buckets)s. Copy the data to a bucket there, or choose a region "
            "to match."
        )
        words = {"region": self._region, "buckets": ", ".join(f"{bucket} ({places[bucket]})" for bucket in far)}
        names = [bucket.removeprefix("gs://") for bucket in far]
        commands = tuple(grants.create_bucket(f"{name}-{self._region}", self._region) for name in names)
        return Line(Check.DATA_REGION, Verdict.WARNING, text % words, commands)

    def _agents(self) -> Line:
        """Grants on the whole project are not seen here, so what is missing on the bucket is a warning."""
        number = self.gateway.project.number()
        wanted = self._name_agents(number)
        by_role = self.gateway.storage.members_by_role(self.subject.bucket)
        granted = {member for role, members in by_role.items() if role in WRITES for member in members}
        missing = [account for account in wanted if grants.name_member(account) not in granted]
        if not missing:
            return Line(Check.AGENTS, Verdict.PASSED)
        commands = tuple(grants.grant_on_bucket(self._bucket_name, account) for account in missing)
        text = _("Vertex AI's own accounts have no role on the bucket, unless one on the whole project covers it.")
        return Line(Check.AGENTS, Verdict.WARNING, text, commands)

    def _name_agents(self, number: str) -> list[str]:
        if not self.subject.training_accelerator:
            return [grants.name_agent(number, agent) for agent in AGENTS]
        own = settings.VERTEX_TRAINER_ACCOUNT
        return [own] if own else [grants.name_agent(number, agent) for agent in CONTAINER_AGENTS]

    def _terms(self) -> Line:
        model = PublisherModel.objects.filter(name=self.subject.base_model).first()
        licence = catalogue.licence_to_accept(model) if model else ""
        if self.gateway.catalogue.licence_acknowledged(self.subject.base_model) or not licence:
            return Line(Check.TERMS, Verdict.PASSED)
        text = _("The %(licence)s must be accepted, which you do with the check box on this page.")
        return Line(Check.TERMS, Verdict.WARNING, text % {"licence": licence})

    def _tuning_quota(self) -> Line:
        running = self.gateway.tuning.count_running(self.subject.location)
        limit = self.gateway.project.quota(TUNING_QUOTA, self.subject.location)
        words = {"running": running, "limit": limit}
        if limit is None:
            text = _("Running tuning jobs: %(running)d. The quota of the project can't be read.") % words
            return Line(Check.TUNING_QUOTA, Verdict.UNKNOWN, text)
        if limit == UNLIMITED or running < limit:
            return Line(Check.TUNING_QUOTA, Verdict.PASSED)
        text = _("Running tuning jobs: %(running)d of %(limit)d. A new job waits until one ends.") % words
        return Line(Check.TUNING_QUOTA, Verdict.WARNING, text)

    def _serving_quota(self) -> Line:
        subject = self.subject
        if subject.accelerator_type not in SERVING_QUOTAS:
            text = _("The quota for %(accelerator)s isn't known by name.") % {"accelerator": subject.accelerator_type}
            return Line(Check.SERVING_QUOTA, Verdict.UNKNOWN, text)
        name = f"CustomModelServing{SERVING_QUOTAS[subject.accelerator_type]}GPUsPerProjectPerRegion"
        return self._accelerator_quota(Check.SERVING_QUOTA, name, subject.serving_location, subject.accelerators)

    def _training_quota(self) -> Line:
        """Of containers of one's own: Google's restricted images have another."""
        name = f"CustomModelTraining{TRAINING_QUOTAS[self.subject.training_accelerator]}GPUsPerProjectPerRegion"
        return self._accelerator_quota(Check.TRAINING_QUOTA, name, self.subject.location, 1)

    def _accelerator_quota(self, check: Check, name: str, region: str, wanted: int) -> Line:
        limit = self.gateway.project.quota(name, region)
        words = {"quota": name, "region": region, "limit": limit, "wanted": wanted}
        if limit is None:
            return Line(check, Verdict.UNKNOWN, _("The quota %(quota)s in %(region)s can't be read.") % words)
        if limit == UNLIMITED or limit >= wanted:
            return Line(check, Verdict.PASSED)
        command = grants.ask_for_quota(name, wanted, region)
        text = _("Accelerators needed: %(wanted)d. The quota %(quota)s in %(region)s is %(limit)d.") % words
        return Line(check, Verdict.FAILED, text, (command,))

    @cached_property
    def _location(self) -> str:
        return self._find_location(self.subject.bucket)

    def _find_location(self, bucket: str) -> str:
        """Nothing where there is none."""
        try:
            return self.gateway.storage.bucket_location(bucket)
        except NotFound:
            return ""

    @property
    def _region(self) -> str:
        return "" if self.subject.location == regions.GLOBAL else self.subject.location

    @property
    def _bucket_uri(self) -> str:
        return "/".join(self.subject.bucket.split("/")[:3])

    @property
    def _bucket_name(self) -> str:
        return self.subject.bucket.removeprefix("gs://").partition("/")[0]

    @cached_property
    def _account(self) -> str:
        return self.gateway.connection.credentials().principal


# Where a refusal is the answer to what was asked, and not the loss of it.
DEFINITE = frozenset({Check.CREDENTIALS, Check.API, Check.BUCKET})


def _lies_in(region: str, location: str) -> bool:
    return location == region or region.startswith(MULTI_REGIONS.get(location, ("\0",)))
