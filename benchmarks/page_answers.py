"""How long until the page answers: to a key, to "patch everything", to "steer"?

In the built book, on one core, with the two-layer model of code. Typing: from the key to the frame
in which tokens, patterns and predictions are drawn anew, at 128 tokens (chapter 10), with every
head, and with one cut (losses and the run with every head come a frame later). Playground, at its
64 tokens: every head and every position patched in both directions; a steering direction beside 19
random ones, with its doses, its effect on ordinary text and two continuations. Medians, and the
slowest; CPU time of the page beside them, for wall time shows the neighbours.

    python -m benchmarks.page_answers [--keys 20] [--rounds 5]        needs a built book
"""

import argparse
import statistics

from benchmarks._book import opened

# About 260 tokens: the first 128 are read, whatever key is typed among them.
TEXT = "".join(f"def name{i}(first, second={i}):\n    return first + second\n\n" for i in range(9))

# From the moment a key's event was made until the frame after it has been drawn, in milliseconds.
WATCH = """() => {
  addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => {
    const drawn = new MessageChannel();
    drawn.port1.onmessage = () => window.waits.push(performance.now() - timeStamp);
    drawn.port2.postMessage(0);
  }), true);
}"""


def line(what: str, waits: list[float], cpu: float) -> None:
    median, longest = statistics.median(waits), max(waits)
    print(f"{what}: {median:.0f} ms, at most {longest:.0f}; {cpu:.0f} ms of CPU", flush=True)


def typing(keys: int) -> None:
    with opened("notebooks/10_induction.html") as (page, _):
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy() -> float:
            """Milliseconds of CPU of the thread that reads keys, computes and lays out."""
            metrics = session.send("Performance.getMetrics")["metrics"]
            return next(1000 * m["value"] for m in metrics if m["name"] == "TaskDuration")

        def typed(count: int) -> tuple[list[float], float]:
            box.evaluate("(b) => { b.focus(); b.setSelectionRange(100, 100); window.waits = []; }")
            before = busy()
            for i in range(count):
                page.keyboard.press("x" if i % 2 == 0 else "Backspace")
                page.wait_for_timeout(200)
            return page.evaluate("() => window.waits"), (busy() - before) / count

        page.evaluate(WATCH)
        widget = page.get_by_role("group", name="type your own text")
        box = widget.get_by_label("your text")
        box.fill(TEXT)
        typed(6)  # compiled by then
        line("key to frame, every head", *typed(keys))
        for head in ("L1H0", "L0H0"):
            widget.get_by_role("button", name=head, exact=True).click()
            widget.get_by_role("button", name=f"cut {head}").click()
            typed(2)
            line(f"key to frame, {head} cut", *typed(keys))
            widget.get_by_role("button", name="put all heads back").click()


def playground(rounds: int) -> None:
    with opened("book/playground.html") as (page, cpu_seconds):
        widget = page.get_by_role("group", name="playground", exact=True)
        widget.get_by_label("text A, clean").fill(TEXT)
        widget.get_by_label("text B, corrupted").fill(TEXT.replace("name0", "name1"))
        node = widget.element_handle()
        for name, button in (("mapsMs", "patch everything"), ("steerMs", "steer")):
            waits, before = [], cpu_seconds()
            for _ in range(rounds):
                page.evaluate("([w, name]) => { delete w.dataset[name]; }", [node, name])
                widget.get_by_role("button", name=button, exact=True).click()
                found = page.wait_for_function("([w, name]) => w.dataset[name]", arg=[node, name])
                waits.append(float(found.json_value()))
            line(button, waits, 1000 * (cpu_seconds() - before) / rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    typing(settings.keys)
    playground(settings.rounds)
