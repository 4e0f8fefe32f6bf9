"""Groups and representations against the textbooks' tables and closed forms."""

import math

import pytest
import torch

from mechlib.grokking import fourier, groups

ALL = [groups.cyclic(7), groups.dihedral(5), groups.permutations(4), groups.permutations(5, True)]
names = {"ids": lambda group: group.name}


@pytest.mark.parametrize("group", ALL, **names)
def test_representations_multiply_as_the_group_does(group):
    for rho in groups.irreducible(group):
        products = torch.einsum("aij,bjk->abik", rho.matrices, rho.matrices)
        assert (products - rho.matrices[group.table]).abs().max() < 1e-9


@pytest.mark.parametrize("group", ALL, **names)
def test_parts_add_up_and_are_parts_once_and_for_all(group):
    f = torch.randn(len(group), 3, dtype=torch.float64)
    parts = [groups.part(f, group, rho) for rho in groups.irreducible(group)]
    assert torch.allclose(sum(parts), f)
    for rho, found in zip(groups.irreducible(group), parts):
        assert torch.allclose(groups.part(found, group, rho), found)


def test_a_part_is_the_nearest_sum_of_a_representations_entries():
    group, f = groups.permutations(4), torch.randn(24, 2, dtype=torch.float64)
    for rho in groups.irreducible(group):
        entries = rho.matrices.flatten(1)
        nearest = entries @ torch.linalg.lstsq(entries, f, driver="gelsd").solution
        assert torch.allclose(groups.part(f, group, rho), nearest)


def character_table(group):
    firsts = [int(members[0]) for members in group.classes]
    found = [rho.character[firsts].round().int().tolist() for rho in groups.irreducible(group)]
    sizes = [len(members) for members in group.classes]
    return sorted(sorted(zip(sizes, row)) for row in found)


def test_the_characters_of_four_things_are_those_of_the_textbooks():
    # Serre, 5.8: classes of 1, 3 (two pairs), 6 (one pair), 6 (four in a ring), 8 (three in a ring)
    textbook = [
        {1: [1], 3: [1], 6: [1, 1], 8: [1]},
        {1: [1], 3: [1], 6: [-1, -1], 8: [1]},
        {1: [2], 3: [2], 6: [0, 0], 8: [-1]},
        {1: [3], 3: [-1], 6: [-1, 1], 8: [0]},
        {1: [3], 3: [-1], 6: [-1, 1], 8: [0]},
    ]
    rows = [sorted((size, v) for size, vs in row.items() for v in vs) for row in textbook]
    assert character_table(groups.permutations(4)) == sorted(rows)


def test_five_things_have_representations_of_1_1_4_4_5_5_and_6():
    found = groups.irreducible(groups.permutations(5))
    assert [rho.name for rho in found] == ["1.1", "1.2", "4.1", "4.2", "5.1", "5.2", "6"]
    assert sum(rho.size**2 for rho in found) == 120


def test_in_a_cyclic_group_the_shares_are_those_of_the_frequencies():
    P = 11
    f = torch.randn(P, dtype=torch.float64)
    found = groups.shares(f, groups.cyclic(P), groups.irreducible(groups.cyclic(P)))[1:]
    energy = fourier.energy(f)[1:]
    assert torch.allclose(found.sort().values, (energy / energy.sum()).sort().values)


def shown(numbers):
    return [round(x, 6) for x in numbers.tolist()]


def test_the_turns_of_a_polygon_are_turns_by_whole_multiples():
    n = 7
    found = [rho for rho in groups.irreducible(groups.dihedral(n)) if rho.size == 2]
    waves = {
        tuple(round(2 * math.cos(2 * math.pi * k * j / n), 6) for j in range(n)) for k in (1, 2, 3)
    }
    assert {tuple(round(float(c), 6) for c in rho.character[::2]) for rho in found} == waves


def test_quotients_inverses_and_classes_by_a_loop():
    group = groups.dihedral(4)
    n, table = len(group), group.table.tolist()
    inverse = [row.index(0) for row in table]
    assert group.inverses.tolist() == inverse
    for a in range(n):
        for b in range(n):
            for c in range(n):
                assert int(group.quotients[a, b, c]) == table[table[a][b]][inverse[c]]
    classes = {frozenset(table[table[g][a]][inverse[g]] for g in range(n)) for a in range(n)}
    assert {frozenset(members.tolist()) for members in group.classes} == classes


@pytest.mark.parametrize(
    ("group", "number"),
    [(groups.cyclic(12), 6), (groups.dihedral(5), 8), (groups.permutations(4), 30)],
    ids=str,
)
def test_how_many_subgroups_there_are(group, number):
    found = groups.subgroups(group)
    assert len(found) == number
    for H in found:
        assert {int(group.table[a, b]) for a in H for b in H} == set(H)


def test_cosets_cut_the_group_into_equal_parts():
    group = groups.permutations(4)
    for H in groups.subgroups(group):
        for side, sets in (
            ("left", {frozenset(group.table[x, list(H)].tolist()) for x in range(24)}),
            ("right", {frozenset(group.table[list(H), x].tolist()) for x in range(24)}),
        ):
            of = groups.cosets(group, H, side)
            assert {frozenset((of == k).nonzero()[:, 0].tolist()) for k in of.unique()} == sets


def test_a_function_of_the_coset_is_constant_on_it_and_a_random_one_hardly():
    group = groups.permutations(5)
    H = next(H for H in groups.subgroups(group) if len(H) == 24)
    of = groups.cosets(group, H, "left")
    f = torch.randn(5, 4, dtype=torch.float64)[of]
    assert torch.allclose(groups.constant_on(f, of), torch.ones(4, dtype=torch.float64))
    random = groups.constant_on(torch.randn(120, 4000, dtype=torch.float64), of)
    assert abs(float(random.mean()) - 4 / 119) < 0.005


def test_what_is_no_group_is_refused():
    with pytest.raises(ValueError, match="identity"):
        groups.Group("none", torch.tensor([[1, 0], [0, 1]]), ("a", "b"))
    with pytest.raises(ValueError, match="every element once"):
        groups.Group("none", torch.tensor([[0, 1], [1, 1]]), ("a", "b"))
    loop = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    with pytest.raises(ValueError, match="differ"):
        groups.Group("none", torch.tensor(loop), tuple("abcde"))
    with pytest.raises(ValueError, match="720"):
        groups.permutations(6)
    with pytest.raises(ValueError, match="3 corners"):
        groups.dihedral(2)
    with pytest.raises(ValueError, match="'left' or 'right'"):
        groups.cosets(groups.cyclic(4), (0, 2), "up")
