"""From weights and patterns to facts. Tensors only: nothing here knows a model or a tokenizer.

factored      a low-rank product A @ B that is never multiplied out
circuits      W_QK, W_OV, full circuits, path expansion, composition scores
heads         previous-token, prefix-matching and copying scores, each beside its control
attribution   which term moved a logit, and what each term is worth in loss
"""
