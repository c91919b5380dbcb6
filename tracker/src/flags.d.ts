/** True in the files with optional features; in the small ones their code is cut out. */
declare const EXTRAS: boolean;
/** True in script.js, where the contract of the older snippets holds: replaceState is no page view. */
declare const LEGACY: boolean;
/** True where init is called with options; false where attributes say all. */
declare const INIT: boolean;

interface Window {
  footfall?: any;
  plausible?: any;
  __plausible?: unknown;
}
