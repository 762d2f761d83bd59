// The phone page in a real browser.
//
//   MFA_SANDBOX_PROGRAM=target/debug/mfa-sandbox node --test
//
// MFA_CHROMIUM names another Chromium, MFA_PHONE_PICTURES a folder for pictures to look at.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import {
  DESKTOP, PHONE, SMALL_PHONE, Sandbox, broken, described, focused, heard, launch, names, open, overflowing, picture, shown, tabTo, until,
  violations,
} from "./harness.js";

let browser;
let sandbox;
let pages = [];

const opened = async (options) => {
  const page = await open(browser, sandbox, options);
  pages.push(page);
  return page;
};

before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => { sandbox = await Sandbox.start("--strict"); });
afterEach(async () => {
  const errors = pages.flatMap((page) => page.errors);
  await Promise.all(pages.map((page) => page.close()));
  pages = [];
  await sandbox.stop();
  assert.deepEqual(errors, []);
});

const bar = (page) => page.evaluate(() => {
  const [outer, inner] = [document.querySelector(".life"), document.querySelector(".life div")];
  return inner.getBoundingClientRect().width / outer.getBoundingClientRect().width;
});

describe("what is asked", () => {
  test("a short question is shown with its code and device", async () => {
    const page = await opened();
    await sandbox.ask("Pay 12.00 to Example Shop?", { code: "42", device_desc: "Work laptop", ip: "192.0.2.7" });
    await shown(page, 1);
    for (const text of ["Pay 12.00 to Example Shop?", "42", "Work laptop", "192.0.2.7"]) {
      await page.getByText(text, { exact: true }).first().waitFor();
    }
    assert.deepEqual(await page.locator(".cut").count(), 0);
  });

  for (const [what, question] of [
    ["many letters", "Do you agree? " + "word ".repeat(900) + "THE END"],
    ["many lines", "Do you agree?" + "\n".repeat(300) + "THE END"],
    ["one long word", "x".repeat(3000) + " THE END"],
  ]) {
    test("a long question is cut with a sign, and can be shown whole: " + what, async () => {
      const page = await opened();
      const id = await sandbox.ask(question);
      await shown(page, 1);
      const seen = page.locator(".question");
      assert.ok(!(await seen.textContent()).includes("THE END"));
      assert.match(await page.locator(".cut").textContent(), /Cut: \d+ more characters/);
      assert.deepEqual(await overflowing(page), []);
      await tabTo(page, (name) => name.startsWith("button Show all: Do you") || name.startsWith("button Show all: xxx"));
      await page.keyboard.press("Enter");
      assert.ok((await seen.textContent()).endsWith("THE END"));
      assert.equal((await seen.textContent()).length, question.length);
      assert.equal(await page.locator(".cut").count(), 0);
      assert.deepEqual(await overflowing(page), []);
      assert.match(await focused(page), /^h3 /);
      assert.equal(await sandbox.outcome(id), "pending");
    });
  }

  for (const [what, start] of [
    ["a question", () => sandbox.ask("Do you agree? " + "word ".repeat(900) + "to everything?")],
    ["values", () => sandbox.start({ template_id: 2, values: JSON.stringify({ amount: "1", note: "n".repeat(5000) }) })],
  ]) {
    test("nobody approves what was not shown whole: " + what, async () => {
      const page = await opened();
      const id = await start();
      await shown(page, 1);
      const presses = [];
      page.on("request", (request) => request.url().endsWith("/decide") && presses.push(request.postData()));
      const approve = page.getByRole("button", { name: /^Approve/ });
      assert.equal(await approve.getAttribute("aria-disabled"), "true");
      assert.match((await described(page, "button")).find(([name]) => name.startsWith("Approve"))[1], /Cut: \d+ more characters\. Show all/);
      // By the keyboard and by a tap: it says why, keeps the focus, and decides nothing.
      await tabTo(page, (name) => name.startsWith("button Approve"));
      await page.locator("#pending:not(.moving)").waitFor();
      for (const press of [() => page.keyboard.press("Enter"), () => page.keyboard.press("Space"), () => approve.click({ force: true })]) {
        await press();
        await page.locator(".problem", { hasText: "Not approved: show all of the text first" }).waitFor();
        assert.match(await focused(page), /^button Approve/);
      }
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(presses, []);
      assert.equal(await sandbox.outcome(id), "pending");
      // A page that is loaded again has shown nothing yet.
      await tabTo(page, (name) => name.startsWith("button Show all"));
      await page.keyboard.press("Enter");
      assert.equal(await approve.getAttribute("aria-disabled"), "false");
      await page.reload();
      await shown(page, 1);
      assert.equal(await approve.getAttribute("aria-disabled"), "true");
      await tabTo(page, (name) => name.startsWith("button Show all"));
      await page.keyboard.press("Enter");
      assert.equal((await described(page, "button")).find(([name]) => name.startsWith("Approve"))[1], "");
      await tabTo(page, (name) => name.startsWith("button Approve"));
      await page.keyboard.press("Enter");
      assert.equal(await sandbox.end(id), "approved");
    });
  }

  for (const [name, outcome] of [["Deny", "denied"], ["Decline", "cancelled"]]) {
    test("what is not shown whole can be refused: " + name, async () => {
      const page = await opened();
      const id = await sandbox.ask("word ".repeat(900));
      await shown(page, 1);
      await page.getByRole("button", { name: new RegExp("^" + name) }).click();
      assert.equal(await sandbox.end(id), outcome);
    });
  }

  test("to show one text whole does not let another be approved", async () => {
    const page = await opened();
    await sandbox.ask("first ".repeat(900));
    await sandbox.ask("second ".repeat(900));
    await shown(page, 2);
    await page.getByRole("button", { name: /^Show all: first/ }).click();
    const off = (name) => page.getByRole("button", { name }).getAttribute("aria-disabled");
    assert.deepEqual([await off(/^Approve: first/), await off(/^Approve: second/)], ["false", "true"]);
  });

  test("long values are cut with a sign, too", async () => {
    const page = await opened();
    await sandbox.start({ template_id: 2, values: JSON.stringify({ amount: "1", note: "n".repeat(5000) }) });
    await shown(page, 1);
    assert.deepEqual(await overflowing(page), []);
    await page.getByRole("button", { name: "Show all" }).click();
    assert.ok((await page.locator("pre").textContent()).includes("n".repeat(5000)));
    assert.deepEqual(await overflowing(page), []);
  });

  test("markup from outside is text", async () => {
    const page = await opened();
    await sandbox.ask("<img src=x onerror=alert(1)><b>Pay?</b>", { person: "<i>ann</i>", code: "<b>1" });
    await shown(page, 1);
    assert.equal(await page.locator("#pending img, #pending b, #pending i").count(), 0);
    assert.match(await page.locator(".question").textContent(), /<img src=x/);
  });
});

