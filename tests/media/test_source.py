"""Opening media: FFmpeg's many failures in one sentence."""

from __future__ import annotations

import io

import pytest

from lipforcing.errors import InputError
from lipforcing.media.source import audio_stream, name_of, open_media, video_stream

from .clips import smooth, tone, write_video, write_wav


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("text\n")])
def test_what_cannot_be_opened_is_named(tmp_path, make):
    path = tmp_path / "a.mp4"
    make(path)
    with pytest.raises(InputError, match=r"a\.mp4.*(check the path|is a folder|not a media file)"):
        open_media(path)


def test_bytes_are_opened_as_often_as_one_likes(tmp_path):
    source = io.BytesIO(write_video(tmp_path / "a.mp4", [smooth(32, 16)] * 3).read_bytes())
    assert name_of(source) == "the media in memory" and name_of(tmp_path / "a.mp4") == str(tmp_path / "a.mp4")
    with open_media(source) as first, open_media(source) as second:
        assert sum(1 for _ in first.decode(video=0)) == sum(1 for _ in second.decode(video=0)) == 3
    assert source.tell() == 0


def test_a_playlist_does_not_reach_the_network(tmp_path):
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match="not a media file that FFmpeg can read"):
        open_media(tmp_path / "a.m3u8")


def test_streams_are_pictures_and_sound(tmp_path):
    with open_media(write_video(tmp_path / "a.mp4", [smooth(32, 16)] * 2)) as container:
        assert video_stream(container).width == 32 and audio_stream(container) is None
    with open_media(write_wav(tmp_path / "a.wav", tone(0.1))) as container:
        assert video_stream(container) is None and audio_stream(container).rate == 48_000
