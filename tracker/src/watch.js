/** Events a page sends by itself: clicks on links and tagged elements, forms, missing pages. */

/** How many parents of a clicked element are looked at for a tag. */
const PARENTS_MAX = 3;

/** File types whose links are downloads, unless the page names others. */
export const fileTypes =
  'pdf,xlsx,docx,txt,rtf,csv,exe,key,pps,ppt,pptx,7z,pkg,rar,gz,zip,avi,mov,mp4,mpeg,wmv,midi,mp3,wav,wma,dmg';

/**
 * Listens to the page for what the settings ask for.
 *
 * @param {import('./settings.js').Settings} settings
 * @param {import('./types.js').Track} track
 */
export const watch = (settings, track) => {
  /**
   * Sends the event that class names like plausible-event-name=Buy ask for.
   *
   * @param {Element} element
   * @param {string} [url] of the link that was clicked
   * @returns {string | undefined} the event's name, if there is one
   */
  const sendTag = (element, url) => {
    /** @type {any} */
    const parts = { event: { url }, revenue: {} };
    `${element.classList}`.replace(
      /(?:plausible|footfall)-(event|revenue)-([^\s=]+?)(?:=|--)(\S+)/g,
      (_, part, key, value) => (parts[part][key] = value.replaceAll('+', ' ')),
    );
    const { name, ...props } = parts.event;
    if (name) track(name, { props, revenue: parts.revenue.amount && parts.revenue });
    return name;
  };

  const clicked = (/** @type {MouseEvent} */ event) => {
    if (event.button > 1) return; // the middle button opens links, the right one does not
    /** @type {any} */
    const target = event.target;
    const link = target.closest('a,area');
    /** @type {any} */
    let node = link || target;
    for (let parents = 0; settings['tagged-events'] && node && parents <= PARENTS_MAX; parents++) {
      if (node.tagName != 'FORM' && sendTag(node, link?.href)) return; // a form counts when it is submitted
      node = node.parentElement;
    }
    if (!link) return;
    if (settings['file-downloads'] && settings.types?.includes(link.pathname.split('.').pop().toLowerCase()))
      track('File Download', { props: { url: link.href.split('?')[0] } });
    else if (settings['outbound-links'] && link.host && link.host != location.host)
      track('Outbound Link: Click', { props: { url: link.href } });
  };

  addEventListener('click', clicked, true);
  addEventListener('auxclick', clicked, true);
  addEventListener(
    'submit',
    (/** @type {any} */ event) =>
      (settings['tagged-events'] && sendTag(event.target)) ||
      (settings['form-submissions'] && track('Form: Submission', { props: { path: location.pathname } })),
    true,
  );
  /** @type {any} */
  const navigation = performance.getEntriesByType('navigation')[0];
  if (settings['404'] && navigation?.responseStatus == 404) track('404', { props: { path: location.pathname } });
};
