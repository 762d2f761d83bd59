// Runs the phone page's own script against a running sandbox, with as much of a browser as it needs.
//
//   node page.js PAGE-ADDRESS
//
// Prints "card" when a request is shown, presses Approve at a line on the standard input, and prints
// "reload" when the page wants to be loaded again.
"use strict";

const vm = require("node:vm");
const readline = require("node:readline");

class Element {
  constructor(tag) {
    this.tag = tag;
    this.children = [];
    this.dataset = {};
    this.style = {};
    this.listeners = {};
    this.classList = { add() {}, remove() {}, toggle() {} };
    this.hidden = false;
  }
  get childElementCount() { return this.children.length; }
  append(...children) { for (const child of children) { child.parent = this; this.children.push(child); } }
  prepend(child) { child.parent = this; this.children.unshift(child); }
  replaceChildren(...children) { this.children = children; }
  remove() { this.parent.children = this.parent.children.filter((child) => child !== this); }
  setAttribute() {}
  addEventListener(name, listener) { this.listeners[name] = listener; }
  focus() {}
  all(tag) {
    const below = this.children.flatMap((child) => child.all(tag));
    return this.tag === tag ? [this, ...below] : below;
  }
}

async function main(address) {
  if (typeof fetch !== "function") return console.log("skipped");
  const html = await (await fetch(address)).text();
  const script = html.match(/<script[^>]*>([^]*)<\/script>/)[1];
  const known = new Map();
  const element = (id) => known.get(id) ?? known.set(id, new Element("div")).get(id);
  const pending = element("pending");
  const body = new Element("body");
  body.dataset.run = html.match(/<body data-run="([^"]*)">/)[1];
  const page = new URL(address);
  const browser = {
    document: {
      body,
      getElementById: element,
      createElement: (tag) => new Element(tag),
      querySelectorAll: (tag) => pending.all(tag),
    },
    location: {
      pathname: page.pathname,
      reload() { console.log("reload"); process.exit(0); },
    },
    // What a browser adds by itself.
    fetch: (path, options = {}) =>
      fetch(new URL(path, page), { ...options, headers: { ...options.headers, Origin: page.origin } }),
    AbortSignal, performance, setTimeout, clearTimeout, setInterval, console,
  };
  vm.runInNewContext(script, browser);

  let told = false;
  setInterval(() => {
    if (told || pending.all("button").length === 0) return;
    told = true;
    console.log("card");
  }, 5);
  readline.createInterface({ input: process.stdin }).on("line", () => {
    pending.all("button").find((button) => button.textContent === "Approve").listeners.click();
  });
}

main(process.argv[2]);
