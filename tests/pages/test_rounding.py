"""What a claim says of rounding errors: "under the bound", and of nothing else."""

from mechlib.pages import claim


def test_a_number_far_below_zero_is_no_rounding_error(capsys):
    claim("A difference", -5.0, "<", 1e-6)
    assert "A difference: -5" in capsys.readouterr().out
    claim("An error", -1e-12, "<", 1e-6)
    assert "under 1e-6" in capsys.readouterr().out
