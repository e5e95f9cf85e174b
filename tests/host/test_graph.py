"""The taken-apart graph in a running ComfyUI: shipped workflows, caching between nodes, wrong wiring, cancelling."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipforcing.checkpoints.catalog import expected_shapes
from lipforcing.checkpoints.detect import Kind

from ..checkpoints.samples import WAN, random_tensors
from .media import read_media, write_video
from .server import PACK, RequestRefused
from .tiny_version import tiny_version

WORKFLOWS = sorted((PACK / "workflows" / "api").glob("*.json"))
SAVED = sorted((PACK / "tests" / "data" / "saved" / "api").glob("*.json"))


def shipped(number: int) -> dict:
    """Workflow `number` in API format, runnable without downloads."""
    path = next(path for path in WORKFLOWS if path.name.startswith(str(number)))
    return tiny_version(json.loads(path.read_text(encoding="utf-8")))


def node_of(prompt: dict, kind: str) -> str:
    """Id of the first node of a class."""
    return next(key for key, node in prompt.items() if node["class_type"] == kind)


def graph(seconds: float = 1.0, **sampler) -> dict:
    """A short node-by-node graph: sample, track, speech, student, sampler, composite, saved."""
    prompt = {
        "1": {"class_type": "LipForcingSample", "inputs": {"clip": "ada", "speech": "market"}},
        "2": {
            "class_type": "LipForcingFaceTrack",
            "inputs": {"video": ["1", 0], "audio": ["1", 1], "face": "full", "fps": 25.0, "first_seconds": seconds},
        },
        "3": {"class_type": "LipForcingAudioEncode", "inputs": {"audio": ["1", 1]}},
        "4": {
            "class_type": "LipForcingStudentLoader",
            "inputs": {"model_name": "tiny (built in)", "weight_dtype": "default"},
        },
        "5": {"class_type": "LipForcingTinyVAE", "inputs": {}},
        "6": {
            "class_type": "LipForcingCausalSampler",
            "inputs": {"model": ["4", 0], "vae": ["5", 0], "track": ["2", 0], "audio_features": ["3", 0], "seed": 7},
        },
        "7": {"class_type": "LipForcingComposite", "inputs": {"faces": ["6", 1], "track": ["2", 0], "audio": ["1", 1]}},
        "8": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["7", 0], "filename_prefix": "video/graph", "format": "auto", "codec": "auto"},
        },
    }
    prompt["6"]["inputs"].update(sampler)
    return prompt


@pytest.fixture(scope="module")
def finished(server):
    run = server.run(graph())
    assert run.outcome == "success", run.messages[-1]
    return run


def test_meter_of_the_sampler_ends_at_its_total(finished):
    numbers = next(data["output"]["lipforcing_progress"] for data in finished.of("executed") if data["node"] == "6")
    assert numbers[0][0]["done"] == numbers[0][0]["total"] == 25


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_shipped_workflow_runs(server, path):
    run = server.run(tiny_version(json.loads(path.read_text(encoding="utf-8"))))
    assert run.outcome == "success", run.error


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_workflow_that_an_older_version_saved_runs(server, path):
    run = server.run(tiny_version(json.loads(path.read_text(encoding="utf-8"))))
    assert run.outcome == "success", run.error


def test_apart_and_in_one_node_give_the_same_video(server):
    """The whole of a clip, because the last chunk of a part sees other frames; each was encoded on its own."""
    prompt = graph(0.0)
    prompt["1"] = {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}}
    prompt["9"] = {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}}
    prompt["3"]["inputs"]["track"] = ["2", 0]
    for node in prompt.values():
        if "audio" in node["inputs"] and node is not prompt["9"]:
            node["inputs"]["audio"] = ["9", 0]
    prompt["10"] = {
        "class_type": "LipForcingVideoToVideo",
        "inputs": {"video": ["1", 0], "audio": ["9", 0], "seed": 7, "face": "full"},
    }
    prompt["11"] = copy.deepcopy(prompt["8"])
    prompt["11"]["inputs"].update(video=["10", 0], filename_prefix="video/whole")
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    apart, together = (read_media(server.saved_file(run, node)).frames.astype(int) for node in ("8", "11"))
    assert len(apart) == 30
    assert np.array_equal(apart, together), np.abs(apart - together).max()


def test_two_speakers_apart_and_in_one_node_give_the_same_video(server):
    """Two drawn people, found by the pack's own detector, in the crop of the tiny family."""
    prompt = shipped(7)
    whole = node_of(prompt, "LipForcingVideoToVideo")
    given, save = prompt[whole]["inputs"], node_of(prompt, "SaveVideo")
    said = {"audio": given["audio"], "speakers": given["speakers"]}
    prompt |= {
        "track": {
            "class_type": "LipForcingFaceTrack",
            "inputs": {"video": given["video"], "fps": 25.0, "face": given["face"], "crop": "tiny", **said},
        },
        "speech": {"class_type": "LipForcingAudioEncode", "inputs": {"track": ["track", 0], **said}},
        "student": {
            "class_type": "LipForcingStudentLoader",
            "inputs": {"model_name": "tiny (built in)", "weight_dtype": "default"},
        },
        "vae": {"class_type": "LipForcingTinyVAE", "inputs": {}},
        "sample": {
            "class_type": "LipForcingCausalSampler",
            "inputs": {
                "model": ["student", 0],
                "vae": ["vae", 0],
                "track": ["track", 0],
                "audio_features": ["speech", 0],
                "seed": given["seed"],
            },
        },
        "paste": {"class_type": "LipForcingComposite", "inputs": {"faces": ["sample", 1], "track": ["track", 0]}},
        "save": copy.deepcopy(prompt[save]),
    }
    prompt["save"]["inputs"].update(video=["paste", 0], filename_prefix="video/apart")
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    apart, together = (read_media(server.saved_file(run, node)).frames.astype(int) for node in ("save", save))
    assert apart.shape == together.shape and len(apart) > 50
    # Kernels on several threads round otherwise for one speaker than for two, and the encoder spreads that.
    most = 0 if torch.get_num_threads() == 1 else 2
    assert np.abs(apart - together).mean(axis=(1, 2, 3)).max() <= most

    del prompt["speech"]["inputs"]["speakers"]
    run = server.run({key: node for key, node in prompt.items() if key not in (whole, save)})
    assert run.outcome == "error" and "follows 2 and the speech is that of 1" in run.error["exception_message"]


