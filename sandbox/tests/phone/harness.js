// A sandbox, a browser, and a page: started for a test, and ended with it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const PATIENCE = 20000;
const PROGRAM = process.env.MFA_SANDBOX_PROGRAM;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A running sandbox, driven by its interface for tests. */
export class Sandbox {
  static async start(...options) {
    const process = spawn(PROGRAM, ["--stop-with-stdin", ...options], { stdio: ["pipe", "pipe", "inherit"] });
    const said = {};
    for await (const line of createInterface({ input: process.stdout })) {
      const [name, value] = line.split(/: (.*)/);
      said[name] = value;
      if (name === "ready") return new Sandbox(process, said);
    }
    throw new Error("the sandbox did not start");
  }

  constructor(process, said) {
    Object.assign(this, { process, said, port: new URL(said.hyperid).port });
  }

  async stop() {
    if (this.process.exitCode !== null) return;
    const gone = once(this.process, "exit");
    this.process.stdin.end();
    await gone;
  }

  async call(method, name, body) {
    const answer = await fetch(this.said.control + name, {
      method,
      headers: { "Sandbox-Key": this.said["control-key"], "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(name + ": " + text);
    return JSON.parse(text);
  }

  decide(id, decision) { return this.call("POST", "/decide", { transaction_id: id, decision }); }

  async outcome(id) {
    const { transactions } = await this.call("GET", "/transactions");
    return transactions.find((one) => one.transaction_id === id)?.outcome;
  }

  /** Waits until a transaction has ended, and says how. */
  async end(id) {
    return until("transaction " + id + " ends", async () => {
      const outcome = await this.outcome(id);
      return outcome !== "pending" && outcome;
    });
  }

  /** A person is asked, and sees it on the page; the transaction's id. */
  async ask(question, { person = "ann", ...more } = {}) {
    const values = JSON.stringify({ version: 1, action: { type: "question", action_info: question } });
    return this.start({ template_id: 4, values, ...more }, person);
  }

  async start(body, person = "ann") {
    const { token } = await this.call("POST", "/tokens", { user: person });
    const answer = await fetch(this.said.hyperid + "/mfa-client/transaction/start/v2", {
      method: "POST",
      headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const { result, transaction_id } = await answer.json();
    if (result !== 0) throw new Error("start: " + result);
    return transaction_id;
  }
}

/** Looks until there is something to see. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error("never: " + what);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The browser, with an empty profile and no network but this machine's. */
export async function launch() {
  const profile = mkdtempSync(join(tmpdir(), "mfa-phone-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.MFA_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP evil.example 127.0.0.1",
    ],
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

export const PHONE = { width: 360, height: 740 };
export const SMALL_PHONE = { width: 320, height: 568 };
export const DESKTOP = { width: 1280, height: 800 };

/** The phone page of a sandbox, which notes each announcement. An error in its script fails the test. */
export async function open(browser, sandbox, { size = PHONE, dark = false } = {}) {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  // A refusal, and a server that is gone, are noted by the browser itself; whatever else is, is a mistake.
  const expected = (text) => text.startsWith("Failed to load resource");
  page.on("console", (message) => {
    if (message.type() === "error" && !expected(message.text())) page.errors.push(message.text());
  });
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
  await page.goto(sandbox.said.phone);
  await page.waitForFunction(() => document.getElementById("link").textContent === "connected");
  await page.evaluate(() => {
    window.heard = [];
    const live = document.querySelectorAll("[role=status], [role=alert], [aria-live]");
    const note = (changes) => {
      for (const region of new Set(changes.map((change) => change.target.parentElement?.closest("[role]") ?? change.target))) {
        const text = region.textContent.trim();
        if (text) window.heard.push(text);
      }
    };
    for (const region of live) new MutationObserver(note).observe(region, { childList: true, characterData: true });
  });
  return page;
}

/** What was announced since the last time: so many at least, and all that there are. */
export async function heard(page, count) {
  await page.waitForFunction((count) => window.heard.length >= count, count);
  return page.evaluate(() => window.heard.splice(0));
}

/** Waits until the page shows so many requests. */
export const shown = (page, count) =>
  page.waitForFunction((count) => document.querySelectorAll("#pending > li").length === count, count);

/** Presses a key until the focus is where it is wanted; fails if it never comes there. */
export async function tabTo(page, wanted) {
  for (let presses = 0; presses < 60; presses += 1) {
    const name = await focused(page);
    if (wanted(name)) return name;
    await page.keyboard.press("Tab");
  }
  throw new Error("the keyboard does not reach it");
}

/** What has the focus: its role or tag, and its name. */
export const focused = (page) => page.evaluate(() => {
  const element = document.activeElement;
  return element.tagName.toLowerCase() + " " + (element.getAttribute("aria-label") ?? element.textContent.trim());
});

/** The names of all elements with this role, as assistive programs get them. */
export const names = async (page, role) => (await described(page, role)).map(([name]) => name);

/** The same, each name with its description. */
export async function described(page, role) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  return nodes.filter((node) => !node.ignored && node.role?.value === role)
    .map((node) => [node.name?.value ?? "", node.description?.value ?? ""]);
}

/** What the accessibility checker finds wrong. */
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.html.slice(0, 120) + " " + node.failureSummary).join(" | "));
}

/** What does not fit: the page, if it scrolls sideways, and each element whose text is wider than it or beyond the page. */
export const overflowing = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const wrong = root.scrollWidth > root.clientWidth ? ["the page: " + root.scrollWidth + " > " + root.clientWidth] : [];
  for (const element of document.querySelectorAll("body *:not(.unseen, .unseen *, script, style, svg *)")) {
    const box = element.getBoundingClientRect();
    if (box.width === 0) continue;
    const cut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && getComputedStyle(element).display !== "inline";
    const hidden = element.scrollHeight > element.clientHeight + 1 && element.clientHeight > 0 && getComputedStyle(element).overflowY !== "visible";
    if (cut || hidden || box.left < -1 || box.right > root.clientWidth + 1) {
      wrong.push(element.tagName + "." + element.className + " " + element.textContent.trim().slice(0, 40));
    }
  }
  return wrong;
});

/** The short texts that a line must hold whole: the buttons' words, and a code of two digits. */
export const broken = (page) => page.evaluate(() => {
  const short = [...document.querySelectorAll("button, .code strong")].filter((element) => element.tagName === "BUTTON" || element.textContent.length === 2);
  const lines = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
  };
  return short.filter((element) => lines(element) !== 1).map((element) => element.textContent);
});

/** Keeps a picture for people, if a folder for them is named. */
export async function picture(page, name) {
  const folder = process.env.MFA_PHONE_PICTURES;
  if (folder) await page.screenshot({ path: join(folder, name + ".png"), fullPage: true });
}
