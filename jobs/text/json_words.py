"""What Python says of text that is no JSON, in the language of whoever reads it."""

from json import JSONDecodeError

from jobs.text.deferred import gettext as _


def explain(error: JSONDecodeError) -> str:
    """As Python says it where that is not known here."""
    said = error.msg.removesuffix(": ")
    match said:
        case "Expecting value":
            return _("Expecting value")
        case "Expecting property name enclosed in double quotes":
            return _("Expecting property name enclosed in double quotes")
        case "Expecting ':' delimiter":
            return _("Expecting ':' delimiter")
        case "Expecting ',' delimiter":
            return _("Expecting ',' delimiter")
        case "Illegal trailing comma before end of object":
            return _("Illegal trailing comma before end of object")
        case "Illegal trailing comma before end of array":
            return _("Illegal trailing comma before end of array")
        case "Unterminated string starting at":
            return _("Unterminated string starting at")
        case "Invalid control character at":
            return _("Invalid control character at")
        case "Invalid \\escape":
            return _("Invalid \\escape")
        case "Invalid \\uXXXX escape":
            return _("Invalid \\uXXXX escape")
        case "Extra data":
            return _("Extra data")
    return said
