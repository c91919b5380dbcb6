// The shop itself: a cart in the tab's memory, and the one event that class
// names cannot tell, because its amount is only known here.
const kept = 'demo-cart';
const euros = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });

// Calls before the tracker is there wait in a queue.
window.footfall ||= (...call) => (window.footfall.q ||= []).push(call);

const cart = () => JSON.parse(sessionStorage.getItem(kept) ?? '[]');
const find = (name) => document.querySelector(`[data-${name}]`);
const cents = (items) => items.reduce((sum, { price, count }) => sum + Math.round(price * 100) * count, 0);

function keep(items) {
  sessionStorage.setItem(kept, JSON.stringify(items));
  showCount();
}

function showCount() {
  const count = cart().reduce((sum, item) => sum + item.count, 0);
  const badge = find('cart-count');
  badge.textContent = count;
  badge.hidden = !count;
}

function showCart() {
  const items = cart();
  find('cart').hidden = !items.length;
  find('cart-empty').hidden = items.length > 0;
  find('cart-rows').replaceChildren(
    ...items.map(({ name, price, count }) => {
      const row = document.createElement('tr');
      for (const [text, number] of [[name], [count, true], [euros.format(price * count), true]]) {
        const cell = document.createElement('td');
        cell.textContent = text;
        if (number) cell.className = 'number';
        row.append(cell);
      }
      return row;
    }),
  );
  find('cart-total').textContent = euros.format(cents(items) / 100);
}

find('add')?.addEventListener('click', ({ currentTarget }) => {
  const { add: id, name, price } = currentTarget.dataset;
  const items = cart();
  const item = items.find((other) => other.id == id);
  if (item) item.count++;
  else items.push({ id, name, price: Number(price), count: 1 });
  keep(items);
  find('added').hidden = false;
});

find('cart-clear')?.addEventListener('click', () => {
  keep([]);
  showCart();
});

find('letter')?.addEventListener('submit', (event) => {
  event.preventDefault();
  event.target.hidden = true;
  find('letter-done').hidden = false;
});

if (find('order')) {
  const items = cart();
  const total = (cents(items) / 100).toFixed(2);
  if (items.length) {
    window.footfall('Purchase', {
      revenue: { amount: total, currency: 'EUR' },
      props: { pieces: items.reduce((sum, item) => sum + item.count, 0) },
    });
    find('order').textContent = `Your order of ${euros.format(total)} is on its way to the dashboard, and only there.`;
  }
  keep([]);
}
if (find('cart')) showCart();
showCount();
