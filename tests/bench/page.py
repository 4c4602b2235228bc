"""The figures in docs/performance.md, each table between two comments that name it."""

from tests.support.running import ROOT

PAGE = ROOT / "docs/performance.md"
BUSY = 1.5  # a load before the start with which figures are not written


def write(name: str, text: str) -> None:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
