"""Did you mean ...? The end of an error message about a name that is not there."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; nearest: 'a', 'b'": the known names that look most alike; empty when none is near."""
    found = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"; nearest: {', '.join(map(repr, found))}" if found else ""
