"""The nodes in a running ComfyUI, driven over HTTP and WebSocket as a browser or a script would."""

from __future__ import annotations

import copy
import json
import subprocess

import av
import numpy as np
import pytest

from .media import read_media, write_speech, write_video
from .server import PACK, RequestRefused, Server

NODE = "LipForcingVideoToVideo"
PROMPT = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "clip.mp4"}},
    "2": {"class_type": "LoadAudio", "inputs": {"audio": "speech.wav"}},
    "3": {"class_type": NODE, "inputs": {"video": ["1", 0], "audio": ["2", 0], "seed": 1, "face": "full"}},
    "4": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["3", 0], "filename_prefix": "video/synced", "format": "auto", "codec": "auto"},
    },
}


def prompt_with(node: str, **inputs) -> dict:
    """The tiny workflow with some inputs of one node changed."""
    prompt = copy.deepcopy(PROMPT)
    prompt[node]["inputs"].update(inputs)
    return prompt


@pytest.fixture(scope="module")
def finished(server: Server):
    """The tiny workflow, run once."""
    run = server.run(PROMPT)
    assert run.outcome == "success", run.messages[-1]
    return run


def test_object_info_lists_the_inputs(server):
    info = server.get(f"/object_info/{NODE}")[NODE]
    required = info["input"]["required"]
    assert required["video"][0] == "VIDEO" and required["audio"][0] == "AUDIO"
    assert required["seed"][1]["max"] == 2**64 - 1 and required["seed"][1]["control_after_generate"]
    assert info["output"] == ["VIDEO", "STRING"]
    assert info["category"] == "lip forcing"


def test_every_input_has_a_tooltip(server):
    ours = {name: info for name, info in server.get("/object_info").items() if name.startswith("LipForcing")}
    assert ours
    for name, info in ours.items():
        for key, (_, options) in {**info["input"].get("required", {}), **info["input"].get("optional", {})}.items():
            assert options.get("tooltip"), f"{name}.{key} has no tooltip"


def test_result_keeps_frames_size_and_sound(server, finished):
    result = read_media(server.saved_file(finished, "4"))
    source = read_media(server.base / "input" / "clip.mp4")
    assert result.frames.shape == source.frames.shape and result.fps == source.fps
    assert result.audio_rate == 44_100 and result.audio_channels == 2
    assert result.audio_seconds == pytest.approx(1.2, abs=0.06)


