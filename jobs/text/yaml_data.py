"""YAML from a stranger, as far as it says no more than JSON could: values, lists and objects, each written where it is.

References are refused, since a few lines of them stand for more than any memory holds; so are tags, which name types.
"""

import yaml

from .deferred import gettext as _

DEEPEST = 20


def read_yaml(text: str) -> object:
    """Raises ValueError with a sentence. The caller limits the length of the text."""
    try:
        _check_events(text)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        words = {"problem": error.problem or error.context, "line": mark.line + 1 if mark else 1}
        raise ValueError(_("line %(line)d: %(problem)s") % words) from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        words = {"line": event.start_mark.line + 1 if event.start_mark else 1}
        if getattr(event, "anchor", None):
            raise ValueError(_("line %(line)d: anchors and references are not read. Write the value itself.") % words)
        if getattr(event, "tag", None):
            raise ValueError(_("line %(line)d: tags are not read. Write the value alone.") % words)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > DEEPEST:
            raise ValueError(_("line %(line)d: it is nested too deeply.") % words)
        if documents > 1:
            raise ValueError(_("line %(line)d: there is a second document. Write one.") % words)
