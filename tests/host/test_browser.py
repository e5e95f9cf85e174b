"""The panels of `js/` in the real front end, in both of its renderers: workflow 1 is opened, run and reloaded.

Screenshots are kept in the folder named by LIPFORCING_ARTIFACTS, else in pytest's temporary folder.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

import pytest

from .browser import Browser, find_browser
from .server import PACK, Server

WORKFLOW = json.loads((PACK / "workflows" / "1_try_it_now.json").read_text(encoding="utf-8"))
NODE = 2  # Lip Forcing Video to Video
METER = "document.querySelector('.lipforcing-panel')"
# The seeds differ so that the second renderer's run does not come from the cache.
SEEDS = {"classic": 101, "vue": 102}

# Where each renderer has the live picture: drawn on the canvas, or in the node's element.
PREVIEW = {
    "classic": f"app.rootGraph.getNodeById({NODE}).imgs?.[0]",
    "vue": f"document.querySelector('[data-node-id=\"{NODE}\"] img')",
}

# Writes down what the panel shows and which pictures the node shows, as they change.
RECORD = """
window.seen = {meter: [], pictures: [], ended: false};
new MutationObserver(() => seen.meter.push(%(meter)s.innerText))
  .observe(%(meter)s, {subtree: true, childList: true, characterData: true});
