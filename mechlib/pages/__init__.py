"""What the reader sees, and how it is kept true.

claims        claim(...): a sentence about a model, followed by its check
margins       how far each claim is from failing; its control put through its check
figures       arrays to figures: one palette, one style
widgets       arrays to figures that move, in the page and in Jupyter
beside        widgets' numbers that are too heavy for a notebook: a file beside it
notebooks     execute notebooks so that they come out the same each time
scoreboard    all claims of the notebooks on one page
"""

from mechlib.pages.claims import Paper, claim

__all__ = ["Paper", "claim"]
