// Formulas are set one part of the page after another, so that the reader may scroll and click
// meanwhile; at the end whatever is left.
window.MathJax.startup = {
  pageReady: async () => {
    const parts = ".bd-article section > :not(section), .bd-sidebar-secondary, .onlyprint";
    for (const part of document.querySelectorAll(parts))
      if (part.matches(".math, .text_latex") || part.querySelector(".math, .text_latex")) {
        await MathJax.typesetPromise([part]);
        await new Promise((resolve) => setTimeout(resolve));
      }
    await MathJax.typesetPromise();
  },
};
