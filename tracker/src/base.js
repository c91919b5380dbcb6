/** The small script: what it can be told stands in the attributes of its own tag. */
import { start } from './footfall.js';

start(/** @type {any} */ (document.currentScript));
