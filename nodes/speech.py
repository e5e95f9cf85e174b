"""Speech in, features out."""

from __future__ import annotations

from dataclasses import replace

from . import host, inputs, sockets
from .node_api import io
from .tracked import TrackedVideo
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
                sockets.Track.Input(
                    "track",
                    optional=True,
                    tooltip=(
                        "What the speech is for: only the sound that its result shows is encoded, and a result that "
                        "outlasts the speech hears silence after it. Open: the whole recording."
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
    def execute(
        cls, audio, audio_encoder=None, window_seconds: float = 0.0, track: TrackedVideo | None = None
    ) -> io.NodeOutput:
        import torch

        from ..lipforcing.audio.base import AudioFeatures
        from ..lipforcing.pipeline import planned_rows
        from ..lipforcing.timeline import SAMPLE_RATE

        encoder, waveform = encoder_of(audio_encoder, window_seconds), audio_of(audio).mono16k()
        if track is None:
            encoded = AudioFeatures.encode(encoder, waveform)
        else:
            rows = torch.cat(list(planned_rows(encoder, waveform, track.plan)))
            encoded = AudioFeatures(rows, len(waveform) / SAMPLE_RATE)
        return io.NodeOutput(replace(encoded, features=host.intermediate(encoded.features)))


def encoder_of(audio_encoder, window_seconds: float = 0.0):
    """The engine's audio encoder for an AUDIO_ENCODER, or that of the tiny family for None."""
    from ..lipforcing.audio.base import Window
    from ..lipforcing.audio.logmel import LogMelEncoder
    from .host import codecs

    if audio_encoder is None:
        return LogMelEncoder()
    return codecs.audio_encoder_of(audio_encoder, Window.of_seconds(window_seconds) if window_seconds else None)
