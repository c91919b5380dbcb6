/** What becomes of a page whose answers say that nobody may read them any more. */
import { place } from './location.svelte';
import { visits } from './visits.svelte';

/** Leads to the form where one signs in, and back afterwards; visitors through a shared link are told that it has ended. */
export function toLogin(): void {
  if (place.visit) visits.end();
  else place.go(`/login?next=${encodeURIComponent(place.pathname + place.search)}`, { replace: true });
}
