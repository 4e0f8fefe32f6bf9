"""What is followed over training, on a model that was not trained."""

from mechlib.model import Config, Transformer
from mechlib.othello.growth import STRENGTHS, board_scores


def test_an_untrained_model_is_followed():
    model = Transformer(
        Config(d_vocab=36, n_ctx=31, d_model=16, n_layers=2, n_heads=2, d_mlp=16, norm="layernorm")
    )
    found = board_scores(model, layer=0)
    assert found["strength"] in STRENGTHS
    assert 0.7 < found["illegal"] < 0.95
    for naming in ("mine", "colour"):
        assert 0.35 < found[naming] < 0.7
    for name in ("before", "after", "another", "random"):
        assert found[name] > 5  # of the moves that it names nearly all are wrong
