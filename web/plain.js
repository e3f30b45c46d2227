// The page of a daemon that was built without uPlot: the runs, and no more. Names come from jobs: they are only
// ever set as text.
'use strict';
const REFRESH_MS = 3000;

const number = x => (typeof x === 'number' ? String(Number(x.toPrecision(4))) : typeof x === 'string' ? x : '–');

async function load() {
  const token = sessionStorage.getItem('pyrometer-token');
  const answer = await fetch('/api/v1/runs?limit=200', {cache: 'no-store', headers: token ? {Authorization: `Bearer ${token}`} : {}});
  if (answer.status === 401) {
    const given = prompt('This daemon wants a token:');
    if (given) sessionStorage.setItem('pyrometer-token', given);
    throw new Error('it wants a token');
  }
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.detail || data.title);
  return data.runs;
}

function addRun(body, run) {
  const row = body.insertRow();
  const kinetic = (run.temperature && run.temperature.global && run.temperature.global.kinetic) || {};
  for (const text of [run.run, run.status, number(run.last_step), number(run.loss), number(kinetic.value), String(run.alerts.firing)]) {
    row.insertCell().textContent = text;
  }
}

async function refresh() {
  const note = document.getElementById('note');
  try {
    const runs = await load();
    const body = document.getElementById('runs');
    body.replaceChildren();
    runs.forEach(run => addRun(body, run));
    note.textContent = runs.length ? '' : 'No runs yet. Start a job and it appears here.';
  } catch (error) {
    note.textContent = `The daemon does not answer: ${error.message}`;
  }
  setTimeout(refresh, REFRESH_MS);
}
refresh();
