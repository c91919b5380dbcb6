/** What a tracker is told. In the small scripts it is the dataset of their tag, which has the first five only. */
export interface Settings {
  /** Site, or a comma list; the server takes the page's host when it is missing. */
  domain?: string;
  /** URL that takes the events; /api/event of where the script came from when it is missing. */
  api?: string;
  /** There, whatever it is: the fragment is part of the page. */
  hash?: unknown;
  /** There, whatever it is: count on localhost and in files, too. */
  local?: unknown;
  /** There, whatever it is: page views are left to the caller. */
  manual?: unknown;
  /** Page changes are counted as the older snippets do: not on replaceState. */
  legacy?: unknown;
  /** Revenue is sent. */
  revenue?: unknown;
  /** Clicks on links to other hosts are events. */
  'outbound-links'?: unknown;
  /** Clicks on links to files are events. */
  'file-downloads'?: unknown;
  /** The types of those files; lower case, no dot. */
  types?: string[];
  /** Submitted forms are events. */
  'form-submissions'?: unknown;
  /** Clicks on elements tagged by class names are events. */
  'tagged-events'?: unknown;
  /** A page answered with status 404 is an event. */
  404?: unknown;
  /** Gives the properties of an event from its name and its own ones. */
  props?: any;
  /** Says whether this page's views are left out. */
  excluded?: any;
  /** Set window.footfall and window.plausible, and count what their stand-ins queued. */
  bind?: unknown;
  /** Last word on a payload: a falsy value drops the event. */
  transform?: any;
  /** Told the name of an event that is ignored. */
  log?: any;
}
