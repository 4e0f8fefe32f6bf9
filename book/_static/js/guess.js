// "Guess first": a box in the text asks for a guess and then shows what was measured.
//
// The box is a plain admonition that ends "from LOW to HIGH UNIT" (a slider) or holds a list (a
// choice), so that it also reads well on paper and in a notebook. What it shows is the next claim
// on the page, as it stands there. A guess is kept in this browser and sent nowhere.
(() => {
  const RANGE = /from ([−-]?[\d.,]+) to ([−-]?[\d.,]+)\s*([^\s.?]*)[.?]?\s*$/;
  // What is no count: these come in parts.
  const MEASURED = /^(nats?|times|points|%|seconds?|degrees)$/;
  const number = (text) => Number(text.replace("−", "-").replaceAll(",", ""));
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  // Storage may be closed to a page that was opened from a file.
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* for now only */ } };

  const answer_to = (box) => [...document.querySelectorAll(".cell_output .claim")]
    .find((claim) => box.compareDocumentPosition(claim) & Node.DOCUMENT_POSITION_FOLLOWING);

  // Where a guess falls among the values of all seeds; nothing when the claim has no spread.
  function place(claim, guess, [least, most]) {
    const found = claim.querySelector(".claim-statement")?.textContent
      .match(/\(([−-]?[\d.,]+) to ([−-]?[\d.,]+) over/);
    if (!found) return [];
    const [low, high] = [number(found[1]), number(found[2])];
    const at = (value) => 100 * Math.min(1, Math.max(0, (value - least) / (most - least)));
    const where = guess < low ? "below all of them" : guess > high ? "above all of them" : "between them";
    return [
      make("div", { class: "guess-place", "aria-hidden": "true" },
        make("span", { class: "guess-spread", style: `left: ${at(low)}%; width: ${at(high) - at(low)}%` }),
        make("span", { class: "guess-mark", style: `left: ${at(guess)}%` })),
      make("p", {}, `The values go from ${found[1]} to ${found[2]}. Your guess lies ${where}.`)];
  }

  function slider(text, chosen) {
    const [, low, high, unit] = text.match(RANGE);
    const [least, most] = [number(low), number(high)];
    const whole = Number.isInteger(least) && Number.isInteger(most) && (unit ? !MEASURED.test(unit) : most - least > 1);
    const shown = make("output"), step = whole || most - least > 20 ? 1 : (most - least) / 100;
    const said = (value) => `${Number(Number(value).toPrecision(4))}${unit ? ` ${unit}` : ""}`;
    const input = make("input", {
      type: "range", min: least, max: most, step, value: whole ? Math.round((least + most) / 2) : (least + most) / 2, "aria-label": "your guess",
      oninput: () => { shown.textContent = said(input.value); input.setAttribute("aria-valuetext", said(input.value)); },
    });
    shown.textContent = said(input.value);
    return [input, shown, make("button", { type: "button", onclick: () => chosen(said(input.value)) }, "This is my guess")];
  }

  function choices(list, chosen) {
    const buttons = [...list.children].map((item) =>
      make("button", { type: "button", onclick: () => chosen(item.textContent.trim()) }, item.textContent.trim()));
    list.remove();
    return buttons;
  }

  function enliven(box, index) {
    const paragraph = [...box.querySelectorAll("p:not(.admonition-title)")].at(-1);
    const list = box.querySelector("ul"), claim = answer_to(box);
    if (!claim || !(list || RANGE.test(paragraph.textContent.trim()))) return;
    const ends = list ? null : paragraph.textContent.trim().match(RANGE).slice(1, 3).map(number);
    const key = `guess ${location.pathname.split("/").at(-1)} ${index}`;
    const controls = make("div", { class: "guess-controls" }), result = make("div", { class: "guess-result", "aria-live": "polite" });
    const show = (guess) => {
      keep(key, guess);
      const again = claim.cloneNode(true), there = claim.closest(".cell");
      there.id ||= `answer-${index}`;
      result.replaceChildren(
        make("p", {}, `You said: ${guess}. What came out:`), again,
        ...(list ? [] : place(claim, parseFloat(guess), ends)),
        make("p", {}, make("a", { href: `#${there.id}` }, "to the cell that measured it")));
    };
    controls.append(...(list ? choices(list, show) : slider(paragraph.textContent.trim(), show)));
    box.append(controls, result);
    if (kept(key) !== null) show(kept(key));
  }

  const start = () => document.querySelectorAll(".admonition.guess").forEach(enliven);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
