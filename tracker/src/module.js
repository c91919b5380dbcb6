/**
 * The npm package: init once in a browser, then track. Importing it touches
 * nothing, so that pages rendered on a server may import it.
 */
import { configure } from './configure.js';

/** @type {import('./types.js').Track | undefined} */
let tracker;

/**
 * Begins to count; calls after the first change nothing.
 *
 * @param {import('./types.js').Options} options
 */
export const init = (options) => {
  tracker ||= configure(options, location.href);
};

/**
 * Counts an event. Before init nothing is counted, and the callback gets an error.
 *
 * @type {import('./types.js').Track}
 */
export const track = async (name, options) =>
  tracker ? tracker(name, options) : options?.callback?.({ error: Error('init was not called') });