def test_the_report_names_the_files_with_their_hashes(server):
    """In workflow 8 the report is shown; here with files in place of the samples."""
    prompt = graph(0.0)
    for gone in ("1", "2", "3", "6", "7"):
        del prompt[gone]
    prompt["1"] = {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}}
    prompt["2"] = {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}}
    prompt["3"] = {"class_type": "TrimAudioDuration", "inputs": {"audio": ["2", 0], "start_index": 0, "duration": 0.6}}
    prompt["9"] = {"class_type": "LipForcingFamily", "inputs": {"model": ["4", 0], "vae": ["5", 0]}}
    prompt["10"] = {
        "class_type": "LipForcingVideoToVideo",
        "inputs": {"video": ["1", 0], "audio": ["3", 0], "seed": 7, "face": "full", "family": ["9", 0]},
    }
    prompt["8"]["inputs"]["video"] = ["10", 0]
    prompt["11"] = {"class_type": "PreviewAny", "inputs": {"source": ["10", 1]}}
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    shown = next(data["output"]["text"][0] for data in run.of("executed") if data["node"] == "11")
    about = json.loads(shown)["manifest"]
    for role, name in (("video", "clip.mp4"), ("audio", "speech.wav")):
        content = (server.base / "input" / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        assert about["inputs"][role] == {"file": name, "bytes": len(content), "sha256": sha256}
    assert {role: entry["note"] for role, entry in about["weights"].items()} == dict.fromkeys(
        ("model", "vae", "audio_encoder"), "comes with the pack"
    )


def test_a_family_in_one_wire_is_the_same(server):
    prompt = graph(0.0)
    for gone in ("2", "3", "6", "7"):
        del prompt[gone]
    inputs = {"video": ["1", 0], "audio": ["1", 1], "seed": 7, "face": "full", "limit_seconds": 0.6}
    prompt["9"] = {"class_type": "LipForcingFamily", "inputs": {"model": ["4", 0], "vae": ["5", 0]}}
    prompt["10"] = {"class_type": "LipForcingVideoToVideo", "inputs": {**inputs, "family": ["9", 0]}}
    prompt["11"] = {"class_type": "LipForcingVideoToVideo", "inputs": inputs}
    prompt["8"]["inputs"]["video"] = ["10", 0]
    prompt["12"] = copy.deepcopy(prompt["8"])
    prompt["12"]["inputs"]["video"] = ["11", 0]
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    one, other = (read_media(server.saved_file(run, node)) for node in ("8", "12"))
    assert len(one.frames) == 15 and one.audio_seconds == pytest.approx(0.6, abs=0.06)
    assert np.array_equal(one.frames, other.frames)


def test_new_seed_runs_only_the_sampler_and_what_follows(server):
    server.run(graph())  # the host forgets what the prompt before did not use
    run = server.run(graph(seed=8))
    assert run.outcome == "success"
    assert run.cached >= {"1", "2", "3", "4", "5"} and not run.cached & {"6", "7", "8"}


def test_scores_are_shown_and_saved(server):
    run = server.run(shipped(5))
    assert run.outcome == "success"
    reports = [data["output"]["lipforcing_sync"][0][0] for data in run.of("executed") if "sync" in str(data["output"])]
    assert len(reports) == 2
    for report in reports:
        assert report["verdict"] is None and report["offset"] == 0 and report["confidence"] > 1
        assert len(report["mean_distances"]) == 31 and len(report["curve"]) == len(report["seconds"]) > 20


def test_what_is_scored_is_saved_even_if_it_cannot_be_scored(server):
    """Workflow 3 with faces found by the pack's own detector, scored against a source without sound."""
    prompt = shipped(3)
    for kind in ("LipForcingFaceTrack", "LipForcingSyncScore"):
        prompt[node_of(prompt, kind)]["inputs"]["face"] = "auto"
    prompt["mute"] = {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}}
    prompt["nothing"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["mute", 0]}}
    score = node_of(prompt, "LipForcingSyncScore")
    prompt[score]["inputs"]["audio"] = ["nothing", 1]
    prompt[node_of(prompt, "LipForcingFaceTrack")]["inputs"]["first_seconds"] = 1.0
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    assert len(read_media(server.saved_file(run, node_of(prompt, "SaveVideo"))).frames) == 25
    shown = next(data["output"]["lipforcing_sync"][0][0] for data in run.of("executed") if data["node"] == score)
    assert shown["verdict"] == "unusable input" and "no sound" in shown["problem"]


