/**
 * Sentences of the server in Chinese: what a run reports (lipforcing/pipeline.py) and every error of a node (errors.js).
 * Each entry is a pattern of the whole English sentence and what is said in its place; tests/nodes/test_sentences.py
 * holds them to the server's own words. Nothing happens on import.
 */

import { ERRORS } from "./errors.js";

const REASONS = {
  "no face": "没有人脸",
  "turned away": "头部转向侧面",
  "mouth hidden": "嘴部被遮挡",
  pause: "停顿",
  "face outside the picture": "人脸在画面之外",
};

/** "0.50 to 1.20 s (no face), 2.00 to 2.04 s (pause), and 3 more ranges" */
const ranges = (text) =>
  text
    .replace(/([\d.]+) to ([\d.]+) s \(([^)]+)\)/g, (_, from, to, why) => `${from}–${to} 秒（${REASONS[why] ?? why}）`)
    .replace(/and (\d+) more ranges/, "以及另外 $1 段")
    .replaceAll(", ", "、");

/** What a model also needs (nodes/needs.py): "wav2vec2-base-960h (model.safetensors from ... into ..., any name); ..." */
const needs = (text) =>
  text
    .replace("; after a download press R", "；下载后按 R")
    .replaceAll("; ", "；")
    .replace(/ \(model\.safetensors from (\S+) into (.+?), any name\)/, "（从 $1 下载 model.safetensors 到 $2，文件名不限）")
    .replace(/ \(from (\S+) into (.+?)\)/g, "（从 $1 下载到 $2）")
    .replace(", with Load Audio Encoder on audio_encoder of Lip Forcing Audio Encode", "，用“加载音频编码器”连接到“Lip Forcing 音频编码”的 audio_encoder")
    .replace(", with Load VAE on vae", "，用“加载VAE”连接到 vae")
    .replace('a prompt, "a person talking", through ', "提示词 “a person talking”，编码器为 ")
    .replace(", with Load CLIP (type wan) on positive", "，用“加载CLIP”（类型 wan）连接到 positive")
    .replace(", once, if Lip Forcing Family saves it (save prompt embedding)", "（由“Lip Forcing 模型组”保存后只需一次）");

const SENTENCES = [
  [/^(\d+) frames? written, ([\d.]+) s\.$/, "已写入 $1 帧，共 $2 秒。"],
  [/^(\d+) of them are the source's own: (.+)\.$/, (_, count, which) => `其中 ${count} 帧保持原样：${ranges(which)}。`],
  [/^(\d+) packets? of the video could not be decoded whole; frames are missing or damaged\.$/, "视频有 $1 个数据包无法完整解码，部分帧缺失或损坏。"],
  [/^(\d+) packets of the sound of (.+) could not be decoded and became silence\.$/, "$2 的声音有 $1 个数据包无法解码，已改为静音。"],
  [/^(\d+) samples? of (.+) became silence, being no numbers\.$/, "$2 有 $1 个采样不是有效数值，已改为静音。"],
  [/^The channels of (.+) cancel each other; the mouth follows the loudest one\.$/, "$1 的声道相互抵消，嘴部跟随最响的声道。"],
  [/^The face was cropped for another family of models; see crop of Lip Forcing Face Track\.$/, "人脸是按另一类模型裁剪的；请检查“Lip Forcing 人脸跟踪”的裁剪方式。"],
  [/^(.+) also needs (.+)\.$/s, (_, name, parts) => `${name === "The model" ? "模型" : name} 还需要：${needs(parts)}。`],
];

/** "A {} of {}." as a pattern of a whole sentence, with or without the full stop. */
const pattern = (sentence) =>
  new RegExp(`^${sentence.replace(/\.$/, "").replace(/[.*+?^$()|[\]\\]/g, "\\$&").replaceAll("{}", "(.+?)")}\\.?$`, "s");

SENTENCES.push(...ERRORS.map(([sentence, chinese]) => [pattern(sentence), chinese]));

/** What the server says, sentence by sentence in Chinese where it is known; null where nothing of it is. */
export function inChinese(text) {
  const whole = translated(text);
  if (whole) return whole;
  const parts = text.split(/(?<=\.) (?=[A-Z\d])/).map((sentence) => [translated(sentence), sentence]);
  return parts.some(([known]) => known) ? parts.map(([known, sentence]) => known ?? sentence).join("") : null;
}

function translated(sentence) {
  const found = SENTENCES.find(([pattern]) => pattern.test(sentence));
  return found ? sentence.replace(...found) : null;
}
