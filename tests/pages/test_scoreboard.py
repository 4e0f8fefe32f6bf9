"""The scoreboard says what the notebooks say."""

from pathlib import Path

import nbformat
import pytest

from mechlib.pages import scoreboard
from mechlib.pages.claims import Paper, claim, collect

ROOT = Path(__file__).parents[2]


def record(**changes) -> dict:
    with collect(quiet=True) as records:
        claim(
            "{} heads copy", 7, ">=", 4, of=8, control=("untrained", 0),
            paper=Paper("Elhage 2021", 10, of=12, wants="more"),
        )  # fmt: skip
    return records[0] | changes


def judged(verdict: str) -> dict:
    return record(sentence=f"This one {verdict}", paper=record()["paper"] | {"verdict": verdict})


def course(tmp_path: Path, *records: dict) -> Path:
    """A course of one chapter whose only cell shows the records."""
    cell = nbformat.v4.new_code_cell("...")
    cell.outputs = [
        nbformat.v4.new_output(
            "display_data", data={"text/plain": "x"}, metadata={scoreboard.RECORD: r}
        )
        for r in records
    ]
    title = nbformat.v4.new_markdown_cell("(ch-x)=\n# A *title*")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    nb = nbformat.v4.new_notebook(cells=[title, cell])
    nbformat.write(nb, tmp_path / "notebooks" / "01_x.ipynb")
    return tmp_path


def test_the_stored_pages_are_current():
    found = scoreboard.chapters(ROOT)
    for path, text in (
        (scoreboard.PAGE, scoreboard.page(found)),
        (scoreboard.MARGINS, scoreboard.margins_page(found)),
    ):
        assert (ROOT / path).read_text(encoding="utf-8") == text


def test_an_entry_holds_ours_the_papers_number_the_bound_and_the_control(tmp_path):
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, record())))
    entry = next(line for line in text.splitlines() if line.startswith("- **7 of 8"))
    assert entry == (
        "- **7 of 8 heads copy.** Elhage 2021: 10 of 12. Needed at least 4; untrained: 0. "
        "([A \\*title\\*](../notebooks/01_x.ipynb))"
    )
    assert "There are 1 claims in 1 notebooks. 1 have a control" in text
    assert "**1 replicates**" in text


def test_what_did_not_replicate_comes_first(tmp_path):
    verdicts = "replicates", "not comparable", "weaker", "differs"
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, *map(judged, verdicts))))
    order = [text.index(f"This one {v}") for v in ("differs", "weaker", "replicates")]
    assert order == sorted(order)
    assert order[-1] < text.index("This one not comparable")


def test_only_claims_with_a_number_of_a_paper_stand_beside_it(tmp_path):
    records = record(paper=None, sentence="Without"), record(sentence="With")
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, *records)))
    beside, every = text.split("## Every claim")
    assert "With:" in beside
    assert "Without" not in beside
    assert "Without" in every


def test_a_reason_stands_beside_what_cannot_be_compared(tmp_path):
    paper = record()["paper"] | {"verdict": "not comparable", "unlike": "another tokenizer"}
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, record(paper=paper))))
    assert "*Not comparable: another tokenizer.*" in text


def test_a_notebook_in_the_older_form_is_read(tmp_path):
    old = {
        "sentence": "Heads copy", "value": 7, "op": ">=", "bound": 4, "of": 8, "control": 0,
        "paper": "10 of 12", "unit": None, "holds": True,
    }  # fmt: skip
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, old)))
    assert "not yet judged" in text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"value": 0.123456789, "of": None, "unit": "nats"}, "0.123 nats"),
        ({"op": "between", "bound": [1, 2.5], "value": 2}, "between 1 and 2.50"),
        ({"sentence": "a | b_c $d$ <e>"}, r"a \| b\_c \$d\$ \<e\>"),
        ({"value": 3e-16, "op": "<", "bound": 1e-12, "of": None}, "under 1e-12"),
        ({"holds": False}, "✗"),
    ],
)
def test_numbers_and_letters_are_written_safely(tmp_path, changes, shown):
    text = scoreboard.page(scoreboard.chapters(course(tmp_path, record(**changes))))
    assert shown in text


def test_check_fails_when_the_page_is_out_of_date(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(course(tmp_path, record()))
    assert scoreboard.main(["--check"]) == 1
    assert scoreboard.main([]) == 0
    assert scoreboard.main(["--check"]) == 0
    for path in (scoreboard.PAGE, scoreboard.MARGINS):
        assert scoreboard.main([]) == 0
        page = tmp_path / path
        page.write_text(page.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
        assert scoreboard.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().out
