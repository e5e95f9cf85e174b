/** Texts of the panels in the languages of `locales/`, read when drawn so that a change of language shows. */

import { app } from "../../scripts/app.js";
import { inChinese } from "./sentences.js";

const TEXTS = {
  en: {
    frames: (done, total) => `${done} / ${total} frames`,
    idle: "no frames yet",
    loading: "loading …",
    second: "s",
    minute: "min",
    left: (time) => `${time} left`,
    took: (time) => `took ${time}`,
    stopped: "stopped",
    failed: "error",
    fps: "frames / s",
    first: "first frame",
    realtime: "real time",
    memory: "memory",
    unmeasured: "not measured yet",
    more: "show advanced inputs",
    fewer: "hide advanced inputs",
    inSync: (frames) => (frames === 0 ? "in sync" : `audio ${Math.abs(frames) * 40} ms ${frames > 0 ? "early" : "late"}`),
    verdict: (verdict) => verdict,
    offset: "offset, frames",
    byOffset: "distance / offset, frames",
    byTime: "confidence / time, s",
    server: (text) => text,
  },
  zh: {
    frames: (done, total) => `${done} / ${total} 帧`,
    idle: "尚无画面",
    loading: "正在加载…",
    second: "秒",
    minute: "分",
    left: (time) => `剩余 ${time}`,
    took: (time) => `用时 ${time}`,
    stopped: "已停止",
    failed: "出错",
    fps: "帧/秒",
    first: "首帧时间",
    realtime: "实时倍率",
    memory: "峰值内存",
    unmeasured: "尚未测量",
    more: "显示高级输入",
    fewer: "隐藏高级输入",
    inSync: (frames) => (frames === 0 ? "同步" : `音频${frames > 0 ? "超前" : "滞后"} ${Math.abs(frames) * 40} 毫秒`),
    verdict: (verdict) => VERDICTS_ZH[verdict] ?? verdict,
    offset: "偏移（帧）",
    byOffset: "距离 / 偏移（帧）",
    byTime: "置信度 / 时间（秒）",
    // What is not known in Chinese at least says what it is.
    server: (text) => inChinese(text) ?? (text && `说明（英文）：${text}`),
  },
};

// Keys as in lipforcing/syncnet/report.py.
const VERDICTS_ZH = {
  "no face": "没有人脸",
  "silent audio": "音频无声",
  "too few frames": "帧数太少",
  "offset at the edge of the search range": "偏移位于搜索范围边缘",
  "no clear sync": "没有明确的同步",
  "unusable input": "输入无法评分",
};

/** The language the front end is set to, English where we do not speak it. */
export function language() {
  const locale = app.extensionManager.setting.get("Comfy.Locale") ?? "en";
  return [locale, locale.split("-")[0]].find((one) => one in TEXTS) ?? "en";
}

export const texts = () => TEXTS[language()];

/** Seconds as a person says them: 0.35 s, 12 s, 11 min 40 s. */
export function duration(seconds) {
  const { minute, second } = texts();
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} ${second}`;
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} ${second}` : `${Math.floor(whole / 60)} ${minute} ${whole % 60} ${second}`;
}
