"""Symbols in, and what counting alone can predict.

corpus      text: Python source of pinned packages, a file of your own, a download
grammars    planted symbol sources with their exact predictions
tokens      tokenizers, and batches as a pure function of the step
ngrams      counts, entropies, and the best table of a given rank
"""
