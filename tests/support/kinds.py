"""Brings `jobs/text/kinds.toml` along with the sentences of the code.

`python -m tests.support.kinds` gives new sentences a kind and retires those that no code says any more. A sentence that
was corrected keeps its kind: name its old and new English in a file, `--renamed FILE.json` ({"old": "new"}), or let
`--follow` take every pair that looks like one. `--retire` says that these are none.
"""

import argparse
import difflib
import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.text.kinds import FILE, Wording, read
from tests.support.sentences import ROOT, CodeSentence, find_sentences

RETIRED = ROOT / "jobs/text/retired.py"
PLACE = re.compile(r"%(?:\(\w+\))?[\d.]*[a-z%]")
LINE_LENGTH = 120
LONGEST_NAME, WORDS, ALIKE = 44, 5, 0.6
UNSAID = {
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "could", "do", "does",
    "each", "for", "from", "had", "has", "have", "here", "how", "i", "in", "into", "is", "it", "its", "itself",
    "of", "on", "or", "other", "s", "so", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "to", "too", "was", "were", "what", "when", "which", "who", "with",
    "would", "you", "your", "yours",
}  # fmt: skip

Kinds = dict[str, Wording]


# What the registry becomes


@dataclass
class Change:
    """`alike`: old and new English that look like a correction, and so wait for an answer. `refused`: what was named as
    a correction and is none, because places differ or no code says the new text."""

    kinds: Kinds
    alike: list[tuple[str, str]]
    refused: list[tuple[str, str]]


def update(kinds: Kinds, sentences: list[CodeSentence], renamed: Mapping[str, str], *, settled: bool = False) -> Change:
    """`settled`: nothing is a correction but what `renamed` says."""
    by_key = {one.key: one for one in sentences if one.text}
    kinds = rename(kinds, by_key, renamed)
    live = {key_of(wording): kind for kind, wording in kinds.items() if not wording.retired}
    gone = [kinds[kind] for key, kind in live.items() if key not in by_key]
    new = [one for key, one in by_key.items() if key not in live]
    refused = [(old.text, renamed[old.text]) for old in gone if old.text in renamed]
    alike = [] if settled else find_alike(gone, new)
    waiting = {text for pair in alike for text in pair}
    for key, kind in live.items():
        if key in by_key:
            kinds[kind] = replace(kinds[kind], plural=by_key[key].plural)
        elif kinds[kind].text not in waiting:
            kinds[kind] = replace(kinds[kind], retired=True)
    for one in new:
        if one.text not in waiting:
            add(kinds, one)
    return Change(kinds, alike, refused)


def key_of(wording: Wording) -> tuple[str, bool]:
    return wording.text, bool(wording.plural)


def rename(kinds: Kinds, sentences: Mapping[tuple[str, bool], CodeSentence], renamed: Mapping[str, str]) -> Kinds:
    """A kind whose English was corrected everywhere has the new one. Places have to be the same: rows fill them."""
    made = dict(kinds)
    for kind, old in kinds.items():
        new = sentences.get((follow(old.text, renamed), bool(old.plural)))
        if new is None or key_of(old) in sentences or find_places(new.text) != find_places(old.text):
            continue
        twin = any(key_of(other) == new.key and not other.retired for other in made.values())
        earlier = tuple(dict.fromkeys((*old.earlier, old.text)))
        made[kind] = Wording(new.text, new.plural, earlier, retired=old.retired or twin)
    return made


def follow(text: str, renamed: Mapping[str, str]) -> str:
    seen = {text}
    while (new := renamed.get(text, text)) not in seen:
        seen.add(text := new)
    return text


def add(kinds: Kinds, one: CodeSentence) -> None:
    """A retired kind comes back when the code says its sentence again."""
    for kind, wording in kinds.items():
        if wording.retired and key_of(wording) == one.key:
            kinds[kind] = replace(wording, plural=one.plural, retired=False)
            return
    kinds[name_kind(one, kinds)] = Wording(one.text, one.plural)


def name_kind(one: CodeSentence, taken: Container[str]) -> str:
    """By the package that says it, and by the words that tell it from others."""
    domain, words = domain_of(one.place), re.findall(r"[a-z0-9]+", PLACE.sub(" ", one.text.lower().replace("’", "")))
    telling = [word for word in words if word not in UNSAID] or words or ["text"]
    for count in range(min(WORDS, len(telling)), len(telling) + 1):
        name = "_".join(telling[:count])
        while len(name) > LONGEST_NAME and "_" in name and count <= WORDS:
            name = name.rpartition("_")[0]
        if f"{domain}.{name}" not in taken:
            return f"{domain}.{name}"
    return next(kind for number in range(2, 1000) if (kind := f"{domain}.{name}_{number}") not in taken)


