"""Six layers that read games of Othello on six by six squares (chapter 18).

Nothing but moves goes in: no board, no rules. Every game is new (drawn from seed and step), so none
can be learned by heart. Each position is shown with all the moves that may follow, as if the game
were played on from there in every way (`mechlib.othello.scores.next_moves_loss`); the papers show
one move, drawn from these, and need many more games for the same.

While it trains: loss and illegal moves on 256 held-out games. Afterwards, at some steps: what a
probe reads and what an edit does behind the third block (`mechlib.othello.growth.board_scores`).
"""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mechlib.model import Config, Transformer
from mechlib.muon import MuonWithAdamW
from mechlib.othello import scores
from mechlib.othello.games import random_games
from mechlib.othello.growth import board_scores
from mechlib.pages.claims import claim
from mechlib.train import History, Run, train
from mechlib.zoo.recipes import Recipe, recipe

HELD_OUT = (1, 0)  # seed of the held-out games; training games have (0, seed, step)


@recipe("othello", "Six layers on random games of Othello, 6 by 6 squares")
@recipe("othello-s1", "The same from another start, on other games", seeds=(1,), snapshots_at=())
class Othello(Recipe):
    layers, d_model, heads = 6, 112, 4
    batch = 128
    steps = 6_400
    lr, others_lr = 0.02, 2e-3  # of Muon, of AdamW
    fall_from = 0.3  # of the steps: from there the rates fall
    trained_at = (0, 50, 100, 200, 400, 700, 1000, 1500, 2000, 2600, 3200, 4000, 5000, 6400)
    followed = 2  # probe and edit behind this block
    snapshots_at = (400,)  # which of these states are kept
    most_illegal = 0.01  # share of first choices
    dtype = "float16"
    loss_points = 200

    def build(self) -> Transformer:
        config = Config(
            d_vocab=36,
            n_ctx=31,
            d_model=self.d_model,
            n_layers=self.layers,
            n_heads=self.heads,
            d_mlp=4 * self.d_model,
            norm="layernorm",
        )
        return Transformer(config, seed=self.seed)

    def games_at(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A step's games, moves and what may follow; none of them is ever shown again."""
        games = random_games(self.batch, (0, self.seed, step))
        legal = games.legal[:, :-1] & games.going[..., None]
        return scores.read(games), torch.from_numpy(legal)

    def rate(self, step: int) -> float:
        """Constant, then falling in a line to a fiftieth."""
        left = (self.steps - step) / (self.steps * (1 - self.fall_from))
        return min(1.0, max(0.02, left))

    def run(self, model, *, device, progress, checkpoint) -> Run:
        held_out = random_games(256, HELD_OUT)
        # On a CPU the fused attention's backward pass takes three times as long for so few tokens
        with sdpa_kernel(SDPBackend.MATH):
            run = train(
                model,
                self.games_at,
                steps=self.steps,
                optimizer=MuonWithAdamW.for_model(
                    model,
                    lr=self.lr,
                    adam_lr=self.others_lr,
                    betas=(0.9, 0.98),
                    weight_decay=0.01,
                    heads_together=True,
                ),
                warmup=100,
                schedule=self.rate,
                loss_fn=scores.next_moves_loss,
                measures={"play": lambda model: scores.play_scores(model, held_out)},
                measure_every=200,
                snapshot_at=self.trained_at,
                checkpoint=checkpoint,
                checkpoint_every=200,
                device=device,
                autocast=True,
                progress=progress,
            )
        for step, state in run.snapshots.items():
            then = self.build()
            then.load_state_dict(state)
            found = board_scores(then, self.followed)
            run.history.record(step, {f"board/{name}": value for name, value in found.items()})
        run.snapshots = {step: run.snapshots[step] for step in self.snapshots_at}
        return run

    def check(self, model: Transformer | None, history: History) -> None:
        illegal = history.values("play/first")
        claim(
            "Its first choice is illegal in {} of the positions",
            illegal[-1],
            "<",
            self.most_illegal,
            control=("untrained", illegal[0]),
        )
