"""The last hand on every built page, at the end of a build.

A page loads what it needs and nothing else: icons become inline drawings, taken out of the theme's
own icon file; mathematics is loaded where there is any; nothing of Thebe, which needs a server, is
left. Pictures say their size, so that nothing moves while they load. Every page gets a description
and a content security policy that lets it ask nobody else for anything.
"""

import functools
import html
import re
from pathlib import Path

POLICY = (
    "default-src 'none'; script-src 'self' file: blob: 'unsafe-inline'; "
    "style-src 'self' file: 'unsafe-inline'; img-src 'self' file: data: blob:; "
    "font-src 'self' file: data:; connect-src 'self' file: blob: data:; "
    "worker-src 'self' file: blob:; frame-src 'none'; base-uri 'none'; form-action 'self' file:"
)
UNNEEDED = (
    r'<script[^>]*src="[^"]*(?:fontawesome|sphinx-thebe)[^"]*"[^>]*></script>',
    r"<script>(?:(?!</script>).)*THEBE_JS_URL(?:(?!</script>).)*</script>",
    r'<link[^>]*href="[^"]*(?:fontawesome|sphinx-thebe)[^"]*"[^>]*/?>',
    # Firefox would fetch the whole next chapter beforehand
    r'<link[^>]*rel="(?:next|prev)"[^>]*/?>',
    r'\s+id="search-input"',  # nobody looks for it, and the search page has it twice
)
MATHEMATICS = (
    r"<script>window\.MathJax(?:(?!</script>).)*</script>",
    r'<script[^>]*src="[^"]*mathjax[^"]*"[^>]*></script>',
)
# The theme's first script knows no mode but what was chosen before: without a choice, the system's.
MODES = (
    ('localStorage.getItem("mode") || ""', 'localStorage.getItem("mode") || "auto"'),
    (
        'localStorage.getItem("theme") || ""',
        'localStorage.getItem("theme") || '
        '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")',
    ),
)
# The search shows where its words stand. In the page's main part it would begin with the names of
# the buttons above the text.
FOUND_IN = ('[role="main"]', ".bd-article")
# What must not be divided at the end of a line: a formula and the mark before or behind it, ...
FORMULA = r'[(“]*<span class="math notranslate nohighlight">\\\([^<]*</span>[.,;:!?)”]*'
# ... and a number with its power of ten, in a claim or in the cell of a table.
POWERS = r'(<td[^>]*>|<span class="claim-[^>]*>)([^<]*\de-\d[^<]*)'
VERDICTS = "replicates|weaker|differs|not comparable"


def finish(text: str, icons: str, size_of) -> str:
    """The page `text`, finished. `icons`: the theme's icon file; `size_of`: a picture's size."""
    for pattern in UNNEEDED if has_mathematics(text) else UNNEEDED + MATHEMATICS:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    for without, with_system in MODES:
        text = text.replace(without, with_system)
    text = re.sub(
        r'<i class="([^"]*\bfa-[^"]*)"([^>]*)></i>', lambda m: icon(m[1], m[2], icons), text
    )
    text = re.sub(r'<img ([^>]*src="([^"]*_images/[^"]+\.svg)"[^>]*)>', sized(size_of), text)
    text = re.sub(
        rf'<span class="claim-paper">([^<]*), ({VERDICTS})</span>',
        lambda m: (
            f'<span class="claim-paper">{m[1]}</span> '
            f'<span class="claim-verdict verdict-{m[2].replace(" ", "-")}">{m[2]}</span>'
        ),
        text,
    )
    text = re.sub(
        r"<dl>\s*(<dd><em class=\"sig-param\">.*?)</dl>", signature, text, flags=re.DOTALL
    )
    text = "".join(
        part if part.startswith("<script") else kept_together(part)
        for part in re.split(r"(<script.*?</script>)", text, flags=re.DOTALL)
    )
    return text.replace("<head>", "<head>" + head(text), 1)


def kept_together(text: str) -> str:
    """Marks what must not be divided at the end of a line (`.keep` in the style sheet)."""
    keep = r'<span class="keep">\g<0></span>'
    text = re.sub(FORMULA, lambda m: m[0] if m[0][0] + m[0][-1] == "<>" else m.expand(keep), text)
    return re.sub(POWERS, lambda m: m[1] + re.sub(r"[\d.]+e-\d+", keep, m[2]), text)


