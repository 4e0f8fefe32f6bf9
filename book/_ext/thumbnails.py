"""A chapter's opening figure as a small picture: the drawing without what only a large one shows.

Ticks, legends and what nobody sees are left out, numbers keep one decimal, curves the points that
can be told apart, and a circle is written as a circle.
"""

import base64
import io
import re
import xml.etree.ElementTree as ET

from PIL import Image

NEAR = 2.0  # points of a curve closer than this are one; all lengths are in points of the figure
HIGHEST = 0.75  # a figure higher than this share of its width shows its upper part
PIXELS = 128  # of a photograph in the figure, along its longer side

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
CLUTTER = ("xtick", "ytick", "legend")  # how the ids of what is left out begin
DEFAULTS = r"font-family: [^;]*;? ?|; stroke-line(?:join: miter|cap: square)"
STYLE = "*{stroke-linejoin:round}text{font-family:'DejaVu Sans',Verdana,sans-serif}"


def thumbnail(svg: str) -> tuple[str, int, int]:
    """The small picture as SVG, and its width and height. Raises ValueError: no size in it."""
    root = ET.fromstring(re.sub(r"<!DOCTYPE.*?>", "", svg, flags=re.DOTALL))
    box = [float(number) for number in root.get("viewBox", "").split()]
    if len(box) != 4:
        raise ValueError(f"svg: a viewBox is wanted, got {root.attrib}")
    width, height = round(box[2]), round(min(box[3], HIGHEST * box[2]))
    root.attrib = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    used = set(re.findall(r"#([\w-]+)", svg))
    _prune(root, used)
    for style in root.iter(f"{{{SVG}}}style"):
        style.text = STYLE
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    text = re.sub(r"\s+", " ", ET.tostring(root, encoding="unicode")).replace("> <", "><")
    return re.sub(r"-?\d+\.\d+", lambda m: _short(float(m[0])), text), width, height


def _prune(node: ET.Element, used: set[str]) -> None:
    """Take out what a small picture does not show, and make small what stays."""
    for child in list(node):
        name, ident = child.tag.removeprefix(f"{{{SVG}}}"), child.get("id", "")
        _prune(child, used)
        if name == "metadata" or ident.startswith(CLUTTER) or (name == "g" and not len(child)):
            node.remove(child)
            continue
        if ident not in used:
            child.attrib.pop("id", None)
        if "style" in child.attrib:
            child.set("style", re.sub(DEFAULTS, "", child.get("style")))
        if "rotate(-0 " in child.get("transform", ""):
            del child.attrib["transform"]
        if name == "path":
            _make_path_short(child)
        if name == "image":
            _make_photograph_small(child)


def _make_path_short(path: ET.Element) -> None:
    drawn = path.attrib.pop("d", "")
    circle = _circle(drawn)
    if circle:
        path.tag = f"{{{SVG}}}circle"
        path.attrib.update(circle)
    else:
        path.set("d", _fewer(drawn))


def _circle(path: str) -> dict[str, str] | None:
    """Centre and radius of a path that is a circle: eight arcs around, as wide as they are high."""
    numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path)]
    if re.sub(r"[^A-Za-z]", "", path).upper() != "MCCCCCCCCZ" or len(numbers) != 50:
        return None
    xs, ys = numbers[0::2], numbers[1::2]
    across, high = max(xs) - min(xs), max(ys) - min(ys)
    if abs(across - high) > 0.02 * across:
        return None
    middle = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)
    return {"cx": f"{middle[0]:.6f}", "cy": f"{middle[1]:.6f}", "r": f"{across / 2:.6f}"}


def _fewer(path: str) -> str:
    """The path without points that cannot be told from the one before."""
    kept, last = [], None
    strokes = re.findall(r"([A-Za-z])([^A-Za-z]*)", path)
    for number, (kind, numbers) in enumerate(strokes):
        end = [float(n) for n in numbers.split()][-2:]
        goes_on = number + 1 < len(strokes) and strokes[number + 1][0] in "LC"
        if kind in "LC" and last and goes_on:
            if max(abs(end[0] - last[0]), abs(end[1] - last[1])) < NEAR:
                continue
        kept.append(kind + numbers.strip())
        last = end or last
    return "".join(kept)


def _make_photograph_small(image: ET.Element) -> None:
    """A picture within the figure, in as many pixels and colours as can be seen."""
    kind, _, data = image.get(f"{{{LINK}}}href").partition("base64,")
    pixels = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    pixels.thumbnail((PIXELS, PIXELS))
    out = io.BytesIO()
    pixels.quantize(32).save(out, "PNG", optimize=True)
    image.set(f"{{{LINK}}}href", f"{kind}base64,{base64.b64encode(out.getvalue()).decode()}")


def _short(number: float) -> str:
    """A number with one decimal, and none where that is 0."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")