describe("right to left", () => {
  test("a text has its own direction, and does not reorder what is beside it", async () => {
    const page = await opened();
    await sandbox.ask("לשלם 12.00 ש״ח לחנות?", { person: "אנה", device_desc: "מחשב נייד", code: "42" });
    await shown(page, 1);
    const directions = await page.evaluate(() => [".question", ".who bdi", "dd", ".code strong"]
      .map((place) => getComputedStyle(document.querySelector(place)).direction));
    assert.deepEqual(directions, ["rtl", "rtl", "rtl", "ltr"]);
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector(".who")).direction), "ltr");
    const left = await page.evaluate(() => {
      const range = document.createRange();
      range.selectNodeContents(document.querySelector(".question"));
      const text = range.getBoundingClientRect();
      const box = document.querySelector(".question").getBoundingClientRect();
      return { before: text.left - box.left, behind: box.right - text.right };
    });
    assert.ok(left.behind < 2 && left.before > 10, "it stands at its own side: " + JSON.stringify(left));
    await picture(page, "right-to-left-text");
  });

  test("what would turn a text around, or hide in it, is made visible", async () => {
    const page = await opened();
    const tricks = "Pay \u202e00.01\u202c \u2066a\u2069 \u200bto\u00ad \u200f\u061c\ufeff\u0007 \u{e0041}shop\r\nnow?";
    await sandbox.ask(tricks, { person: "ann\u202e", code: "4\u202e2", device_desc: "lap\u2067top", device_id: "\u202d" });
    await sandbox.start({ template_id: 2, values: JSON.stringify({ amount: "1\u202e0" }) }, "b\u200bob");
    await shown(page, 2);
    const hidden = /[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff\u00ad\u0007]|\u{e0041}/u;
    const look = async () => {
      const text = await page.evaluate(() => document.body.innerText + document.title
        + [...document.querySelectorAll("[aria-label]")].map((element) => element.ariaLabel).join());
      assert.doesNotMatch(text, hidden);
      return text;
    };
    const text = await look();
    for (const mark of ["U+202E", "U+202C", "U+2066", "U+2069", "U+200B", "U+00AD", "U+200F", "U+061C", "U+FEFF", "U+0007", "U+E0041", "U+2067"]) {
      assert.ok(text.includes(mark), mark);
    }
    assert.ok(!text.includes("U+000D"), "a line's end of Windows is one");
    await picture(page, "hidden-characters");
    for (const { transaction_id } of (await sandbox.call("GET", "/transactions")).transactions) await sandbox.decide(transaction_id, "deny");
    await shown(page, 0);
    await look();
    // What the joiners make is left whole.
    await sandbox.ask("👩‍💻 می‌خواهم?");
    await shown(page, 1);
    assert.equal(await page.locator(".question").textContent(), "👩‍💻 می‌خواهم?");
  });
});

