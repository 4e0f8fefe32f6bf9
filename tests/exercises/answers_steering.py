"""Right and wrong answers to the exercises of chapter 16."""

import torch


def patched(base, other, head):
    mixed = base.clone()
    mixed[:, :, head] = other[:, :, head]
    return mixed


def patched_by_mask(base, other, head):
    chosen = torch.arange(base.shape[2])[:, None] == head
    return torch.where(chosen, other, base)


def patched_position(base, other, head):
    base[:, head] = other[:, head]
    return base


def patched_width(base, other, head):
    base[..., head] = other[..., head]
    return base


def patched_all(base, other, head):
    return other


def patched_backwards(base, other, head):
    return patched(other, base, head)


def patched_by_adding(base, other, head):
    base[:, :, head] += other[:, :, head]
    return base


def patched_last(base, other, head):
    base[:, -1, head] = other[:, -1, head]
    return base


def shares(clean, corrupted, repaired, broken):
    c, k, r, b = (float(x.mean()) for x in (clean, corrupted, repaired, broken))
    return (r - k) / (c - k), (c - b) / (c - k)


def shares_by_sums(clean, corrupted, repaired, broken):
    gap = (clean - corrupted).sum()
    return torch.stack([(repaired - corrupted).sum(), (clean - broken).sum()]) / gap


def shares_without_gap(clean, corrupted, repaired, broken):
    return (repaired - corrupted).mean(), (clean - broken).mean()


def shares_by_text(clean, corrupted, repaired, broken):
    gap = clean - corrupted
    return ((repaired - corrupted) / gap).mean(), ((clean - broken) / gap).mean()


def shares_left(clean, corrupted, repaired, broken):
    back, lost = shares(clean, corrupted, repaired, broken)
    return back, 1 - lost


def shares_missing(clean, corrupted, repaired, broken):
    back, lost = shares(clean, corrupted, repaired, broken)
    return 1 - back, lost


def shares_reversed(clean, corrupted, repaired, broken):
    return shares(clean, corrupted, repaired, broken)[::-1]


def path(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, (stream - out + other) @ W_K, stream @ W_V


def path_by_parts(stream, out, other, W_Q, W_K, W_V):
    keys = stream @ W_K
    keys += (other - out) @ W_K
    return [stream.matmul(W_Q), keys, stream.matmul(W_V)]


def path_to_queries(stream, out, other, W_Q, W_K, W_V):
    changed = stream - out + other
    return changed @ W_Q, changed @ W_K, stream @ W_V


def path_to_values(stream, out, other, W_Q, W_K, W_V):
    changed = stream - out + other
    return stream @ W_Q, changed @ W_K, changed @ W_V


def path_unpatched(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, stream @ W_K, stream @ W_V


def path_added(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, (stream + other) @ W_K, stream @ W_V


def path_alone(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, other @ W_K, stream @ W_V


def path_taken_out(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, (stream - out) @ W_K, stream @ W_V


def path_subtracted(stream, out, other, W_Q, W_K, W_V):
    return stream @ W_Q, (stream - other) @ W_K, stream @ W_V


def path_as_one_table(stream, out, other, W_Q, W_K, W_V):
    return (stream - out + other) @ W_K


def scaled(drawn, direction):
    return drawn / drawn.norm(dim=-1, keepdim=True) * direction.norm()


def null(measure, direction, draws, generator, make=scaled, draw=torch.randn):
    drawn = draw(draws, len(direction), generator=generator, dtype=direction.dtype)
    return [measure(one) for one in make(drawn, direction)]


def steered(measure, direction, draws, generator):
    effect = measure(direction)
    further = sum(abs(x) >= abs(effect) for x in null(measure, direction, draws, generator))
    return effect, (1 + further) / (1 + draws)


def steered_by_rank(measure, direction, draws, generator):
    sizes, effect = [], measure(direction)
    for _ in range(draws):
        one = torch.randn(len(direction), generator=generator, dtype=torch.float64)
        sizes.append(abs(measure(one * direction.norm() / one.norm())))
    sizes.append(abs(effect))
    return torch.tensor([effect, sum(x >= abs(effect) for x in sizes) / len(sizes)])


def steered_any_length(measure, direction, draws, generator):
    effect = measure(direction)
    found = null(measure, direction, draws, generator, make=lambda drawn, _: drawn)
    return effect, (1 + sum(abs(x) >= abs(effect) for x in found)) / (1 + draws)


def steered_to_one_side(measure, direction, draws, generator):
    effect = measure(direction)
    found = null(measure, direction, draws, generator, draw=torch.rand)
    return effect, (1 + sum(abs(x) >= abs(effect) for x in found)) / (1 + draws)


def steered_without_itself(measure, direction, draws, generator):
    effect = measure(direction)
    found = null(measure, direction, draws, generator)
    return effect, sum(abs(x) >= abs(effect) for x in found) / draws


def steered_one_sided(measure, direction, draws, generator):
    effect = measure(direction)
    found = null(measure, direction, draws, generator)
    return effect, (1 + sum(x >= effect for x in found)) / (1 + draws)


def steered_less(measure, direction, draws, generator):
    effect = measure(direction)
    found = null(measure, direction, draws, generator)
    return effect, (1 + sum(abs(x) < abs(effect) for x in found)) / (1 + draws)


def steered_few(measure, direction, draws, generator):
    return steered(measure, direction, draws - 1, generator)


def steered_backwards(measure, direction, draws, generator):
    effect, p = steered(measure, direction, draws, generator)
    return -effect, p


RIGHT = {
    "patch-head": [patched, patched_by_mask],
    "restored-share": [shares, shares_by_sums],
    "one-path": [path, path_by_parts],
    "steering-null": [steered, steered_by_rank],
}
WRONG = {
    "patch-head": [
        (patched_position, "one position of all heads"),
        (patched_width, "one entry of every head"),
        (patched_all, "all heads from the other run"),
        (patched_backwards, "the base's head into the other run"),
        (patched_by_adding, "the old one must go"),
        (patched_last, "the last position only"),
    ],
    "restored-share": [
        (shares_without_gap, "divide by the gap"),
        (shares_by_text, "the share of each text first"),
        (shares_left, "noising is measured from the clean run"),
        (shares_missing, "denoising is measured from the corrupted run"),
        (shares_reversed, "in the other order"),
    ],
    "one-path": [
        (path_to_queries, "your queries see the other run"),
        (path_to_values, "your values see the other run"),
        (path_unpatched, "nothing is patched"),
        (path_added, "is still there"),
        (path_alone, "read that head alone"),
        (path_taken_out, "only taken the head out"),
        (path_subtracted, "instead of adding it"),
        (path_as_one_table, "three tables"),
    ],
    "steering-null": [
        (steered_any_length, "not as long as"),
        (steered_to_one_side, "lean to one side"),
        (steered_without_itself, "leave the effect itself out"),
        (steered_one_sided, "one side only"),
        (steered_less, "that move less"),
        (steered_few, "random directions where"),
        (steered_backwards, "what `measure` says"),
    ],
}
