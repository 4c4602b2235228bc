"""When Python looks for garbage: seldom while a process starts, and for a few milliseconds at a time afterwards."""

import gc


def collect_seldom() -> None:
    """What is imported stays, hundreds of thousands of objects: looking through them again and again takes a tenth of
    a start."""
    gc.set_threshold(50_000, 20, 100)


def freeze_imported() -> None:
    """To be called when all is imported, which is never looked through again. A look at 50,000 objects would hold up a
    page for 30 ms; one at 10,000 takes 5 ms, after ten pages of a long list."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
