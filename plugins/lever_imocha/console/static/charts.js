// Draws a chart of the table whose id a canvas names: the table stays, so that nothing is told by the picture alone.
"use strict";

function draw(canvas) {
  const table = document.getElementById(canvas.dataset.chart);
  const heads = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows];
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const colours = ["--blue", "--amber", "--green", "--soft"].map(colour);
  const datasets = table.dataset.series.split(",").map((name, place) => ({
    label: name,
    data: rows.map((row) => Number(row.cells[heads.indexOf(name)].textContent)),
    backgroundColor: colours[place],
    maxBarThickness: 60,
  }));
  const axis = { ticks: { color: colour("--soft") }, grid: { color: colour("--line") } };
  return new Chart(canvas, {
    type: "bar",
    data: { labels: rows.map((row) => row.cells[0].textContent), datasets },
    options: {
      animation: false,
      maintainAspectRatio: false,
      plugins: { legend: { labels: { color: colour("--text") } } },
      scales: { x: axis, y: { ...axis, ticks: { ...axis.ticks, precision: 0 }, beginAtZero: true } },
    },
  });
}

let charts = [];
function drawAll() {
  charts.forEach((chart) => chart.destroy());
  charts = [...document.querySelectorAll("canvas[data-chart]")].map(draw);
}

document.addEventListener("DOMContentLoaded", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