def test_result_differs_from_the_source_only_where_the_mouth_is(server, finished):
    result = read_media(server.saved_file(finished, "4")).frames.astype(int)
    source = read_media(server.base / "input" / "clip.mp4").frames.astype(int)
    change = np.abs(result - source).mean(axis=(0, 3))
    height = change.shape[0]
    assert change[: height // 4].mean() < 4, "the forehead changed"
    assert change[height // 2 :].max() > 12, "the mouth did not change"


def test_progress_reaches_the_total_with_previews(finished):
    steps = [data for data in finished.of("progress") if data["node"] == "3"]
    assert len(steps) >= 3
    assert [step["value"] for step in steps] == sorted(step["value"] for step in steps)
    assert steps[-1]["value"] == steps[-1]["max"] == 30
    assert finished.previews and all(image.startswith(b"\xff\xd8") for image in finished.previews)


def test_second_run_comes_from_the_cache(server, finished):
    assert server.run(PROMPT).cached >= {"1", "2", "3"}


def test_a_result_that_was_tidied_away_is_made_again(server, finished):
    """The host still has the value, but not its file."""
    gone = [path for path in (server.base / "temp").glob("lipforcing_synced*")]
    for path in gone:
        path.unlink()
    prompt = prompt_with("4", filename_prefix="video/again")
    run = server.run(prompt)
    assert gone and run.outcome == "success" and "3" not in run.cached
    assert server.run(PROMPT).cached >= {"1", "2", "3"}


def test_a_damaged_video_is_said_in_the_panel(server):
    write_video(server.base / "input" / "broken.mp4", frames=60)
    data = bytearray((server.base / "input" / "broken.mp4").read_bytes())
    third = len(data) // 3
    data[third : third + third // 2] = bytes(third // 2)
    (server.base / "input" / "broken.mp4").write_bytes(data)
    run = server.run(prompt_with("1", file="broken.mp4"))
    assert run.outcome == "success", run.error
    (numbers,) = (data["output"]["lipforcing_progress"] for data in run.of("executed") if data["node"] == "3")
    assert "could not be decoded whole" in numbers[0][0]["note"]


def test_a_part_in_another_codec(server):
    prompt = prompt_with("3", start_seconds=0.4, limit_seconds=0.4, video_codec="ffv1", seed=5)
    prompt["4"]["inputs"].update(format="mkv") if "mkv" in str(server.get("/object_info/SaveVideo")) else None
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    made = [path for path in (server.base / "temp").glob("lipforcing_synced*.mkv")]
    result = read_media(made[0])
    assert len(made) == 1 and len(result.frames) == 10 and result.audio_seconds == pytest.approx(0.4, abs=0.03)
    source = read_media(server.base / "input" / "clip.mp4").frames
    assert np.array_equal(result.frames[:, :20], source[10:20, :20]), "lossless, and from 0.4 s on"
    with av.open(str(server.saved_file(run, "4"))) as saved:
        assert saved.streams.video[0].codec.name in ("ffv1", "h264")


def test_quality_is_chosen(server):
    sizes = []
    for quality in (10.0, 35.0):
        run = server.run(prompt_with("3", quality=quality, seed=6))
        sizes.append(server.saved_file(run, "4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


def test_new_seed_runs_only_our_node_again(server, finished):
    run = server.run(prompt_with("3", seed=2))
    assert run.outcome == "success" and {"1", "2"} <= run.cached and "3" not in run.cached


def test_trimmed_video_is_read_as_trimmed(server):
    prompt = prompt_with("3", video=["5", 0])
    window = {"video": ["1", 0], "start_time": 0.2, "duration": 0.8, "strict_duration": False}
    prompt["5"] = {"class_type": "Video Slice", "inputs": window}
    prompt["3"]["inputs"]["length"] = "video"
    run = server.run(prompt)
    assert run.outcome == "success", run.messages[-1]
    assert len(read_media(server.saved_file(run, "4")).frames) == 20


def test_frames_in_memory_are_taken_too(server):
    prompt = prompt_with("3", video=["6", 0])
    prompt["5"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["6"] = {"class_type": "CreateVideo", "inputs": {"images": ["5", 0], "fps": 25}}
    run = server.run(prompt)
    assert run.outcome == "success", run.messages[-1]
    assert len(read_media(server.saved_file(run, "4")).frames) == 30
    assert not [name for name in server.own_temp_files() if "source" in name]


def test_video_without_sound_as_audio_is_explained(server):
    prompt = prompt_with("3", audio=["5", 1])
    prompt["5"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    run = server.run(prompt)
    assert run.outcome == "error" and "no sound" in run.error["exception_message"]


def test_workflow_templates_are_served(server):
    names = server.get("/workflow_templates")[server.pack.name]
    assert sorted(names) == sorted(path.stem for path in (PACK / "workflows").glob("*.json"))
    for name in names:
        assert server.get(f"/api/workflow_templates/{server.pack.name}/{name}.json")["nodes"]
        assert server.request(f"/api/workflow_templates/{server.pack.name}/{name}.jpg").startswith(b"\xff\xd8")


def test_queue_script(server, finished, host_python, tmp_path):
    (tmp_path / "prompt.json").write_text(json.dumps(PROMPT))
    source = server.base / "input"
    command = [host_python, str(PACK / "workflows" / "api" / "queue_workflow.py"), "prompt.json"]
    command += ["--video", str(source / "clip.mp4"), "--audio", str(source / "speech.wav"), "--out", "out.mp4"]
    command += ["--server", f"http://127.0.0.1:{server.port}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read_media(tmp_path / "out.mp4").frames) == 30

    shipped = str(PACK / "workflows" / "api" / "1_try_it_now.json")
    own = [*command[:2], shipped, *command[3:], "--set", "2.seed=5", "--set", "2.length=video"]
    done = subprocess.run(own, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read_media(tmp_path / "out.mp4").frames) == 30, "the sample was not replaced"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "prompt.json"]

    both = [*command[:2], str(PACK / "workflows" / "api" / "5_teacher_and_student.json"), *command[7:]]
    both += ["--set", "2.first_seconds=1.0", "--set", "9.steps=1"]
    done = subprocess.run(both, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["out.mp4", "out_16.mp4"], "results are missing, or media were asked for"
    assert [len(read_media(tmp_path / name).frames) for name in done.stdout.split()] == [25, 25]
    (tmp_path / "out_16.mp4").unlink()

    alone = [*command[:5], *command[7:]]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "node 2 loads a file; give --audio FILE, or --set 2.audio=NAME" in done.stderr

    done = subprocess.run([*own, "--set", "2.nose=1"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no input 'nose' of a node '2'" in done.stderr

    (tmp_path / "prompt.json").write_text(json.dumps(prompt_with("3", seed=-1)))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "node 3 (LipForcingVideoToVideo)" in done.stderr and "seed" in done.stderr


def test_cancelling_stops_soon_and_leaves_no_files(server, finished):
    write_video(server.base / "input" / "long.mp4", frames=500)
    write_speech(server.base / "input" / "long.wav", seconds=20)
    prompt = prompt_with("1", file="long.mp4")
    prompt["2"]["inputs"]["audio"] = "long.wav"
    before = server.own_temp_files()
    steps = []

    def interrupt_at_third_step(message):
        if message["type"] == "progress" and message["data"]["node"] == "3":
            steps.append(message["data"]["value"])
            if len(steps) == 3:
                server.request("/interrupt", {})

    run = server.run(prompt, interrupt_at_third_step)
    assert run.outcome == "interrupted"
    assert steps[-1] < 250, "the run went on for a long time"
    assert server.own_temp_files() == before
    assert server.run(prompt_with("3", seed=3)).outcome == "success"


@pytest.mark.parametrize(
    ("inputs", "kind", "name"),
    [
        ({"seed": -1}, "value_smaller_than_min", "seed"),
        ({"face": "nose"}, "value_not_in_list", "face"),
        ({"audio": ["1", 0]}, "return_type_mismatch", "audio"),
    ],
)
def test_bad_values_are_refused_with_node_and_input(server, inputs, kind, name):
    with pytest.raises(RequestRefused) as refused:
        server.queue(prompt_with("3", **inputs), "tests")
    assert refused.value.status == 400
    error = refused.value.body["node_errors"]["3"]["errors"][0]
    assert error["type"] == kind and error["extra_info"]["input_name"] == name


def test_missing_input_is_refused(server):
    prompt = copy.deepcopy(PROMPT)
    del prompt["3"]["inputs"]["audio"]
    with pytest.raises(RequestRefused) as refused:
        server.queue(prompt, "tests")
    error = refused.value.body["node_errors"]["3"]["errors"][0]
    assert error["type"] == "required_input_missing" and error["extra_info"]["input_name"] == "audio"


def test_a_face_is_found_without_any_file(server, finished):
    prompt = prompt_with("3", face="auto", video=["1", 0], audio=["1", 1])
    prompt["1"] = {"class_type": "LipForcingSample", "inputs": {"clip": "ada", "speech": "market"}}
    del prompt["2"]
    assert server.run(prompt).outcome == "success"


def test_front_end_files_are_served_once(server):
    files = [name for name in server.get("/extensions") if name.endswith("/lipforcing.js")]
    assert files == [f"/extensions/{server.pack.name}/lipforcing.js"]
    assert b"registerExtension" in server.request(files[0])


@pytest.mark.parametrize("page", [f"{NODE}.md", f"{NODE}/zh.md"])
def test_help_pages_are_where_the_front_end_looks(server, page):
    """It takes the second dotted part of `python_module` for the folder, up to an @."""
    module = server.get(f"/object_info/{NODE}")[NODE]["python_module"]
    folder = module.split(".")[1].split("@")[0]
    assert folder != server.pack.name
    assert server.request(f"/extensions/{folder}/docs/{page}").startswith(b"# ")


def test_log_has_no_complaint_about_the_pack(server, finished):
    # Up to the first prompt that a test meant to fail.
    lines = server.log.split("Failed to validate prompt")[0].split("!!! Exception")[0].splitlines()
    complaints = [line for line in lines if ("WARNING" in line or "ERROR" in line) and "lip" in line.lower()]
    assert complaints == []
    assert not [line for line in lines if "IMPORT FAILED" in line and server.pack.name in line]
