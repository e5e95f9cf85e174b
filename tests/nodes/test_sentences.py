"""The Chinese of js/sentences.js knows what the server says: patterns are held to sentences that the pack makes."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from lipforcing.media import DurationPolicy
from lipforcing.pipeline import Passed, SyncResult

from .stand_in import LOADED_AS, PACK, load_pack

SOURCE = (PACK / "js" / "sentences.js").read_text(encoding="utf-8")
ERRORS = [
    json.loads(line.strip().rstrip(","))
    for line in (PACK / "js" / "errors.js").read_text(encoding="utf-8").splitlines()
    if line.startswith("  [")
]


def pattern(sentence: str) -> re.Pattern:
    """As js/sentences.js makes one of a sentence of js/errors.js."""
    parts = map(re.escape, sentence.removesuffix(".").split("{}"))
    return re.compile(f"^{'(.+?)'.join(parts)}\\.?$", re.DOTALL)


PATTERNS = [re.compile(found, re.DOTALL) for found in re.findall(r"^  \[/(\^.+?\$)/s?, ", SOURCE, re.MULTILINE)]
PATTERNS += [pattern(english) for english, _ in ERRORS]
REASONS = ("no face", "turned away", "mouth hidden", "pause", "face outside the picture")


def pack(name: str):
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.{name}")


def known(text: str) -> bool:
    """As js/sentences.js looks for it: as a whole, or sentence by sentence."""
    sentences = re.split(r"(?<=\.) (?=[A-Z\d])", text)
    return any(map(lambda one: one.match(text), PATTERNS)) or all(
        any(pattern.match(sentence) for pattern in PATTERNS) for sentence in sentences
    )


@pytest.mark.parametrize("damaged", [0, 1, 2])
@pytest.mark.parametrize("passed", [0, 1, 7])
def test_what_a_run_reports(damaged, passed):
    plan = DurationPolicy().plan(2.0, Fraction(25), 3.0, 75)
    ranges = tuple(Passed(n, n + 0.5, 12, REASONS[n % 5]) for n in range(passed))
    notes = ("3 samples of a. wav became silence, being no numbers.",)
    done = SyncResult(Path("o.mp4"), plan, 50, ranges, 2.0, 0, damaged, notes, 4.0, 0.5, {})
    assert known(done.description), done.description


def test_reasons_are_those_of_the_engine():
    said = re.search(r"const REASONS = \{(.+?)\}", SOURCE, re.DOTALL)[1]
    assert re.findall(r'^  "?([a-z ]+?)"?: ', said, re.MULTILINE) == [*REASONS]
    follower = (PACK / "lipforcing" / "faces" / "follow.py").read_text(encoding="utf-8")
    assert {*re.findall(r'return "([a-z ]+)"', follower)} <= {*REASONS}


# What of the engine runs in a node; of it, what only the command line or a folder of shards leads to.
ROOMS = ("analysis", "audio", "checkpoints", "codecs", "faces", "media", "sampling", "stream")
MODULES = ("output", "pipeline", "session")
ELSEWHERE = {
    "analysis/clips.py": "clips of a folder",
    "checkpoints/distributed.py": "a folder of shards",
    "faces/yunet.py": "--detector",
    "media/incoming.py": "live",
    "stream/family.py": "parts that the command line puts together",
}
OF_FILES = re.compile(  # in modules that nodes use, of paths that no node is given
    r".*( is a folder| is a pipe| no such file|cannot hold|never lossless|name the (new|output|weights) "
    r"|an input itself|^folder |no shard has|is in another shard|The folder .* does not exist"
    r"|say that no more follows).*"
)


def sentences() -> dict[str, str]:
    """Every error that the sources raise in a node, with "9" for what varies, and where."""
    files = [*(PACK / "nodes").rglob("*.py"), *(PACK / "lipforcing" / f"{name}.py" for name in MODULES)]
    files += [path for room in ROOMS for path in (PACK / "lipforcing" / room).rglob("*.py")]
    found = {}
    for path in files:
        if any(path.as_posix().endswith(name) for name in ELSEWHERE):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "InputError" and call.args:
                text = said_by(call.args[0])
                if text.strip("9") and not OF_FILES.fullmatch(text):
                    found[text] = f"{path.relative_to(PACK)}:{call.lineno}"
    return found


def said_by(node: ast.expr) -> str:
    """A string expression, with "9" for what is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(said_by(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return said_by(node.left) + said_by(node.right)
    return "9"


def test_every_error_of_a_node_is_known():
    found = sentences()
    assert len(found) > 90
    assert {text: where for text, where in found.items() if not known(text)} == {}


def test_every_translation_is_of_an_error():
    said = [*sentences(), pack("tracked").NO_FACE]
    assert [english for english, _ in ERRORS if not any(pattern(english).match(text) for text in said)] == []


@pytest.mark.parametrize("english, chinese", ERRORS, ids=range(len(ERRORS)))
def test_a_translation_uses_what_varies(english, chinese):
    used = {int(number) for number in re.findall(r"\$(\d)", chinese)}
    assert used <= set(range(1, english.count("{}") + 1))
    assert re.search("[\u4e00-\u9fff]", chinese)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_front_end_says_them_in_chinese(tmp_path):
    for name in ("sentences", "errors"):
        text = (PACK / "js" / f"{name}.js").read_text(encoding="utf-8")
        (tmp_path / f"{name}.mjs").write_text(text.replace("./errors.js", "./errors.mjs"), encoding="utf-8")
    said = [*sentences(), str(needed()), "Something else went wrong."]
    script = 'import { inChinese } from "./sentences.mjs"; import { readFileSync } from "node:fs";'
    script += "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(inChinese)))"
    (tmp_path / "say.mjs").write_text(script)
    command = [shutil.which("node"), str(tmp_path / "say.mjs")]
    ran = subprocess.run(command, input=json.dumps(said), capture_output=True, text=True, encoding="utf-8", check=True)
    *chinese, unknown = json.loads(ran.stdout)
    assert unknown is None and None not in chinese
    assert not re.search(r"\$\d", "".join(chinese))
    assert "wan_2.1_vae" in chinese[-1] and "also needs" not in chinese[-1] and " into " not in chinese[-1]


def needed() -> Exception:
    """What a model lacks, all at once."""
    needs = pack("needs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(needs.host, "model_path", lambda *_: None)
        patch.setattr(needs.host, "model_names", lambda _: [])
        patch.setattr(needs.host, "model_folder", lambda category: f"/models/{category}")
        parts = [needs.ear("audio_encoder of Lip Forcing Audio Encode"), needs.vae(), needs.prompt()]
        return needs.lacks("lipforcing_14b.pth", parts)


def test_the_errors_met_most_often():
    errors = importlib.import_module(f"{load_pack().__name__}.lipforcing.errors")
    said = [pack("tracked").NO_FACE, pack("sampling").OTHER_CROP]
    with pytest.raises(errors.InputError) as empty:
        pack("values").audio_of(None)
    said.append(str(empty.value))
    loaders = pack("loaders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders.host, "model_path", lambda *_: None)
        patch.setattr(loaders.host, "model_folder", lambda _: "/models/diffusion_models")
        with pytest.raises(errors.InputError) as missing:
            loaders.model_file("lipforcing_14b.pth", loaders.STUDENT_URL)
        said.append(str(missing.value))
    said.append(str(needed()))
    assert [sentence for sentence in said if not known(sentence)] == []
    assert not known("Something else went wrong.")
