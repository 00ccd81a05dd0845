// Pictures as the model cuts them: a square window around what is brighter than the background.

const BACKGROUND = 10; // luminance, as in the model's preprocessing

/** The square of a picture that the model sees, drawn at `side` pixels; null where the browser cannot read it. */
export async function cut(file, window, side) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const { width, height } = bitmap;
  let square = Math.min(width, height), x = (width - square) / 2, y = (height - square) / 2;
  if (window) {
    const box = lit(bitmap) ?? { left: 0, upper: 0, right: width, lower: height };
    square = window;
    x = Math.floor((box.left + box.right - window) / 2);
    y = Math.floor((box.upper + box.lower - window) / 2);
  }
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  const scale = side / square;
  context.drawImage(bitmap, -x * scale, -y * scale, width * scale, height * scale);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
}

/** The box of what is brighter than the background; null in a black picture. */
function lit(bitmap) {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let left = width, right = 0, upper = height, lower = 0;
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place += 4) {
      if (0.299 * data[place] + 0.587 * data[place + 1] + 0.114 * data[place + 2] < BACKGROUND + 1) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < upper) upper = y;
      lower = y + 1;
    }
  }
  return lower ? { left, upper, right, lower } : null;
}

const SUFFIXES = /\.(bmp|png|jpe?g|tiff?)$/i;

/** The pictures among what was dropped or chosen, as [path, file], and how many other files lay in folders. */
export async function gather(items) {
  const found = { pictures: [], others: 0 };
  const add = (path, file, inFolder) => {
    const hidden = path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
    if (inFolder && (hidden || !SUFFIXES.test(path))) found.others += 1;
    else found.pictures.push([path, file]);
  };
  if (items instanceof FileList) {
    for (const file of items) add(file.webkitRelativePath || file.name, file, Boolean(file.webkitRelativePath));
    return found;
  }
  // All entries are taken before the first wait: the list is empty afterwards.
  const dropped = [...items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  for (const one of dropped) {
    if (one instanceof File) add(one.name, one, false);
    else await walk(one, add, false);
  }
  return found;
}

async function walk(entry, add, inFolder) {
  if (entry.isFile) {
    add(entry.fullPath.slice(1), await new Promise((resolve, reject) => entry.file(resolve, reject)), inFolder);
    return;
  }
  const reader = entry.createReader();
  for (;;) { // some browsers give a hundred entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, add, true);
  }
}
