/** What the lab's modules expect of a page: d3, as its script element leaves it, and elements that only remember. */

import "../../../src/downslope/lab/static/vendor/d3.min.js";

/** An element without a browser: its attributes, its children, and its text. */
class Element {
  children = [];
  attributes = {};
  style = { setProperty: (name, value) => (this.attributes[`style ${name}`] = value) };

  constructor(tag) {
    this.tag = tag;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  toggleAttribute(name, isSet) {
    if (isSet) this.attributes[name] = "";
    else delete this.attributes[name];
  }

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = children;
  }

  /** All elements below of this class. */
  ofClass(name) {
    const below = this.children.filter((child) => child instanceof Element);
    return below.flatMap((child) => [...(child.attributes.class === name ? [child] : []), ...child.ofClass(name)]);
  }
}

globalThis.document = {
  createElement: (tag) => new Element(tag),
  createElementNS: (_, tag) => new Element(tag),
};

/** Return a stand-in of a frame, whose layers are kept by name. */
export function newFrame() {
  const layers = {};
  return { layers, layer: (name, tag = "g") => (layers[name] = new Element(tag)) };
}

/** Return a layer to draw into. */
export const newLayer = () => new Element("g");

/** Return scales of 100 pixels for the unit, y upwards from 400. */
export function scales() {
  return [globalThis.d3.scaleLinear([0, 4], [0, 400]), globalThis.d3.scaleLinear([0, 4], [400, 0])];
}