def domain_of(place: str) -> str:
    package, *inner = place.partition(":")[0].removesuffix(".py").split("/")[1:]
    return inner[0] if package == "services" else package


def find_alike(gone: list[Wording], new: list[CodeSentence]) -> list[tuple[str, str]]:
    pairs = [
        (difflib.SequenceMatcher(None, old.text, one.text).ratio(), old.text, one.text)
        for old in gone
        for one in new
        if bool(old.plural) == bool(one.plural) and find_places(old.text) == find_places(one.text)
    ]
    found: dict[str, str] = {}
    for ratio, old, text in sorted(pairs, reverse=True):
        if ratio >= ALIKE and old not in found and text not in found.values():
            found[old] = text
    return list(found.items())


def find_places(text: str) -> list[str]:
    """What values fill: in any order where places have names."""
    found = PLACE.findall(text)
    return sorted(set(found)) if any("(" in place for place in found) else found


# Files

HEAD = (
    "# What rows may say: a kind and its English. A kind is never renamed. `python -m tests.support.kinds` writes this."
)


def format_registry(kinds: Kinds) -> str:
    lines, domain = [HEAD], ""
    for kind, wording in sorted(kinds.items()):
        if kind.partition(".")[0] != domain:
            domain = kind.partition(".")[0]
            lines += ["", f"[{domain}]"]
        lines.append(f"{kind.partition('.')[2]} = {format_entry(wording)}")
    return "\n".join(lines) + "\n"


def format_entry(wording: Wording) -> str:
    parts = {"text": quote(wording.text)}
    if wording.plural:
        parts["plural"] = quote(wording.plural)
    if wording.earlier:
        parts["earlier"] = f"[{', '.join(map(quote, wording.earlier))}]"
    if wording.retired:
        parts["retired"] = "true"
    return (
        parts["text"] if len(parts) == 1 else f"{{ {', '.join(f'{name} = {text}' for name, text in parts.items())} }}"
    )


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def format_call(name: str, *arguments: str) -> str:
    """As ruff writes it, which breaks a line that is too long as far as it can."""
    listed = ", ".join(arguments)
    if len(line := f"    {name}({listed}),") <= LINE_LENGTH:
        return line
    if len(arguments) == 1 or len(listed) + 8 <= LINE_LENGTH:
        return f"    {name}(\n        {listed}\n    ),"
    return "\n".join([f"    {name}(", *(f"        {argument}," for argument in arguments), "    ),"])


def format_retired(kinds: Kinds) -> str:
    """A module in which makemessages finds what no other says, so that its translation stays."""
    live = {wording.text for wording in kinds.values() if not wording.retired}
    kept = [wording for _kind, wording in sorted(kinds.items()) if wording.retired and wording.text not in live]
    calls = [
        format_call("ngettext_lazy", quote(one.text), quote(one.plural))
        if one.plural
        else format_call("gettext_noop", quote(one.text))
        for one in kept
    ]
    names = [name for name in ("gettext_noop", "ngettext_lazy") if any(name in call for call in calls)]
    return "\n".join([
        '"""Sentences that rows may still hold and no code says any more: here they keep their translation.',
        "",
        '`python -m tests.support.kinds` writes this.',
        '"""',
        "",
        "# ruff: noqa: E501",
        *([f"from django.utils.translation import {', '.join(names)}", ""] if names else []),
        *(["TEXTS = (", *calls, ")"] if calls else ["TEXTS = ()"]),
        "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renamed", type=Path, action="append", default=[], metavar="FILE.json")
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--follow", action="store_true", help="what looks like a correction is one")
    answers.add_argument("--retire", action="store_true", help="what looks like a correction is another sentence")
    chosen = parser.parse_args()
    kinds, sentences = read(FILE.read_text(encoding="utf-8")), list(find_sentences())
    renamed = {old: new for file in chosen.renamed for old, new in json.loads(file.read_text(encoding="utf-8")).items()}
    change = update(kinds, sentences, renamed, settled=chosen.retire)
    if chosen.follow:
        change = update(kinds, sentences, renamed | dict(change.alike))
    FILE.write_text(format_registry(change.kinds), encoding="utf-8")
    RETIRED.write_text(format_retired(change.kinds), encoding="utf-8")
    for old, new in change.refused:
        print(f"Not renamed, because the places differ or no code says the new text:\n  {old}\n  {new}")
    for old, new in change.alike:
        print(f"A correction (--follow) or another sentence (--retire)?\n  {old}\n  {new}")
    raise SystemExit(1 if change.alike else 0)


if __name__ == "__main__":
    main()
