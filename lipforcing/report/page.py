"""A run's report as one page: pictures, what was done, figures, a line of time, and what it was made with."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from ..models.syncnet import WINDOW_FRAMES
from ..syncnet.plot import signed
from ..timeline import FPS

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #282c34; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem }
table { border-collapse: collapse; width: 100% } td:first-child { width: 9rem }
td { padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #e6e6e6 }
td:nth-child(2) { font-variant-numeric: tabular-nums } td.about { color: #666; font-size: 13px }
.strip { display: flex; flex-wrap: wrap; gap: .5rem } figure { margin: 0 } figcaption { color: #666; font-size: 12px }
img { max-width: 100%; border-radius: 4px } code { font-size: 12px; overflow-wrap: anywhere }
svg { display: block; width: 100%; height: auto } .bad { color: #b3261e }
"""

WIDTH = 900  # of drawings, in their own units

FIGURES = {
    "pauses_moving": ("moves in pauses", "share of frames without speech in which the mouth moves; lower is better"),
    "closed_in_silence": ("closed in silence", "share of the frames of digital silence in which the lips are closed"),
    "opening_correlation": ("opening follows the sound", "correlation of the lips' gap with the speech's loudness"),
    "opening_lag": ("lag of the opening", "frames of 40 ms by which the mouth is late"),
    "sharpness_ratio": ("sharpness", "gradient energy of the mouth, in shares of the source's"),
    "flicker": ("flicker", "change of the mouth from frame to frame beyond the source's, in grey levels"),
    "seam": ("seam", "step across the rim of what was generated that the source does not have, in grey levels"),
    "outside_psnr": ("outside", "PSNR outside of the mouth against the source in the coded file, dB; 100 is equal"),
}
"""Fields of ``evaluation.quality.Quality``: title and meaning (docs/evaluation.md, Without a reference)."""


