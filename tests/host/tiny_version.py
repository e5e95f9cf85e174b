"""Shipped workflows with the bundled files and the tiny models in place of what has to be downloaded or uploaded."""

from __future__ import annotations

import copy

TINY = "tiny (built in)"
GONE = {"LoadAudio", "AudioEncoderLoader", "CLIPLoader", "CLIPTextEncode", "LoadMediaPipeFaceLandmarker"}


def tiny_version(prompt: dict) -> dict:
    """The API-format workflow `prompt`, runnable anywhere."""
    prompt = copy.deepcopy(prompt)
    classes = {key: node["class_type"] for key, node in prompt.items()}
    alone = "LipForcingSpeaker" not in classes.values()  # a face crop has no room for two
    sample = next((key for key, name in classes.items() if name == "LoadVideo"), None)
    for key, name in classes.items():
        node = prompt[key]
        inputs = node["inputs"]
        if name == "LoadVideo":
            node.update(class_type="LipForcingSample", inputs={"clip": "ada", "speech": "market"})
        elif name == "VAELoader":
            node.update(class_type="LipForcingTinyVAE", inputs={})
        elif name in ("LipForcingStudentLoader", "LipForcingTeacherLoader", "LipForcingSyncNetLoader"):
            inputs["model_name"] = TINY
        elif "face" in inputs and alone:
            inputs["face"] = "full"
        for target, value in list(inputs.items()):
            if isinstance(value, list) and classes[value[0]] in GONE:
                if classes[value[0]] == "LoadAudio":
                    inputs[target] = [sample, 1]
                else:
                    del inputs[target]
    return {key: node for key, node in prompt.items() if classes[key] not in GONE}