def test_a_missing_syncnet_leaves_only_the_score_out(server):
    prompt = shipped(3)
    prompt[node_of(prompt, "LipForcingFaceTrack")]["inputs"]["first_seconds"] = 1.0
    prompt[node_of(prompt, "LipForcingSyncNetLoader")]["inputs"]["model_name"] = "syncnet_v2.model"
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    assert len(read_media(server.saved_file(run, node_of(prompt, "SaveVideo"))).frames) == 25
    assert not [data for data in run.of("executed") if "lipforcing_sync" in data["output"]]


def test_still_picture_lasts_as_long_as_the_speech(server):
    prompt = shipped(6)
    prompt[node_of(prompt, "LipForcingFaceTrack")]["inputs"]["first_seconds"] = 1.0
    run = server.run(prompt)
    frames = read_media(server.saved_file(run, node_of(prompt, "SaveVideo"))).frames.astype(int)
    assert len(frames) == 25
    change = np.abs(frames - frames[:1]).mean(axis=(0, 3))
    height = change.shape[0]
    assert change[: height // 3].max() < 6 and change[height // 2 :].max() > 6


def test_frames_in_memory_keep_the_rate_of_their_video(server):
    """Workflow 4 with a video of another rate than the sample's."""
    write_video(server.base / "input" / "fast.mp4", frames=90, fps=50)
    prompt = shipped(4)
    prompt[node_of(prompt, "LipForcingSample")] = {"class_type": "LoadVideo", "inputs": {"file": "fast.mp4"}}
    prompt["speech"] = {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}}
    for node in prompt.values():
        if "audio" in node["inputs"] and node is not prompt["speech"]:
            node["inputs"]["audio"] = ["speech", 0]
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    result = read_media(server.saved_file(run, node_of(prompt, "SaveVideo")))
    assert result.fps == 50 and len(result.frames) == 60
    assert result.audio_seconds == pytest.approx(1.2, abs=0.06)


