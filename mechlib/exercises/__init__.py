"""Exercises that check themselves.

In a chapter the reader fills in a stub and asks:

    from mechlib.exercises import check

    def causal_pattern(scores):
        ...  # your code here

    check("causal-pattern", causal_pattern)

which prints one line: that nothing is filled in yet, that every property holds, or what is wrong
and which usual mistake it looks like. It never raises, so a notebook with open stubs runs through.

One file holds the checkers of one chapter; `checking` holds what they are written with. A checker
tests properties and independent oracles (a plain loop, a closed form, rows that sum to one), never
the course's own solution, on inputs in which every axis has a different prime length.

The wrong answers that each checker must recognise, and right ones written in different ways, stand
in tests/exercises; the share of wrong ones that are recognised is the mutation score.
"""

from mechlib.exercises.checking import Exercise, Result, check, exercises, result

__all__ = ["Exercise", "Result", "check", "exercises", "result"]