describe("for those who hear the page", () => {
  test("each card and each button has a name of its own", async () => {
    const page = await opened();
    const ids = [await sandbox.ask("Sign in?"), await sandbox.ask("Sign in?"), await sandbox.ask("Sign in?", { person: "bob" })];
    await shown(page, 3);
    const buttons = await names(page, "button");
    assert.equal(buttons.length, 9);
    assert.equal(new Set(buttons).size, 9, buttons.join("\n"));
    for (const id of ids) {
      const of = buttons.filter((name) => name.includes("Sign in?") && name.includes(String(id)));
      assert.deepEqual(of.map((name) => name.split(":")[0]).sort(), ["Approve", "Decline", "Deny"]);
    }
    const articles = await names(page, "article");
    assert.equal(new Set(articles).size, 3, articles.join("\n"));
    assert.ok(articles.every((name) => name.includes("Sign in?") && /for (ann|bob)/.test(name)));
  });

  test("each thing is announced once", async () => {
    const page = await opened();
    await sandbox.ask("First?");
    await shown(page, 1);
    const second = await sandbox.ask("Second?", { code: "42" });
    await shown(page, 2);
    const news = await heard(page, 2);
    assert.equal(news.length, 2, news.join("\n"));
    assert.match(news[1], /^New request: Second\?, for ann, request \d+\. Code 4 2$/);
    await tabTo(page, (name) => name.startsWith("button Approve") && name.includes("Second?"));
    await page.keyboard.press("Enter");
    assert.equal(await sandbox.end(second), "approved");
    await shown(page, 1);
    assert.deepEqual((await heard(page, 1)).map((text) => text.split(",")[0]), ["Approved: Second?"]);
    // One that ends elsewhere.
    const third = await sandbox.ask("Third?");
    await shown(page, 2);
    // Of the press nothing more was to be said, though its card has gone since.
    assert.deepEqual((await heard(page, 1)).map((text) => text.split(",")[0]), ["New request: Third?"]);
    await sandbox.decide(third, "expire");
    await shown(page, 1);
    assert.deepEqual((await heard(page, 1)).map((text) => text.split(",")[0]), ["expired: Third?"]);
    // Two that read alike are announced twice.
    for (const _ of [1, 2]) {
      const id = await sandbox.ask("Again?");
      await shown(page, 2);
      await sandbox.decide(id, "deny");
      await shown(page, 1);
    }
    assert.equal((await heard(page, 4)).length, 4);
  });

  test("nothing is announced when the page is loaded", async () => {
    await sandbox.ask("Already there?");
    const page = await opened();
    await shown(page, 1);
    await sandbox.ask("New?");
    await shown(page, 2);
    assert.equal((await heard(page, 1)).length, 1);
  });
});

