/** An image as copies of a half, a quarter, ... of its size, each in tiles: a frame draws only the pixels that it needs. */

const TILE = 2048; // pixels of a side; graphics memory takes textures of this size everywhere
const SMALLEST = 1024; // pixels; no copy is made of a smaller level

/** @typedef {{width: number, height: number, columns: number, tiles: ImageBitmap[]}} Level tiles in rows */

export class Pyramid {
  /** @param {Level[]} levels the largest first */
  constructor(levels) {
    this.levels = levels;
    this.width = levels[0].width;
    this.height = levels[0].height;
  }

  /** @param {ImageBitmap} full it belongs to the pyramid from now on @returns {Promise<Pyramid>} */
  static async of(full) {
    const levels = [];
    let bitmap = full;
    while (Math.max(bitmap.width, bitmap.height) > SMALLEST) {
      const size = { resizeWidth: Math.ceil(bitmap.width / 2), resizeHeight: Math.ceil(bitmap.height / 2) };
      const half = await createImageBitmap(bitmap, { ...size, resizeQuality: "medium" });
      levels.push(await tiled(bitmap));
      bitmap = half;
    }
    levels.push(await tiled(bitmap));
    return new Pyramid(levels);
  }

  /** Free its memory. */
  close() {
    for (const level of this.levels) for (const tile of level.tiles) tile.close();
  }

  /**
   * Draw the part of the image that is on the canvas.
   * @param {CanvasRenderingContext2D} context
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height of the image on the canvas
   */
  draw(context, x, y, width, height) {
    const level = this.levels.filter((one) => one.width >= width).at(-1) ?? this.levels[0];
    const [acrossScale, downScale] = [width / level.width, height / level.height];
    level.tiles.forEach((tile, n) => {
      // neighbours share the rounded edge, so that no line shows between them
      const left = Math.round(x + (n % level.columns) * TILE * acrossScale);
      const top = Math.round(y + Math.floor(n / level.columns) * TILE * downScale);
      const right = Math.round(x + ((n % level.columns) * TILE + tile.width) * acrossScale);
      const bottom = Math.round(y + (Math.floor(n / level.columns) * TILE + tile.height) * downScale);
      const { width: wide, height: high } = context.canvas;
      if (left < wide && top < high && right > 0 && bottom > 0)
        drawVisible(context, tile, { left, top, right, bottom }, wide, high);
    });
  }
}

/**
 * Draw the part of a tile that is on the canvas, with whole pixels of the tile.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} tile
 * @param {{left: number, top: number, right: number, bottom: number}} box of the tile on the canvas
 * @param {number} wide
 * @param {number} high of the canvas
 */
function drawVisible(context, tile, { left, top, right, bottom }, wide, high) {
  const [across, down] = [(right - left) / tile.width, (bottom - top) / tile.height];
  if (!across || !down) return;
  const from = [Math.floor(Math.max(-left, 0) / across), Math.floor(Math.max(-top, 0) / down)];
  const to = [
    Math.min(Math.ceil((wide - left) / across) + 1, tile.width),
    Math.min(Math.ceil((high - top) / down) + 1, tile.height),
  ];
  const size = [to[0] - from[0], to[1] - from[1]];
  context.drawImage(
    tile, from[0], from[1], size[0], size[1],
    left + from[0] * across, top + from[1] * down, size[0] * across, size[1] * down,
  );
}

/** @param {ImageBitmap} bitmap it is closed if there is more than one tile @returns {Promise<Level>} */
async function tiled(bitmap) {
  const { width, height } = bitmap;
  const [columns, rows] = [Math.ceil(width / TILE), Math.ceil(height / TILE)];
  if (columns * rows === 1) return { width, height, columns, tiles: [bitmap] };
  const tiles = [];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [left, top] = [column * TILE, row * TILE];
      const size = [Math.min(TILE, width - left), Math.min(TILE, height - top)];
      tiles.push(await createImageBitmap(bitmap, left, top, size[0], size[1]));
    }
  bitmap.close();
  return { width, height, columns, tiles };
}
