// Mathematics and widgets make a page grow after it has jumped to its anchor: jump again when they
// stand, unless the reader has scrolled meanwhile.
(() => {
  let moved = false;
  for (const kind of ["wheel", "touchmove", "keydown", "mousedown"])
    addEventListener(kind, () => { moved = true; }, { once: true, passive: true });

  const land = () => {
    const target = location.hash.length > 1 &&
      document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && !moved) target.scrollIntoView();
  };

  addEventListener("load", () => {
    land();
    window.MathJax?.startup?.promise?.then(land);
    const article = document.querySelector(".bd-article");
    if (!article || !location.hash) return;
    const watch = new ResizeObserver(land);
    watch.observe(article);
    setTimeout(() => watch.disconnect(), 5000);
  });
})();