describe("by the keyboard alone", () => {
  for (const [name, outcome] of [["Approve", "approved"], ["Deny", "denied"], ["Decline", "cancelled"]]) {
    for (const key of ["Enter", "Space"]) {
      test(name + " by " + key, async () => {
        const page = await opened();
        const id = await sandbox.ask("Sign in?");
        await shown(page, 1);
        await tabTo(page, (focus) => focus.startsWith("button " + name));
        await page.keyboard.press(key);
        assert.equal(await sandbox.end(id), outcome);
      });
    }
  }

  test("after a decision the focus is on the next card, and on none of its buttons", async () => {
    const page = await opened();
    const ids = [await sandbox.ask("One?"), await sandbox.ask("Two?"), await sandbox.ask("Three?")];
    await shown(page, 3);
    await tabTo(page, (focus) => focus.startsWith("button Deny: Two?"));
    await page.keyboard.press("Enter");
    await shown(page, 2);
    assert.match(await focused(page), /^article One\?/);
    // One press too many decides nothing.
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    await page.keyboard.press("Tab");
    assert.match(await focused(page), /^button Deny: One\?/);
    await page.keyboard.press("Enter");
    await shown(page, 1);
    assert.match(await focused(page), /^article Three\?/);
    assert.equal(await sandbox.outcome(ids[2]), "pending");
    await tabTo(page, (focus) => focus.startsWith("button Deny: Three?"));
    await page.keyboard.press("Enter");
    await shown(page, 0);
    assert.match(await focused(page), /^h2 Waiting for you/);
  });

  test("when a card goes by itself the focus goes to the next one, and a press is not taken for it", async () => {
    const page = await opened();
    const stays = await sandbox.ask("Stays?");
    const goes = await sandbox.ask("Goes?");
    await shown(page, 2);
    await tabTo(page, (focus) => focus.startsWith("button Approve: Goes?"));
    await sandbox.decide(goes, "expire");
    await shown(page, 1);
    assert.match(await focused(page), /^article Stays\?/);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    await sandbox.ask("Afterwards?");
    await shown(page, 2);
    assert.match(await focused(page), /^article Stays\?/);
    assert.equal(await sandbox.outcome(stays), "pending");
  });

  test("a new card does not take the focus", async () => {
    const page = await opened();
    await sandbox.ask("First?");
    await shown(page, 1);
    await tabTo(page, (focus) => focus.startsWith("button Approve: First?"));
    await sandbox.ask("Second?");
    await shown(page, 2);
    assert.match(await focused(page), /^button Approve: First\?/);
  });

  test("the focus can be seen", async () => {
    const page = await opened();
    await sandbox.ask("Sign in?");
    await shown(page, 1);
    await tabTo(page, (focus) => focus.startsWith("button Approve"));
    assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid");
    await page.keyboard.press("Enter");
    await shown(page, 0);
    assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid");
  });
});

describe("the list", () => {
  test("over a hundred requests: the page says how many it does not show, and shows them in their turn", async () => {
    const page = await opened();
    const ids = [];
    for (let number = 0; number < 103; number += 1) ids.push(await sandbox.ask("Request " + number + "?"));
    await page.waitForFunction(() => document.title.startsWith("(103)"));
    assert.equal(await page.locator("#pending > li").count(), 100);
    assert.match(await page.locator("#more").textContent(), /^3 older requests are not shown/);
    await heard(page, 1);
    await sandbox.decide(ids[50], "deny");
    await page.waitForFunction(() => document.title.startsWith("(102)"));
    assert.match(await page.locator("#more").textContent(), /^2 older/);
    const order = await page.locator(".question").allTextContents();
    assert.equal(order.length, 100);
    const numbers = order.map((text) => Number(text.match(/\d+/)[0]));
    assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a), "the newest first");
    assert.equal(numbers.at(-1), 2, "the next older one has come at the end");
    assert.deepEqual((await heard(page, 1)).map((text) => text.split(",")[0]), ["denied: Request 50?"]);
    for (const id of [ids[0], ids[1]]) await sandbox.decide(id, "deny");
    await page.waitForFunction(() => document.getElementById("more").hidden);
  });

  test("a reload keeps the bar", async () => {
    await sandbox.stop();
    sandbox = await Sandbox.start("--strict", "--life", "30");
    const page = await opened();
    await sandbox.ask("Sign in?");
    await shown(page, 1);
    await until("a part of its life is over", async () =>
      (await sandbox.call("GET", "/transactions")).transactions[0].remaining_ms < 27000);
    await page.reload();
    await shown(page, 1);
    assert.ok(await bar(page) < 0.91, "the bar is at " + await bar(page));
  });

  test("a tap on its way does not land on a card that has just come", async () => {
    const page = await opened();
    await sandbox.ask("First?");
    await shown(page, 1);
    const box = await page.getByRole("button", { name: /^Approve/ }).boundingBox();
    const place = [box.x + box.width / 2, box.y + box.height / 2];
    // What a tap would meet at the moment in which the card comes.
    await page.evaluate((place) => {
      const meets = () => document.elementFromPoint(...place).tagName;
      new MutationObserver(() => { window.met = meets(); }).observe(document.getElementById("pending"), { childList: true });
    }, place);
    await sandbox.ask("Second?");
    await shown(page, 2);
    assert.notEqual(await page.evaluate(() => window.met), "BUTTON");
    // And a little later it is a button again.
    await page.waitForFunction((place) => document.elementFromPoint(...place).tagName === "BUTTON", place);
  });

  test("a refused press is said on its card", async () => {
    const page = await opened();
    const id = await sandbox.ask("Sign in?");
    await shown(page, 1);
    await page.route("**/decide", (route) => route.fulfill({ status: 409, body: "the transaction has ended: Expired" }));
    await page.getByRole("button", { name: /^Approve/ }).click();
    await page.locator(".problem", { hasText: "Not decided: the transaction has ended" }).waitFor();
    await page.unroute("**/decide");
    await page.getByRole("button", { name: /^Deny/ }).click();
    assert.equal(await sandbox.end(id), "denied");
  });
});

