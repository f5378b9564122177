/** The image under the labels: decoded by the browser, or rendered by the service where the browser cannot. */

import { Pyramid } from "./pyramid.js";

const RENDERED = 4096; // pixels of the longer side of a rendering
const NO_BROWSER_SHOWS = /^image\/(tiff|jp2|heic|heif|x-portable-anymap)$|^application\/octet-stream$/;

/** A decoded image. */
export class Photo {
  /** @param {Pyramid} pyramid @param {boolean} [rendered] whether the service rendered it, perhaps at a smaller size */
  constructor(pyramid, rendered = false) {
    this.pyramid = pyramid;
    this.rendered = rendered;
  }

  /** Pixels of the decoded image. */
  get width() {
    return this.pyramid.width;
  }

  get height() {
    return this.pyramid.height;
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Photo|null>} null where the browser cannot show the format (TIFF)
   */
  static async decode(file) {
    try {
      return new Photo(await Pyramid.of(await createImageBitmap(file)));
    } catch {
      return null;
    }
  }

  /**
   * Load an image of the service: the file itself, or a rendering of it where the browser cannot show the file.
   * @param {string} url
   * @returns {Promise<Photo|null>} null where there is none
   */
  static async load(url) {
    try {
      const answer = await fetch(url);
      if (answer.ok && NO_BROWSER_SHOWS.test(answer.headers.get("content-type") ?? "")) answer.body?.cancel();
      else if (answer.ok) {
        const photo = await Photo.decode(await answer.blob());
        if (photo) return photo;
      } else return null;
      return await Photo.rendering(url);
    } catch {
      return null;
    }
  }

  /** Load the service's rendering of an image. @param {string} url of the image @returns {Promise<Photo|null>} */
  static async rendering(url) {
    try {
      const answer = await fetch(`${url}?size=${RENDERED}`);
      return answer.ok ? new Photo(await Pyramid.of(await createImageBitmap(await answer.blob())), true) : null;
    } catch {
      return null;
    }
  }

  /** Free its memory. */
  close() {
    this.pyramid.close();
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
    context.imageSmoothingEnabled = scale < 6;
    context.imageSmoothingQuality = "low"; // each level of the pyramid is at most twice as large as what is drawn
    this.pyramid.draw(context, x, y, width * scale, height * scale);
  }
}
