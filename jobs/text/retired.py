"""Sentences that rows may still hold and no code says any more: here they keep their translation.

`python -m tests.support.kinds` writes this.
"""

# ruff: noqa: E501
from django.utils.translation import gettext_noop

TEXTS = (
    gettext_noop("Choose 1 to %(most)d hours."),
    gettext_noop("Choose 1 to %(most)d replicas, and not more at least than at most."),
    gettext_noop("Choose after how many hours the model is undeployed."),
    gettext_noop("unknown model"),
    gettext_noop("Only a tuning job that succeeded can be deployed. Wait until it has ended."),
    gettext_noop("A share is a whole number from 0 to 100."),
    gettext_noop("The credentials do not allow this. Ask for the role roles/aiplatform.user. (%s)"),
)