describe("another run, another site", () => {
  test("after a restart the page loads itself again, and the old card decides nothing", async () => {
    await sandbox.stop();
    sandbox = await Sandbox.start("--strict", "--first-id", "5");
    const page = await opened();
    await sandbox.ask("Old?");
    await shown(page, 1);
    const { port } = sandbox;
    await sandbox.stop();
    await page.getByText("The sandbox does not answer").waitFor();
    // Another program may have the port for a moment.
    sandbox = await until("the sandbox is there again", () =>
      Sandbox.start("--strict", "--first-id", "5", "--port", port).catch(() => null));
    const id = await sandbox.ask("New?");
    await page.getByText("New?", { exact: true }).waitFor();
    assert.equal(await page.getByText("Old?").count(), 0);
    assert.equal(await sandbox.outcome(id), "pending");
    await page.getByRole("button", { name: /^Approve: New/ }).click();
    assert.equal(await sandbox.end(id), "approved");
  });

  test("no page elsewhere decides, reads or starts anything, also one that may call the providers", async () => {
    const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<title>elsewhere</title>"));
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const origins = [`http://127.0.0.1:${server.address().port}`, `http://localhost:${server.address().port}`];
    try {
      await sandbox.stop();
      sandbox = await Sandbox.start("--strict", "--allow-origin", origins[1]);
      const id = await sandbox.ask("Sign in?");
      const { pending, run } = await (await fetch(sandbox.said.phone + "/api/requests")).json();
      const secrets = {
        base: sandbox.said.hyperid, control: sandbox.said.control, key: sandbox.said["control-key"], id,
        press: { run, id: String(id), seen: pending[0].seen, decision: "approve" },
      };
      const before = (await sandbox.call("GET", "")).pushes;
      for (const [origin, mayCall] of [[origins[0], false], [origins[1], true]]) {
        const page = await browser.context.newPage();
        await page.goto(origin);
        const got = await page.evaluate(attack, secrets);
        assert.deepEqual(got.read, [], origin);
        assert.equal(got.called, mayCall, origin);
        await page.close();
        // A form needs no leave, and takes the whole page there.
        for (const place of ["/phone/api/decide", "/sandbox/v1/decide"]) {
          const page = await browser.context.newPage();
          await page.goto(origin);
          const [answer] = await Promise.all([
            page.waitForResponse((response) => response.url().endsWith(place)),
            page.evaluate(submit, { action: secrets.base + place, text: JSON.stringify(secrets.press) }),
          ]);
          assert.equal(answer.status(), 403, place);
          await page.close();
        }
      }
      assert.equal(await sandbox.outcome(id), "pending");
      assert.equal((await sandbox.call("GET", "")).pushes, before + 1, "only the page that may call has asked somebody");
      // A foreign name that leads to this machine.
      const page = await browser.context.newPage();
      const answer = await page.goto(`http://evil.example:${sandbox.port}/phone`);
      assert.equal(answer.status(), 403);
      const rebound = await page.evaluate(attack, { ...secrets, base: "", control: "/sandbox/v1" });
      assert.deepEqual([rebound.read, rebound.called], [[], false]);
      await page.close();
      assert.equal(await sandbox.outcome(id), "pending");
    } finally {
      server.close();
    }
  });
});

