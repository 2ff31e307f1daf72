// Draws each figure that can be turned when it comes near the screen, and gives its graphics context back when it is
// far from it: browsers keep only a few of these at a time.
"use strict";
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["toImage"] };
const watch = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      const place = target.querySelector(".plot");
      if (isIntersecting && !place.classList.contains("drawn")) {
        const { data, layout } = JSON.parse(target.querySelector("script").textContent);
        place.classList.add("drawn");
        Plotly.newPlot(place, data, layout, config);
      } else if (!isIntersecting && place.classList.contains("drawn")) {
        Plotly.purge(place);
        place.classList.remove("drawn");
      }
    }
  },
  { rootMargin: "600px" },
);
for (const target of document.querySelectorAll(".turn")) {
  const place = document.createElement("div");
  place.className = "plot";
  target.append(place);
  watch.observe(target);
}
