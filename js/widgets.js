/** Widgets that a node does not need are not shown, and choices are said in the user's language. Nothing happens on import. */

import { api } from "../../scripts/api.js";
import { language } from "./texts.js";

const chosen = (node, name) => node.widgets?.find((widget) => widget.name === name)?.value;

/** Type of what is connected to an input of `node`, undefined where nothing is; a new node is in no graph yet. */
function connected(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot < 0 || !node.graph ? undefined : node.getInputLink(slot)?.type;
}

const ofImages = { fps: (node) => connected(node, "video") !== "VIDEO" };

/** When a widget matters, by class and name; all others always do. */
const MATTERS = {
  LipForcingFaceTrack: ofImages,
  LipForcingSyncScore: ofImages,
  LipForcingSchedule: {
    steps: (node) => chosen(node, "preset") === "teacher_grid",
    custom: (node) => chosen(node, "preset") === "custom",
  },
};

/** Hide what is ignored as `node` stands; a widget whose value comes through a wire stays. Values are kept and saved. */
export function hideIgnored(node) {
  for (const [name, matters] of Object.entries(MATTERS[node.comfyClass] ?? {})) {
    const widget = node.widgets?.find((one) => one.name === name);
    if (!widget) continue;
    const hidden = !matters(node) && connected(node, name) === undefined;
    if (widget.hidden === hidden) continue;
    // The classic canvas reads the one; Nodes 2.0 the other, and only when the list of widgets changes.
    widget.hidden = widget.options.hidden = hidden;
    node.widgets.push(node.widgets.pop());
  }
}

/** `hideIgnored` whenever something of `node` changes. */
export function watch(node) {
  if (!MATTERS[node.comfyClass]) return;
  const onConnectionsChange = node.onConnectionsChange;
  node.onConnectionsChange = function (...change) {
    onConnectionsChange?.apply(this, change);
    hideIgnored(this);
  };
  for (const widget of node.widgets ?? []) {
    const callback = widget.callback;
    widget.callback = function (...value) {
      const result = callback?.apply(this, value);
      hideIgnored(node);
      return result;
    };
  }
  hideIgnored(node);
}

/** Names of choices by language, from `locales/`. */
let names = {};

export async function loadNames() {
  const answer = await api.fetchApi("/i18n");
  if (answer.ok) names = await answer.json();
}

/** Say the choices of `node` in the user's language; values stay what they are. */
export function sayChoices(node) {
  for (const widget of node.widgets ?? []) {
    const label = (value) => names[language()]?.nodeDefs?.[node.comfyClass]?.inputs?.[widget.name]?.options?.[value] ?? value;
    if (widget.type === "combo" && node.comfyClass?.startsWith("LipForcing")) widget.options.getOptionLabel ??= label;
  }
}
