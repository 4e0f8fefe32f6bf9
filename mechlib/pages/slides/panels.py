"""Some panels of a figure, cut out of its SVG, so that a tall figure can be read from the last row.

matplotlib gives each pair of axes a group of its own, `axes_1` and so on, in the order in which
they were made; a colour bar is one, too. The panels are kept over the whole width of the figure.
"""

import re
import xml.etree.ElementTree as ET

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
MARGIN = 3.0  # points around what is kept
WIDE = 0.6  # a letter's width as a part of its height, to know how far turned text reaches


def cut(svg: bytes, panels: list[int]) -> bytes:
    """The SVG with these panels alone. Raises `ValueError` for panels that it does not have."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    root = ET.fromstring(svg)
    figure = root.find(f"{{{SVG}}}g[@id='figure_1']")
    axes = {int(each.get("id")[5:]): each for each in _groups(figure, "axes_")}
    if not panels or not set(panels) <= set(axes):
        raise ValueError(f"its panels are {', '.join(map(str, axes))}; asked for {panels}")
    for number, group in axes.items():
        if number not in panels:
            figure.remove(group)
    heights = [y for number in panels for y in _heights(axes[number])]
    width = float(root.get("viewBox").split()[2])
    top, bottom = min(heights) - MARGIN, max(heights) + MARGIN
    root.set("viewBox", f"0 {top:.2f} {width:.2f} {bottom - top:.2f}")
    root.set("width", f"{width:.2f}pt")
    root.set("height", f"{bottom - top:.2f}pt")
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _groups(parent: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in parent if (each.get("id") or "").startswith(name)]


def _heights(group: ET.Element) -> list[float]:
    """The heights between which a panel lies: its background and all its text, in points."""
    found = []
    background = group.find(f"{{{SVG}}}g/{{{SVG}}}path")
    if background is not None:
        found += [float(y) for y in re.findall(r"[ML] \S+ (\S+)", background.get("d"))]
    for text in group.iter(f"{{{SVG}}}text"):
        size = re.search(r"([\d.]+)px", text.get("style") or "")
        turned = re.match(r"rotate\((\S+) \S+ (\S+)\)", text.get("transform") or "")
        if not size or not turned:
            continue
        size, angle, y = float(size[1]), float(turned[1]), float(turned[2])
        long = size * WIDE * len("".join(text.itertext())) / 2 if abs(angle) > 1 else 0
        found += [y - max(size, long), y + max(size / 3, long)]
    return found
