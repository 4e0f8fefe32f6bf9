// How search orders what it finds: the chapter first, then pages about it, then the library.
var Scorer = {
  score: ([page, , place, , score]) => {
    if (page === "book/index" && place) return score + 25; // a heading of the first page, searched for
    if (page.startsWith("notebooks/")) return score + 20;
    if (page.startsWith("book/reference/")) return score - 20;
    if (page === "book/scoreboard") return score - 15;
    return page === "book/glossary" ? Math.min(score, 15) : score; // a defined term counts 100
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
