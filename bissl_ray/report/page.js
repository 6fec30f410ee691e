"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const coarse = matchMedia("(pointer: coarse)").matches;
  const hovers = matchMedia("(hover: hover)").matches;
  const config = { responsive: true, displayModeBar: hovers && "hover", displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const hidden = box => box.closest("details:not([open])") !== null;
  const draw = box => {
    if (box.dataset.drawn || hidden(box)) return;
    box.dataset.drawn = "yes";
    const { data, layout } = figures[box.id];
    // A finger that moves over a figure is to scroll the page.
    if (coarse) layout.dragmode = false;
    Plotly.newPlot(box, data, { ...layout, autosize: true }, config);
  };
  const boxes = [...document.querySelectorAll(".plot")];
  const rest = boxes.filter(box => !hidden(box));
  const next = () => {
    const box = rest.shift();
    if (box === undefined) {
      document.documentElement.dataset.drawn = "yes";
      return;
    }
    draw(box);
    setTimeout(next);
  };
  for (const folded of document.querySelectorAll("details")) {
    folded.addEventListener("toggle", () => {
      if (folded.open) folded.querySelectorAll(".plot").forEach(draw);
    });
  }
  const reveal = () => {
    for (let at = document.getElementById(location.hash.slice(1)); at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
  };
  addEventListener("hashchange", () => { reveal(); document.getElementById(location.hash.slice(1))?.scrollIntoView(); });
  reveal();
  // On paper everything is shown, at the width of a page: A4 less its margins, in CSS pixels.
  const page = 702, gap = 16;
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(each => { each.open = true; });
    for (const box of boxes) {
      draw(box);
      const whole = box.closest("figure").classList.contains("whole");
      Plotly.relayout(box, { autosize: false, width: whole ? page : (page - gap) / 2 });
    }
  });
  addEventListener("afterprint", () => {
    boxes.forEach(box => Plotly.relayout(box, { autosize: true, width: null }));
  });
  next();
})();
