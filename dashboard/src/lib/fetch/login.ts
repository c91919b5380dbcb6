/** Where everybody goes whose session has ended; signing in leads back. */
import { place } from './location.svelte';

export function toLogin(): void {
  place.go(`/login?next=${encodeURIComponent(place.pathname + place.search)}`, { replace: true });
}
