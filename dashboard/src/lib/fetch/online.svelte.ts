/** Whether this device is on a network, and whether anybody looks at the page. */

class Presence {
  online = $state(navigator.onLine);
  visible = $state(document.visibilityState !== 'hidden');

  constructor() {
    window.addEventListener('online', () => (this.online = true));
    window.addEventListener('offline', () => (this.online = false));
    document.addEventListener('visibilitychange', () => {
      this.visible = document.visibilityState !== 'hidden';
    });
  }
}

export const presence = new Presence();
