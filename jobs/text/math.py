"""TeX that a model wrote, as MathML that browsers draw by themselves.

It is put into an answer after that was sanitised, and so is built from nothing but the elements and values named here.
"""

import html
import re
from functools import cache, lru_cache
from importlib import import_module
from typing import Any
from xml.etree.ElementTree import Element

ELEMENTS = frozenset({
    "math", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow", "mspace", "msqrt", "mstyle",
    "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
})  # fmt: skip
VALUES = {
    name: re.compile(pattern)
    for name, pattern in {
        "accent": "true|false",
        "columnalign": "left|center|right",
        "display": "block|inline",
        "displaystyle": "true|false",
        "fence": "true|false",
        "form": "prefix|infix|postfix",
        "linethickness": "0",
        "maxsize": r"\d(\.\d{1,3})?em",
        "minsize": r"\d(\.\d{1,3})?em",
        "scriptlevel": "[0-3]",
        "stretchy": "true|false",
        "width": r"\d(\.\d{1,3})?em",
    }.items()
}
MAX_FORMULAS = 400
# What the converter does not know by these names.
_SAME = {"aligned": "split", "gathered": "split", "alignedat": "split", "dcases": "cases", "smallmatrix": "matrix"}
_ENVIRONMENT = re.compile(rf"\\(begin|end)\{{({'|'.join(_SAME)})\}}")
_CODE = re.compile(r'(<pre class="code">)?<code class="math">([^<]*)</code>(?(1)</pre>)')


def render_formulas(sanitised: str) -> str:
    """What is not understood stays as it is written; so does what comes after the first four hundred."""
    return _CODE.sub(_render_formula, sanitised, count=MAX_FORMULAS) if 'class="math"' in sanitised else sanitised


def _render_formula(found: re.Match[str]) -> str:
    display = "block" if found[1] else "inline"
    formula = mathml(html.unescape(found[2]), display)
    if not formula:
        return found[0]
    return f"<p>{formula}</p>" if found[1] else formula


@lru_cache(4096)
def mathml(tex: str, display: str) -> str:
    """Empty if it is not understood."""
    tex = _ENVIRONMENT.sub(lambda found: f"\\{found[1]}{{{_SAME[found[2]]}}}", tex)
    if "\\\\" in tex and "\\begin" not in tex:
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    try:
        return _serialize(_converter()(tex, display=display))
    except Exception:  # it has a dozen kinds, for whatever a model may write
        return ""


@cache
def _converter() -> Any:
    """Not before the first formula: it takes a tenth of a second."""
    return import_module("latex2mathml.converter").convert_to_element


def _serialize(element: Element) -> str:
    """Its texts hold entities, which stand for themselves nowhere."""
    text, name = html.unescape(element.text or ""), element.tag
    if name not in ELEMENTS or text in ("&", "\\") or re.match(r"\\[A-Za-z]", text) or (element.tail or "").strip():
        raise ValueError(name)
    values = {key: value for key, value in element.items() if key in VALUES and VALUES[key].fullmatch(value)}
    attributes = "".join(f' {key}="{value}"' for key, value in sorted(values.items()))
    inner = html.escape(text, quote=False) + "".join(map(_serialize, element))
    return f"<{name}{attributes}>{inner}</{name}>"
