"""What the built book serves of the page's own scripts and styles: as small as it is told to be."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import smaller

from mechlib.pages.widgets import BigramLive, GrokkingLive, Playground, TypeYourOwn

ROOT = Path(__file__).parent.parent
WIDGETS = ROOT / "mechlib" / "pages" / "widgets"
STATIC = ROOT / "book" / "_static" / "js"


def sizes(folder, kind):
    return {path.name: len(smaller.small(path.read_text("utf-8"), kind).encode())
            for path in folder.glob(f"*.{kind}")}  # fmt: skip


def test_engine_and_widgets_are_small():
    engine = sizes(WIDGETS, "js") | sizes(WIDGETS, "css")
    # 201 kB as written, 170 kB without comments and indentation; names are still words. No page
    # loads all of it: see the next test
    assert sum(engine.values()) < 171_000
    shared = ("arrays.js", "shared.js", "engine.js", "bpe.js", "live.js", "training.js")
    assert sum(engine[name] for name in shared) < 57_000
    assert sum(sizes(STATIC, "js").values()) < 9_800


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.ipynb")), ids=lambda path: path.name)
def test_no_page_brings_more_than_a_hundred_kilobytes(path):
    """Engine, widgets and styles that a page of the book carries, each text once."""
    widgets = json.loads(path.read_text("utf-8"))["metadata"].get("widgets", {})
    served = 0
    for states in widgets.values():
        for model in json.loads(smaller.small_states(json.dumps(states)))["state"].values():
            for source in (model["state"].get("_esm", ""), model["state"].get("_css", "")):
                served += len((source if isinstance(source, str) else source["more"]).encode())
    assert served < 90_000


@pytest.mark.parametrize("widget", [Playground, TypeYourOwn, GrokkingLive, BigramLive])
def test_what_one_widget_brings_is_small(widget):
    brought = smaller.small(widget._esm, "js") + smaller.small(widget._css, "css")
    assert len(brought.encode()) < 75_000


def test_small_programs_are_still_programs(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on the path")
    for number, widget in enumerate((Playground, TypeYourOwn, GrokkingLive, BigramLive)):
        program = tmp_path / f"{number}.mjs"
        program.write_text(smaller.small(widget._esm, "js"), "utf-8")
        done = subprocess.run([node, "--check", str(program)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_texts_keep_their_blanks():
    line = 'const f = (a) => `After ${a} moves${a ? ` (the last:  ${a})` : ""} and  on`;'
    assert smaller.small(f"// what it says\n  {line}\n", "js") == line + "\n"
    with pytest.raises(ValueError, match="over several lines"):
        smaller.small("const a = `one\n  two`;", "js")


def test_a_page_says_a_source_once():
    library = "const same = 1;\n" * 100 + "// a comment\n"
    source = library + "export default { render() { return `two  blanks ⏎` } };\n"
    states = {"version_major": 2, "version_minor": 0, "state": {
        "a": {"state": {"_esm": source, "_css": ".x { color : red }", "text": "</script>  <b>"}},
        "b": {"state": {"_esm": source, "_css": ".y { color : red }"}},
        "c": {"state": {"value": 3, "_esm": library + "const x = 1;"}},
    }}  # fmt: skip
    tag = '<script type="application/vnd.jupyter.widget-state+json">'
    page = f"<p>  1 </p>{tag}{json.dumps(states).replace('</', '<' + chr(92) + '/')}</script>"
    made = smaller.small_page(page)
    assert made.startswith("<p>  1 </p>")
    assert made.count("</script>") == 1
    found = json.loads(made.split(tag)[1].split("</script>")[0])["state"]
    assert "comment" not in found["a"]["state"]["_esm"]
    assert "`two  blanks ⏎`" in found["a"]["state"]["_esm"]
    assert found["a"]["state"]["text"] == "</script>  <b>"
    whole = len(found["a"]["state"]["_esm"])
    same = {"same": "a", "length": whole, "more": ""}
    assert found["b"]["state"] == {"_esm": same, "_css": ".y{color:red}"}
    assert found["c"]["state"]["_esm"] == {"same": "a", "length": 1600, "more": "const x = 1;\n"}
    assert smaller.small_page(made) == made  # a second build changes nothing


def test_pages_share_heavy_numbers():
    data = bytes(range(256)) * 200
    text = base64.b64encode(data).decode()
    buffers = [{"path": ["weights"], "encoding": "base64", "data": text}]
    model = {"state": {}, "buffers": buffers}
    text, numbers = json.dumps({"state": {"a": model}}), {}
    made = json.loads(smaller.small_states(text, numbers))["state"]["a"]
    ((name, kept),) = numbers.items()
    assert kept == data
    assert made == {"state": {"beside": {"weights": name}}, "buffers": []}
