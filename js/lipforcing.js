/**
 * Panels in the nodes: a meter on those that make frames, curves on the sync score.
 *
 * A panel is a class with `element`, `show(values)` and the static `output` (its key in the node's output), `height`,
 * `width` (least of a new node); `stop(sentence of an error)` and optionally `grows` and `start()`. It is a DOM widget, which both renderers show, and is never
 * saved: a workflow with and without it is the same. Nothing of the host is changed; values come as events of the
 * running prompt, from the front end's own store when workflows are switched, and from the server's record of jobs after
 * the page was reloaded.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { hideAdvanced, noteAdvanced } from "./advanced.js";
import { html } from "./dom.js";
import { Meter } from "./meter.js";
import { SyncPlots } from "./sync_plots.js";
import { texts } from "./texts.js";
import { hideIgnored, loadNames, sayChoices, watch } from "./widgets.js";

const PANELS = {
  LipForcingVideoToVideo: Meter,
  LipForcingCausalSampler: Meter,
  LipForcingSyncScore: SyncPlots,
};

const TOAST_LIFE = 30_000; // milliseconds: time to read an address and a folder

/** Panel by node; an entry goes with its node. */
const panels = new WeakMap();

/** The node that the server calls `id`: "7", or "3:7" for node 7 in the subgraph that node 3 stands for. */
function nodeOf(id) {
  let node = null;
  let graph = app.rootGraph;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById(part);
    graph = node?.subgraph;
  }
  return node;
}

const panelOf = (id) => panels.get(nodeOf(id));

/** Show in `node` what its `output` has for its panel. */
function showOutput(node, output) {
  const panel = panels.get(node);
  const [values] = output?.[panel?.constructor.output]?.flat() ?? [];
  if (values) panel.show(values);
}

/** The panel of a new `node`, if its class has one. */
function addPanel(node) {
  const Panel = PANELS[node.comfyClass];
  if (!Panel) return;
  const panel = new Panel();
  const size = { getMinHeight: () => Panel.height, getMaxHeight: () => (Panel.grows ? undefined : Panel.height) };
  const widget = node.addDOMWidget("lipforcing", "lipforcing", panel.element, { serialize: false, ...size });
  // The option keeps the widget out of the prompt, the property out of the saved workflow.
  widget.serialize = false;
  node.setSize([Math.max(node.size[0], Panel.width), node.size[1]]);
  panels.set(node, panel);
}

/** Say the error of a node that has no panel: the host has its sentence at the end of a log only. */
function sayError(title, sentence) {
  app.extensionManager.toast.add({ severity: "error", summary: title, detail: texts().server(sentence), life: TOAST_LIFE });
}

/** Show what the last completed run of the open workflow gave: the front end forgets outputs when reloaded. */
async function showLastRun() {
  const workflow = app.rootGraph.id;
  const answer = await api.fetchApi(`/jobs?status=completed&limit=1&workflow_id=${workflow}`);
  const [job] = answer.ok ? (await answer.json()).jobs : [];
  if (!job) return;
  const { outputs } = await (await api.fetchApi(`/jobs/${job.id}`)).json();
  if (app.rootGraph.id !== workflow) return;
  for (const [id, output] of Object.entries(outputs)) showOutput(nodeOf(id), output);
}

/**
 * Show the templates of this pack in the order of their numbers, so that the first one needs no download: the server lists
 * them as its file system does. Those of others are left alone.
 */
function sortTemplates() {
  const pack = decodeURIComponent(new URL(".", import.meta.url).pathname.split("/").at(-2));
  const list = api.getWorkflowTemplates;
  api.getWorkflowTemplates = async function () {
    const templates = await list.call(this);
    templates[pack]?.sort();
    return templates;
  };
}

app.registerExtension({
  name: "lipforcing.panels",

  init: sortTemplates,

  async setup() {
    await loadNames();
    const style = html("link");
    style.rel = "stylesheet";
    style.href = new URL("./lipforcing.css", import.meta.url).href;
    document.head.append(style);

    api.addEventListener("lipforcing.progress", ({ detail }) => panelOf(detail.node)?.show(detail));
    api.addEventListener("executing", ({ detail }) => panelOf(detail)?.start?.());
    api.addEventListener("executed", ({ detail }) => showOutput(nodeOf(detail.display_node ?? detail.node), detail.output));
    for (const end of ["execution_interrupted", "execution_error"]) {
      api.addEventListener(end, ({ detail }) => {
        const [node, sentence] = [nodeOf(detail.node_id), detail.exception_message?.trim()];
        if (panels.has(node)) panels.get(node).stop(sentence);
        else if (sentence && node?.comfyClass?.startsWith("LipForcing")) sayError(node.title, sentence);
      });
    }
  },

  beforeRegisterNodeDef(_, definition) {
    if (definition.name.startsWith("LipForcing")) noteAdvanced(definition);
  },

  nodeCreated(node) {
    watch(node);
    sayChoices(node);
    addPanel(node);
    hideAdvanced(node);
  },

  loadedGraphNode: hideIgnored,

  afterConfigureGraph() {
    void showLastRun();
  },

  /** Outputs by node locator: "7", or "uuid-of-the-subgraph:7". */
  onNodeOutputsUpdated(outputs) {
    for (const graph of [app.rootGraph, ...app.rootGraph.subgraphs.values()]) {
      for (const node of graph.nodes) {
        showOutput(node, outputs[graph === app.rootGraph ? `${node.id}` : `${graph.id}:${node.id}`]);
      }
    }
  },
});
