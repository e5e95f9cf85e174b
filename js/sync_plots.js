/** What the sync score node measured: figures and two curves. Nothing happens on import. */

import { Figures, html, svg } from "./dom.js";
import { texts } from "./texts.js";

/** A curve in a box that stretches with the node; lines and dots keep their width, texts stay outside the drawing. */
class Plot {
  constructor() {
    this.caption = html("figcaption");
    this.drawing = svg("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
    this.high = html("span", "high");
    this.low = html("span", "low");
    this.ticks = html("div", "line ticks");
    this.element = html("figure", "", this.caption, html("div", "box", this.drawing, this.high, this.low), this.ticks);
  }

  /** Draw `ys` over `xs` (ascending) on an axis from `low` to `high`, with a dot at x = `mark` where that is not null. */
  show(caption, xs, ys, [low, high], mark, ticks) {
    this.caption.textContent = caption;
    const [left, right] = [xs[0], xs.at(-1)];
    const x = (value) => (value - left) / (right - left || 1);
    const y = (value) => 1 - Math.min(1, Math.max(0, (value - low) / (high - low)));
    const points = ys.map((value, index) => `${x(xs[index])},${y(value)}`);
    this.drawing.replaceChildren(svg("polyline", { points: points.join(" ") }));
    if (mark !== null) {
      const [at, value] = [x(mark), y(ys[xs.indexOf(mark)])];
      // A line without length and with round ends is a dot that does not stretch.
      this.drawing.prepend(svg("path", { class: "guide", d: `M${at},0V1` }));
      this.drawing.append(svg("path", { class: "dot", d: `M${at},${value}h0` }));
    }
    this.high.textContent = high;
    this.low.textContent = low;
    this.ticks.replaceChildren(...ticks.map((tick) => html("span", "", tick)));
  }
}

/**
 * Ends of the distance axis. They do not follow the curve, so that a flat one looks flat and two clips can be compared:
 * distances of the tiny SyncNet stay below 8, those of SyncNet v2 below 20.
 */
const SCALES = [8, 20, 50];

export class SyncPlots {
  /** Where the node's output has the report. */
  static output = "lipforcing_sync";
  static height = 190;
  static grows = true;
  static width = 320;

  constructor() {
    this.title = html("span");
    this.error = html("div", "error");
    this.figures = new Figures(["confidence", "distance", "offset"]);
    this.byOffset = new Plot();
    this.byTime = new Plot();
    this.plots = html("div", "plots", this.byOffset.element, this.byTime.element);
    this.element = html("div", "lipforcing-panel", html("div", "line", this.title), this.error, this.figures.element, this.plots);
    this.show({}, texts().unmeasured);
  }

  /** The run was cancelled, or ended with the error that `sentence` explains. */
  stop(sentence = "") {
    this.show({ problem: sentence }, sentence ? texts().failed : texts().stopped);
  }

  /**
   * Show a report: `verdict` (why there are no figures, or null), `problem` (its sentence, if any), `confidence`, `distance`, `offset` (frames of 40 ms,
   * positive: audio ahead), `mean_distances` (31, at the offsets -15 ... 15), `curve` over `seconds`.
   */
  show({ verdict, problem, confidence, distance, offset, mean_distances, curve, seconds }, title) {
    const say = texts();
    this.error.textContent = this.error.title = texts().server(problem ?? "");
    this.error.hidden = !problem;
    this.figures.element.hidden = !!problem;
    this.title.textContent = title ?? (verdict ? say.verdict(verdict) : say.inSync(offset));
    this.figures.set("confidence", confidence?.toFixed(2), "Sync-C ↑");
    this.figures.set("distance", distance?.toFixed(2), "Sync-D ↓");
    this.figures.set("offset", offset?.toString(), say.offset);
    this.plots.hidden = !(mean_distances?.length && curve?.length);
    if (this.plots.hidden) return;
    const last = (mean_distances.length - 1) / 2;
    const offsets = mean_distances.map((_, index) => index - last);
    const top = SCALES.find((scale) => Math.max(...mean_distances) <= scale) ?? SCALES.at(-1);
    this.byOffset.show(say.byOffset, offsets, mean_distances, [0, top], offset ?? null, [-last, 0, `+${last}`]);
    // A confidence is a difference of distances.
    this.byTime.show(say.byTime, seconds, curve, [0, top / 2], null, ["0", seconds.at(-1).toFixed(1)]);
  }
}
