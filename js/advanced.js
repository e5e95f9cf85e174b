/**
 * What a first user of a node does not need stays out of sight: sockets that the schema calls advanced, and on the
 * classic canvas widgets of that kind, which Nodes 2.0 hides by itself. "Show advanced inputs" of the host shows both, on
 * the classic canvas a button at the end of the node. Nothing happens on import.
 *
 * The host can hide a widget and cannot hide a socket. It takes a socket that belongs to a widget out of the column of
 * sockets, though, so a hidden one is said to belong to that button. It stays in its place in the list of inputs, takes
 * the wire that a new node is made for, and on the classic canvas one that is dropped on the node, and is then shown;
 * saved workflows know nothing of all this.
 */

import { app } from "../../scripts/app.js";
import { texts } from "./texts.js";

const BUTTON = "lipforcing_more";
const FEW = 2; // rows that are not worth a button

/** Names of the advanced inputs by class; whether they are sockets or widgets shows in the node. */
const advanced = {};

/** Note what the schema of a node says; before any node of that class is made. */
export function noteAdvanced({ name, input }) {
  const all = Object.entries({ ...input?.required, ...input?.optional });
  advanced[name] = new Set(all.filter(([, [, options]]) => options?.advanced).map(([key]) => key));
}

const isHidden = (input) => input.widget?.name === BUTTON;
const sockets = (node) => node.inputs.filter((input) => advanced[node.comfyClass].has(input.name) && (!input.widget || isHidden(input)));
const widgets = (node) => (node.widgets ?? []).filter(({ name, options }) => advanced[node.comfyClass].has(name) && !options.hidden);

function hide(input) {
  input.widget = { name: BUTTON };
}

function show(input) {
  delete input.widget;
  delete input.pos;
}

/** Nodes 2.0 looks anew at which sockets there are only when the list changes. */
function redraw(node) {
  node.inputs.push(node.inputs.pop());
  node.graph?.setDirtyCanvas(true, true);
}

/** Show what is connected, and the rest where the user wants to see it. */
function arrange(node) {
  const all = !!node.showAdvanced || !!app.extensionManager.setting.get("Comfy.Node.AlwaysShowAdvancedWidgets");
  for (const input of sockets(node)) (all || input.link != null ? show : hide)(input);
  for (const widget of widgets(node)) {
    widget.hidden = !all && node.inputs.find(({ widget: of }) => of?.name === widget.name)?.link == null;
  }
  const button = node.widgets.find(({ name }) => name === BUTTON);
  button.label = all ? texts().fewer : texts().more;
  redraw(node);
}

/** Call `act` whenever the host or the button turns `node.showAdvanced` on or off. */
function whenToggled(node, act) {
  const own = Object.getOwnPropertyDescriptor(node, "showAdvanced");
  let value = node.showAdvanced;
  Object.defineProperty(node, "showAdvanced", {
    configurable: true,
    enumerable: own?.enumerable ?? true,
    get: own?.get ?? (() => value),
    set(next) {
      if (own?.set) own.set.call(this, next);
      else value = next;
      act();
    },
  });
}

/** Take what is advanced out of sight in a new `node`, and keep it so. */
export function hideAdvanced(node) {
  if (!advanced[node.comfyClass] || sockets(node).length + widgets(node).length <= FEW) return;
  const toggle = () => {
    node.showAdvanced = !node.showAdvanced;
  };
  const button = node.addWidget("button", BUTTON, "", toggle, { serialize: false, canvasOnly: true });
  button.serialize = false;

  // A wire over the node is snapped to the button by the classic canvas; the first hidden socket may not be the one that fits.
  const { getSlotFromWidget } = node;
  node.getSlotFromWidget = function (widget) {
    return widget === button ? undefined : getSlotFromWidget.call(this, widget);
  };

  let busy = false; // the host sets one property after the other
  const { configure, onConnectionsChange, onSerialize } = node;
  node.configure = function (data) {
    busy = true;
    sockets(this).forEach(show);
    configure.call(this, data);
    busy = false;
    arrange(this);
  };
  whenToggled(node, () => {
    if (busy) return;
    const before = node.computeSize()[1];
    arrange(node);
    const least = node.computeSize()[1];
    node.setSize([node.size[0], Math.max(least, node.size[1] + least - before)]);
  });
  node.onConnectionsChange = function (...change) {
    onConnectionsChange?.apply(this, change);
    const open = sockets(this).filter((input) => input.link != null && isHidden(input));
    open.forEach(show);
    if (open.length) redraw(this);
  };
  node.onSerialize = function (data) {
    onSerialize?.call(this, data);
    data.inputs?.filter(isHidden).forEach(show);
  };
  arrange(node);
  node.setSize([node.size[0], node.computeSize()[1]]);
}