def signature(match: re.Match) -> str:
    """A function's parameters, one a line: Sphinx writes them as a list of meanings of nothing."""
    lines = re.sub(r"(</?)dd>", r"\1div>", match[1])
    return f'<div class="sig-parameters">{lines}</div>'


def has_mathematics(text: str) -> bool:
    """Whether the page has a formula, in its prose or in the output of a cell."""
    return bool(re.search(r'class="[^"]*\b(?:math|text_latex)\b', text))


def icon(classes: str, rest: str, icons: str) -> str:
    """One icon as an inline drawing; nothing where the theme's file does not have it."""
    for name in re.findall(r"\bfa-([a-z0-9-]+)", classes):
        found = drawing(name, icons)
        if found:
            return (
                f'<svg class="{classes} page-icon"{rest} viewBox="0 0 {found[0]} {found[1]}" '
                f'aria-hidden="true" fill="currentColor"><path d="{found[2]}"/></svg>'
            )
    return ""


@functools.cache
def drawing(name: str, icons: str) -> tuple[str, ...] | None:
    """Width, height and path of an icon in the theme's file of a megabyte: searched once."""
    pattern = rf'[{{,"]{re.escape(name)}"?:\[(\d+),(\d+),\[[^]]*\],"[0-9a-f]+","(M[^"]+)"'
    found = re.search(pattern, icons)
    return found.groups() if found else None


def sized(size_of):
    """Puts a picture's width and height into its tag, and lets it load when it is near."""

    def write(match: re.Match) -> str:
        size = size_of(match[2])
        if size is None or "width=" in match[1]:
            return match[0]
        return f'<img width="{size[0]}" height="{size[1]}" decoding="async" {match[1]}>'

    return write


def head(text: str) -> str:
    """The policy, and what search machines and messengers show of the page."""
    title = re.search(r"<title>(.*?)(?: &#8212;.*?)?</title>", text, re.DOTALL)
    title = html.escape(html.unescape(title[1]).strip()) if title else "Circuits You Can Run"
    about = html.escape(description(text))
    return (
        f'\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'\n<meta name="description" content="{about}">'
        f'\n<meta property="og:title" content="{title}">'
        f'\n<meta property="og:description" content="{about}">'
        '\n<meta property="og:type" content="article">'
    )


def description(text: str) -> str:
    """The first sentences of the page, at most 160 letters."""
    article = text.split("<article", 1)[-1]
    for paragraph in re.findall(r"<p>(.*?)</p>", article, re.DOTALL):
        plain = " ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph)).split())
        if len(plain) > 60 and "\\(" not in plain:
            return plain if len(plain) <= 160 else plain[:157].rsplit(" ", 1)[0] + " …"
    return "A course in mechanistic interpretability whose every number is computed in its pages."


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels of a vector figure, from its first lines."""
    if not path.is_file():
        return None
    opening = path.read_text("utf-8")[:3000]
    width = re.search(r'\bwidth="([\d.]+)pt"', opening)
    height = re.search(r'\bheight="([\d.]+)pt"', opening)
    if width is None or height is None:
        return None
    return round(float(width[1]) * 4 / 3), round(float(height[1]) * 4 / 3)


def finish_all(app, error) -> None:
    """Finish every page of a build that succeeded."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    found = sorted(out.glob("_static/vendor/fontawesome/*/js/all.min.js"))
    icons = found[0].read_text("utf-8") if found else ""
    search = out / "_static" / "searchtools.js"
    search.write_text(search.read_text("utf-8").replace(*FOUND_IN), "utf-8")
    for path in sorted(out.rglob("*.html")):
        text = path.read_text("utf-8")
        if "Content-Security-Policy" in text or "<head>" not in text:
            continue  # finished by an earlier build, or no page of ours
        at = path.parent
        path.write_text(finish(text, icons, lambda s, at=at: picture_size(at / s)), "utf-8")


def setup(app) -> dict:
    """Sphinx's hook."""
    app.connect("build-finished", finish_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
