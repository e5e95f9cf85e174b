/** The few lines of DOM that the panels share. Nothing happens on import. */

/** An HTML element with a class and children (strings or nodes). */
export function html(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A row of figures: a value, and under it what it is; `set(name, value)` changes one. */
export class Figures {
  constructor(names) {
    this.values = Object.fromEntries(names.map((name) => [name, html("b")]));
    this.labels = Object.fromEntries(names.map((name) => [name, html("small")]));
    this.element = html("div", "figures", ...names.map((name) => html("span", "", this.values[name], this.labels[name])));
  }

  set(name, value, label) {
    this.values[name].textContent = value ?? "–";
    this.labels[name].textContent = label;
  }
}
