/**
 * The script made for one site, /js/pa-<id>.js: begins when plausible.init is
 * called, which may have happened before this file was loaded, and counts what
 * was queued in plausible.q until then.
 */
import { configure } from './configure.js';

const { dataset, src } = /** @type {HTMLScriptElement} */ (document.currentScript);
/** @type {any} */
const standIn = (window.plausible ||= (/** @type {any} */ ...call) => (standIn.q ||= []).push(call));
let begun = false;

/** @param {import('./types.js').Options} [options] */
standIn.init = (options) => {
  if (begun) return; // a second tracker would count every view twice
  begun = true;
  Object.assign(configure({ domain: dataset.domain, ...options }, src), { init: standIn.init, l: true });
};
if (standIn.o) standIn.init(standIn.o);
