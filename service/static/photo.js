/** The photograph under the labels, in the sizes that drawing it needs. */

const SMALL = 2048;

/** A photograph; `small` spares scaling millions of pixels down for every frame. */
export class Photo {
  /** @param {ImageBitmap} full @param {ImageBitmap} small */
  constructor(full, small) {
    this.full = full;
    this.small = small;
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Photo|null>} null where the browser cannot show this format, as TIFF
   */
  static async of(file) {
    try {
      const full = await createImageBitmap(file);
      const scale = SMALL / Math.max(full.width, full.height);
      if (scale >= 1) return new Photo(full, full);
      const size = { resizeWidth: Math.round(full.width * scale), resizeHeight: Math.round(full.height * scale) };
      return new Photo(full, await createImageBitmap(full, { ...size, resizeQuality: "high" }));
    } catch {
      return null;
    }
  }

  /** @param {string} url @returns {Promise<Photo|null>} */
  static async from(url) {
    try {
      const answer = await fetch(url);
      return answer.ok ? await Photo.of(await answer.blob()) : null;
    } catch {
      return null;
    }
  }

  /** Give its memory back. */
  close() {
    this.full.close();
    this.small.close();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} scale from the picture's pixels to the canvas's
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height of the picture
   */
  draw(context, scale, x, y, width, height) {
    const bitmap = width * scale > this.small.width ? this.full : this.small;
    context.imageSmoothingEnabled = scale < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, x, y, width * scale, height * scale);
  }
}
