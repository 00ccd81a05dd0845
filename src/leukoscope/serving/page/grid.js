// The grid of cells: a tile each, one of them chosen; arrow keys go from one to the next.

import { LETTER } from "./calls.js";
import { call, list, shown, words } from "./worklist.js";

const grid = document.getElementById("grid");
const template = document.getElementById("tile");
let order = [];

/** Show the cells of the worklist anew. */
export function arrange() {
  order = shown();
  const focused = grid.contains(document.activeElement);
  const tiles = order.map((row) => {
    row.tile ??= made(row);
    refresh(row);
    return row.tile;
  });
  // Tiles that stay where they are keep focus and scroll; only a changed order is put in anew.
  const same = tiles.length === grid.children.length && tiles.every((tile, place) => tile === grid.children[place]);
  if (!same) grid.replaceChildren(...tiles);
  document.getElementById("empty").hidden = order.length > 0 || !list.rows.length;
  const chosen = order.includes(list.chosen) ? list.chosen : order[0];
  if (chosen) chosen.tile.tabIndex = 0;
  if (focused && !same) chosen?.tile.focus({ preventScroll: true });
}

function made(row) {
  const tile = template.content.firstElementChild.cloneNode(true);
  tile.row = row;
  if (row.small) tile.querySelector("img").src = URL.createObjectURL(row.small);
  return tile;
}

function refresh(row) {
  const { tile } = row;
  const now = call(row);
  if (row !== list.chosen) tile.tabIndex = -1;
  // Of thousands of tiles few change at a time, and only those are drawn.
  const state = `${now} ${row.mark} ${row === list.chosen}`;
  if (tile.state === state) return;
  tile.state = state;
  tile.dataset.call = now ?? "none";
  tile.ariaLabel = words(row);
  tile.title = row.path;
  tile.ariaSelected = String(row === list.chosen);
  tile.querySelector(".said b").textContent = now ?? "unreadable";
  tile.querySelector(".said span").textContent = row.probability === null ? "" : row.probability.toFixed(2);
  tile.querySelector(".bar i").style.width = `${100 * (row.probability ?? 0)}%`;
  const flag = tile.querySelector(".flag"), mark = tile.querySelector(".mark");
  flag.hidden = !row.flags;
  flag.title = row.flags ?? "";
  mark.hidden = !row.mark;
  mark.dataset.mark = row.mark ?? "";
  mark.textContent = row.mark ? LETTER[row.mark] : "";
}

/** Choose a cell and bring it into sight. */
export function choose(row, { focus = true } = {}) {
  const before = list.chosen;
  list.chosen = row;
  if (before?.tile) refresh(before);
  if (!row) return;
  refresh(row);
  row.tile.tabIndex = 0;
  row.tile.scrollIntoView({ block: "nearest" });
  if (focus) row.tile.focus({ preventScroll: true });
}

/** The cell that is `steps` further on, or the last one in that direction. */
export function along(steps) {
  const place = order.indexOf(list.chosen);
  if (place < 0) return order[0];
  return order[Math.min(Math.max(place + steps, 0), order.length - 1)];
}

/** Where a cell stands in the order, and which stands there. */
export const placeOf = (row) => order.indexOf(row);
export const at = (place) => order[Math.min(place, order.length - 1)];

/** How many tiles stand in a row. */
export const columns = () => getComputedStyle(grid).gridTemplateColumns.split(" ").length;

grid.addEventListener("focusin", (event) => {
  const tile = event.target.closest("li");
  if (tile && tile.row !== list.chosen) choose(tile.row);
});
