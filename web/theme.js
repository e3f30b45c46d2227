// Before the first paint: the theme that was chosen here, so that a dark page does not flash white.
'use strict';
try {
  const chosen = localStorage.getItem('pyrometer-theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch (error) {
  // Storage may be forbidden; then the system's theme holds.
}
