/** From the options of init to a running tracker. */
import { start } from './footfall.js';
import { fileTypes, watch } from './watch.js';

/**
 * @param {import('./types.js').Options} o
 * @param {string} src URL whose origin takes the events when the options name no endpoint
 * @returns {import('./types.js').Track}
 */
export const configure = (o, src) => {
  const props = o.customProperties;
  const files = o.fileDownloads;
  /** @type {any} */
  const settings = {
    domain: o.domain || location.hostname,
    api: o.endpoint,
    legacy: true,
    bind: o.bindToWindow !== false,
    revenue: 1,
    props: (/** @type {string} */ name, /** @type {any} */ own) => ({
      ...(typeof props == 'function' ? props(name) : props),
      ...own,
    }),
    transform: o.transformRequest || ((/** @type {any} */ payload) => payload),
    log: (/** @type {string} */ name) =>
      o.logging === false || console.warn(`Footfall: ${name} ignored on localhost, by a robot or by choice`),
    types: (/** @type {any} */ (files)?.fileExtensions) || fileTypes.split(','),
    'file-downloads': files,
    'outbound-links': o.outboundLinks,
    'form-submissions': o.formSubmissions,
    'tagged-events': 1,
  };
  if (o.hashBasedRouting) settings.hash = 1;
  if (o.captureOnLocalhost) settings.local = 1;
  if (o.autoCapturePageviews === false) settings.manual = 1;
  const track = start({ dataset: settings, src });
  watch(settings, track);
  return track;
};
