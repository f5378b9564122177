/** Events whose details have types. */

/**
 * An object that emits events. EventTarget would do, but its events carry details without types.
 * @template {object} Events from the name of an event to the type of its detail
 */
export class Emitter {
  #listeners = /** @type {{[Name in keyof Events]?: ((detail: Events[Name]) => void)[]}} */ ({});

  /**
   * Call a function at each event of a name.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   */
  on(name, listener) {
    (this.#listeners[name] ??= []).push(listener);
  }

  /**
   * Call the listeners of an event, in the order in which they were added.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  emit(name, detail) {
    for (const listener of this.#listeners[name] ?? []) listener(detail);
  }
}
