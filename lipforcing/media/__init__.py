"""Video and audio files: streaming readers and writers (PyAV), lengths, and the 25 fps clock."""

from .audio import Audio, AudioSource, Recording, read_audio, read_mono16k
from .colour import Colour
from .duration import DurationPolicy, Plan, counted, frames_before
from .encoding import CodecChoice, Encoding, PictureFormat, encoding_for
from .extend import endless_frames, extended_frames, frame_order
from .info import VideoInfo, probe
from .memory import MemoryReader
from .mix import Mix
from .picture import DecodedPicture, ImagePicture, Patch, Picture, Rectangle
from .reader import Frame, VideoReader
from .retime import ClockGroup, clock_frames
from .untouched import changed_outside
from .writer import VideoWriter, check_output

__all__ = [
    "Audio",
    "AudioSource",
    "ClockGroup",
    "CodecChoice",
    "Colour",
    "DecodedPicture",
    "DurationPolicy",
    "Encoding",
    "Frame",
    "ImagePicture",
    "MemoryReader",
    "Mix",
    "Patch",
    "Picture",
    "PictureFormat",
    "Plan",
    "Recording",
    "Rectangle",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "changed_outside",
    "check_output",
    "clock_frames",
    "counted",
    "encoding_for",
    "endless_frames",
    "extended_frames",
    "frame_order",
    "frames_before",
    "probe",
    "read_audio",
    "read_mono16k",
]