setInterval(() => {
  const picture = %(preview)s;
  const loaded = picture?.complete && picture.naturalWidth > 0;
  if (loaded && seen.pictures.at(-1) !== picture.src) seen.pictures.push(picture.src);
}, 50);
comfyAPI.api.api.addEventListener("execution_success", () => { seen.ended = true });
"""


# The bundled clip scored against its own sound from the fourth frame on, and what the panel draws of it.
AHEAD = 3
SCORE = {
    "1": {"class_type": "LipForcingSample", "inputs": {"clip": "ada", "speech": "market"}},
    "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
    "3": {"class_type": "LipForcingSyncNetLoader", "inputs": {"model_name": "tiny (built in)"}},
    "4": {
        "class_type": "LipForcingSyncScore",
        "inputs": {"syncnet": ["3", 0], "video": ["1", 0], "audio": ["5", 0], "face": "full"},
    },
    "5": {"class_type": "TrimAudioDuration", "inputs": {"audio": ["2", 1], "start_index": AHEAD / 25, "duration": 60}},
}
# The bundled clip against a speech that it was not drawn for.
UNCLEAR = {**SCORE, "4": {**SCORE["4"], "inputs": {**SCORE["4"]["inputs"], "audio": ["1", 1]}}}
# A clip without sound in place of the speech, for both kinds of panels.
NO_SOUND = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}},
    "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
    "3": {
        "class_type": "LipForcingVideoToVideo",
        "inputs": {"video": ["1", 0], "audio": ["2", 1], "seed": 1, "face": "full", "length": "audio"},
    },
    "4": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["3", 0], "filename_prefix": "video/none", "format": "auto", "codec": "auto"},
    },
}
NO_SOUND_SCORE = {
    "1": NO_SOUND["1"],
    "2": NO_SOUND["2"],
    "3": SCORE["3"],
    "4": {
        "class_type": "LipForcingSyncScore",
        "inputs": {"syncnet": ["3", 0], "video": ["1", 0], "audio": ["2", 1], "face": "full"},
    },
}
LINES = f"""(() => {{
  const points = (line) => line.getAttribute("points").split(" ").map((point) => point.split(",").map(Number));
  return {{
    text: {METER}.innerText,
    curves: [...{METER}.querySelectorAll("polyline")].map(points),
    ends: [...{METER}.querySelectorAll(".high, .low")].map((end) => end.textContent),
    dot: {METER}.querySelector(".dot")?.getAttribute("d").match(/[0-9.]+/g).map(Number),
  }};
}})()"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    named = os.environ.get("LIPFORCING_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module", params=["classic", "vue"])
def renderer(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def page(renderer, server: Server, tmp_path_factory):
    """The front end with an empty graph."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium or Chrome found (set CHROMIUM_PATH)")
    settings = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}
    server.request("/settings", {**settings, "Comfy.VueNodes.Enabled": renderer == "vue"})
    browser = Browser(executable, tmp_path_factory.mktemp("browser"), size=(1900, 950))
    try:
        browser.open(f"http://127.0.0.1:{server.port}/")
        wait_until_ready(browser)
        yield browser
    finally:
        browser.close()


def wait_until_ready(page: Browser) -> None:
    page.wait_for("document.readyState === 'complete' && !!window.app?.isGraphReady", 120)
    page.wait_for("!!window.comfyAPI?.api && app.extensions.some(({name}) => name === 'lipforcing.panels')", 120)


def reload(page: Browser) -> None:
    """Load the page again, once the front end has saved the open workflow as a draft, which it does with a delay."""
    saved = "Object.values({...localStorage, ...sessionStorage}).some((draft) => draft.includes(app.rootGraph.id))"
    page.wait_for(saved)
    # A graph made of a prompt has the id of the empty graph that every page begins with, so its nodes are what counts.
    nodes = "app.rootGraph.nodes.map(({id, type}) => `${id} ${type}`).join()"
    shown = page.evaluate(nodes)
    page.reload()
    wait_until_ready(page)
    page.wait_for(f"{nodes} === '{shown}'")


def load(page: Browser, workflow: str) -> None:
    """Open the workflow that the JavaScript expression `workflow` gives, all of it in view."""
    page.evaluate(f"app.loadGraphData({workflow})")
    page.wait_for(f"!!{METER}?.offsetParent")
    page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")


def errors(page: Browser) -> list[str]:
    page.evaluate("1")  # collects what the console got meanwhile
    loud = [line for line in page.console if line.startswith(("error", "exception"))]
    return [line for line in loud if re.search("lip.?forcing", line, re.IGNORECASE)]


@pytest.fixture(scope="module")
def finished(page, renderer, artifacts) -> dict:
    """Workflow 1, run to its end: the texts the meter showed and the addresses of the pictures, in order."""
    workflow = json.loads(json.dumps(WORKFLOW))
    workflow["nodes"][1]["widgets_values"][0] = SEEDS[renderer]
    load(page, json.dumps(workflow))
    page.evaluate(RECORD % {"meter": METER, "preview": PREVIEW[renderer]})
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for("seen.pictures.length > 1", 120)
    page.screenshot(artifacts / f"{renderer}_running.png")
    page.wait_for("seen.ended", 300)
    page.screenshot(artifacts / f"{renderer}_finished.png")
    return page.evaluate("({meter: seen.meter, pictures: seen.pictures, last: %s.innerText})" % METER)  # noqa: UP031


def frames_done(text: str) -> tuple[int, int] | None:
    found = re.search(r"(\d+) / (\d+) frames", text)
    return found and (int(found[1]), int(found[2]))


def test_meter_moves_to_the_total(finished):
    done = [frames_done(text) for text in finished["meter"] if frames_done(text)]
    total = done[-1][1]
    assert done == sorted(done) and len(set(done)) >= 3, done
    assert total > 100 and frames_done(finished["last"]) == (total, total)


def test_meter_says_loading_first_and_the_time_left_from_the_second_chunk_on(finished):
    texts = finished["meter"]
    first = next(n for n, text in enumerate(texts) if frames_done(text))
    assert any(text.startswith("loading") for text in texts[:first])
    assert not any("left" in text for text in texts if (frames_done(text) or (0, 0))[0] < 12)
    assert any(" left" in text for text in texts)
    assert "took" in finished["last"]


def test_meter_shows_speed_and_first_frame(finished):
    fps, first, realtime, memory = re.findall(r"^([\d.]+)(?: s|\u00d7| GB|)$", finished["last"], re.MULTILINE)
    assert float(first) > 0
    assert float(realtime) == pytest.approx(float(fps) / 25, abs=0.05)
    assert 0.5 < float(memory) < 64 and re.search(r"^\d+ frames written, [\d.]+ s\.$", finished["last"], re.MULTILINE)


def test_finished_frames_are_seen_while_the_video_is_made(finished):
    assert len(set(finished["pictures"])) >= 2
    assert all(address.startswith("blob:") for address in finished["pictures"])


def test_saved_workflow_and_prompt_know_nothing_of_the_panel(page, renderer, finished):
    node = f"app.rootGraph.getNodeById({NODE})"
    others = f"{node}.widgets.filter(({{name, serialize}}) => name !== 'lipforcing' && serialize !== false)"
    saved = page.evaluate(f"{node}.serialize().widgets_values")
    assert saved == page.evaluate(f"{others}.map(({{value}}) => value)")
    before = WORKFLOW["nodes"][1]["widgets_values"]
    assert saved[: len(before)] == [SEEDS[renderer], *before[1:]]
    prompt = page.evaluate(f"app.graphToPrompt().then(({{output}}) => Object.keys(output[{NODE}].inputs))")
    assert "seed" in prompt and "lipforcing" not in prompt


def test_numbers_outlast_a_reload(page, renderer, finished, artifacts):
    reload(page)
    page.wait_for(f"{METER}?.innerText === {json.dumps(finished['last'])}", 30)
    page.screenshot(artifacts / f"{renderer}_reloaded.png")


def test_numbers_are_kept_when_workflows_are_switched(page, finished):
    page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for(f"!{METER}")
    page.evaluate("app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    page.wait_for(f"{METER}?.innerText === {json.dumps(finished['last'])}", 30)


def test_removing_the_node_removes_the_panel(page, finished):
    page.evaluate(f"app.rootGraph.remove(app.rootGraph.getNodeById({NODE}))")
    page.wait_for(f"!{METER}")


def test_a_template_that_is_opened_again_shows_no_numbers(page, finished):
    load(page, json.dumps(WORKFLOW))
    page.wait_for(f"{METER}?.innerText.startsWith('no frames yet')", 10)
    page.evaluate("new Promise((done) => setTimeout(done, 2000))")  # the panels ask the server for the last run
    assert page.evaluate(f"{METER}.innerText").startswith("no frames yet")


@pytest.fixture(scope="module")
def scored(page, renderer, server, artifacts) -> tuple[dict, dict]:
    """What the panel of the sync score shows after a run, and the report it comes from."""
    page.evaluate(f"app.loadApiJson({json.dumps(SCORE)}, 'score')")
    # As a workflow of its own; one loaded from a prompt has no identity yet.
    load(page, "{...app.rootGraph.serialize(), id: crypto.randomUUID()}")
    ran = page.evaluate("app.queuePrompt(0, 1).then(() => app.rootGraph.id)")
    page.wait_for(f"{METER}.querySelectorAll('polyline').length === 2", 120)
    page.screenshot(artifacts / f"{renderer}_score.png")
    job = server.get(f"/api/jobs?status=completed&limit=1&workflow_id={ran}")["jobs"][0]["id"]
    return page.evaluate(LINES), server.get(f"/api/jobs/{job}")["outputs"]["4"]["lipforcing_sync"][0][0]


def test_sync_score_shows_the_figures(scored):
    shown, report = scored
    for value in (f"{report['confidence']:.2f}", f"{report['distance']:.2f}", str(report["offset"])):
        assert value in shown["text"].splitlines()
    assert shown["text"].startswith(f"audio {40 * AHEAD} ms early")


def test_sync_curves_are_those_of_the_report(scored):
    shown, report = scored
    by_offset, by_time = shown["curves"]
    assert len(by_offset) == 31 and len(by_time) == len(report["curve"]) > 100
    # Downwards on the screen is less: the dot is at the lowest distance, which is at the offset.
    assert shown["dot"][:2] == pytest.approx(max(by_offset, key=lambda point: point[1]))
    assert shown["dot"][0] == pytest.approx((AHEAD + 15) / 30)
    heights = [point[1] for point in by_time]
    assert heights.index(min(heights)) == report["curve"].index(max(report["curve"]))


def test_sync_curves_have_axes_of_their_own(scored):
    """They end at 0 and 8 (confidence: 4) whatever the curve, so that a flat one looks flat."""
    shown, report = scored
    assert shown["ends"] == ["8", "0", "4", "0"]
    by_offset, by_time = ([point[1] for point in curve] for curve in shown["curves"])
    assert by_offset == pytest.approx([1 - distance / 8 for distance in report["mean_distances"]], abs=1e-6)
    assert by_time == pytest.approx([1 - min(4, max(0, one)) / 4 for one in report["curve"]], abs=1e-6)


def test_sync_curves_outlast_a_reload(page, renderer, scored, artifacts):
    reload(page)
    page.wait_for(f"{METER}?.querySelectorAll('polyline').length === 2", 30)
    assert page.evaluate(LINES) == scored[0]


def test_no_offset_is_named_where_the_sound_does_not_fit(page, renderer, artifacts):
    page.evaluate(f"app.loadApiJson({json.dumps(UNCLEAR)}, 'unclear')")
    load(page, "{...app.rootGraph.serialize(), id: crypto.randomUUID()}")
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for(f"{METER}.querySelectorAll('polyline').length === 2", 120)
    page.screenshot(artifacts / f"{renderer}_unclear.png")
    shown = page.evaluate(LINES)
    title, confidence, *_ = lines = shown["text"].splitlines()
    assert title == "no clear sync" and 0 < float(confidence) < 1
    assert lines[lines.index("offset, frames") - 1] == "\u2013" and "dot" not in shown


@pytest.mark.parametrize("prompt", [NO_SOUND, NO_SOUND_SCORE], ids=["meter", "curves"])
def test_panel_shows_the_sentence_of_an_error(page, renderer, artifacts, prompt):
    page.evaluate(f"app.loadApiJson({json.dumps(prompt)}, 'error')")
    page.wait_for(f"!!{METER}?.offsetParent")
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for(f"{METER}.innerText.includes('has no sound; connect a recording')", 60)
    page.screenshot(artifacts / f"{renderer}_error_{'meter' if prompt is NO_SOUND else 'curves'}.png")
    begins = "no frames yet\nerror" if prompt is NO_SOUND else "unusable input"
    assert page.evaluate(f"{METER}.innerText").startswith(begins)


def test_a_node_without_a_panel_says_its_error_too(page, renderer, artifacts):
    """The host has the sentence at the end of a log only."""
    encode = {"class_type": "LipForcingAudioEncode", "inputs": {"audio": ["2", 1]}}
    shown = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}
    page.evaluate(f"app.loadApiJson({json.dumps({**NO_SOUND, '3': encode, '4': shown})}, 'error')")
    page.wait_for("app.rootGraph.getNodeById(3)?.comfyClass === 'LipForcingAudioEncode'")
    page.evaluate("app.queuePrompt(0, 1)")
    toast = "[...document.querySelectorAll('.p-toast-message')].map(({innerText}) => innerText).join()"
    page.wait_for(f"{toast}.includes('has no sound; connect a recording')", 60)
    page.screenshot(artifacts / f"{renderer}_error_toast.png")
    assert "Lip Forcing Audio Encode" in page.evaluate(toast)


def test_help_page_opens(page, renderer, artifacts):
    """As a user opens it, so at the address that the front end makes of the name of the pack's folder."""
    load(page, json.dumps(WORKFLOW))
    button = "document.querySelector('[data-testid=info-button]')"
    page.evaluate(f"app.canvas.selectNode(app.rootGraph.getNodeById({NODE}))")
    page.wait_for(f"!!{button}")
    page.evaluate(f"{button}.click()")
    page.wait_for("document.body.innerText.includes('Good to know')", 30)
    page.screenshot(artifacts / f"{renderer}_help.png")
    page.evaluate("app.canvas.deselectAll()")


# What the nodes on the screen cover, as lists of left, top, right, bottom.
AREAS = {
    "classic": "app.rootGraph.nodes.map(({boundingRect: [x, y, w, h]}) => [x, y, x + w, y + h])",
    "vue": "[...document.querySelectorAll('[data-node-id]')].map((node) => node.getBoundingClientRect())"
    ".map(({left, top, right, bottom}) => [left, top, right, bottom])",
}


AREAS_WITH_FOOTERS = {
    "classic": AREAS["classic"],
    "vue": """[...document.querySelectorAll('[data-node-id]')].map((node) => {
        const boxes = [node, ...node.querySelectorAll("button")].map((one) => one.getBoundingClientRect());
        const [{left, top, right}, {scale}] = [boxes[0], app.canvas.ds];
        const bottom = Math.max(...boxes.map(({height, bottom}) => (height ? bottom : 0)));
        return [left, top, right, bottom].map((edge) => edge / scale);
    })""",
}


@pytest.mark.parametrize("number", [4, 6])
def test_nodes_have_room_for_what_they_show(page, renderer, artifacts, number):
    """No node grows over another when videos and pictures appear in it."""
    path = next((PACK / "workflows").glob(f"{number}_*.json"))
    workflow = json.loads(path.read_text(encoding="utf-8"))
    sampler = next(node for node in workflow["nodes"] if node["type"] == "LipForcingCausalSampler")
    sampler["widgets_values"][0] = SEEDS[renderer]
    tracker = next(node for node in workflow["nodes"] if node["type"] == "LipForcingFaceTrack")
    tracker["widgets_values"][4] = 1.0  # seconds
    load(page, json.dumps(workflow))
    page.evaluate("""
        window.ended = false;
        comfyAPI.api.api.addEventListener("execution_success", () => { window.ended = true }, { once: true });
        app.queuePrompt(0, 1);
    """)
    page.wait_for("ended", 180)
    page.evaluate("new Promise((done) => setTimeout(done, 3000))")  # the video is loaded, the node takes its size
    page.evaluate("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.evaluate("new Promise((done) => setTimeout(done, 1500))")
    page.screenshot(artifacts / f"{renderer}_room_{number}.png")
    areas = page.evaluate(AREAS[renderer])
    assert len(areas) == len(workflow["nodes"])
    overlapping = [
        (a, b)
        for a, b in itertools.combinations(areas, 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1
    ]
    assert overlapping == []


STORES = "document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s"


def test_the_first_template_needs_nothing(page, renderer, server):
    page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    of_pack = f"({{sourceModule}}) => sourceModule === {json.dumps(server.pack.name)}"
    listed = f"{STORES}.get('workflowTemplates')?.enhancedTemplates?.filter({of_pack})"
    page.wait_for(f"{listed}?.length > 0", 60)
    names = page.evaluate(f"{listed}.map(({{name}}) => name)")
    page.evaluate(f"{STORES}.get('dialog').closeDialog()")
    assert names == sorted(path.stem for path in (PACK / "workflows").glob("*.json"))


@pytest.mark.parametrize("path", sorted((PACK / "workflows").glob("*.json")), ids=lambda path: path.stem)
def test_template_opens_readable(page, renderer, artifacts, path):
    """As the front end opens a template: all of it in view, and yet so large that the classic canvas draws its text."""
    workflow = path.read_text(encoding="utf-8")
    opened = f"app.loadGraphData({workflow}, true, true, {json.dumps(path.stem)}, {{openSource: 'template'}})"
    page.evaluate(opened)
    page.evaluate("new Promise((done) => setTimeout(done, 1500))")
    page.screenshot(artifacts / f"{renderer}_{path.stem}.png")
    assert page.evaluate("!app.canvas.low_quality"), page.evaluate("app.canvas.ds.scale")
    outside = """app.rootGraph.nodes.filter(({boundingRect: [x, y, w, h]}) => {
        const [left, top, width, height] = app.canvas.visible_area;
        return x < left || y < top || x + w > left + width || y + h > top + height;
    }).length"""
    assert page.evaluate(outside) == 0


@pytest.mark.parametrize("path", sorted((PACK / "workflows").glob("*.json")), ids=lambda path: path.stem)
def test_nodes_and_their_footers_do_not_touch(page, renderer, path):
    """Nodes 2.0 adds "Error" and "Show advanced" below a node, the classic canvas a frame where a file is missing."""
    workflow = json.loads(path.read_text(encoding="utf-8"))
    page.evaluate(f"app.loadGraphData({json.dumps(workflow)})")
    if any(node.get("properties", {}).get("models") for node in workflow["nodes"]):
        page.wait_for("app.rootGraph.nodes.some(({has_errors}) => has_errors)", 60)
    page.evaluate("new Promise((done) => setTimeout(done, 2000))")
    areas = page.evaluate(AREAS_WITH_FOOTERS[renderer])
    assert len(areas) == len(workflow["nodes"])
    touching = [
        (a, b)
        for a, b in itertools.permutations(areas, 2)
        if min(a[2], b[2]) > max(a[0], b[0]) and a[1] <= b[1] and b[1] - a[3] < 9
    ]
    assert touching == []


# Names of the sockets that are seen in the column of a node.
SOCKETS = {
    "classic": f"app.rootGraph.getNodeById({NODE}).inputs.filter(({{widget}}) => !widget).map(({{name}}) => name)",
    "vue": f"[...document.querySelectorAll('[data-node-id=\"{NODE}\"] .lg-slot--input')].map(({{innerText}}) => "
    "innerText.replaceAll(' ', '_')).filter((name) => name)",
}
MORE = {
    "classic": f"app.rootGraph.getNodeById({NODE}).widgets.at(-1).callback()",
    "vue": f"document.querySelector('[data-node-id=\"{NODE}\"] [data-testid=advanced-inputs-button]').click()",
}


def test_a_first_user_sees_three_sockets(page, renderer, artifacts):
    """The others come with the advanced widgets, or when something is connected; files know nothing of it."""
    first = ["video", "audio", "family"]
    schema = json.loads((PACK / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    names = list(schema["LipForcingVideoToVideo"]["inputs"])
    every = [name for name in names if name not in ("seed", "face", "length", "fill")][
        : names.index("window_seconds") - 4
    ]
    load(page, json.dumps(WORKFLOW))
    wait = "new Promise((done) => setTimeout(done, 1000))"
    page.evaluate(wait)
    before = page.evaluate("JSON.stringify(app.rootGraph.serialize())")
    assert page.evaluate(SOCKETS[renderer]) == first
    if renderer == "classic":
        assert not seen(page, renderer, NODE, "pauses")
        # A wire is snapped to the button; to which of the hidden sockets it goes is not for the button to say.
        node = f"app.rootGraph.getNodeById({NODE})"
        assert page.evaluate(f"{node}.getSlotFromWidget({node}.widgets.at(-1))") is None
    page.evaluate(f"{MORE[renderer]}; {wait}")
    assert page.evaluate(SOCKETS[renderer]) == every and seen(page, renderer, NODE, "pauses")
    page.screenshot(artifacts / f"{renderer}_advanced.png")
    page.evaluate(f"{MORE[renderer]}; {wait}")
    assert page.evaluate(SOCKETS[renderer]) == first
    assert "lipforcing_more" not in before
    page.evaluate(f"""
        window.codec = LiteGraph.createNode("LipForcingTinyVAE");
        app.rootGraph.add(codec);
        codec.connectByType(0, app.rootGraph.getNodeById({NODE}), "VAE");
        {wait}
    """)
    assert page.evaluate(SOCKETS[renderer]) == [*first, "vae"]
    load(page, "app.rootGraph.serialize()")
    page.evaluate(wait)
    assert page.evaluate(SOCKETS[renderer]) == [*first, "vae"]
    linked = page.evaluate(f"app.graphToPrompt().then(({{output}}) => output[{NODE}].inputs)")
    assert linked["vae"][1] == 0 and "model" not in linked


@pytest.mark.parametrize("path", sorted((PACK / "tests" / "data" / "saved").glob("*.json")), ids=lambda path: path.stem)
def test_a_workflow_that_an_older_version_saved_opens_as_it_was(page, renderer, path):
    """Every wire and value reaches the input that it was saved for, although sockets and widgets were added since."""
    page.evaluate(f"app.loadGraphData({path.read_text(encoding='utf-8')})")
    prompt = page.evaluate("app.graphToPrompt().then(({output}) => output)")
    saved = json.loads((path.parent / "api" / path.name).read_text(encoding="utf-8"))
    assert prompt.keys() == saved.keys()
    for key, node in saved.items():
        assert prompt[key]["class_type"] == node["class_type"]
        now = prompt[key]["inputs"]
        assert {name: now.get(name) for name in node["inputs"]} == node["inputs"], key


def widget(node: int, name: str) -> str:
    return f"app.rootGraph.getNodeById({node}).widgets.find(({{name}}) => name === '{name}')"


# Whether a widget is on the screen.
SEEN = {
    "classic": "app.rootGraph.getNodeById(%d).isWidgetVisible(%s)",
    "vue": "(%d, [...document.querySelectorAll('[data-node-id=\"%d\"] *')].some((e) => e.textContent.trim() === '%s'))",
}


def seen(page, renderer: str, node: int, name: str) -> bool:
    values = (node, widget(node, name)) if renderer == "classic" else (node, node, name)
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    return page.evaluate(SEEN[renderer] % values)


def test_widgets_that_are_ignored_are_not_seen(page, renderer):
    """The rate of images where there is a video, and what belongs to another preset; the values stay."""
    prompt = {
        "1": NO_SOUND["1"],
        "2": {"class_type": "LipForcingSchedule", "inputs": {"preset": "two_step", "steps": 7, "custom": "1, 0"}},
        "3": {"class_type": "LipForcingFaceTrack", "inputs": {"video": ["1", 0], "face": "full", "fps": 30.0}},
        "4": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
    }
    page.evaluate(f"app.loadApiJson({json.dumps(prompt)}, 'ignored')")
    page.wait_for("app.rootGraph.getNodeById(4)?.type === 'GetVideoComponents'")
    assert seen(page, renderer, 3, "face") and not seen(page, renderer, 3, "fps")
    page.evaluate("app.rootGraph.getNodeById(4).connect(0, app.rootGraph.getNodeById(3), 0)")
    assert seen(page, renderer, 3, "fps")
    page.evaluate("app.rootGraph.getNodeById(1).connect(0, app.rootGraph.getNodeById(3), 0)")
    assert not seen(page, renderer, 3, "fps")
    for preset, expected in (("two_step", []), ("teacher_grid", ["steps"]), ("custom", ["custom"])):
        page.evaluate(f"{widget(2, 'preset')}.value = '{preset}'; {widget(2, 'preset')}.callback?.('{preset}')")
        assert [name for name in ("steps", "custom") if seen(page, renderer, 2, name)] == expected
    inputs = page.evaluate("app.graphToPrompt().then(({output}) => [output[2].inputs, output[3].inputs])")
    assert inputs[0]["steps"] == 7 and inputs[0]["custom"] == "1, 0" and inputs[1]["fps"] == 30


@pytest.mark.parametrize("query", ["lip sync", "lipsync", "dubbing"])
def test_search_finds_the_main_node_first(page, renderer, query):
    found = page.evaluate(f"{STORES}.get('nodeDef').nodeSearchService.searchNode('{query}').map(({{name}}) => name)")
    assert found[0] == "LipForcingVideoToVideo", found[:4]


def test_chinese(page, renderer, artifacts):
    """Nodes, choices, panels and their times; words that the host keeps for itself stay English."""
    load(page, json.dumps(WORKFLOW))
    page.evaluate("app.extensionManager.setting.set('Comfy.Locale', 'zh')")
    try:
        reload(page)
        page.wait_for(f"!!{METER}?.offsetParent")
        page.evaluate(f"{widget(NODE, 'seed')}.value = {10 + SEEDS[renderer]}; app.queuePrompt(0, 1)")
        page.wait_for(f"/\\u5269\\u4f59 [0-9.]+ (\\u5206|\\u79d2)/.test({METER}.innerText)", 120)
        page.screenshot(artifacts / f"{renderer}_chinese.png")
        assert page.evaluate(f"{widget(NODE, 'length')}.options.getOptionLabel('audio')").endswith(" (audio)")
        assert page.evaluate(f"{widget(NODE, 'length')}.value") == "audio"
        page.wait_for(f"{METER}.innerText.includes('\\u7528\\u65f6')", 120)
        assert re.search("[a-z]{4}", page.evaluate(f"{METER}.innerText")) is None
        page.evaluate(f"app.loadApiJson({json.dumps(NO_SOUND)}, 'error')")
        page.wait_for(f"!!{METER}?.offsetParent")
        page.evaluate("app.queuePrompt(0, 1)")
        page.wait_for(f"{METER}.innerText.includes('\u97f3\u9891\u8f93\u5165\u4e3a\u7a7a')", 60)
        page.screenshot(artifacts / f"{renderer}_chinese_error.png")
    finally:
        page.evaluate("app.extensionManager.setting.set('Comfy.Locale', 'en')")
        reload(page)


@pytest.mark.parametrize("number", [2, 3])
def test_missing_files_are_reported(page, renderer, artifacts, number):
    """Every node that names a file to download is marked, and the front end lists the files."""
    path = next((PACK / "workflows").glob(f"{number}_*.json"))
    workflow = json.loads(path.read_text(encoding="utf-8"))
    wanted = {node["id"]: node["properties"].get("models", []) for node in workflow["nodes"]}
    wanted = {id: models[0]["name"] for id, models in wanted.items() if models}
    # The front end takes a file called .model for no model; it marks the value alone.
    wanted = {id: name for id, name in wanted.items() if not name.endswith(".model")}
    assert "lipforcing_14b.pth" in wanted.values() and len(wanted) >= 4
    page.evaluate(f"app.loadGraphData({json.dumps(workflow)})")
    marked = f"{list(wanted)}.every((id) => app.rootGraph.getNodeById(id)?.has_errors)"
    page.wait_for(marked, 30)
    details = "[...document.querySelectorAll('button')].find(({innerText}) => innerText === 'View details')"
    page.wait_for(f"!!{details}", 30)
    page.evaluate(f"{details}.click()")
    page.wait_for("document.body.innerText.includes('Missing Models')", 30)
    page.screenshot(artifacts / f"{renderer}_missing_{number}.png")
    listed = page.evaluate("document.body.innerText").split("Missing Models")[1]
    assert [name for name in wanted.values() if name not in listed] == []


def test_console_shows_no_error_of_the_pack(page, finished):
    assert errors(page) == []
