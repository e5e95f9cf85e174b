"""What is measured: names, directions and definitions in a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One column of the table.

    Attributes:
        key: name in JSON and CSV.
        title: name in tables.
        better: which direction is better; "" where neither is.
        about: definition in a line; docs/evaluation.md says more.
        whole: one value for the whole set of clips, without statistics over clips.
    """

    key: str
    title: str
    better: Literal["higher", "lower", ""]
    about: str
    whole: bool = False


METRICS = (
    Metric("sync_c", "Sync-C", "higher", "SyncNet confidence, zero-padded as published"),
    Metric("sync_d", "Sync-D", "lower", "SyncNet distance, zero-padded as published"),
    Metric("sync_c_overlap", "Sync-C overlap", "higher", "SyncNet confidence over overlapping windows alone"),
    Metric("offset", "AV offset", "lower", "absolute audio-video offset in frames of 40 ms"),
    Metric("sync_c_reference", "Sync-C of reference", "", "the same of the reference video, for calibration"),
    Metric("sync_d_reference", "Sync-D of reference", "", "the same of the reference video, for calibration"),
    Metric("sync_c_second", "Sync-C, second model", "higher", "Sync-C by a SyncNet with another front end and seed"),
    Metric("sync_d_second", "Sync-D, second model", "lower", "Sync-D by the same"),
    Metric("closure_f1", "closure F1", "higher", "closed lips on P, B, M: harmonic mean of precision and recall"),
    Metric("closure_precision", "closure precision", "higher", "share of closures in speech that are for P, B, M"),
    Metric("closure_recall", "closure recall", "higher", "share of P, B, M for which the lips close"),
    Metric("closure_f1_reference", "closure F1 of reference", "", "the same of the reference video, for calibration"),
    Metric("opening", "opening", "higher", "correlation of the lips' gap with the reference's, at the same time"),
    Metric("opening_best", "opening, best lag", "higher", "the same at the best lag within 15 frames"),
    Metric("opening_lag", "opening lag", "lower", "that lag in frames of 40 ms, absolute"),
    Metric("opening_mean", "opening, mean", "", "mean gap over the reference's, 1 is as wide"),
    Metric("opening_95", "opening, 95 %", "", "the same of the 95th percentiles"),
    Metric("opening_sound", "opening and sound", "higher", "correlation of the gap with loudness, best lag"),
    Metric("opening_sound_reference", "opening and sound of reference", "", "the same of the reference video"),
    Metric("pauses_moving", "moving in pauses", "lower", "share of pause frames in which the mouth moves"),
    Metric("pauses_moving_reference", "moving in pauses, reference", "", "the same of the reference video"),
    Metric("silence_closed", "closed in silence", "higher", "share of closed frames over digital silence"),
    Metric("silence_closed_reference", "closed in silence, reference", "", "the same of the reference video"),
    Metric("sharpness", "sharpness", "higher", "gradient energy of the generated mouth over the reference's"),
    Metric("flicker", "flicker", "lower", "change from frame to frame beyond the reference's, grey levels"),
    Metric("seam", "seam", "lower", "step across the mask's rim beyond the reference's, grey levels"),
    Metric("outside_changed", "outside changed", "lower", "percent of samples outside the mouth that are changed"),
    Metric("outside_psnr", "PSNR outside, picture", "higher", "signal to noise of the whole picture but the mouth"),
    Metric("outside_psnr_reencoded", "the same, re-encoded", "", "of the reference, coded with the result's settings"),
    Metric("lmd", "LMD", "lower", "distance of 20 mouth landmarks less their centroid, in pixels of the frame"),
    Metric("lmd_face", "LMD / face", "lower", "the same in percent of the height of the face's box"),
    Metric("ssim_mouth", "SSIM mouth", "higher", "structural similarity of grey levels inside the mouth mask"),
    Metric("ssim_outside", "SSIM outside", "higher", "the same in the rest of the face crop"),
    Metric("ssim_face", "SSIM face", "higher", "the same over the whole face crop, as published"),
    Metric("psnr_mouth", "PSNR mouth", "higher", "signal to noise inside the mouth mask in dB, at most 100"),
    Metric("psnr_outside", "PSNR outside", "higher", "the same in the rest of the face crop"),
    Metric("lpips_mouth", "LPIPS mouth", "lower", "perceptual distance (AlexNet) inside the mouth mask"),
    Metric("lpips_outside", "LPIPS outside", "lower", "the same in the rest of the face crop"),
    Metric("identity_face", "ID face", "higher", "cosine of the embeddings of the aligned faces"),
    Metric("identity_frame", "CSIM frame", "higher", "the same of whole frames squashed to 112 x 112, as published"),
    Metric("fps", "FPS", "higher", "frames per second, as the result's sidecar says"),
    Metric("first_frame_seconds", "TTFF", "lower", "seconds until the first frame, as the result's sidecar says"),
    Metric("fid", "FID", "lower", "Frechet distance of Inception features of all face crops", whole=True),
    Metric("fvd", "FVD", "lower", "Frechet distance of I3D features of 16 face crops of every clip", whole=True),
)

BY_KEY = {metric.key: metric for metric in METRICS}
