"""Just enough of a WebSocket client (RFC 6455) to follow a host on the same machine, so that tests need no package."""

from __future__ import annotations

import base64
import os
import socket

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """One connection; `receive()` gives messages as str or bytes in order, `send()` sends text."""

    def __init__(self, host: str, port: int, path: str, timeout: float = 120):
        self._socket = socket.create_connection((host, port), timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        self._stream = self._socket.makefile("rb")
        status = self._stream.readline()
        if b" 101 " not in status:
            raise ConnectionError(f"no WebSocket at {path}: {status!r}")
        while self._stream.readline().strip():
            pass

    def send(self, text: str) -> None:
        self._send(TEXT, text.encode())

    def receive(self) -> str | bytes:
        """The next message; pings are answered on the way."""
        message, kind = b"", None
        while True:
            head = self._read(2)
            final, opcode, length = head[0] & 0x80, head[0] & 0x0F, head[1] & 0x7F
            if length > 125:
                length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
            payload = self._read(length)
            if opcode == CLOSE:
                raise ConnectionError("the server closed the WebSocket")
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode != PONG:
                kind = opcode or kind
                message += payload
                if final:
                    return message.decode() if kind == TEXT else message

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionError("the WebSocket ended")
        return data

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode]) + length + mask + masked)
