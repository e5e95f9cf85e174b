"""Pictures of the nodes for their help pages, of a running ComfyUI that has the pack.

    python -m tools.node_pictures http://127.0.0.1:8188/

needs a Chromium or Chrome (see tests/host/browser.py) and Pillow, and leaves Nodes 2.0 turned on for its user.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import urllib.request
from pathlib import Path

from PIL import Image

from tests.host.browser import Browser, find_browser

FOLDER = Path(__file__).parents[1] / "js" / "docs" / "images"
WIDTH, SCALE, MARGIN = 320, 1.5, 8  # of a node in graph units; pixels per unit; units around it
QUALITY = 85
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.VueNodes.Enabled": True}


def open_front_end(url: str, folder: Path) -> Browser:
    """A browser that shows an empty graph in Nodes 2.0."""
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{url}settings", json.dumps(SETTINGS).encode(), headers)).read()
    page = Browser(find_browser(), folder, size=(1600, 1500))
    page.open(url)
    page.wait_for("!!window.app?.isGraphReady", 120)
    page.wait_for("app.extensions.some(({name}) => name === 'lipforcing.panels')", 120)
    return page


def picture_of(page: Browser, kind: str) -> Image.Image:
    """A new node of class `kind`, as a first user sees it."""
    page.evaluate(f"""
        for (const other of [...app.rootGraph.nodes]) app.rootGraph.remove(other);
        window.node = LiteGraph.createNode("{kind}");
        node.pos = [100, 100];
        node.setSize([{WIDTH}, node.computeSize()[1]]);
        app.rootGraph.add(node);
        app.canvas.ds.scale = {SCALE};
        app.canvas.ds.offset = [100, 0];
        app.canvas.setDirty(true, true);
        new Promise((done) => setTimeout(done, 2000));
    """)
    edges = "['left', 'top', 'right', 'bottom'].map((edge) => element.getBoundingClientRect()[edge])"
    box = page.evaluate(f"(({{0: element}}) => {edges})(document.querySelectorAll('[data-node-id]'))")
    with tempfile.TemporaryDirectory() as folder:
        page.screenshot(Path(folder) / "page.png")
        shot = Image.open(io.BytesIO((Path(folder) / "page.png").read_bytes())).convert("RGB")
    around = MARGIN * SCALE
    return shot.crop(tuple(round(edge + sign * around) for edge, sign in zip(box, (-1, -1, 1, 1))))


def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = open_front_end(url, Path(folder))
        try:
            for help_page in sorted(FOLDER.parent.glob("LipForcing*.md")):
                picture = picture_of(page, help_page.stem)
                picture.save(FOLDER / f"{help_page.stem}.jpg", quality=QUALITY, optimize=True)
                print(help_page.stem, picture.size)
        finally:
            page.close()


if __name__ == "__main__":
    main(sys.argv[1])
