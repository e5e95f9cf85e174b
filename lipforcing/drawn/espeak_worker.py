"""espeak-ng behind a pipe: run as a script in a process of its own, which imports nothing but the standard library.

espeak-ng carries the phase of its waves and of its noise from one text to the next and offers no way to reset them,
so only a fresh process says the same thing the same way. Each line on standard input is a request, a JSON object
with ``text``, ``voice``, ``rate`` and ``pitch``; the answer is a line with a JSON object - ``rate`` (Hz), ``bytes`` and
``events`` ([symbol, first sample] of each phoneme), or ``error`` - and then that many bytes of 16-bit mono samples.
"""

from __future__ import annotations

import ctypes
import json
import sys

LIBRARY = "libespeak-ng.so.1"

# espeak-ng's speak_lib.h
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _DONT_EXIT = 0x0001, 0x8000
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_UTF8 = 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """This process's espeak-ng."""

    def __init__(self):
        self.library = ctypes.CDLL(LIBRARY)
        self.rate = self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _DONT_EXIT)
        self.samples: list[bytes] = []
        self.events: list[tuple[str, int]] = []
        self.callback = _Callback(self._receive)  # kept: the library holds only a bare pointer to it
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, wave, count: int, events) -> int:
        if wave and count > 0:
            self.samples.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            if events[index].type == _EVENT_PHONEME:
                self.events.append((events[index].id.decode("utf-8", "replace"), events[index].sample))
            index += 1
        return 0

    def say(self, text: str, voice: str, rate: int, pitch: int) -> tuple[dict, bytes]:
        if self.rate <= 0:
            return {"error": "espeak-ng did not find its voice data: install the package espeak-ng-data"}, b""
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            return {"error": f"espeak-ng has no voice {voice!r}: choose one that 'espeak-ng --voices' lists"}, b""
        self.library.espeak_SetParameter(_RATE_PARAMETER, rate, 0)
        self.library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        self.samples, self.events = [], []
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        samples = b"".join(self.samples)
        return {"rate": self.rate, "bytes": len(samples), "events": self.events}, samples


def main() -> None:
    engine = Engine()
    for line in sys.stdin:
        answer, samples = engine.say(**json.loads(line))
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + samples)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