def test_images_and_masks_have_the_frames_of_the_video(server):
    prompt = graph()
    prompt["7"]["inputs"]["frames"] = True
    prompt["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["7", 1]}}
    prompt["10"] = {"class_type": "MaskToImage", "inputs": {"mask": ["7", 2]}}
    prompt["11"] = {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}}
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    shown = {data["node"]: len(data["output"]["images"]) for data in run.of("executed") if data["node"] in ("9", "11")}
    assert shown == {"9": 25, "11": 25}


def test_frames_that_are_not_made_are_explained(server):
    prompt = graph()
    prompt["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["7", 1]}}
    run = server.run(prompt)
    messages = [data["exception_message"] for data in run.of("execution_error")]
    assert any("Turn frames on" in message for message in messages), run.messages[-3:]


@pytest.mark.parametrize(
    ("change", "node", "words"),
    [
        (
            lambda p: p["4"].update(
                class_type="LipForcingTeacherLoader",
                inputs={
                    "model_name": "tiny (built in)",
                    "adapter_name": "none (merged file)",
                    "weight_dtype": "default",
                },
            ),
            "6",
            ("teacher", "KSampler"),
        ),
        (
            lambda p: (
                p.update({"9": {"class_type": "LipForcingSchedule", "inputs": {"preset": "custom", "custom": "1, 2"}}}),
                p["6"]["inputs"].update(sigmas=["9", 0]),
            ),
            "9",
            ("1, 2", "decreasing"),
        ),
        (
            lambda p: (
                p.update({"9": copy.deepcopy(p["2"])}),
                p["9"]["inputs"].update(first_seconds=4.0),
                p["7"]["inputs"].update(track=["9", 0]),
            ),
            "7",
            ("faces", "track is longer"),
        ),
    ],
    ids=["teacher in the student's place", "bad schedule", "faces of another track"],
)
def test_wrong_wiring_is_explained_and_the_server_goes_on(server, finished, change, node, words):
    prompt = graph()
    change(prompt)
    run = server.run(prompt)
    assert run.outcome == "error" and run.error["node_id"] == node, run.messages[-1]
    assert all(word in run.error["exception_message"] for word in words), run.error["exception_message"]
    assert run.error["exception_type"] == "InputError"
    assert server.run(graph()).outcome == "success"


def test_a_file_that_is_not_there_is_refused_at_once(server):
    prompt = graph()
    prompt["4"]["inputs"].update(model_name="lipforcing_14b.pth")
    with pytest.raises(RequestRefused) as refused:
        server.queue(prompt, "tests")
    error = refused.value.body["node_errors"]["4"]["errors"][0]
    assert error["type"] == "value_not_in_list" and "lipforcing_14b.pth" in error["details"]


@pytest.fixture
def large_student(server):
    """Name of a student that is large by its kind: it needs wav2vec2, Wan's codec and a prompt. Of small sizes."""
    config = replace(WAN, audio_dim=10752, text_dim=4096)
    path = server.base / "models" / "diffusion_models" / "student.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(random_tensors(expected_shapes(Kind.STUDENT, config)), path)
    yield path.name
    path.unlink()


def test_what_is_missing_is_said_before_anything_is_loaded(server, large_student):
    apart = graph()
    apart["4"]["inputs"]["model_name"] = large_student
    alone = {key: apart[key] for key in ("1", "4", "8")}
    alone["6"] = {
        "class_type": "LipForcingVideoToVideo",
        "inputs": {"video": ["1", 0], "audio": ["1", 1], "seed": 7, "face": "full", "family": ["9", 0]},
    }
    alone["9"] = {"class_type": "LipForcingFamily", "inputs": {"model": ["4", 0]}}
    alone["8"] = {**apart["8"], "inputs": {**apart["8"]["inputs"], "video": ["6", 0]}}
    for prompt, words in (
        (alone, ("audio_encoders", "wan_2.1_vae", "umt5_xxl")),
        (apart, ("Audio Encode", "umt5_xxl")),
    ):
        run = server.run(prompt)
        assert run.outcome == "error" and run.error["node_id"] == "6", run.messages[-1]
        assert all(word in run.error["exception_message"] for word in ("student.safetensors also needs", *words))
        assert not {data["node"] for data in run.of("executing")} & {"4", "9"}


@pytest.mark.parametrize("node", ["2", "6", "7"], ids=["Face Track", "Causal Sampler", "Composite"])
def test_cancelling_stops_within_a_moment(server, node):
    """In Full HD, where a chunk takes longer than that."""
    if not (server.base / "input" / "large.mp4").exists():
        write_video(server.base / "input" / "large.mp4", frames=60, width=1920, height=1080)
    prompt = graph(0.0, seed=int(node))
    prompt["0"] = {"class_type": "LoadVideo", "inputs": {"file": "large.mp4"}}
    prompt["2"]["inputs"].update(video=["0", 0], length="video", fill="pingpong")
    asked = []

    def interrupt_at_second_step(message):
        moved = message["type"] == "progress" and message["data"]["node"] == node and message["data"]["value"] >= 2
        if moved and not asked:
            server.request("/interrupt", {})
            asked.append(time.monotonic())
        if message["type"] == "execution_interrupted":  # then the host tidies up, which may take a second
            asked.append(time.monotonic())

    run = server.run(prompt, interrupt_at_second_step)
    waited = asked[1] - asked[0]
    assert run.outcome == "interrupted" and run.of("execution_interrupted")[0]["node_id"] == node
    assert waited < 2, "it takes 0.02 to 0.6 s; chunks under way would be 1 to 5"
    print(f"{prompt[node]['class_type']} stopped after {waited:.2f} s")


def memory(server) -> float:
    """Resident memory of the server in megabytes."""
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def test_of_two_queued_prompts_one_is_cancelled_and_the_other_is_right(server, finished):
    expected = read_media(server.saved_file(finished, "8")).frames
    server.request("/free", {"unload_models": True, "free_memory": True})
    before = memory(server)
    first = server.queue(graph(6.0, seed=99), "tests")
    second = server.queue(graph(seed=7), "tests")
    deadline = time.monotonic() + 60
    while not server.get("/queue")["queue_running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    server.request("/interrupt", {"prompt_id": first})
    while len(server.get(f"/history/{second}")) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    history = {key: server.get(f"/history/{key}")[key] for key in (first, second)}
    assert history[first]["status"]["status_str"] == "error" and not history[first]["status"]["completed"]
    assert history[second]["status"]["completed"]
    saved = history[second]["outputs"]["8"]["images"][0]
    result = read_media(server.base / "output" / saved["subfolder"] / saved["filename"]).frames
    assert np.array_equal(result, expected)
    server.request("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    assert memory(server) - before < 150, "memory did not return to its level"
