"""The last hand on built pages: what it takes out, what it puts in."""

from pathlib import Path

import finish
import pydata_sphinx_theme

ICONS = next(
    Path(pydata_sphinx_theme.__file__).parent.rglob("fontawesome/*/js/all.min.js")
).read_text("utf-8")
SENTENCE = "A first sentence that says what this page is about, in more than sixty letters."
PAGE = f"""<html><head><title>Ten &#8212; Book</title>
<link rel="preload" as="font" href="../_static/vendor/fontawesome/6/webfonts/fa-solid-900.woff2" />
<script src="../_static/vendor/fontawesome/6/js/all.min.js"></script>
<script>let mode = localStorage.getItem("mode") || "";
let theme = localStorage.getItem("theme") || "";</script>
<link rel="next" title="Eleven" href="11.html" />
<script>const THEBE_JS_URL = "https://unpkg.com/x"</script>
<script>window.MathJax = {{}}</script><script defer src="../_static/mathjax/tex-chtml.js"></script>
</head><body><i class="fa-solid fa-arrow-up"></i><article><p>{SENTENCE}</p>
<img alt="x" src="../_images/a.svg" />
<span class="claim-paper">Elhage 2021: 10 of 12, not comparable</span></article></body></html>"""


def finished(page: str = PAGE) -> str:
    return finish.finish(page, ICONS, lambda source: (576, 288))


def test_what_a_page_does_not_need_is_gone():
    for word in ("fontawesome", "THEBE", "mathjax", "MathJax", "<i ", "11.html"):
        assert word not in finished()


def test_mathematics_stays_where_there_is_any():
    text = finished(PAGE.replace("<article>", '<article><span class="math">x</span>'))
    assert "tex-chtml.js" in text
    assert "THEBE" not in text


def test_icons_pictures_and_verdicts():
    text = finished()
    assert '<svg class="fa-solid fa-arrow-up page-icon" viewBox="0 0 384 512"' in text
    assert '<img width="576" height="288"' in text
    assert '<span class="claim-verdict verdict-not-comparable">not comparable</span>' in text


def test_a_reader_who_chose_no_theme_gets_the_system_s():
    text = finished()
    assert 'getItem("mode") || "auto"' in text
    assert 'getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches' in text


def test_policy_and_description_come_first():
    text = finished()
    assert text.index("Content-Security-Policy") < text.index("<title>")
    assert "https" not in finish.POLICY
    assert "'unsafe-eval'" not in finish.POLICY
    assert f'name="description" content="{SENTENCE}"' in text
    assert 'property="og:title" content="Ten"' in text


def test_a_picture_says_its_size_in_pixels(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text('<svg width="432pt" height="216pt" viewBox="0 0 432 216">', "utf-8")
    assert finish.picture_size(path) == (576, 288)
    assert finish.picture_size(tmp_path / "none.svg") is None


def test_parameters_of_a_signature_are_no_list_of_meanings():
    sign = '<dt>f(<dl>\n<dd><em class="sig-param">x</em>,</dd>\n</dl>)</dt>'
    page = PAGE.replace("<article>", f"<article>{sign}<dl><dt>a</dt><dd>b</dd></dl>")
    assert finished(page).count("<dd>") == 1


def test_formulas_and_powers_of_ten_keep_together():
    math = r'<span class="math notranslate nohighlight">\(x\)</span>'
    kept = finish.kept_together
    assert kept(f"of {math}. So") == f'of <span class="keep">{math}.</span> So'
    assert kept(f"({math}, {math})") == (
        f'<span class="keep">({math},</span> <span class="keep">{math})</span>'
    )
    assert kept(f"of {math} and") == f"of {math} and"
    power = '<span class="keep">1.5e-12</span>'
    assert kept("<td>1.5e-12</td>") == f"<td>{power}</td>"
    assert kept('<span class="claim-needed">under 1.5e-12</span>') == (
        f'<span class="claim-needed">under {power}</span>'
    )
    assert kept("<p>the-7 1.5e-12</p>") == "<p>the-7 1.5e-12</p>"
    script = '<script>"<td>1.5e-12</td>"</script>'
    assert script in finished(PAGE.replace("<article>", script + "<article>"))
