/* Draws the pictures, each with the colours of the theme that is on; the page tells when it turns. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("pictures-data").textContent);
  const views = new Map();
  let turn = 0;

  async function draw(one, dark, mine) {
    const place = document.querySelector(`[data-picture="${CSS.escape(one.name)}"]`);
    const options = {
      ast: true, // interpret expressions: the policy of this page forbids to compile them
      actions: false,
      defaultStyle: false,
      renderer: one.renderer,
      logLevel: 1, // errors alone: remarks on a specification help nobody who reads a page
      config: dark ? data.dark : data.light,
      tooltip: { disableDefaultStyle: true },
    };
    try {
      const made = await vegaEmbed(place, one.spec, options);
      if (mine !== turn) {
        made.finalize();
        return;
      }
      views.get(one.name)?.finalize();
      views.set(one.name, made);
      place.dataset.drawn = dark ? "dark" : "light";
    } catch (error) {
      place.textContent = `This picture cannot be drawn: ${error.message}`;
      place.classList.add("failed");
      console.error(error);
    }
  }

  async function drawAll(dark) {
    const mine = ++turn;
    for (const one of data.pictures) {
      if (mine !== turn) return;
      await draw(one, dark, mine);
    }
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
