/** The meter of a node that makes frames: how far, how fast. Nothing happens on import. */

import { Figures, html } from "./dom.js";
import { duration, texts } from "./texts.js";

export class Meter {
  /** Where the node's output has the last run's numbers (nodes/progress.py). */
  static output = "lipforcing_progress";
  static height = 132;
  static width = 300;

  constructor() {
    this.count = html("span");
    this.time = html("span");
    this.bar = html("i");
    this.figures = new Figures(["fps", "first", "realtime", "memory"]);
    this.note = html("div", "note");
    this.error = html("div", "error");
    this.element = html(
      "div",
      "lipforcing-panel meter",
      html("div", "line", this.count, this.time),
      html("div", "bar", this.bar),
      this.figures.element,
      this.note,
      this.error,
    );
    this.#draw(0, texts().idle, "", {});
  }

  /** The node begins; until the first chunk is done it loads models, reads and encodes. */
  start() {
    this.#draw(0, texts().loading, "", {});
  }

  /** Show numbers as `FrameNumbers` has them; at the end also `peak_gigabytes` and `note`, a sentence on the result. */
  show(numbers) {
    const { done, total, seconds, remaining_seconds: left } = numbers;
    const say = texts();
    const time = done === total ? say.took(duration(seconds)) : left == null ? "" : say.left(duration(left));
    this.#draw(done / total, say.frames(done, total), time, numbers);
  }

  /** The run ended before its last frame: cancelled, or with the error that `sentence` explains. */
  stop(sentence = "") {
    const say = texts();
    if (this.count.textContent === say.loading) this.count.textContent = say.idle;
    this.time.textContent = sentence ? say.failed : say.stopped;
    this.#explain(sentence);
  }

  /** Show a sentence in place of the figures, or the figures. */
  #explain(sentence) {
    this.error.textContent = this.error.title = texts().server(sentence);
    this.error.hidden = !sentence;
    this.bar.parentElement.hidden = this.figures.element.hidden = this.note.hidden = !!sentence;
  }

  #draw(part, count, time, { fps, first_frame_seconds, realtime, peak_gigabytes, note }) {
    const say = texts();
    this.#explain("");
    this.bar.style.width = `${100 * part}%`;
    this.count.textContent = count;
    this.time.textContent = time;
    this.figures.set("fps", fps?.toFixed(fps < 10 ? 1 : 0), say.fps);
    this.figures.set("first", first_frame_seconds == null ? null : duration(first_frame_seconds), say.first);
    this.figures.set("realtime", realtime == null ? null : `${realtime.toFixed(2)}×`, say.realtime);
    this.figures.set("memory", peak_gigabytes == null ? null : `${peak_gigabytes.toFixed(1)} GB`, say.memory);
    this.note.textContent = this.note.title = say.server(note ?? "");
  }
}
