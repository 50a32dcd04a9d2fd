"""A tree of topics as a picture: reads the JSON of `gengs-topics tree --json` on standard input, and writes an SVG to standard output.

    gengs-topics train --corpus 20news --data-dir DIR --topics 50,12 --out runs/news
    gengs-topics tree --run runs/news --html tree.html --json --quiet | python3 scripts/topics-svg.py > topics.svg
"""

import argparse
import json
import sys
from html import escape

LINE, LEFT, RIGHT, WIDTH, TOP = 21, 12, 330, 660, 12


def words(topic, count):
    return ", ".join(entry["word"] for entry in topic["words"][:count])


def text(x, y, content, weight, size=13):
    return f'<text x="{x}" y="{y:.0f}" font-size="{size}" font-weight="{weight}">{escape(content)}</text>'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--roots", type=int, default=8, help="largest topics of the top layer that are shown")
    parser.add_argument("--children", type=int, default=3, help="largest topics under each that are shown")
    options = parser.parse_args()
    roots = [root for root in json.load(sys.stdin)["roots"] if root["children"]]
    roots = sorted(roots, key=lambda root: -root["token_share"])[: options.roots]
    parts, y = [], TOP
    for number, root in enumerate(roots):
        children = sorted(root["children"], key=lambda child: -child["token_share"])[: options.children]
        middle = y + LINE * len(children) / 2
        hue = 360 * number // len(roots)
        for place, child in enumerate(children):
            end = y + LINE * (place + 0.5)
            width = 1 + 60 * child["token_share"]
            curve = f"M{RIGHT - 75} {middle:.1f} C{RIGHT - 40} {middle:.1f} {RIGHT - 45} {end:.1f} {RIGHT - 8} {end:.1f}"
            parts.append(f'<path d="{curve}" stroke="hsl({hue} 55% 50%)" stroke-width="{width:.1f}" fill="none"/>')
            parts.append(text(RIGHT, end + 4, words(child, 5), 400))
        parts.append(f'<rect x="{LEFT}" y="{middle - 13:.1f}" width="{RIGHT - 75 - LEFT}" height="26" rx="6" fill="hsl({hue} 55% 92%)"/>')
        parts.append(text(LEFT + 8, middle + 4.5, words(root, 3), 600))
        y += LINE * len(children) + 8
    style = 'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" fill="#1f2328"'
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 4}" width="{WIDTH}" height="{y + 4}" {style}>')
    print(f'<rect width="{WIDTH}" height="{y + 4}" rx="10" fill="#ffffff"/>')
    print("\n".join(parts))
    print("</svg>")


main()
