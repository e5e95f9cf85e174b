"""Speech in, features out."""

from __future__ import annotations

from dataclasses import replace

from . import host, sockets
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
                io.Float.Input(
                    "window_seconds",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=1.0,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "How much audio attention sees at once, 0 to 600 seconds; 0 is all, as the models were "
                        "trained. Time grows with the square of it, so for recordings of many minutes choose 30 or "
                        "more; this changes the features (see the help page)."
                    ),
                ),
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
