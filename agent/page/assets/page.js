// What the page adds where scripts run: search as one types, figures that
// follow the shop, printing. Everything is readable and usable without it.
'use strict';
(() => {
  let asked = null; // the request under way

  // swap puts the parts that may change of a freshly made page into this one.
  const swap = (html) => {
    const fresh = new DOMParser().parseFromString(html, 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const other = fresh.getElementById(part.id);
      if (!other || other.innerHTML === part.innerHTML) continue;
      const before = new Map();
      for (const row of part.querySelectorAll('tr[data-product]')) before.set(row.dataset.product, row.textContent);
      const open = new Set([...part.querySelectorAll('details[open] summary')].map((s) => s.textContent));
      const focus = part.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
      part.replaceChildren(...other.childNodes);
      for (const row of part.querySelectorAll('tr[data-product]')) {
        const old = before.get(row.dataset.product);
        if (old !== undefined && old !== row.textContent) row.classList.add('changed');
      }
      for (const s of part.querySelectorAll('summary')) if (open.has(s.textContent)) s.parentNode.open = true;
      if (focus) [...part.querySelectorAll('a')].find((a) => a.getAttribute('href') === focus)?.focus();
    }
  };

  const load = async (address) => {
    asked?.abort();
    const mine = asked = new AbortController();
    try {
      const answer = await fetch(address, { signal: mine.signal, headers: { Accept: 'text/html' } });
      if (answer.redirected) return location.reload(); // the session has ended
      if (answer.ok) swap(await answer.text());
    } catch (e) {
      if (e.name !== 'AbortError') console.debug(e); // the next change tries again
    } finally {
      if (asked === mine) asked = null;
    }
  };

  const search = document.querySelector('form[data-search]');
  if (search) {
    const field = search.querySelector('input[type=search]');
    let timer = 0;
    const find = () => {
      clearTimeout(timer);
      const query = new URLSearchParams(new FormData(search));
      const address = search.getAttribute('action') + '?' + query;
      history.replaceState(null, '', address);
      load(address);
    };
    field.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(find, 120);
    });
    search.addEventListener('submit', (e) => {
      e.preventDefault();
      find();
    });
    addEventListener('keydown', (e) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
      if (e.key === '/' && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
        e.preventDefault();
        field.focus();
        field.select();
      }
      if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
      const rows = [field, ...document.querySelectorAll('td.title a')];
      const at = rows.indexOf(document.activeElement);
      if (at < 0) return;
      e.preventDefault();
      rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === 'ArrowDown' ? 1 : -1)))].focus();
    });
  }

  for (const button of document.querySelectorAll('[data-print]')) {
    button.addEventListener('click', () => print());
  }

  const follow = document.body.dataset.follow;
  if (follow) {
    let due = false, last = 0;
    // At most one look in a second, the first one at once.
    const look = () => {
      if (due) return;
      due = true;
      setTimeout(() => {
        due = false;
        last = Date.now();
        load(location.href);
      }, Math.max(0, last + 1000 - Date.now()));
    };
    const events = new EventSource('/live');
    events.addEventListener('changed', (e) => {
      const ids = e.data.split('\n');
      const shown = (id) => id === '*' || document.querySelector('[data-product="' + CSS.escape(id) + '"]');
      if (follow === 'all' || ids.some((id) => id !== '' && shown(id))) look();
    });
    // What was missed while the line was gone is seen when it is back.
    let lost = false;
    events.onerror = () => { lost = true; };
    events.onopen = () => {
      if (lost) look();
      lost = false;
    };
  }
})();
