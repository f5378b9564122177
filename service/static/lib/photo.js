/** The image under the labels, decoded by the browser. */

const SMALL = 2048; // pixels of the longer side of the smaller copy

/** A decoded image. `small` is a smaller copy, so that drawing a frame does not scale millions of pixels. */
export class Photo {
  /** @param {ImageBitmap} full @param {ImageBitmap} small */
  constructor(full, small) {
    this.full = full;
    this.small = small;
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Photo|null>} null where the browser cannot show the format (TIFF)
   */
  static async decode(file) {
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

  /** Load an image of the service. @param {string} url @returns {Promise<Photo|null>} null where there is none */
  static async load(url) {
    try {
      const answer = await fetch(url);
      return answer.ok ? await Photo.decode(await answer.blob()) : null;
    } catch {
      return null;
    }
  }

  /** Free its memory. */
  close() {
    this.full.close();
    this.small.close();
  }

  /**
   * Draw the image.
   * @param {CanvasRenderingContext2D} context
   * @param {number} scale canvas pixels to a pixel of the image
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height of the image
   */
  draw(context, scale, x, y, width, height) {
    const bitmap = width * scale > this.small.width ? this.full : this.small;
    context.imageSmoothingEnabled = scale < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, x, y, width * scale, height * scale);
  }
}
