"""Sentences that rows may still hold and no code says any more: here they keep their translation.

`python -m tests.support.kinds` writes this.
"""

# ruff: noqa: E501
from django.utils.translation import gettext_noop

TEXTS = (
    gettext_noop(
        "The model is used by: %(uses)s. Undeploy or cancel what uses it, or wait until that has ended, and remove the model then."
    ),
    gettext_noop("The file of the dataset %s is missing from this server. Upload it again."),
    gettext_noop(
        "Line %(line)d of the dataset %(dataset)s refers to %(uri)s, which you don't have permission to read. Remove it and upload the file again."
    ),
    gettext_noop("Remove it. The models that you can tune here learn from text only."),
    gettext_noop("Every row is at fault. Correct the rows and upload the file again."),
    gettext_noop("The terms of the model have to be accepted first. Make a clone of the job, which asks for it."),
    gettext_noop("Choose 1 to %(most)d hours."),
    gettext_noop("Choose 1 to %(most)d replicas, and not more at least than at most."),
    gettext_noop("Choose after how many hours the model is undeployed."),
    gettext_noop("unknown model"),
    gettext_noop("Only a tuning job that succeeded can be deployed. Wait until it has ended."),
    gettext_noop("A share is a whole number from 0 to 100."),
    gettext_noop(
        "In tokens, %(most)d if empty. The end of a longer row is cut off; a row without any of its answer is left out."
    ),
    gettext_noop("Chats can't go by the proxy of HTTPS_PROXY: its address must begin with http://, not %s://."),
    gettext_noop("The credentials do not allow this. Ask for the role roles/aiplatform.user. (%s)"),
    gettext_noop("The endpoint cannot be reached by the proxy %(proxy)s of HTTPS_PROXY: %(reason)s"),
)
