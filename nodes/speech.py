"""Speech in, features out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError
from . import host, inputs, sockets
from .family import Parts
from .needs import ENCODERS, check_student, ear, fitting_encoders, lacks
from .node_api import io
from .tracked import TrackedVideo
from .values import audio_of

if TYPE_CHECKING:
    from ..lipforcing.audio.base import AudioFeatures
    from ..lipforcing.audio.manner import Manner
    from ..lipforcing.media import Audio
    from .host.patchers import ModelInfo


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
                    lazy=True,
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
                inputs.pauses(),
                inputs.lip_strength(),
                sockets.Family.Input(
                    "family",
                    optional=True,
                    lazy=True,
                    tooltip="From Lip Forcing Family: its audio encoder listens where audio_encoder is open.",
                ),
                inputs.speakers("what they say is encoded as well; connect them to Lip Forcing Face Track, too"),
            ],
            outputs=[
                sockets.Audio.Output(
                    "audio_features", display_name="audio features", tooltip="For sampler and conditioning."
                )
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def check_lazy_status(cls, **values) -> list[str]:
        check_student(cls.hidden.prompt, cls.hidden.unique_id)
        return [*values]

    @classmethod
    def execute(
        cls,
        audio,
        audio_encoder=None,
        window_seconds: float = 0.0,
        track: TrackedVideo | None = None,
        pauses: str = "model",
        lip_strength: float = 1.0,
        family: Parts | None = None,
        speakers=(),
    ) -> io.NodeOutput:
        from ..lipforcing.audio.manner import Manner

        listener = Parts(audio_encoder=audio_encoder).or_those_of(family).audio_encoder
        encoder, manner = encoder_of(listener, window_seconds), Manner(pauses, lip_strength)
        recordings = [audio_of(audio), *(speaker.audio for speaker in speakers)]
        first, *others = (_encoded(encoder, recording, manner, track) for recording in recordings)
        return io.NodeOutput(replace(first, others=tuple(others)))


def _encoded(encoder, recording: Audio, manner: Manner, track: TrackedVideo | None) -> AudioFeatures:
    """The speech in a recording, or what the result of a track shows of it."""
    import torch

    from ..lipforcing.audio.base import AudioFeatures
    from ..lipforcing.audio.manner import rest_row, speaking
    from ..lipforcing.pipeline import planned_rows
    from ..lipforcing.timeline import SAMPLE_RATE

    waveform = recording.mono16k()
    if track is None:
        encoded = AudioFeatures.encode(encoder, waveform)
    else:
        rows = torch.cat(list(planned_rows(encoder, waveform, track.plan)))
        encoded = AudioFeatures(rows, len(waveform) / SAMPLE_RATE)
    features = host.intermediate(encoded.features)
    active = tuple(speaking(waveform, len(features))) if manner.listens else ()
    rest = rest_row(encoder).cpu() if manner.rests else None
    return replace(encoded, features=features, manner=manner, active=active, rest=rest)


def encoder_of(audio_encoder, window_seconds: float = 0.0):
    """The engine's audio encoder for an AUDIO_ENCODER, or that of the tiny family for None."""
    from ..lipforcing.audio.base import Window
    from ..lipforcing.audio.logmel import LogMelEncoder
    from .host import codecs

    if audio_encoder is None:
        return LogMelEncoder()
    return codecs.audio_encoder_of(audio_encoder, Window.of_seconds(window_seconds) if window_seconds else None)


def find_encoder(audio_encoder, info: ModelInfo):
    """An AUDIO_ENCODER for a student: the one that is connected, else the file whose content it wants, by any name.

    None for the tiny student, whose ear needs no file.

    Raises:
        InputError: nothing is connected and there is no such file.
    """
    from ..lipforcing.audio.logmel import LogMelEncoder
    from .host import codecs

    if audio_encoder is not None or info.config.audio_dim == LogMelEncoder.feature_dim:
        return audio_encoder
    fitting = fitting_encoders()
    if len(fitting) > 1:
        raise InputError(
            f"{' and '.join(fitting)} in {ENCODERS} could both be wav2vec2-base-960h; connect Load Audio Encoder with "
            "the right one to audio_encoder."
        )
    if fitting:
        return codecs.load_audio_encoder(host.model_path(ENCODERS, fitting[0]))
    raise lacks(info.name, [ear()])