def page(report: dict, pictures: Sequence[tuple[int, str]] = ()) -> str:
    """The page of a report, without anything outside it.

    Args:
        report: see ``RunReport.to_dict``.
        pictures: number of a frame, and its picture as a data URL.
    """
    done = report["done"]
    sections = [
        f"<h1>{_text(done['file'])}</h1>",
        f"<p>{_text(done['description'])}</p>",
        _strip(pictures),
        "<h2>What was done</h2>" + timeline(done["passed"], done["length"]),
        _table(_done(report)),
        *_quality(report),
        "<h2>Where the time went</h2>" + bars({name: part["total"] for name, part in report["stages"].items()}),
        f"<p>{_text(_speed(report))}</p>",
        *_made_with(report["manifest"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>{_text(done['file'])}: report</title><style>{STYLE}</style>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def timeline(passed: Sequence[dict], length: float) -> str:
    """The result's time as a bar: generated, or passed on as it was, with the reason."""
    scale = WIDTH / max(length, 1e-6)
    parts = [f'<rect width="{WIDTH}" height="16" fill="#1f6eb6"/>']
    for part in passed:
        x, end = part["start"] * scale, min(part["end"], length) * scale
        about = f"{part['start']:.2f} to {part['end']:.2f} s: {part['reason']}"
        parts.append(
            f'<rect x="{x:.1f}" width="{max(end - x, 0.5):.1f}" height="16" fill="#c9ced6">'
            f"<title>{_text(about)}</title></rect>"
        )
    ends = f'<text y="30" font-size="11" fill="#666">0 s</text><text x="{WIDTH}" y="30" font-size="11" fill="#666" '
    ends += f'text-anchor="end">{length:.2f} s</text>'
    key = '<text x="450" y="30" font-size="11" fill="#666" text-anchor="middle">blue: generated, grey: source</text>'
    return f'<svg viewBox="0 0 {WIDTH} 34" role="img">{"".join(parts)}{ends}{key}</svg>'


def bars(seconds: dict[str, float]) -> str:
    """Seconds by name as bars."""
    longest = max(seconds.values(), default=0.0) or 1.0
    rows = []
    for number, (name, value) in enumerate(seconds.items()):
        y = 20 * number
        rows.append(
            f'<text x="0" y="{y + 13}" font-size="12">{_text(name)}</text>'
            f'<rect x="90" y="{y + 3}" width="{(WIDTH - 190) * value / longest:.1f}" height="13" fill="#78a8d4"/>'
            f'<text x="{95 + (WIDTH - 190) * value / longest:.1f}" y="{y + 13}" font-size="11" fill="#666">'
            f"{value:.2f} s</text>"
        )
    return f'<svg viewBox="0 0 {WIDTH} {20 * len(rows) + 4}" role="img">{"".join(rows)}</svg>'


def curve(values: Sequence[float], length: float) -> str:
    """Confidence over time as a line, from 0 up."""
    top, step = max([*values, 1.0]), WIDTH / max(length, 1e-6) / FPS
    places = (((n + WINDOW_FRAMES / 2) * step, 62 - 60 * max(value, 0) / top) for n, value in enumerate(values))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<svg viewBox="0 0 {WIDTH} 78" role="img"><path d="M0 62H{WIDTH}" stroke="#e1e4e9"/>'
        f'<polyline points="{points}" fill="none" stroke="#d6761c" stroke-width="1.5"/>'
        f'<text y="75" font-size="11" fill="#666">confidence over time, at most {top:.1f}</text></svg>'
    )


def _done(report: dict) -> Iterable[tuple[str, str, str]]:
    done = report["done"]
    yield "frames", f"{done['frames']}", f"{done['length']:.2f} s"
    yield "plan", done["plan"], ""
    if done["encoding"]:
        yield "encoding", done["encoding"], ""
    for part in done["passed"]:
        yield f"{part['start']:.2f} to {part['end']:.2f} s", f"{part['frames']} frames as they were", part["reason"]
    if done["changed_outside"] is not None:
        yield "outside", f"{done['changed_outside']} samples changed", "outside of the mouths, before the encoder"
    if done["damaged_packets"]:
        yield "damage", f"{done['damaged_packets']} packets", "of the source could not be decoded whole"
    for note in done["notes"]:
        yield "note", note, ""


def _quality(report: dict) -> Iterable[str]:
    rows, faces = [], (report["sync"] or {"faces": []})["faces"]
    for face in faces:
        if face["confidence"] is None:
            rows.append(("sync", face["verdict"], "no figures"))
            continue
        offset = "none" if face["offset"] is None else f"{signed(face['offset'])} frames"
        rows += [
            ("Sync-C", f"{face['confidence']:.2f}", "confidence of SyncNet; higher is better"),
            ("Sync-D", f"{face['distance']:.2f}", "distance of lips and sound; lower is better"),
            ("offset", offset, face["verdict"] or "40 ms each; positive: the sound is ahead"),
        ]
    quality = report["quality"] or {}
    for key, (title, about) in FIGURES.items():
        if quality.get(key) is not None:
            rows.append((title, f"{quality[key]:.3g}", about))
    rows += [("note", note, "") for note in quality.get("notes", ())]
    drawn = [curve(face["curve"], report["done"]["length"]) for face in faces if face["curve"] and not face["start"]]
    return ["<h2>How good it is</h2>", _table(rows), *drawn[:1]] if rows else []


def _speed(report: dict) -> str:
    memory = report["peak_memory"]
    said = f"{report['fps']:.1f} frames per second, the first after {report['first_frame_seconds']:.2f} s; "
    said += f"{report['seconds']:.1f} s in all. Stages run at the same time."
    return said if memory is None else f"{said} Peak of memory: {memory / 1e9:.2f} GB."


def _made_with(manifest: dict) -> Iterable[str]:
    if not manifest:
        return
    machine, software = manifest["machine"], manifest["software"]
    rows = [
        ("software", ", ".join(f"{name} {version}" for name, version in software.items()), ""),
        ("machine", f"{machine['name']} ({machine['device']}), {machine['cores']} cores", ""),
        ("precision", f"{manifest['precision']}, {manifest['attention']}", ""),
        ("noise", f"seed {manifest['options']['seed']}", f"sigmas {', '.join(map(str, manifest['sigmas']))}"),
    ]
    for kind in ("inputs", "weights"):
        for role, entry in manifest[kind].items():
            rows.append((role, entry["file"], f"{entry['bytes']:,} bytes, sha256 {entry['sha256']}"))
    yield "<h2>What it was made with</h2>" + _table(rows)


def _strip(pictures: Sequence[tuple[int, str]]) -> str:
    figures = (
        f'<figure><img src="{link}" alt="frame {number}"><figcaption>frame {number}</figcaption></figure>'
        for number, link in pictures
    )
    return f'<div class="strip">{"".join(figures)}</div>'


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = "".join(
        f'<tr><td>{_text(name)}</td><td>{_text(value)}</td><td class="about">{_text(about)}</td></tr>'
        for name, value, about in rows
    )
    return f"<table>{lines}</table>"


def _text(value: object) -> str:
    return html.escape(str(value))
