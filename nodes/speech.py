"""Speech in, features out."""

from __future__ import annotations

from dataclasses import replace

from . import host, inputs, sockets
from .node_api import io
from .values import audio_of


class LipForcingAudioEncode(io.ComfyNode):
    """AUDIO -> LIPFORCING_AUDIO: one row of features per video frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingAudioEncode",
            display_name="Lip Forcing Audio Encode",
            category="lip forcing",
            description=(
                "Turns speech into the features that the models follow, 25 rows per second. The released models listen "
                "through wav2vec2-base-960h (Load Audio Encoder); leave audio_encoder open for the tiny ones."
            ),
            search_aliases=["wav2vec2", "audio features"],
            inputs=[
                io.Audio.Input("audio", tooltip="The speech: any sample rate, mono or stereo."),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    tooltip="wav2vec2-base-960h. Open: the tiny family's ear, a log-mel spectrum without weights.",
                ),
                inputs.window_seconds(),
            ],
            outputs=[
                sockets.Audio.Output(
                    "audio_features", display_name="audio features", tooltip="For sampler and conditioning."
                )
            ],
        )

    @classmethod
    def execute(cls, audio, audio_encoder=None, window_seconds: float = 0.0) -> io.NodeOutput:
        from ..lipforcing.audio.base import AudioFeatures

        encoded = AudioFeatures.encode(ear(audio_encoder, window_seconds), audio_of(audio).mono16k())
        return io.NodeOutput(replace(encoded, features=host.intermediate(encoded.features)))


def ear(audio_encoder, window_seconds: float = 0.0):
    """The engine's audio encoder for an AUDIO_ENCODER, or that of the tiny family for None."""
    from ..lipforcing.audio.logmel import LogMelEncoder
    from .host import codecs

    if audio_encoder is None:
        return LogMelEncoder()
    return codecs.HostAudioEncoder(audio_encoder, window_seconds or None)
