/* Draws the pictures, each with the colours of the theme that is on; the page tells when it turns. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("pictures-data").textContent);
  const views = new Map();
  const warn = console.warn;
  let wanted = null; // dark or not
  let isDrawing = false;

  async function draw(one, dark) {
    const place = document.querySelector(`[data-picture="${CSS.escape(one.name)}"]`);
    const options = {
      ast: true, // interpret expressions: the policy of this page forbids to compile them
      actions: false,
      defaultStyle: false,
      renderer: one.renderer,
      config: dark ? data.dark : data.light,
      tooltip: { disableDefaultStyle: true },
    };
    try {
      views.get(one.name)?.finalize();
      views.set(one.name, await vegaEmbed(place, one.spec, options));
      place.dataset.drawn = dark ? "dark" : "light";
    } catch (error) {
      place.textContent = `This picture cannot be drawn: ${error.message}`;
      place.classList.add("failed");
      console.error(error);
    }
  }

  async function drawAll(dark) { // one round at a time; a turn of the theme starts the next
    wanted = dark;
    if (isDrawing) return;
    isDrawing = true;
    console.warn = () => {}; // Vega-Lite tells of every default that it drops
    let drawn = null;
    while (drawn !== wanted) {
      drawn = wanted;
      for (const one of data.pictures) {
        if (drawn === wanted) await draw(one, drawn);
      }
    }
    console.warn = warn;
    isDrawing = false;
    document.documentElement.dataset.pictures = "drawn";
  }

  async function save(name, kind) {
    const made = views.get(name);
    if (!made) return;
    const link = document.createElement("a");
    link.href = await made.view.toImageURL(kind, kind === "png" ? 2 : 1);
    link.download = `${name}.${kind}`;
    link.click();
  }

  for (const tools of document.querySelectorAll("figure .tools")) {
    tools.hidden = false;
    const figure = tools.closest("figure");
    for (const button of tools.querySelectorAll("button")) {
      const title = figure.querySelector("h3").textContent;
      button.setAttribute("aria-label", `Save as ${button.textContent}: ${title}`);
      button.addEventListener("click", () => save(figure.id, button.dataset.save));
    }
  }
  window.drawPictures = drawAll;
})();
