// What the page's parts share to write into it.

export const byId = (id) => document.getElementById(id);
export const count = (number) => number.toLocaleString();

/** A new element that holds words. */
export function element(kind, words) {
  const made = document.createElement(kind);
  made.textContent = words;
  return made;
}

/** Tell it to who does not see it. */
export function say(words) {
  byId("said").textContent = words;
}
