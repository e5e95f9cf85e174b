/** Texts of the panels in the languages of `locales/`, read when drawn so that a change of language shows. */

import { app } from "../../scripts/app.js";

const TEXTS = {
  en: {
    frames: (done, total) => `${done} / ${total} frames`,
    idle: "no frames yet",
    loading: "loading …",
    left: (time) => `${time} left`,
    took: (time) => `took ${time}`,
    stopped: "stopped",
    failed: "error",
    fps: "frames / s",
    first: "first frame",
    realtime: "real time",
    unmeasured: "not measured yet",
    inSync: (frames) => (frames === 0 ? "in sync" : `audio ${Math.abs(frames) * 40} ms ${frames > 0 ? "early" : "late"}`),
    verdict: (verdict) => verdict,
    offset: "offset, frames",
    byOffset: "distance / offset, frames",
    byTime: "confidence / time, s",
  },
  zh: {
    frames: (done, total) => `${done} / ${total} 帧`,
    idle: "尚无画面",
    loading: "正在加载…",
    left: (time) => `剩余 ${time}`,
    took: (time) => `用时 ${time}`,
    stopped: "已停止",
    failed: "出错",
    fps: "帧/秒",
    first: "首帧时间",
    realtime: "实时倍率",
    unmeasured: "尚未测量",
    inSync: (frames) => (frames === 0 ? "同步" : `音频${frames > 0 ? "超前" : "滞后"} ${Math.abs(frames) * 40} 毫秒`),
    verdict: (verdict) => VERDICTS_ZH[verdict] ?? verdict,
    offset: "偏移（帧）",
    byOffset: "距离 / 偏移（帧）",
    byTime: "置信度 / 时间（秒）",
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

/** The texts in the language the front end is set to, English where we have none. */
export function texts() {
  const locale = app.extensionManager.setting.get("Comfy.Locale") ?? "en";
  return TEXTS[locale] ?? TEXTS[locale.split("-")[0]] ?? TEXTS.en;
}

/** Seconds as a person says them: 0.35 s, 12 s, 11 min 40 s. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