/** Runs in the page elsewhere: all that a page can try, even one that knows every secret. */
async function attack({ base, control, key, id, press }) {
  const read = [];
  const attempt = async (name, target, options) => {
    try {
      const answer = await fetch(target, options);
      if (answer.ok) read.push(name);
    } catch { /* The browser did not allow it. */ }
  };
  const body = JSON.stringify(press);
  const decision = JSON.stringify({ transaction_id: id, decision: "approve" });
  for (const mode of ["cors", "no-cors"]) {
    for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded"]) {
      const headers = { "Content-Type": type };
      await attempt("press " + mode + type, base + "/phone/api/decide", { method: "POST", mode, headers, body });
      await attempt("decide " + mode + type, control + "/decide", { method: "POST", mode, headers, body: decision });
      await attempt("key " + mode + type, control + "/decide", { method: "POST", mode, headers: { ...headers, "Sandbox-Key": key }, body: decision });
    }
    await attempt("list " + mode, base + "/phone/api/requests", { mode });
    await attempt("requests " + mode, control + "/requests", { mode, headers: { "Sandbox-Key": key } });
  }
  const values = JSON.stringify({ version: 1, action: { type: "question", action_info: "Pay?" } });
  const headers = { Authorization: "Bearer sandbox-approve#ann", "Content-Type": "application/json" };
  const called = await fetch(base + "/mfa-client/transaction/start/v2", { method: "POST", headers, body: JSON.stringify({ template_id: 4, values }) })
    .then((answer) => answer.ok, () => false);
  return { read, called };
}

function submit({ action, text }) {
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", action, enctype: "text/plain" });
  const field = document.createElement("input");
  // As JSON with the field's "=" inside a text.
  Object.assign(field, { name: text.slice(0, -1) + ',"x":"', value: '"}' });
  form.append(field);
  document.body.append(form);
  form.submit();
}

describe("on every screen", () => {
  const fill = async () => {
    await sandbox.ask("Pay 12.00 to Example Shop?", { code: "42", device_desc: "A work laptop with a rather long description", device_id: "device-0123456789abcdef0123456789abcdef", ip: "2001:db8:0:1:1:1:1:1" });
    await sandbox.ask("האם לאשר את הכניסה לחשבון שלך מהמחשב החדש?", { person: "אנה-כהן@דוגמה.ישראל", code: "0123456789012345" });
    await sandbox.start({ template_id: 2, values: JSON.stringify({ amount: "1", dst_address: "0x" + "f".repeat(120) }) }, "a.very.long.name.without.any.blank@a-long-host-name.example.org");
    await sandbox.ask("word ".repeat(500));
    const ended = await sandbox.ask("Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft?", { code: "99" });
    await sandbox.decide(ended, "decline");
  };
  for (const [name, size] of [["phone", PHONE], ["small-phone", SMALL_PHONE], ["desktop", DESKTOP]]) {
    for (const dark of [false, true]) {
      test(`nothing overflows and the checker finds nothing: ${name}, ${dark ? "dark" : "light"}`, async () => {
        const page = await opened({ size, dark });
        assert.deepEqual(await violations(page), [], "empty");
        await fill();
        await shown(page, 4);
        for (const direction of ["ltr", "rtl"]) {
          for (const text of ["100%", "200%"]) {
            await page.evaluate(([direction, text]) => {
              document.documentElement.dir = direction;
              document.documentElement.style.fontSize = text;
            }, [direction, text]);
            const where = [name, dark ? "dark" : "light", direction, text].join(" ");
            assert.deepEqual(await overflowing(page), [], where);
            assert.deepEqual(await broken(page), [], where);
            assert.deepEqual(await violations(page), [], where);
            await picture(page, where.replaceAll(" ", "-").replace("%", ""));
          }
        }
      });
    }
  }

  test("the checker finds nothing when the sandbox is gone, nor when there is an error", async () => {
    const page = await opened();
    await sandbox.ask("Sign in?");
    await shown(page, 1);
    await page.route("**/decide", (route) => route.fulfill({ status: 409, body: "the transaction has ended: Expired" }));
    await page.getByRole("button", { name: /^Approve/ }).click();
    await page.getByText("Not decided").waitFor();
    assert.deepEqual(await violations(page), []);
    await sandbox.stop();
    await page.getByText("The sandbox does not answer").waitFor();
    assert.deepEqual(await violations(page), []);
    await picture(page, "gone");
  });
});
