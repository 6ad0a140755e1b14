"use strict";
// Stands last in a copy of a page and writes what it finds into the page: contrast of every text, what the charts hold
// and show, what was asked from outside, and where the headings, captions and labels are that a screen reader needs.
addEventListener("load", () => {
  const scripted = document.querySelector("[data-plot] canvas") !== null;

  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function rgba(colour) {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  // WCAG 2.2, "relative luminance" and "contrast ratio".
  function luminance(colour) {
    const [r, g, b] = colour.slice(0, 3).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function ratio(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  }
  function behind(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      layers.push(rgba(getComputedStyle(one).backgroundColor));
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  }
  function shown(element) {
    const box = element.getBoundingClientRect();
    const hidden = getComputedStyle(element).clipPath === "inset(50%)";
    return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && box.width > 1 && box.height > 1 && !hidden;
  }

  const contrast = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName) || !shown(element)) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), ground);
    const found = ratio(ink, ground);
    if (found < 4.5) contrast.push(text.slice(0, 40) + " " + found.toFixed(2));
  }
  // What is drawn on a canvas is no text to the browser: its axes have this colour on this ground.
  const root = getComputedStyle(document.documentElement);
  const [paper, soft] = ["--paper", "--soft"].map((name) => rgba(root.getPropertyValue(name)));
  if (ratio(soft, paper) < 4.5) contrast.push("axes " + ratio(soft, paper).toFixed(2));
  // WCAG 2.2 §1.4.11: graphics need three to one.
  for (const tone of ["good", "bad", "doubt", "link", "soft"]) {
    const found = ratio(rgba(root.getPropertyValue("--" + tone)), paper);
    if (found < 3) contrast.push("marks of " + tone + " " + found.toFixed(2));
  }

  // Pixels within the axes that are neither empty nor grid.
  function marks(place) {
    const canvas = place.querySelector("canvas"), over = place.querySelector(".u-over");
    if (!canvas || !over) return 0;
    const scale = canvas.width / canvas.getBoundingClientRect().width;
    const [a, b] = [canvas.getBoundingClientRect(), over.getBoundingClientRect()];
    const area = [(b.left - a.left) * scale, (b.top - a.top) * scale, b.width * scale, b.height * scale].map(Math.round);
    const data = canvas.getContext("2d").getImageData(...area).data;
    const grid = rgba(root.getPropertyValue("--line"));
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const far = Math.abs(data[at] - grid[0]) + Math.abs(data[at + 1] - grid[1]) + Math.abs(data[at + 2] - grid[2]);
      if (data[at + 3] > 40 && far > 60) count += 1;
    }
    return count;
  }
  const numbers = JSON.parse(document.getElementById("plots")?.textContent ?? "[]");
  const charts = [...document.querySelectorAll("figure .panel")].map((panel) => {
    const place = panel.querySelector("[data-plot]"), still = panel.querySelector(".still svg");
    const plot = numbers.find((one) => one.id === place?.dataset.plot);
    const values = plot ? plot.series.flatMap((one) => one.values).filter((value) => value !== null).length : 0;
    return {
      id: place?.dataset.plot ?? "",
      values: plot?.map ? plot.map.cells.length : values,
      marks: place ? marks(place) : 0,
      keyboard: place?.tabIndex === 0 && (place?.getAttribute("aria-label") ?? "") !== "",
      still: shown(still) && [...still.querySelectorAll(".line, .bar, .cell")].some((mark) => (mark.getAttribute("d") ?? "").length > 8),
    };
  });

  const figures = [...document.querySelectorAll(".figures > div")].filter(shown);
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.tagName[1]));
  const unnamed = [...document.querySelectorAll("table")].filter((one) => !one.caption?.textContent.trim()).length
    + [...document.querySelectorAll("section, nav")].filter((one) => !(one.ariaLabel || one.getAttribute("aria-labelledby"))).length
    + [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].filter((one) => ["aria-labelledby", "aria-describedby"].some((name) => one.hasAttribute(name) && !document.getElementById(one.getAttribute(name)))).length
    + [...document.querySelectorAll("a[href^='#']")].filter((one) => !document.getElementById(one.getAttribute("href").slice(1))).length;
  const found = {
    ...noted,
    scripted,
    texts,
    contrast,
    charts,
    requests: performance.getEntriesByType("resource").map((one) => one.name),
    wide: document.documentElement.scrollWidth - innerWidth,
    verdict: shown(document.querySelector(".verdict, .limits")) ? document.querySelector(".verdict p, .limits dd")?.textContent ?? "" : "",
    title: shown(document.querySelector("h1")),
    figures: figures.length,
    findings: [...document.querySelectorAll(".finding p:first-of-type")].filter(shown).length,
    skipped: levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1).length,
    unnamed,
  };
  const note = document.createElement("pre");
  note.id = "found";
  note.textContent = JSON.stringify(found);
  document.body.append(note);
});
