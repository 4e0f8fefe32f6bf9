"""mechlib: small transformers, and the mathematics that opens them.

A hall with wings. In the hall stands the transformer:

    model           Config and Transformer: one matrix per head, every activation named
    interventions   ablate, patch, freeze a pattern, steer: values handed to the forward pass
    train           one loop: losses, measures and snapshots over steps; resumable
    constructed     weights set by hand: bigram model, induction transformer, rotation adder
    files           write a file so that it is there whole or not at all, and sealed
    interop         to and from the names of TransformerLens
    gpt2            GPT-2's files, read into the same transformer
    muon            an optimizer for the matrices inside blocks

and from it open

    text/           symbols in, and what counting alone can predict
    reading/        weights and patterns to facts: circuits, scores, attribution, patching
    grokking/       addition modulo a prime
    vision/         a small network that sees shapes, and what its units answer to
    superposition/  more features than dimensions, and dictionaries that look for them
    othello/        a board that a network was never shown
    pages/          what the reader sees: claims, figures, widgets, the scoreboard
    exercises/      check(name, function): tells a reader what is wrong with an answer
    zoo/            load(name), train(name): recipes and the small weights they give

Import the stage that you need: `from mechlib.reading import circuits`,
`from mechlib.pages import claim`. This file imports none of them, so that `import mechlib` costs
nothing.

Row vectors throughout, `x @ W`: W_QK = W_Q W_K^T and W_OV = W_V W_O (book/notation has the rest).
"""

__version__ = "0.2.0"
