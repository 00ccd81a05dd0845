// The review, kept in this browser: a record a cell, written when it is called or marked, so that a reload loses nothing.

let database;

/** Open what is kept of the reviews by one bundle. */
export async function open(bundle) {
  const request = indexedDB.open(`leukoscope ${bundle}`, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("cells", { keyPath: "path" });
    request.result.createObjectStore("settings");
  };
  database = await done(request);
}

/** The kept rows and settings; no rows: nothing is kept. */
export async function kept() {
  const transaction = database.transaction(["cells", "settings"]);
  const [rows, settings] = await Promise.all([
    done(transaction.objectStore("cells").getAll()),
    done(transaction.objectStore("settings").get("now")),
  ]);
  return { rows, settings };
}

/** Keep rows, without the files themselves. Where there is no room for them, the document is told: "unkept". */
export async function keep(rows) {
  const cells = database.transaction("cells", "readwrite", { durability: "strict" }).objectStore("cells");
  try {
    const puts = rows.map(({ file, tile, ...row }) => done(cells.put(row)));
    cells.transaction.commit(); // at once: a reload undoes what only the page knows to be finished
    await Promise.all(puts);
  } catch (error) {
    document.dispatchEvent(new CustomEvent("unkept", { detail: error.message }));
  }
}

export function keepSettings(settings) {
  return done(database.transaction("settings", "readwrite").objectStore("settings").put(settings, "now"));
}

export async function discard() {
  const transaction = database.transaction(["cells", "settings"], "readwrite");
  await Promise.all([done(transaction.objectStore("cells").clear()), done(transaction.objectStore("settings").clear())]);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
