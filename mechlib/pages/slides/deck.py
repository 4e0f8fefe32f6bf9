"""Markdown to a deck of slides that needs neither a network nor a server.

One file is one session. `---` on a line of its own begins a new slide. Beside plain Markdown and
`$mathematics$` a file may use

    {claim}`05: learned tables`       the sentence of a claim with its number
    {number}`05: learned tables`      the number alone; {control} and {paper} likewise
    :::{figure} fig-bigrams-kl        a figure of a chapter with its text alternative
    :::
    :::{figure} fig-real-heads        some panels of it; with `1 3 | 2 4` side by side
    panels: 5 6 7 8
    :::
    :::{notes}                        what the speaker says
    :::
"""

import html
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from mechlib.pages.notebooks import write
from mechlib.pages.slides.sources import NotThere, Picture, Sources, quoted

WIDE = 2.2  # width over height from which on a figure stands below its text
ROLES = ("claim", "number", "control", "paper")
SIZE = {"width": 1280, "height": 720}
REVEAL = ("reveal.js", "reveal.css", "reset.css")


class Deck:
    """One session's slides. `html()` is the page, `pictures` the figures that it shows."""

    def __init__(self, path: Path, sources: Sources):
        self.path, self.sources, self.pictures = path, sources, set()
        front, self.slides = parts(path.read_text(encoding="utf-8"))
        self.title = front["title"]
        self.markdown = MarkdownIt("commonmark").enable("table")
        self.markdown.use(dollarmath_plugin).use(colon_fence_plugin).use(myst_role_plugin)
        rules = self.markdown.renderer.rules
        rules["myst_role"], rules["colon_fence"] = self._role, self._fence
        rules["math_inline"] = rules["math_block"] = _mathematics

    def html(self) -> str:
        """The page. Raises `NotThere`, naming file and slide, for what no chapter has."""
        sections = []
        for number, text in enumerate(self.slides, 1):
            try:
                body = self.markdown.render(text)
            except NotThere as error:
                raise NotThere(f"{self.path.name}, slide {number}: {error}") from None
            found = re.search('<figure class="(beside|below)"', body)
            kind = f' class="figure-{found[1]}"' if found else ""
            sections.append(f"<section{kind}><div class='body'>\n{body}</div></section>")
        return PAGE.format(
            title=html.escape(self.title),
            sections="\n".join(sections),
            settings=json.dumps(SIZE | SETTINGS),
        )

    def _role(self, tokens, index, options, env) -> str:
        role, where = tokens[index].meta["name"], tokens[index].content
        if role not in ROLES:
            raise NotThere(f"a slide knows the roles {', '.join(ROLES)}, not {role!r}")
        chapter, record = self.sources.record(where)
        text = html.escape(quoted(role, record))
        page = self.sources.pages[chapter]
        return (
            f'<a class="record" data-role="{role}" href="../{page}" '
            f'title="from {html.escape(page)}">{text}</a>'
        )

    def _fence(self, tokens, index, options, env) -> str:
        kind, _, name = tokens[index].info.strip().partition(" ")
        content = tokens[index].content
        if kind == "{notes}":
            return f'<aside class="notes">\n{self.markdown.render(content)}</aside>\n'
        if kind != "{figure}":
            raise NotThere(f"a slide knows the boxes figure and notes, not {kind!r}")
        shown = self._parts(name.strip(), content)
        self.pictures.update(shown)
        # beside its text a wide figure would be small, so it stands below
        kind = "below" if sum(each.aspect for each in shown) >= WIDE else "beside"
        images = "".join(
            f'<img src="figures/{each.file}" alt="{html.escape(each.alt)}">' for each in shown
        )
        chapter = shown[0].chapter
        return (
            f'<figure class="{kind}"><div class="pictures">{images}</div>'
            f'<figcaption><a href="../{self.sources.pages[chapter]}">chapter {int(chapter)}</a>'
            "</figcaption></figure>\n"
        )

    def _parts(self, name: str, content: str) -> list[Picture]:
        """The whole figure, or the groups of panels that the box names."""
        asked = re.fullmatch(r"panels:([\d\s|]+)", content.strip())
        if not content.strip():
            return [self.sources.picture(name)]
        if not asked:
            raise NotThere(f"a figure's box may hold 'panels: 1 2', not {content.strip()!r}")
        groups = asked[1].split("|")
        return [self.sources.part(name, [int(n) for n in each.split()]) for each in groups]


def parts(text: str) -> tuple[dict, list[str]]:
    """The front matter and the slides of a file."""
    found = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    if not found:
        raise ValueError("a deck begins with front matter between two lines of ---")
    return yaml.safe_load(found[1]), re.split(r"^---$", found[2], flags=re.MULTILINE)


def build(root: Path, folder: Path, out: Path) -> list[Path]:
    """Write every deck of `folder`, with all that it needs, into `out`."""
    sources = Sources(root)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(folder.glob("*.md"), key=_session):
        deck = Deck(path, sources)
        write(out / f"{path.stem}.html", deck.html())
        written.append(out / f"{path.stem}.html")
        for picture in deck.pictures:
            (out / "figures").mkdir(exist_ok=True)
            (out / "figures" / picture.file).write_bytes(picture.data)
    _copy_scripts(out / "assets")
    return written


def _session(path: Path) -> tuple[int, str]:
    """Session 2 comes before session 10."""
    number = re.search(r"\d+", path.stem)
    return int(number[0]) if number else 0, path.stem


def _copy_scripts(assets: Path) -> None:
    """reveal.js, its notes and MathJax out of the installed packages, and our own style."""
    assets.mkdir(exist_ok=True)
    reveal = _package("sphinx_revealjs") / "_static" / "revealjs"
    mathjax = _package("sphinx-mathjax-offline") / "static" / "mathjax"
    files = [reveal / "dist" / name for name in REVEAL]
    files += [reveal / "plugin" / "notes" / "notes.js", mathjax / "tex-svg.js"]
    files += [reveal / "LICENSE", Path(__file__).with_name("deck.css")]
    for path in files:
        shutil.copyfile(path, assets / path.name)


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the slides need {name}: it is in requirements.txt")
    return Path(found.origin).parent


def _mathematics(tokens, index, options, env) -> str:
    token = tokens[index]
    text = html.escape(token.content.strip())
    if token.type == "math_block":
        return f"<p>\\[{text}\\]</p>\n"
    return f"\\({text}\\)"


SETTINGS = {
    "margin": 0,
    "hash": True,
    "controls": False,
    "center": False,
    "slideNumber": "c/t",
    "transition": "none",
    "pdfSeparateFragments": False,
    # a slide that is too long is a fault that the tests find, not a second page
    "pdfMaxPagesPerSlide": 1,
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="../_static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="assets/reset.css">
<link rel="stylesheet" href="assets/reveal.css">
<link rel="stylesheet" href="assets/deck.css">
<script>
window.MathJax = {{ options: {{ enableMenu: false }}, svg: {{ fontCache: "local" }} }};
</script>
<script src="assets/tex-svg.js"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{sections}
</div></div>
<script src="assets/reveal.js"></script>
<script src="assets/notes.js"></script>
<script>Reveal.initialize(Object.assign({settings}, {{ plugins: [RevealNotes] }}));</script>
</body>
</html>
"""
