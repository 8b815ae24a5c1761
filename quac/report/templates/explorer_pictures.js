// The pictures of an explanation, cut out of its sprite. The counterfactual is blended: the generated image where the
// mask is 1, the query where it is 0.
const pictures = (() => {
  const sprites = JSON.parse(document.getElementById("sprites").textContent);
  const COLOURS = [["#ff00be"], null, ["#ff3b30", "#2fd158", "#3d8bff"]]; // of the outline, by the number of channels
  const methods = table.methods.length, scratch = document.createElement("canvas");
  const context = scratch.getContext("2d", { willReadFrequently: true });
  const opened = new Map(); // sprite -> its two images, once they are decoded

  function open(number) {
    if (!opened.has(number)) {
      const decode = async (base64) => {
        const image = new Image();
        image.src = `data:image/webp;base64,${base64}`;
        await image.decode();
        return image;
      };
      opened.set(number, Promise.all(sprites[number].slice(0, 2).map(decode)));
    }
    return opened.get(number);
  }

  function cut(image, x, y, width, height) {
    scratch.width = width;
    scratch.height = height;
    context.drawImage(image, x, y, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  }

  // The pixels of a picture, and the masks of its channels.
  async function load(e) {
    const [number, place, width, height] = table.tiles[table.conversion(e)];
    const [images, masks] = await open(number);
    const [cellWidth, cellHeight] = sprites[number].slice(2);
    const x = place * cellWidth, channels = masks.height / cellHeight / methods, first = (e % methods) * channels;
    return {
      width,
      height,
      query: cut(images, x, 0, width, height),
      generated: cut(images, x, cellHeight, width, height),
      masks: Array.from({ length: channels }, (_, c) => cut(masks, x, (first + c) * cellHeight, width, height).data),
    };
  }

  function blend({ query, generated, masks }) {
    const mixed = new ImageData(new Uint8ClampedArray(query.data), query.width), { data } = mixed;
    for (let i = 0; i < data.length; i += 4) {
      for (let c = 0; c < 3; c++) {
        const share = masks[c % masks.length][i] / 255; // the masks are grey
        data[i + c] = query.data[i + c] + share * (generated.data[i + c] - query.data[i + c]);
      }
    }
    return mixed;
  }

  // Along the borders of the pixels whose mask is at least 1/2.
  function outline(context, mask, width, height, zoom, colour) {
    const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[4 * (y * width + x)] >= 128;
    context.beginPath();
    for (let y = 0; y <= height; y++) {
      for (let x = 0; x <= width; x++) {
        if (inside(x, y) !== inside(x - 1, y)) context.rect(x * zoom - 1, y * zoom - 1, 2, zoom + 2);
        if (inside(x, y) !== inside(x, y - 1)) context.rect(x * zoom - 1, y * zoom - 1, zoom + 2, 2);
      }
    }
    context.fillStyle = colour;
    context.fill();
  }

  // Paint a view of an explanation: "query", "generated" or "counterfactual".
  async function paint(canvas, e, view, withMask, side) {
    const wanted = (canvas.wanted = `${e} ${view} ${withMask}`);
    const loaded = await load(e);
    if (canvas.wanted !== wanted) return; // meanwhile another one was asked for
    const { width, height, masks } = loaded, zoom = Math.max(1, Math.ceil(side / Math.max(width, height)));
    canvas.width = width * zoom;
    canvas.height = height * zoom;
    const target = canvas.getContext("2d");
    scratch.width = width;
    scratch.height = height;
    context.putImageData(view === "counterfactual" ? blend(loaded) : loaded[view], 0, 0);
    target.imageSmoothingEnabled = false;
    target.drawImage(scratch, 0, 0, canvas.width, canvas.height);
    if (withMask) {
      const colours = COLOURS[masks.length - 1];
      for (const [c, mask] of masks.entries()) outline(target, mask, width, height, zoom, colours[c]);
    }
    canvas.dataset.painted = view;
  }
  return { paint };
})();
